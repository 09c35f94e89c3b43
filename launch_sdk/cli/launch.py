"""`launch`: run something once, here or through a queue; and the commands that look after runs, sweeps and queues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from launch_sdk.cli.command import DONE, Parser, finish, print_json, say
from launch_sdk.cli.container_options import add_containers, container_of, resource_of
from launch_sdk.cli.option_faults import OptionFaults
from launch_sdk.cli.policy_options import add_policy, policy_of
from launch_sdk.cli.queued_run import follow
from launch_sdk.cli.replay import find_run, is_run_directory, names_job
from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.specs.assignments import parse_assignments, parse_overrides
from launch_sdk.specs.job import checked
from launch_sdk.specs.launch_config import LaunchConfig, merged, program_words
from launch_sdk.specs.launch_config_file import read_launch_config
from launch_sdk.specs.placement import DEFAULT_QUEUE, Priority, parse_priority, parse_variables
from launch_sdk.specs.resources import parse_resources
from launch_sdk.specs.run_spec import split_entry_point
from launch_sdk.specs.run_state import RunState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launch_sdk.cli.replay import EarlierRun
    from launch_sdk.specs.run_spec import RunSpec

OF_JOB = ("entry_point", "environment", "metric_sources", "git_version", "git_repo")
OF_DEPLOYMENT = (*OF_JOB, "args", "policy", "resources", "resource", "container")
GIVEN_TO_JOB = ("config", "files", "args", "name", "project", "policy", "resources")
DEPLOYMENT_HAS = "a deployment has its own entry point, arguments and queue; set its parameters with -s"
GROUPS = ("run", "sweep", "job", "queue", "agent", "environment", "image", "server")
STARTED_AGAIN = (RunState.FAILED, RunState.LOST)
EXAMPLES = """\
  launch DIR -E train.py                     run a local directory once, here
  launch DIR -E train.py -s lr=0.1           ... with a value of its config changed
  launch -q gpu DIR -E train.py --detach     put it on a queue that agents serve
  launch https://HOST/ME/REPO -E train.py    run a git repository; also ssh:// and git@HOST:ME/REPO
  launch https://HOST/ME/REPO -g v1.2        ... a branch, tag or commit of it
  launch -q gpu DIR -P high --set-var n=4    ... before others, with a value for a variable of the queue
  launch RUN                                 repeat an earlier run (id, name, run directory), with its exact code
  launch RUN -g main                         repeat it with the code of another version
  launch RUN --rerun-failed                  start a run that has failed again, where it was
  launch --job digits -s trainer.lr=0.1      start a run of a job; only what it takes can be set
  launch DIR -s files.conf.yaml.lr=0.1       set a value of a config file, in the run's own copy
  launch DIR --environment auto              in a virtual environment with what its requirements.txt says
  launch -q gpu DIR --retries 2 --resources gpu=1
                                             start again after a failure; wait for a GPU of its own
  launch -c launch.yaml                      what a launch config says (uri, queue, overrides, ...); options win
  launch --job flow/deployment -s x=1        start a run of any other deployment
  launch -d python:3.12 DIR -E train.py      run it in a container of this image, which has what it needs
  launch -q gpu -d NAME:TAG -A memory=2g     run what an image starts by itself

other commands (each has --help):
  launch run    list | show | logs | stop | cancel
  launch sweep  list | show | best | export | pause | resume | stop | cancel | rerun-failed | schema | delete
  launch job    create | list | describe | delete
  launch queue  create | list | show | items | update | pause | resume | delete
  launch agent  list | show | stop
  launch environment list | delete | prune
  launch image  build
  launch server start | stop | status | url"""


def main(arguments: Sequence[str] | None = None) -> None:
    finish(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in GROUPS:
        from launch_sdk.cli.groups import main as group

        return group(arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    _check_options(parser, options)
    said = _said(options)
    wanted = _with_uri(said.options.over(said.config))
    if bool(wanted.uri) == bool(wanted.job) and not (wanted.image and not wanted.uri):
        parser.error("name either a URI (a directory, a git address, a run or a job), a --job, or an image alone (-d)")
    failed = _failed_run(wanted) if options.rerun_failed else None
    if failed is not None:
        wanted = replace(wanted, queue=wanted.queue or failed.view.queue)
    if options.detach and not wanted.queue and not wanted.job:
        parser.error("--detach needs --queue: a run in the foreground ends with its command")
    if not wanted.queue and not wanted.job and (wanted.priority is not None or wanted.variables):
        flag = "--priority" if wanted.priority is not None else "--set-var"
        parser.error(f"{flag} needs --queue: a run in the foreground starts at once")
    if wanted.entity:
        say(f"Entity {wanted.entity!r} is W&B's; a server is one team, so it changes nothing.")
    if failed is not None:
        return _repeat(options, said, wanted, failed)
    return _launch_job(options, said, wanted, wanted.job) if wanted.job else _launch_uri(options, said, wanted)


def _check_options(parser: Parser, options: argparse.Namespace) -> None:
    if options.uri is not None and options.uri_option is not None:
        parser.error(f"the URI stands twice, as {options.uri!r} and behind --uri; name it once")
    options.uri = options.uri or options.uri_option


def _with_uri(wanted: LaunchConfig) -> LaunchConfig:
    """Find the URI where W&B lets it be: behind `--queue`, which may stand alone, or as `git.repo`."""
    if wanted.uri or wanted.job:
        return wanted
    if wanted.queue and (Path(wanted.queue).expanduser().is_dir() or "://" in wanted.queue):
        return replace(wanted, uri=wanted.queue, queue=DEFAULT_QUEUE)
    return replace(wanted, uri=wanted.git_repo)


def _launch_uri(options: argparse.Namespace, said: Said, wanted: LaunchConfig) -> int:
    if wanted.uri is None:
        return _launch_spec(options, said, wanted.spec_of_image(), wanted)
    uri = wanted.uri
    directory = Path(uri).expanduser()
    if directory.is_dir() and not is_run_directory(directory):
        return _launch_spec(options, said, _spec_of_directory(wanted, directory.resolve()), wanted)
    from launch_sdk.cli.git_source import is_address, spec_of_address

    if is_address(uri):
        spec = spec_of_address(wanted, uri, by_hand=uri in {options.uri, options.queue})
        return _launch_spec(options, said, spec, wanted)
    try:
        run = find_run(uri)
    except NotFoundError as error:
        if not names_job(uri):
            raise NotFoundError(f"{error}; nor is it a job: launch job list") from None
        return _launch_job(options, said, replace(wanted, uri=None, job=uri), uri)
    return _repeat(options, said, wanted, run)


class Said(NamedTuple):
    """What somebody has said of a launch: in options, and in a launch config, over which the options are laid."""

    options: LaunchConfig
    config: LaunchConfig


def _spec_of_directory(wanted: LaunchConfig, directory: Path) -> RunSpec:
    if wanted.git_version is None:
        return wanted.spec_of(str(directory))
    from launch_sdk.cli.git_source import spec_of_directory

    return spec_of_directory(wanted, directory)


def _parser() -> Parser:
    parser = Parser("launch", "Run a directory, an earlier run or a job once, here or through a queue.", EXAMPLES)
    parser.add_argument(
        "uri",
        nargs="?",
        metavar="URI",
        help="local directory; git repository (https://, ssh://, user@host:path, file:///); an earlier run: its id,"
        " name, page or directory; or a job: NAME, NAME:ALIAS",
    )
    parser.add_argument(
        "-g",
        "--git-version",
        "--git_version",
        metavar="VERSION",
        help="branch, tag or commit of the code; of a run, what it had besides its commit is not applied then",
    )
    parser.add_argument(
        "--rerun-failed",
        "--rerun_failed",
        action="store_true",
        help="start a run that has failed again, on the queue that it was on",
    )
    parser.add_argument("-j", "--job", metavar="NAME", help="start a run of this job, or of a FLOW/DEPLOYMENT, instead")
    parser.add_argument("-E", "--entry-point", "--entry_point", help="program to start; default: main.py")
    parser.add_argument("-u", "--uri", dest="uri_option", metavar="URI", help="the URI, as W&B's command has it, too")
    parser.add_argument(
        *("-a", "--args", "--args-list", "--args_list"),
        action="append",
        default=[],
        metavar="K=V",
        help="argument for the program",
    )
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
    parser.add_argument("-e", "--entity", help="W&B's; changes nothing")
    add_policy(parser)
    add_containers(parser)
    parser.add_argument("--detach", action="store_true", help="with a queue or a job: return at once")
    parser.add_argument("--dry-run", "--dry_run", action="store_true", help="print the RunSpec and start nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    return parser


def _said(options: argparse.Namespace) -> Said:
    """Read what the command line says, and its launch config."""
    faults, none = OptionFaults(), LaunchConfig()
    config, priority, resources = options.config, options.priority, options.resources
    entry_point = options.entry_point
    below = faults.read(f"--config {config}", lambda: read_launch_config(config), none) if config is not None else none
    container, counts = faults.read("", lambda: container_of(options), (None, dict[str, int]()))
    asked = faults.read("--resources", lambda: parse_resources(resources, "--resources"), {}) if resources else {}
    said = LaunchConfig(
        uri=options.uri,
        job=options.job,
        name=options.name,
        project=options.project,
        entity=options.entity,
        git_version=options.git_version,
        queue=options.queue,
        environment=options.environment,
        entry_point=faults.read("--entry-point", lambda: split_entry_point(entry_point), ()) if entry_point else (),
        args=program_words(options.args),
        policy=faults.read("", lambda: policy_of(options), {}),
        resources={**counts, **asked},
        resource=faults.read("", lambda: resource_of(options), None),
        container=container,
        priority=faults.read("--priority", lambda: parse_priority(priority), None) if priority is not None else None,
        variables=faults.read("--set-var", lambda: parse_variables(options.set_var), {}),
    )
    if "/" in (said.over(below).job or ""):  # of a deployment, `files` is a parameter like any other
        values, files = faults.read("--set", lambda: parse_assignments(options.set, "--set"), {}), {}
    else:
        values, files = faults.read("--set", lambda: parse_overrides(options.set, "--set"), ({}, {}))
    faults.require_none()
    return Said(replace(said, config=values, files=files), below)


def _repeat(options: argparse.Namespace, said: Said, wanted: LaunchConfig, run: EarlierRun) -> int:
    """Run an earlier run again: its code, which is checked before it starts, and what it was given."""
    from launch_sdk.cli.kept_runs import with_lock

    view = with_lock(run.view)
    spec = view.to_repeat
    if spec is None:
        if view.job is None:
            raise NotFoundError(f"Run {view.run_id} was not started from a job, so there is nothing to repeat.")
        given = {**wanted.config, **({"files": wanted.files} if wanted.files else {})}
        return _launch_deployment(options, replace(wanted, config=merged(view.parameters, given), files={}), view.job)
    run.require_start(wanted.entry_point)
    if wanted.git_version or wanted.git_repo:
        from launch_sdk.cli.git_source import at_version

        run = at_version(run, wanted)
    return _launch_spec(options, said, wanted.spec_over(run.exactly(spec)), wanted, run)


def _failed_run(wanted: LaunchConfig) -> EarlierRun:
    """Find a run that is to be started again because it has failed.

    Raises:
        ConflictError: it has not failed, or is a whole sweep.
        NotFoundError: there is none.
    """
    if wanted.job or not wanted.uri:
        raise ConflictError("--rerun-failed needs a run: launch RUN --rerun-failed")
    run = find_run(wanted.uri)
    named = run.view.run_id
    if (run.view.job or "").startswith("run-sweep/"):
        raise ConflictError(
            f"{named} is a sweep. Start those of its runs that failed: launch sweep rerun-failed {named}"
        )
    if run.view.state not in STARTED_AGAIN:
        raise ConflictError(
            f"Run {named} is {run.view.state.value}; only one that failed or was lost is started again so."
            f" Repeat it all the same: launch {named}"
        )
    return run


def _launch_spec(
    options: argparse.Namespace, said: Said, spec: RunSpec, wanted: LaunchConfig, earlier: EarlierRun | None = None
) -> int:
    spec, queue = checked(spec), wanted.queue
    if earlier is not None:
        say(earlier.tell(spec))
    if options.dry_run:
        from launch_sdk.cli.dry_run import dry_run
        from launch_sdk.tracking.values import encode

        base = f"run {earlier.view.run_id}" if earlier is not None else f"job {spec.job}" if spec.job else None
        more = {"replays": earlier.view.run_id, "code": encode(earlier.code)} if earlier is not None else {}
        placed = {"priority": wanted.placement.priority.label, "template_variables": dict(wanted.variables)}
        print_json(dry_run(spec, queue, said.options, said.config, base) | placed | more)
        return DONE
    if queue is None:
        if spec.policy.get("retries"):
            say("Nothing starts again a run that goes on here: retries are for a run on a queue (-q).")
        from launch_sdk.cli.foreground import run_here

        return run_here(spec, as_json=options.json, store=earlier.store if earlier is not None else None)
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        return follow(client.launch(spec, queue=queue, placement=wanted.placement), options)


def _launch_job(options: argparse.Namespace, said: Said, wanted: LaunchConfig, name: str) -> int:
    """Start a run of a job of ours, after checking what it is given; or of somebody's deployment."""
    if "/" in name:
        return _launch_deployment(options, wanted, name)
    from launch_sdk.client import LaunchClient

    wanted.refuse(
        OF_JOB, "the job has its own entry point, environment, metrics and code; launch its code to change them"
    )
    given: dict[str, Any] = {key: getattr(wanted, key) for key in GIVEN_TO_JOB}
    given["container"] = wanted.wanted_container()
    with LaunchClient() as client:
        if wanted.config and not wanted.args and (inputs := client.job(name).inputs) is not None and inputs.is_open:
            key = next(iter(wanted.config))
            say(
                f"No run of job {name} has recorded a run config; if its program takes none, pass -a {key}=... instead."
            )
        if options.dry_run:
            job = client.job(name)
            return _launch_spec(options, said, job.spec_with(**given), replace(wanted, queue=wanted.queue or job.queue))
        placement = wanted.placement
        return follow(client.launch_own_job(name, queue=wanted.queue, placement=placement, **given), options)


def _launch_deployment(options: argparse.Namespace, wanted: LaunchConfig, name: str) -> int:
    wanted.refuse((*OF_DEPLOYMENT, "files", "queue"), DEPLOYMENT_HAS)
    if options.dry_run:
        from launch_sdk.tracking.values import encode

        print_json({"job": name, "parameters": encode(wanted.config)})
        return DONE
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        run = client.launch_job(name, wanted.config, name=wanted.name, placement=wanted.placement)
        return follow(run, options)


if __name__ == "__main__":
    main()
