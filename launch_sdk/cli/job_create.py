"""`launch job create`: its options, those of W&B's command too, and what it says of what it did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.command import print_json, say
from launch_sdk.cli.kept_runs import directory_of, kept_run
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.job_making import job_spec
from launch_sdk.specs.document import read_document
from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.specs.job import check_name, suggested_name
from launch_sdk.specs.run_spec import RunSpec, split_entry_point

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launch_sdk.cli.command import Parser
    from launch_sdk.client import LaunchClient
    from launch_sdk.specs.job_history import SavedJob

DEFAULT_ENTRY_POINT = "main.py"
NO_IMAGES = "no image is built or run here; the program runs as a process of the agent"
KINDS = {
    "code": "",
    "git": "a job of a git URL is not made yet. Clone it, check out what you mean, then: launch job create code DIR",
    "image": f"{NO_IMAGES}. Make the job of its code: launch job create code DIR",
}
REFUSED = {
    "description": (("-d", "--description"), "is not kept; name a version with --alias"),
    "git_hash": (("-g", "--git-hash"), "code DIR is packed as it is; check that commit out first"),
    "runtime": (("-r", "--runtime"), "the program runs in the Python of its agent; start the agent with that one"),
    "build_context": (("-b", "--build-context"), f"{NO_IMAGES}; name the directory as DIR"),
    "base_image": (("-B", "--base-image"), NO_IMAGES),
    "dockerfile": (("-D", "--dockerfile"), NO_IMAGES),
    "service": (("-s", "--service"), "no services are started here; start them beside the agent"),
}
OF_CODE = {"entry_point": "--entry-point", "project": "--project", "schema": "--schema"}


def add_options(parser: Parser) -> None:
    """Add the options of `launch job create` to its parser."""
    parser.add_argument("kind", nargs="?", metavar="code", help="what to make it of: code DIR; or give --run")
    parser.add_argument("directory", nargs="?", metavar="DIR", help="directory of the program")
    parser.add_argument("--run", metavar="RUN", help="make it of this finished run")
    parser.add_argument(
        "-E", "--entry-point", "--entry_point", help=f"program to start; default: {DEFAULT_ENTRY_POINT}"
    )
    parser.add_argument("-n", "--name", help="of the job; default: made from the project and the program")
    parser.add_argument(
        "-a", "--alias", action="append", default=[], metavar="NAME", help="name for the version; several may be given"
    )
    parser.add_argument("-p", "--project", help="what its runs belong to")
    parser.add_argument("-e", "--entity", help="W&B's; changes nothing")
    parser.add_argument("-q", "--queue", help="where its runs go; default: the queue of the run, or 'default'")
    parser.add_argument("--schema", metavar="FILE", help="JSON Schema of the inputs, in JSON or YAML, for code DIR")
    for key, (flags, why) in REFUSED.items():
        names = [*flags, flags[1].replace("-", "_").replace("__", "--")] if "-" in flags[1][2:] else flags
        parser.add_argument(*names, dest=key, action="append", metavar="VALUE", help=f"W&B's, refused: {why}")


def check_options(parser: Parser, options: argparse.Namespace) -> None:
    """End the command, with every fault at once, unless the options go together."""
    faults = [f"{'/'.join(flags)}: {why}" for key, (flags, why) in REFUSED.items() if getattr(options, key)]
    if bool(options.run) == bool(options.kind):
        faults.append("name either --run RUN or code DIR")
    elif options.run:
        given = [flag for key, flag in OF_CODE.items() if getattr(options, key)]
        faults += [f"{flag}: --run takes it from the run" for flag in given]
    elif options.kind not in KINDS:
        faults.append(f"{options.kind!r} is no kind of source; it is code DIR")
    elif KINDS[options.kind]:
        faults.append(f"{options.kind}: {KINDS[options.kind]}")
    elif not options.directory:
        faults.append("code needs the DIR of the program")
    if faults:
        parser.error("; ".join(faults) if len(faults) == 1 else "\n  ".join(["several faults:", *faults]))


def create(client: LaunchClient, options: argparse.Namespace) -> None:
    """Make a job or its next version, and say which it was."""
    if options.entity:
        say(f"Entity {options.entity!r} is W&B's; a server is one team, so it changes nothing.")
    if options.run:
        check_name(options.name if options.name is not None else "later", options.alias)
        saved = _of_run(client, options)
    else:
        spec = _code(options)
        saved = client.save_job(spec, name=options.name, queue=options.queue, aliases=options.alias)
    if options.json:
        print_json({**saved.job.to_json(), "is_new": saved.is_new})
        return
    for line in told(saved):
        say(line)


def _of_run(client: LaunchClient, options: argparse.Namespace) -> SavedJob:
    """Make it of a run on the server, or of a script that somebody has started: its directory knows its code."""
    path = directory_of(options.run)
    view = kept_run(path) if path is not None else None
    given: dict[str, Any] = {"name": options.name, "queue": options.queue, "aliases": options.alias}
    if view is None or view.spec is None:
        return client.save_job_from_run(options.run, **given)
    return client.save_job(job_spec(view), **given)


def told(saved: SavedJob) -> list[str]:
    """Say what saving a job has done."""
    job, before = saved.job, saved.before
    if not saved.is_new:
        said = f"No changes: job {job.reference} is this already. It is on queue {job.queue!r}."
    elif before is None:
        said = f"Created job {job.reference} on queue {job.queue!r}."
    else:
        said = f"Updated job {job.name} from {before.version} to {job.version} on queue {job.queue!r}."
    lines = [f"{said} Start a run of it: launch --job {job.name}", *saved.aliases_told()]
    if job.inputs is None:
        lines.append("What it takes is not known until a run of it has said so; until then it takes anything.")
    return lines


def _code(options: argparse.Namespace) -> RunSpec:
    directory = Path(options.directory).expanduser()
    if not directory.is_dir():
        raise NotFoundError(f"{options.directory} is not a directory. Name the directory that holds the program.")
    words = split_entry_point(options.entry_point or DEFAULT_ENTRY_POINT)
    spec = {"source": str(directory.resolve()), "entry_point": words, "project": options.project}
    made = RunSpec.from_dict({**spec, "inputs": _inputs(options.schema)})
    faults = _program_faults(directory, options.directory, words)
    try:
        check_name(suggested_name(made) if options.name is None else options.name, options.alias)
    except InvalidSpecError as error:
        faults += error.faults
    if faults:
        raise InvalidSpecError("The job", faults)
    if not options.entry_point:
        say(f"The entry point is {DEFAULT_ENTRY_POINT}; name another with -E.")
    return made


def _program_faults(directory: Path, named: str, words: Sequence[str]) -> list[Fault]:
    if not words[0].endswith(".py") or (directory / words[0]).is_file():
        return []
    there = ", ".join(sorted(path.name for path in directory.glob("*.py"))[:8]) or "no .py file"
    return [Fault("entry_point", f"{words[0]} is not in {named}, which holds {there}")]


def _inputs(schema: str | None) -> dict[str, Any] | None:
    """Read what the job takes from a file; None if none is named.

    Raises:
        InvalidSpecError: it is no schema.
        NotFoundError: it does not exist.
    """
    if schema is None:
        return None
    declared: dict[str, Any] = {
        "config": {"include": [], "exclude": [], "schema": read_document(Path(schema)).value},
        "files": {},
    }
    return infer_inputs(declared, {}).to_dict()
