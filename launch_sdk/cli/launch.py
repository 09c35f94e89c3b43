"""`launch`: run something once, here or through a queue; and the commands that look after runs, sweeps and queues."""

from __future__ import annotations

import os
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from launch_sdk.cli.command import DONE, FAILED, INTERRUPTED, Parser, finish, print_json, say
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.supervise import Follower
from launch_sdk.specs.assignments import parse_assignments, parse_overrides
from launch_sdk.specs.job import check_inputs
from launch_sdk.specs.run_spec import RunSpec, split_entry_point
from launch_sdk.specs.run_state import RunState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launch_sdk.client import LaunchClient, LaunchedRun

    Files = dict[str, dict[str, Any]]

DEFAULT_QUEUE = "default"
NO_AGENT_AFTER_S = 4.0
LOGS_LATE_S = 3.0
GROUPS = ("run", "sweep", "job", "queue", "server")
EXAMPLES = """\
  launch DIR -E train.py                     run a local directory once, here
  launch DIR -E train.py -s lr=0.1           ... with a value of its config changed
  launch -q gpu DIR -E train.py --detach     put it on a queue that agents serve
  launch RUN_ID                              repeat an earlier run, exactly
  launch --job digits -s trainer.lr=0.1      start a run of a job; only what it takes can be set
  launch DIR -s files.conf.yaml.lr=0.1       set a value of a config file, in the run's own copy
  launch --job flow/deployment -s x=1        start a run of any other deployment

other commands (each has --help):
  launch run    list | show | logs | stop | cancel
  launch sweep  list | show | stop
  launch job    create | list | describe | delete
  launch queue  list | create
  launch server start | stop | status | url"""


def main(arguments: Sequence[str] | None = None) -> None:
    finish(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in GROUPS:
        from launch_sdk.cli.groups import main as group

        return group(arguments)
    options = _parse(arguments)
    if options.job and "/" in options.job:
        return _launch_deployment(options, parse_assignments(options.set, "--set"))
    config, files = parse_overrides(options.set, "--set")
    if options.job:
        return _launch_job(options, config, files)
    if Path(options.uri).expanduser().is_dir():
        return _launch_spec(options, _spec_of_directory(options, config, files))
    return _repeat(options, config, files)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("launch", "Run a directory, an earlier run or a job once, here or through a queue.", EXAMPLES)
    parser.add_argument("uri", nargs="?", metavar="URI", help="local directory, or the id of an earlier run")
    parser.add_argument("-j", "--job", metavar="NAME", help="start a run of this job, or of a FLOW/DEPLOYMENT, instead")
    parser.add_argument("-E", "--entry-point", "--entry_point", help="program to start; default: main.py")
    parser.add_argument("-a", "--args", action="append", default=[], metavar="K=V", help="argument for the program")
    parser.add_argument(
        "-s",
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="value of the run config, or of a config file: files.conf.yaml.lr=0.1",
    )
    parser.add_argument(
        "-q", "--queue", nargs="?", const=DEFAULT_QUEUE, help="put it on this queue (default: the job's, or 'default')"
    )
    parser.add_argument("-n", "--name", help="what to call the run")
    parser.add_argument("-p", "--project", help="what the run belongs to")
    parser.add_argument("--detach", action="store_true", help="with a queue or a job: return at once")
    parser.add_argument("--dry-run", "--dry_run", action="store_true", help="print the RunSpec and start nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    if not options.uri and not options.job and options.queue and Path(options.queue).expanduser().is_dir():
        options.uri, options.queue = options.queue, DEFAULT_QUEUE  # W&B's `launch --queue URI`
    if bool(options.uri) == bool(options.job):
        parser.error("name either a URI (a directory or a run) or a --job")
    if options.detach and not options.queue and not options.job:
        parser.error("--detach needs --queue: a run in the foreground ends with its command")
    return options


def _spec_of_directory(options: argparse.Namespace, config: dict[str, Any], files: Files) -> RunSpec:
    return RunSpec.from_dict(
        {
            "source": str(Path(options.uri).expanduser().resolve()),
            "entry_point": split_entry_point(options.entry_point or "main.py"),
            "args": _arguments(options.args),
            "config": config,
            "files": files,
            "name": options.name,
            "project": options.project,
        }
    )


def _arguments(words: Sequence[str]) -> list[str]:
    """Give the program `--k=v` for each `-a k=v`; a word without `=` is passed on as it is."""
    return [f"--{word}" if "=" in word and not word.startswith("-") else word for word in words]


def _repeat(options: argparse.Namespace, config: dict[str, Any], files: Files) -> int:
    """Run an earlier run again, from its parameters on the server."""
    from launch_sdk.client import LaunchClient
    from launch_sdk.tracking.protocol import merge

    if os.sep in options.uri or options.uri.startswith("."):
        raise NotFoundError(f"{options.uri} is not a directory. Name the directory that holds the program.")
    with LaunchClient() as client:
        view = client.run(options.uri).refresh()
        spec = view.spec
        if spec is None:
            if view.job is None:
                raise NotFoundError(f"Run {view.run_id} was not started from a job, so there is nothing to repeat.")
            parameters = dict(view.parameters)
            merge(parameters, {**config, **({"files": files} if files else {})})
            return _follow(client, client.launch_job(view.job, parameters, name=options.name), options)
    changed, changed_files = deepcopy(dict(spec.config)), deepcopy(dict(spec.files))
    merge(changed, config)
    merge(changed_files, files)
    values: dict[str, Any] = spec.to_dict() | {"config": changed, "files": changed_files, "name": options.name}
    if options.entry_point:
        values["entry_point"] = split_entry_point(options.entry_point)
    if options.args:
        values["args"] = _arguments(options.args)
    if options.project:
        values["project"] = options.project
    again = RunSpec.from_dict(values)
    check_inputs(again)
    return _launch_spec(options, again)


def _launch_spec(options: argparse.Namespace, spec: RunSpec) -> int:
    if options.dry_run:
        from launch_sdk.tracking.values import encode

        written = {"config": encode(spec.config), "files": encode(spec.files)}
        print_json(spec.to_dict() | written | {"queue": options.queue})
        return DONE
    if options.queue is None:
        from launch_sdk.cli.foreground import run_here

        return run_here(spec, as_json=options.json)
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        return _follow(client, client.launch(spec, queue=options.queue), options)


def _launch_job(options: argparse.Namespace, config: dict[str, Any], files: Files) -> int:
    """Start a run of a job of ours, after checking what it is given."""
    from launch_sdk.client import LaunchClient

    if options.entry_point:
        message = "the job has its own entry point; launch its directory to start another program"
        raise InvalidSpecError("The command line", [Fault("--entry-point", message)])
    given: dict[str, Any] = {"config": config, "files": files, "args": _arguments(options.args)}
    given |= {"name": options.name, "project": options.project}
    with LaunchClient() as client:
        if options.dry_run:
            job = client.job(options.job)
            return _launch_spec(_on_queue(options, job.queue), job.spec_with(**given))
        run = client.launch_own_job(options.job, queue=options.queue, **given)
        return _follow(client, run, options)


def _on_queue(options: argparse.Namespace, queue: str) -> argparse.Namespace:
    options.queue = options.queue or queue
    return options


def _launch_deployment(options: argparse.Namespace, config: dict[str, Any]) -> int:
    if options.entry_point or options.args or options.queue:
        message = "a deployment has its own entry point, arguments and queue; set its parameters with -s"
        raise InvalidSpecError("The command line", [Fault("--job", message)])
    if options.dry_run:
        from launch_sdk.tracking.values import encode

        print_json({"job": options.job, "parameters": encode(config)})
        return DONE
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        return _follow(client, client.launch_job(options.job, config, name=options.name), options)


class RunOutput:
    """What a run on a queue prints, as it comes: from its directory where this machine has it, else from the server."""

    def __init__(self, run: LaunchedRun, stream: TextIO) -> None:
        self.run = run
        self.stream = stream
        self.directory = RunDirectory.of(run.id)
        self.follower = Follower(self.directory, self._print)
        self.seen: set[str] = set()
        self.latest = 0.0

    def show(self) -> None:
        """Print what is new."""
        if self.directory.output.exists():
            self.follower.look()
        else:
            self._show_logs()

    def show_rest(self) -> None:
        """Print what was still to come when the run ended: the server gets its last lines a little after that."""
        if self.directory.output.exists():
            self.follower.look(at_end=True)
            return
        quiet_until = time.monotonic() + LOGS_LATE_S
        while time.monotonic() < quiet_until:
            if self._show_logs():
                quiet_until = time.monotonic() + LOGS_LATE_S
            time.sleep(0.3)

    def _show_logs(self) -> bool:
        """Print lines not seen yet. They arrive out of order, so the last seconds are read again each time."""
        new = [
            line for line in self.run.log_lines(max(self.latest - LOGS_LATE_S, 0.0)) if line.line_id not in self.seen
        ]
        self.seen.update(line.line_id for line in new)
        self.latest = max([self.latest, *(line.time for line in new)])
        self._print([line.message for line in new])
        return bool(new)

    def _print(self, lines: list[str]) -> None:
        self.stream.write("".join(f"{line}\n" for line in lines))
        self.stream.flush()


def _follow(client: LaunchClient, run: LaunchedRun, options: argparse.Namespace) -> int:
    """Print what a run prints until it is over; the exit code is its state's."""
    view = run.refresh()
    say(f"Run {run.id} is on queue {view.queue!r}: {view.url}")
    if options.detach:
        if options.json:
            print_json(view.to_json())
        return DONE
    output = RunOutput(run, sys.stderr if options.json else sys.stdout)
    started, warned = time.monotonic(), False
    try:
        while not (view := run.refresh()).state.is_terminal:
            output.show()
            late = view.state is RunState.QUEUED and time.monotonic() - started > NO_AGENT_AFTER_S
            if late and not warned and view.queue and not client.queue_has_agent(view.queue):
                warned = True
                say(f"No agent polls queue {view.queue!r}. Start one: launch-agent --queues {view.queue}")
            time.sleep(0.3)
        output.show_rest()
    except KeyboardInterrupt:
        say(f"The run goes on. End it: launch run cancel {run.id}")
        return INTERRUPTED
    say(f"Run {run.id} {view.state.value}" + (f": {view.error}" if view.error else ""))
    if options.json:
        print_json(view.to_json())
    return DONE if view.state is RunState.FINISHED else FAILED


if __name__ == "__main__":
    main()
