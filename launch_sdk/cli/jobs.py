"""`launch job create|list|describe|delete`: programs under a name, with what they take and their versions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.code_rows import code_rows
from launch_sdk.cli.command import DONE, Parser, print_json, say
from launch_sdk.cli.job_create import add_options, check_options, create
from launch_sdk.cli.tables import print_table
from launch_sdk.specs.job import LATEST, parse_reference, version_number
from launch_sdk.specs.job_history import changes, started

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from launch_sdk.client import LaunchClient
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.job_history import JobHistory

EXAMPLES = """\
  launch job create --run RUN -n digits      from a finished run: its code, and its config as the inputs
  launch job create code DIR -E train.py     from a directory; its first run says what it takes
  launch job create code DIR -n digits -a good   changed content is the next version; it is digits:good, too
  launch job create image ghcr.io/me/train:v2    from an image, which starts by itself; it is job-...:v2, too
  launch job list
  launch job describe digits                 what it takes, its versions, what changed since the one before
  launch job delete digits:v0                one version; digits:good the alias alone, digits the whole job
  launch --job digits -s lr=0.1              start a run of the newest version
  launch --job digits:v0                     ... of an older one"""


def main(arguments: Sequence[str]) -> int:
    """Run `launch job ACTION ...`."""
    options = _parse(arguments)
    actions: dict[str, Callable[[LaunchClient, argparse.Namespace], None]] = {
        "create": create,
        "list": _list,
        "describe": _describe,
        "delete": _delete,
    }
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        actions[options.action](client, options)
    return DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("launch job", "Programs under a name, with what they take and their versions.", EXAMPLES)
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    make = commands.add_parser("create", help="Make a job, or its next version.", description="Make a job.")
    add_options(make)
    commands.add_parser("list", help="List the jobs.", description="List the jobs and their versions.")
    described = "Show what a job is and takes, its versions, and what changed since the one before."
    deleted = "Delete a job, or one version or alias of it; runs stay."
    for name, text in {"describe": described, "delete": deleted}.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("job", metavar="NAME[:ALIAS]", help="ALIAS is v3, latest or a name that you gave")
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    if options.action == "create":
        check_options(make, options)
    return options


def _list(client: LaunchClient, options: argparse.Namespace) -> None:
    histories = client.job_histories()
    if options.json:
        print_json([history.to_json() for history in histories])
        return
    print_table(("job", "version", "aliases", "versions", "queue", "entry point"), [_row(one) for one in histories])


def _row(history: JobHistory) -> tuple[object, ...]:
    job = history.latest
    named = [f"{alias}={one.version}" for one in history.versions for alias in one.own_aliases]
    return job.name, job.version, ", ".join(named), len(history.versions), job.queue, started(job.spec)


def _describe(client: LaunchClient, options: argparse.Namespace) -> None:
    name, alias = parse_reference(options.job)
    history = client.job_history(name)
    job = history.find(alias)
    before = history.before(job)
    changed = changes(before.spec, job.spec) if before is not None else []
    if options.json:
        of_job = history.to_json()
        more = {"against": before.version if before else None, "differences": changed}
        print_json({**job.to_json(), "changes": more, "count": of_job["count"], "versions": of_job["versions"]})
        return
    rows = [
        ("name", job.name),
        ("version", job.version),
        ("aliases", ", ".join(job.aliases)),
        ("digest", job.digest),
        ("made", _when(job.created)),
        ("queue", job.queue),
        ("description", job.description or ""),
        ("entry point", " ".join(job.spec.entry_point)),
        ("container", ", ".join(f"{key} {_short(value)}" for key, value in (job.spec.container or {}).items())),
        ("arguments", " ".join(job.spec.args)),
        *code_rows(client.record_of(job.spec.source) or {"source": job.spec.source}),
    ]
    print_table(("field", "value"), [row for row in rows if row[1]])
    print_inputs(job)
    if before is not None:
        rows = [(one["what"], _short(one["before"]), _short(one["after"])) for one in changed]
        print_table(("changed", before.version, job.version), rows or [("nothing", "", "")])
    if len(history.versions) > 1:
        rows = [(one.version, ", ".join(one.aliases), one.digest, _when(one.created)) for one in history.versions]
        print_table(("version", "aliases", "digest", "made"), rows)


def _when(created: float | None) -> str:
    return "" if created is None else datetime.fromtimestamp(created).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _short(value: Any) -> str:
    """Show a value of a version in a cell; None is nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_inputs(job: Job) -> None:
    """Print a table of what a job takes, or say that it takes anything or nothing."""
    inputs = list(_inputs(job))
    if job.inputs is None:
        say("It takes anything: no finished run of it has said what its inputs are.")
        say("If one has finished, its log says why it could not: launch run logs RUN_ID")
    elif job.inputs.is_open:
        say("It takes any value: its program declared no inputs and recorded no run config of its own.")
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
    name, alias = parse_reference(options.job)
    job = client.delete_job(options.job)
    if options.json:
        print_json(job.to_json())
    elif ":" not in options.job:
        say(f"Job {name} is deleted with all its versions; its runs stay.")
    elif version_number(alias) is None:
        say(f"Alias {alias!r} of job {name} is deleted; {job.version} stays.")
    else:
        lost = f", and so {'is' if len(job.own_aliases) == 1 else 'are'} {', '.join(map(repr, job.own_aliases))}"
        newest = f" {name}:{LATEST} is the version before it now." if job.is_latest else ""
        say(f"Version {job.version} of job {name} is deleted{lost if job.own_aliases else ''}; its runs stay.{newest}")
