"""`launch job create|list|describe|delete`: programs under a name, with what they take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.code_rows import code_rows
from launch_sdk.cli.command import DONE, Parser, print_json, say
from launch_sdk.cli.tables import print_table
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.specs.run_spec import RunSpec, split_entry_point

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from launch_sdk.client import LaunchClient
    from launch_sdk.specs.job import Job

EXAMPLES = """\
  launch job create --run RUN -n digits      from a finished run: its code, and its config as the inputs
  launch job create code DIR -E train.py     from a directory; its first run says what it takes
  launch job list
  launch job describe digits                 what it takes, with types and defaults
  launch job delete digits
  launch --job digits -s lr=0.1              start a run of it"""


def main(arguments: Sequence[str]) -> int:
    """Run `launch job ACTION ...`."""
    options = _parse(arguments)
    actions: dict[str, Callable[[LaunchClient, argparse.Namespace], None]] = {
        "create": _create,
        "list": _list,
        "describe": _describe,
        "delete": _delete,
    }
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        actions[options.action](client, options)
    return DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("launch job", "Programs under a name, with what they take.", EXAMPLES)
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = commands.add_parser("create", help="Make a job, or give one new content.", description="Make a job.")
    create.add_argument("kind", nargs="?", choices=("code",), help="what to make it of: code DIR; or give --run")
    create.add_argument("directory", nargs="?", metavar="DIR", help="directory of the program")
    create.add_argument("--run", metavar="RUN", help="make it of this finished run")
    create.add_argument("-E", "--entry-point", "--entry_point", help="program to start; default: main.py")
    create.add_argument("-n", "--name", help="of the job; default: made from the project and the program")
    create.add_argument("-p", "--project", help="what its runs belong to")
    create.add_argument("-q", "--queue", help="where its runs go; default: the queue of the run, or 'default'")
    commands.add_parser("list", help="List the jobs.", description="List the jobs.")
    for name, text in {"describe": "Show what a job is and takes.", "delete": "Delete a job; its runs stay."}.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("job", metavar="NAME[:ALIAS]")
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    if options.action == "create":
        _check_create(create, options)
    return options


def _check_create(parser: Parser, options: argparse.Namespace) -> None:
    if bool(options.run) == bool(options.kind):
        parser.error("name either --run RUN or code DIR")
    if options.kind and not options.directory:
        parser.error("code needs the DIR of the program")
    if options.run and (options.entry_point or options.project):
        parser.error("--run takes entry point and project from the run")


def _create(client: LaunchClient, options: argparse.Namespace) -> None:
    if options.run:
        job = client.create_job_from_run(options.run, name=options.name, queue=options.queue)
    else:
        job = client.create_job(_code(options), name=options.name, queue=options.queue)
    if options.json:
        print_json(job.to_json())
        return
    say(f"Job {job.name}:{job.version} is on queue {job.queue!r}. Start a run of it: launch --job {job.name}")
    if job.inputs is None:
        say("What it takes is not known until a run of it has said so; until then it takes anything.")


def _code(options: argparse.Namespace) -> RunSpec:
    directory = Path(options.directory).expanduser()
    words = split_entry_point(options.entry_point or "main.py")
    if not directory.is_dir():
        raise NotFoundError(f"{options.directory} is not a directory. Name the directory that holds the program.")
    if words[0].endswith(".py") and not (directory / words[0]).is_file():
        there = ", ".join(sorted(path.name for path in directory.glob("*.py"))[:8]) or "no .py file"
        message = f"{words[0]} is not in {options.directory}, which holds {there}"
        raise InvalidSpecError("The job", [Fault("entry_point", message)])
    spec = {"source": str(directory.resolve()), "entry_point": words, "project": options.project}
    return RunSpec.from_dict(spec)


def _list(client: LaunchClient, options: argparse.Namespace) -> None:
    jobs = client.jobs()
    if options.json:
        print_json([job.to_json() for job in jobs])
        return
    rows = [(job.name, job.version, job.queue, " ".join(job.spec.entry_point)) for job in jobs]
    print_table(("job", "version", "queue", "entry point"), rows)


def _describe(client: LaunchClient, options: argparse.Namespace) -> None:
    job = client.job(options.job)
    if options.json:
        print_json(job.to_json())
        return
    rows = [
        ("name", job.name),
        ("version", job.version),
        ("queue", job.queue),
        ("entry point", " ".join(job.spec.entry_point)),
        ("arguments", " ".join(job.spec.args)),
        *code_rows(client.record_of(job.spec.source) or {"source": job.spec.source}),
    ]
    print_table(("field", "value"), [row for row in rows if row[1]])
    inputs = list(_inputs(job))
    if job.inputs is None:
        say("It takes anything: no finished run of it has said what its inputs are.")
        say("If one has finished, its log says why it could not: launch run logs RUN_ID")
    elif not inputs:
        say("It takes no values.")
    else:
        print_table(("input", "type", "default", "allowed"), inputs)


def _inputs(job: Job) -> Iterator[tuple[str, str, str, str]]:
    if job.inputs is None:
        return
    yield from _rows("", job.inputs.config or {})
    for path, schema in job.inputs.files.items():
        yield from _rows(f"files.{path}.", schema)


def _rows(before: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for name, one in properties.items():
        label = before + name.replace(".", r"\.")
        if one.get("properties"):
            yield from _rows(f"{label}.", one)
        else:
            default = repr(one["default"]) if "default" in one else ""
            yield label, str(one.get("type", "any")), default, _allowed(one)


def _allowed(schema: Mapping[str, Any]) -> str:
    words = [", ".join(map(repr, schema["enum"]))] if "enum" in schema else []
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    words += [f"{sign} {schema[key]}" for key, sign in bounds.items() if key in schema]
    return " ".join([*words, str(schema.get("description", ""))]).strip()


def _delete(client: LaunchClient, options: argparse.Namespace) -> None:
    job = client.delete_job(options.job)
    if options.json:
        print_json(job.to_json())
    else:
        say(f"Job {job.name} is deleted; its runs stay.")
