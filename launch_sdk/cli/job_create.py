"""`launch job create`: its options, those of W&B's command too, and what it says of what it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.command import print_json, say
from launch_sdk.cli.kept_runs import directory_of, kept_run
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.job_making import job_spec
from launch_sdk.specs.container import IMAGE_SOURCE, bare_digest_fault, image_job_name, image_of_source, tag_of
from launch_sdk.specs.document import read_document
from launch_sdk.specs.git_address import parse_git_address
from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.specs.job import LATEST, check_name, suggested_aliases, suggested_name
from launch_sdk.specs.launch_config import LaunchConfig
from launch_sdk.specs.run_spec import RunSpec, split_entry_point

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from launch_sdk.cli.command import Parser
    from launch_sdk.client import LaunchClient
    from launch_sdk.specs.job_history import SavedJob

DEFAULT_ENTRY_POINT = "main.py"
KINDS = {"code": "code needs the DIR of the program", "git": "git needs the URL", "image": "image needs its NAME[:TAG]"}
REFUSED = {
    "runtime": (("-r", "--runtime"), "write it into .python-version of the code, and say --environment auto"),
    "service": (("-s", "--service"), "no services are started here; start them beside the agent"),
}
CONTAINER = {
    "base_image": (("-B", "--base-image", "--base_image"), "IMAGE", "mount the code into this image; build none"),
    "dockerfile": (("-D", "--dockerfile"), "PATH", "build its image with this file of the code"),
    "build_context": (("-b", "--build-context", "--build_context"), "DIR", "folder of the code that it is built in"),
}
OF_CODE = {
    "entry_point": "--entry-point",
    "project": "--project",
    "schema": "--schema",
    "git_version": "--git-hash",
    "environment": "--environment",
    **{key: flags[1] for key, (flags, _, _) in CONTAINER.items()},
}
NOT_OF_IMAGES = ("git_version", "environment", *CONTAINER)


def add_options(parser: Parser) -> None:
    """Add the options of `launch job create` to its parser."""
    parser.add_argument(
        "kind",
        nargs="?",
        metavar="code|git|image",
        help="what to make it of: code DIR, git URL or image NAME; or give --run",
    )
    place = "directory or git repository of the program, or an image"
    parser.add_argument("directory", nargs="?", metavar="DIR|URL|NAME[:TAG]", help=place)
    parser.add_argument("--run", metavar="RUN", help="make it of this finished run")
    parser.add_argument(
        *("-E", "--entry-point", "--entry_point"),
        help=f"program to start; default: {DEFAULT_ENTRY_POINT}; of an image what it starts by itself",
    )
    parser.add_argument("-n", "--name", help="of the job; default: made from the project and the program")
    parser.add_argument(
        "-a", "--alias", action="append", default=[], metavar="NAME", help="name for the version; several may be given"
    )
    parser.add_argument("-d", "--description", metavar="TEXT", help="what people read of it, in Markdown")
    parser.add_argument("-p", "--project", help="what its runs belong to")
    parser.add_argument("-e", "--entity", help="W&B's; changes nothing")
    parser.add_argument("-q", "--queue", help="where its runs go; default: the queue of the run, or 'default'")
    parser.add_argument("--schema", metavar="FILE", help="JSON Schema of the inputs, in JSON or YAML")
    parser.add_argument(
        *("-g", "--git-hash", "--git_hash", "--git-version", "--git_version"),
        dest="git_version",
        metavar="VERSION",
        help="branch, tag or commit; default: of git URL its default branch, of code DIR what is there",
    )
    parser.add_argument("--environment", metavar="WHAT", help="what it runs in, as launch --environment")
    for key, (flags, metavar, text) in CONTAINER.items():
        parser.add_argument(*flags, dest=key, metavar=metavar, help=text)
    for key, (flags, why) in REFUSED.items():
        names = [*flags, flags[1].replace("-", "_").replace("__", "--")] if "-" in flags[1][2:] else flags
        parser.add_argument(*names, dest=key, action="append", metavar="VALUE", help=f"W&B's, refused: {why}")


def check_options(parser: Parser, options: argparse.Namespace) -> None:
    """End the command, with every fault at once, unless the options go together.

    Raises:
        InvalidSpecError: they do, but the git address cannot be used.
    """
    faults = [f"{'/'.join(flags)}: {why}" for key, (flags, why) in REFUSED.items() if getattr(options, key)]
    if bool(options.run) == bool(options.kind):
        faults.append("name either --run RUN, code DIR, git URL or image NAME")
    elif options.run:
        given = [flag for key, flag in OF_CODE.items() if getattr(options, key)]
        faults += [f"{flag}: --run takes it from the run" for flag in given]
    elif options.kind not in KINDS:
        faults.append(f"{options.kind!r} is no kind of source; it is code DIR, git URL or image NAME")
    elif not options.directory:
        faults.append(KINDS[options.kind])
    elif options.kind == "image":
        faults += [f"{OF_CODE[key]}: an image has this already" for key in NOT_OF_IMAGES if getattr(options, key)]
    if faults:
        parser.error("; ".join(faults) if len(faults) == 1 else "\n  ".join(["several faults:", *faults]))
    if options.kind == "git":
        parse_git_address(options.directory, by_hand=True, field_name="URL")


def create(client: LaunchClient, options: argparse.Namespace) -> None:
    """Make a job or its next version, and say which it was."""
    if options.entity:
        say(f"Entity {options.entity!r} is W&B's; a server is one team, so it changes nothing.")
    if options.run:
        check_name(options.name if options.name is not None else "later", options.alias)
        saved = _of_run(client, options)
    else:
        name, spec = {"git": _git, "code": _code, "image": _image}[options.kind](options)
        aliases = list(dict.fromkeys([*options.alias, *_tag_alias(spec)]))
        saved = client.save_job(spec, name=name, queue=options.queue, aliases=aliases, description=options.description)
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
    given["description"] = options.description
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


def _code(options: argparse.Namespace) -> tuple[str, RunSpec]:
    directory = Path(options.directory).expanduser()
    if not directory.is_dir():
        raise NotFoundError(f"{options.directory} is not a directory. Name the directory that holds the program.")
    name, made = _checked(options, str(directory.resolve()), directory=directory)
    if options.git_version is None:
        return name, made
    from launch_sdk.cli.git_source import spec_of_directory

    wanted = LaunchConfig(git_version=options.git_version, entry_point=made.entry_point)
    return name, replace(made, source=spec_of_directory(wanted, directory.resolve()).source)


def _git(options: argparse.Namespace) -> tuple[str, RunSpec]:
    """Give a job's name and content from a git address; the name is that of the repository and the program."""
    from launch_sdk.cli.git_source import fetched

    address = parse_git_address(options.directory, by_hand=True)
    name, made = _checked(options, address.url, repository=address.repository)
    return name, replace(made, source=fetched(address, options.git_version, made.entry_point).source)


def _image(options: argparse.Namespace) -> tuple[str, RunSpec]:
    """Give a job's name and content from an image, which has its program and its packages.

    Raises:
        InvalidSpecError: something cannot be; every fault at once.
    """
    words = split_entry_point(options.entry_point) if options.entry_point else ()
    about = {"entry_point": words, "project": options.project, "inputs": _inputs(options.schema)}
    faults: list[Fault] = []
    made = None
    try:
        made = RunSpec.from_dict({"source": f"{IMAGE_SOURCE}{options.directory}", **about})
    except InvalidSpecError as error:
        faults += [replace(fault, path="NAME") if fault.path == "source" else fault for fault in error.faults]
    if options.name is None and (told := bare_digest_fault(options.directory)):
        faults.append(Fault("NAME", told))
    name = options.name if options.name is not None else image_job_name(options.directory)
    try:
        check_name(name, options.alias)
    except InvalidSpecError as error:
        faults += error.faults
    if faults or made is None:
        raise InvalidSpecError("The job", faults)
    return name, made


def _tag_alias(spec: RunSpec) -> tuple[str, ...]:
    tag, aliases = tag_of(image_of_source(spec.source) or ""), suggested_aliases(spec)
    if tag not in {None, LATEST, *aliases}:
        say(f"The tag {tag!r} becomes no alias: a version of a job cannot be called so. Name one with --alias.")
    return aliases


def _checked(
    options: argparse.Namespace, source: str, *, repository: str | None = None, directory: Path | None = None
) -> tuple[str, RunSpec]:
    """Give a job's name and content, before anything is packed or fetched.

    Raises:
        InvalidSpecError: something cannot be; every fault at once.
    """
    words = split_entry_point(options.entry_point or DEFAULT_ENTRY_POINT)
    about = {"entry_point": words, "project": options.project, "environment": options.environment}
    container = {key: value for key in CONTAINER if (value := getattr(options, key)) is not None}
    about |= {"container": container or None}
    made = RunSpec.from_dict({"source": source, **about, "inputs": _inputs(options.schema)})
    name = options.name
    if name is None:
        name = suggested_name(replace(made, project=made.project or repository))
    faults: list[Fault] = []
    if directory is not None and options.git_version is None:
        faults = _program_faults(directory, options.directory, words)
    try:
        check_name(name, options.alias)
    except InvalidSpecError as error:
        faults += error.faults
    if faults:
        raise InvalidSpecError("The job", faults)
    if not options.entry_point:
        say(f"The entry point is {DEFAULT_ENTRY_POINT}; name another with -E.")
    return name, made


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
