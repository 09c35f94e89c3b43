"""`launch-sweep`: search over the inputs of a program or a deployment."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.cli.background_agent import BackgroundAgent
from launch_sdk.cli.command import DONE, FAILED, INTERRUPTED, Parser, finish, how_to_call, print_json, say
from launch_sdk.errors import LaunchError, RunFailedError
from launch_sdk.specs.document import Document, read_document
from launch_sdk.specs.placement import parse_variables
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from launch_sdk.client import LaunchClient, LaunchedSweep
    from launch_sdk.views import SweepView

NO_AGENT_AFTER_S = 4.0
STOP_TIMEOUT_S = 40.0
EXAMPLES = """\
  launch-sweep sweep.yaml                    run a sweep here, and watch it
  launch-sweep sweep.yaml -q gpu --detach    put it on a queue that agents serve, and return
  launch-sweep --resume_id 3f2a9c1e          continue a sweep that was cut short
  launch-sweep more.yaml --resume_id 3f2a9c1e -q gpu
                                             ... with other scheduler values or limits, on another queue"""


def main(arguments: Sequence[str] | None = None) -> None:
    finish(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    parser = Parser("launch-sweep", "Search over the inputs of a program or of any deployment.", EXAMPLES)
    parser.add_argument("file", nargs="?", metavar="FILE", help="sweep file (YAML or JSON)")
    parser.add_argument("-q", "--queue", help="queue of the sweep and its runs")
    parser.add_argument("-r", "--resume_id", "--resume-id", metavar="ID", help="continue this sweep")
    parser.add_argument(
        "-R",
        "--prior_run",
        "--prior-run",
        action="append",
        default=[],
        metavar="RUN",
        help="tell the search the result of this earlier run (may be given several times)",
    )
    parser.add_argument("-P", "--priority", help="of its runs; default: the file's launch.priority, or medium")
    parser.add_argument(
        "-v",
        "--set-var",
        "--set_var",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="value for a template variable of the queue",
    )
    parser.add_argument("-p", "--project", help="what its runs belong to; default: the file's")
    parser.add_argument("-e", "--entity", help="W&B's; a server is one team, so it changes nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--wait", action="store_true", help="watch until it has ended (the default)")
    waiting.add_argument("--detach", action="store_true", help="return as soon as it is on its queue")
    options = parser.parse_args(arguments)
    if not options.file and not options.resume_id:
        parser.error("name a sweep FILE, or a sweep to continue with --resume_id ID")
    if options.resume_id and (options.prior_run or options.project or options.priority or options.set_var):
        told = "--prior_run, --project, --priority and --set-var go with a new sweep; a resumed one keeps its own"
        parser.error(told)
    document = read_document(Path(options.file)) if options.file else None
    if document is not None and not options.resume_id:
        document = _checked(_with_options(document, options))
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        if options.resume_id:
            launched = _resume(client, options.resume_id, document, options.queue)
        else:
            launched = _start(client, cast("Document", document), options.queue, options.prior_run)
        return follow(client, launched, detach=options.detach, as_json=options.json)


def _with_options(document: Document, options: argparse.Namespace) -> Document:
    """Lay what the command line says over the file."""
    if not isinstance(cast("object", document.value), dict):
        return document
    value = cast("dict[str, Any]", document.value)
    launch: dict[str, Any] = {"priority": options.priority} if options.priority else {}
    if variables := parse_variables(options.set_var):
        launch["template_variables"] = {**_block(_block(value, "launch"), "template_variables"), **variables}
    changed = {**value, **({"project": options.project} if options.project else {})}
    if launch:
        changed["launch"] = {**_block(value, "launch"), **launch}
    return replace(document, value=changed)


def _block(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    block = value.get(key)
    return dict(cast("dict[str, Any]", block)) if isinstance(block, dict) else {}


def _checked(document: Document) -> Document:
    """Find the faults of a file and say what will be done, before anything slow happens."""
    from launch_sdk.runs.packing import check_program

    spec = parse_sweep(document)
    check_program(spec, document)
    _announce(spec)
    return document


def _announce(spec: SweepSpec) -> None:
    """Say what will be done, before anything slow happens."""
    limit = spec.run_limit
    runs = f"{limit} runs" if limit else "runs until you stop it"
    what = spec.program or spec.job or (spec.image and spec.image.name)
    goal = f", to {spec.metric.goal} {spec.metric.name}" if spec.metric else ""
    chosen = f"chosen by {spec.scheduler.job}" if spec.scheduler.job else spec.method
    how = f"{chosen}, {runs}, {spec.num_workers} at a time{goal}"
    for note in spec.notes:
        say(note)
    say(f"Sweep over {spec.searched} of {what}: {how}.")


def _start(client: LaunchClient, document: Document, queue: str | None, prior_runs: Sequence[str]) -> LaunchedSweep:
    if prior_runs:
        from launch_sdk.sweeps.prior import prior_notices

        spec = parse_sweep(document)
        for notice in prior_notices(spec, client.read_prior_runs(spec, prior_runs)):
            say(notice)
    sweep = client.submit_sweep(document, queue=queue, prior_runs=prior_runs)
    say(f"Created sweep {sweep.id}: {sweep.refresh().url}")
    return sweep


def _resume(client: LaunchClient, sweep_id: str, document: Document | None, queue: str | None) -> LaunchedSweep:
    if document is not None and (ignored := client.ignored_keys(sweep_id, document)):
        keys = ", ".join(ignored)
        say(f"Sweep {sweep_id} keeps its own {keys}: what {document.name} says of that is ignored.")
    sweep = client.resume_sweep(sweep_id, document, queue=queue)
    view = sweep.refresh()
    say(f"Resumed sweep {sweep.id}: {view.url}")
    if view.spec.own_job and not re.search(r":v\d+$", view.spec.own_job):
        say(f"Its runs take the latest version of job {view.spec.own_job}, which may have changed since the others.")
    return sweep


def follow(client: LaunchClient, launched: LaunchedSweep, *, detach: bool, as_json: bool) -> int:
    """See that somebody drives a sweep; watch it to its end, or leave it to them."""
    view = launched.refresh()
    agent = OwnAgent(client, view)
    agent.start_if_needed()
    if detach:
        agent.leave_running()
        if as_json:
            print_json(view.to_json())
        return DONE
    try:
        view = _watch(launched, agent)
    except KeyboardInterrupt:
        view = _interrupt(launched)
        if as_json:
            print_json(view.to_json())
        return INTERRUPTED
    finally:
        if view.state is RunState.LOST:
            agent.leave_running()  # its runs go on, and a resume takes them up
        else:
            agent.stop()
    if as_json:
        print_json(view.to_json())
    return DONE if view.state.has_result else FAILED


class OwnAgent:
    """The agent that a sweep on the default queue of the embedded server gets if nobody else serves it."""

    def __init__(self, client: LaunchClient, view: SweepView) -> None:
        from launch_sdk._prefect.embedded import uses_embedded_server
        from launch_sdk.specs.placement import DEFAULT_QUEUE

        self.client = client
        self.sweep_id = view.sweep_id
        self.queue = view.queue
        self.max_jobs = view.spec.num_workers
        self.is_ours_to_start = view.queue == DEFAULT_QUEUE and uses_embedded_server()
        self.process: BackgroundAgent | None = None

    def start_if_needed(self) -> None:
        if self.is_ours_to_start and not self.client.queue_has_agent(self.queue):
            self.process = BackgroundAgent(self.queue, self.max_jobs)

    def nobody_came(self, view: SweepView, say_once: Callable[[str], None]) -> None:
        """The sweep still waits: start an agent although one seems to be there, or say why."""
        if self.is_ours_to_start and self.process is None:
            self.process = BackgroundAgent(self.queue, self.max_jobs)
        elif self.process is None and (reason := self.client.why_waiting(str(view.scheduler["run_id"]))):
            say_once(f"Waiting: {reason}")

    def check(self) -> None:
        """Raise RunFailedError if it was started and has ended."""
        if self.process and self.process.has_ended:
            tail = self.process.last_lines()
            raise RunFailedError(
                f"The agent of this sweep has ended. {self.process.log} ends:\n{tail}\n"
                f"Go on with: {how_to_call('launch-sweep')} --resume_id {self.sweep_id}"
            )

    def leave_running(self) -> None:
        if self.process:
            self.process.leave_running()

    def stop(self) -> None:
        """End it, unless somebody else's runs wait or run on the queue: then it ends when those are over."""
        if self.process is None:
            return
        try:
            is_needed = self.client.queue_has_work(self.queue)
        except LaunchError:
            is_needed = False
        if is_needed:
            self.process.leave_running()
        else:
            self.process.stop()


def _watch(launched: LaunchedSweep, agent: OwnAgent) -> SweepView:
    from launch_sdk.cli.sweep_view import LiveView, print_result

    look_again = time.monotonic() + NO_AGENT_AFTER_S
    with LiveView() as live:
        while True:
            view = launched.refresh()
            live.show(view)
            if view.state.is_terminal:
                break
            agent.check()
            if view.state is RunState.QUEUED and time.monotonic() > look_again:
                look_again += NO_AGENT_AFTER_S
                agent.nobody_came(view, live.say)
            time.sleep(1.0)
    print_result(view)
    return view


def _interrupt(launched: LaunchedSweep) -> SweepView:
    """Stop the sweep and its runs, and wait until they are over; a second Ctrl-C stops waiting."""
    say(f"\nStopping sweep {launched.id} and its runs (Ctrl-C again to leave them to the agent) ...")
    launched.cancel()
    view = launched.refresh()
    try:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            view = launched.refresh()
            if view.state.is_terminal and not any(run.is_active for run in view.runs):
                break
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
    say(f"Stopped. Nothing is lost; go on with: {how_to_call('launch-sweep')} --resume_id {launched.id}")
    return view


if __name__ == "__main__":
    main()
