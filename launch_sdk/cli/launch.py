"""`launch`: run something once, here or through a queue; and the commands that look after runs, sweeps and queues."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from launch_sdk.cli.command import DONE, FAILED, INTERRUPTED, Parser, finish, print_json, say
from launch_sdk.cli.replay import find_run, is_run_directory
from launch_sdk.errors import NotFoundError
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.supervise import Follower
from launch_sdk.specs.assignments import parse_assignments, parse_overrides
from launch_sdk.specs.job import checked
from launch_sdk.specs.launch_config import LaunchConfig, merged, program_words, read_launch_config
from launch_sdk.specs.placement import Priority, parse_priority, parse_variables
from launch_sdk.specs.run_spec import split_entry_point
from launch_sdk.specs.run_state import RunState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launch_sdk.cli.replay import EarlierRun
    from launch_sdk.client import LaunchedRun
    from launch_sdk.specs.run_spec import RunSpec

DEFAULT_QUEUE = "default"
WAITS_AFTER_S = 3.0
LOOK_AGAIN_S = 3.0
LOGS_LATE_S = 3.0
OF_JOB = ("entry_point", "environment", "metric_sources")
OF_DEPLOYMENT = (*OF_JOB, "args")
DEPLOYMENT_HAS = "a deployment has its own entry point, arguments and queue; set its parameters with -s"
GROUPS = ("run", "sweep", "job", "queue", "agent", "server")
EXAMPLES = """\
  launch DIR -E train.py                     run a local directory once, here
  launch DIR -E train.py -s lr=0.1           ... with a value of its config changed
  launch -q gpu DIR -E train.py --detach     put it on a queue that agents serve
  launch -q gpu DIR -P high --set-var n=4    ... before others, with a value for a variable of the queue
  launch RUN                                 repeat an earlier run (id, name, run directory), with its exact code
  launch --job digits -s trainer.lr=0.1      start a run of a job; only what it takes can be set
  launch DIR -s files.conf.yaml.lr=0.1       set a value of a config file, in the run's own copy
  launch DIR --environment auto              in a virtual environment with what its requirements.txt says
  launch -c launch.yaml                      what a launch config says (uri, queue, overrides, ...); options win
  launch --job flow/deployment -s x=1        start a run of any other deployment

other commands (each has --help):
  launch run    list | show | logs | stop | cancel
  launch sweep  list | show | best | export | pause | resume | stop | cancel | rerun-failed | schema | delete
  launch job    create | list | describe | delete
  launch queue  create | list | show | items | update | pause | resume | delete
  launch agent  list | show | stop
  launch server start | stop | status | url"""


def main(arguments: Sequence[str] | None = None) -> None:
    finish(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in GROUPS:
        from launch_sdk.cli.groups import main as group

        return group(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    wanted = _wanted(options)
    if not wanted.uri and not wanted.job and wanted.queue and Path(wanted.queue).expanduser().is_dir():
        wanted = replace(wanted, uri=wanted.queue, queue=DEFAULT_QUEUE)  # W&B's `launch --queue URI`
    if bool(wanted.uri) == bool(wanted.job):
        parser.error("name either a URI (a directory or a run) or a --job")
    if options.detach and not wanted.queue and not wanted.job:
        parser.error("--detach needs --queue: a run in the foreground ends with its command")
    if not wanted.queue and not wanted.job and (wanted.priority is not None or wanted.variables):
        flag = "--priority" if wanted.priority is not None else "--set-var"
        parser.error(f"{flag} needs --queue: a run in the foreground starts at once")
    if wanted.entity:
        say(f"Entity {wanted.entity!r} is W&B's; a server is one team, so it changes nothing.")
    if wanted.job:
        return (_launch_deployment if "/" in wanted.job else _launch_job)(options, wanted, wanted.job)
    uri = wanted.uri or ""
    if Path(uri).expanduser().is_dir() and not is_run_directory(Path(uri).expanduser()):
        return _launch_spec(options, wanted.spec_of(str(Path(uri).expanduser().resolve())), wanted)
    return _repeat(options, wanted, uri)


def _parser() -> Parser:
    parser = Parser("launch", "Run a directory, an earlier run or a job once, here or through a queue.", EXAMPLES)
    parser.add_argument(
        "uri", nargs="?", metavar="URI", help="local directory, or an earlier run: its id, name, page or directory"
    )
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
        "-c", "--config", metavar="FILE|JSON", help="launch config: a YAML or JSON file, or JSON; other options win"
    )
    parser.add_argument(
        "-q", "--queue", nargs="?", const=DEFAULT_QUEUE, help="put it on this queue (default: the job's, or 'default')"
    )
    parser.add_argument(
        "--environment",
        metavar="WHAT",
        help="current (default): the agent's packages; auto: what requirements.txt, pyproject.toml or environment.yml"
        " says; a file's name; lock: the packages of the run that is repeated",
    )
    parser.add_argument(
        "-P", "--priority", help=f"{Priority.labels()}: which runs that wait on the queue it is taken before (medium)"
    )
    parser.add_argument(
        "-v",
        "--set-var",
        "--set_var",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="value for a template variable of the queue; launch queue show QUEUE lists them",
    )
    parser.add_argument("-n", "--name", help="what to call the run")
    parser.add_argument("-p", "--project", help="what the run belongs to")
    parser.add_argument("--detach", action="store_true", help="with a queue or a job: return at once")
    parser.add_argument("--dry-run", "--dry_run", action="store_true", help="print the RunSpec and start nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    return parser


def _wanted(options: argparse.Namespace) -> LaunchConfig:
    """Lay what the command line says over its launch config."""
    below = read_launch_config(options.config) if options.config is not None else LaunchConfig()
    said = LaunchConfig(
        uri=options.uri,
        job=options.job,
        name=options.name,
        project=options.project,
        queue=options.queue,
        environment=options.environment,
        entry_point=split_entry_point(options.entry_point) if options.entry_point else (),
        args=program_words(options.args),
        priority=parse_priority(options.priority) if options.priority is not None else None,
        variables=parse_variables(options.set_var),
    )
    if "/" in (said.over(below).job or ""):  # of a deployment, `files` is a parameter like any other
        return replace(said, config=parse_assignments(options.set, "--set")).over(below)
    config, files = parse_overrides(options.set, "--set")
    return replace(said, config=config, files=files).over(below)


def _repeat(options: argparse.Namespace, wanted: LaunchConfig, uri: str) -> int:
    """Run an earlier run again: its code, which is checked before it starts, and what it was given."""
    from launch_sdk.cli.kept_runs import with_lock

    run = find_run(uri)
    view = with_lock(run.view)
    spec = view.to_repeat
    if spec is None:
        if view.job is None:
            raise NotFoundError(f"Run {view.run_id} was not started from a job, so there is nothing to repeat.")
        given = {**wanted.config, **({"files": wanted.files} if wanted.files else {})}
        return _launch_deployment(options, replace(wanted, config=merged(view.parameters, given), files={}), view.job)
    return _launch_spec(options, wanted.spec_over(run.exactly(spec)), wanted, run)


def _launch_spec(
    options: argparse.Namespace, spec: RunSpec, wanted: LaunchConfig, earlier: EarlierRun | None = None
) -> int:
    spec, queue = checked(spec), wanted.queue
    if earlier is not None:
        say(earlier.tell(spec))
    if options.dry_run:
        from launch_sdk.runs.environment import describe_environment
        from launch_sdk.tracking.values import encode

        more = {"replays": earlier.view.run_id, "code": encode(earlier.code)} if earlier is not None else {}
        values = spec.to_dict() | {"config": encode(spec.config), "files": encode(spec.files), "queue": queue}
        values |= {"priority": wanted.placement.priority.label, "template_variables": dict(wanted.variables)}
        print_json(values | {"runs_in": describe_environment(spec)} | more)
        return DONE
    if queue is None:
        from launch_sdk.cli.foreground import run_here

        return run_here(spec, as_json=options.json, store=earlier.store if earlier is not None else None)
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        return _follow(client.launch(spec, queue=queue, placement=wanted.placement), options)


def _launch_job(options: argparse.Namespace, wanted: LaunchConfig, name: str) -> int:
    """Start a run of a job of ours, after checking what it is given."""
    from launch_sdk.client import LaunchClient

    wanted.refuse(
        OF_JOB, "the job has its own entry point, environment and metrics; launch its directory to change them"
    )
    given: dict[str, Any] = {key: getattr(wanted, key) for key in ("config", "files", "args", "name", "project")}
    with LaunchClient() as client:
        if wanted.config and not wanted.args and (inputs := client.job(name).inputs) is not None and inputs.is_open:
            key = next(iter(wanted.config))
            say(
                f"No run of job {name} has recorded a run config; if its program takes none, pass -a {key}=... instead."
            )
        if options.dry_run:
            job = client.job(name)
            return _launch_spec(options, job.spec_with(**given), replace(wanted, queue=wanted.queue or job.queue))
        placement = wanted.placement
        return _follow(client.launch_own_job(name, queue=wanted.queue, placement=placement, **given), options)


def _launch_deployment(options: argparse.Namespace, wanted: LaunchConfig, name: str) -> int:
    wanted.refuse((*OF_DEPLOYMENT, "files", "queue"), DEPLOYMENT_HAS)
    if options.dry_run:
        from launch_sdk.tracking.values import encode

        print_json({"job": name, "parameters": encode(wanted.config)})
        return DONE
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        run = client.launch_job(name, wanted.config, name=wanted.name, placement=wanted.placement)
        return _follow(run, options)


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
        if self.directory.path.exists():
            self.follower.look()
        else:
            self._show_logs()

    def show_rest(self) -> None:
        """Print what was still to come when the run ended: the server gets its last lines a little after that."""
        if self.directory.path.exists():
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
        self._print([line.message for line in new if not line.is_of_agent])
        return bool(new)

    def _print(self, lines: list[str]) -> None:
        self.stream.write("".join(f"{line}\n" for line in lines))
        self.stream.flush()


class WaitReason:
    """Says why a run waits: once it has waited a while, and again when the reason has become another."""

    def __init__(self, run: LaunchedRun) -> None:
        self.run = run
        self.next_look = time.monotonic() + WAITS_AFTER_S
        self.told = ""

    def look(self) -> None:
        """Look again, if it is time."""
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + LOOK_AGAIN_S
        reason = self.run.waits or ""
        if reason and reason != self.told:
            self.told = reason
            say(f"Waiting: {reason}")


def _follow(run: LaunchedRun, options: argparse.Namespace) -> int:
    """Print what a run prints until it is over; the exit code is its state's."""
    view = run.refresh()
    say(f"Run {run.id} is on queue {view.queue!r}: {view.url}")
    if options.detach:
        if options.json:
            print_json(view.to_json())
        return DONE
    output = RunOutput(run, sys.stderr if options.json else sys.stdout)
    telling = WaitReason(run)
    try:
        while not (view := run.refresh()).state.is_terminal:
            output.show()
            if view.state is RunState.QUEUED:
                telling.look()
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
