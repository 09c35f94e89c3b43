"""`launch run ...`: looking after runs; and the way to the other groups of commands."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.code_rows import code_rows
from launch_sdk.cli.command import DONE, Parser, print_json, say
from launch_sdk.cli.kept_runs import directory_of, kept_run
from launch_sdk.cli.tables import print_table
from launch_sdk.errors import NotFoundError
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.specs.input_faults import DELETE
from launch_sdk.specs.inputs import FILE_PREFIX
from launch_sdk.specs.secrets import secret_paths
from launch_sdk.tracking.input_paths import file_key, leaves
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.protocol import RECORDS

if TYPE_CHECKING:
    import argparse

    from launch_sdk.client import LaunchClient
    from launch_sdk.handles import LaunchedRun
    from launch_sdk.views import RunView

EXAMPLES = {
    "run": """\
  launch run list                            the latest runs
  launch run show RUN --json                 one run, for a program to read
  launch run logs RUN                        what it printed
  launch run diff RUN OTHER                  what differs: code, arguments, config, packages, metrics""",
}
ELSEWHERE = {
    group: f"launch_sdk.cli.{module}"
    for group, module in {
        "server": "server",
        "sweep": "sweeps",
        "job": "jobs",
        "queue": "queues",
        "agent": "agents",
        "environment": "environments",
        "image": "images",
    }.items()
}
Action = Callable[["LaunchClient", "argparse.Namespace"], None]


def main(arguments: Sequence[str]) -> int:
    """Run `launch GROUP ACTION ...`."""
    group = arguments[0]
    if group in ELSEWHERE:
        main_of: Callable[[Sequence[str]], int] = importlib.import_module(ELSEWHERE[group]).main
        return main_of(arguments[1:])
    parser = Parser(f"launch {group}", f"Look after the {group}s on the server.", EXAMPLES[group])
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (text, argument, _) in ACTIONS[group].items():
        command = commands.add_parser(name, help=text, description=text)
        if argument:
            for place, metavar in zip(("id", "other"), argument.split(), strict=False):
                command.add_argument(place, metavar=metavar)
        else:
            command.add_argument("--limit", type=int, default=20, help="how many at most (default 20)")
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments[1:])
    if (group, options.action) == ("run", "show") and (view := _of_directory(options.id)):
        _show(view, as_json=options.json)
        return DONE
    if (group, options.action) == ("run", "diff"):
        _diff(options)
        return DONE
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        ACTIONS[group][options.action][2](client, options)
    return DONE


def _run_list(client: LaunchClient, options: argparse.Namespace) -> None:
    views = client.runs(options.limit)
    if options.json:
        print_json([view.to_json() for view in views])
        return
    print_table(("run", "state", "queue", "name"), [(v.run_id, v.state.value, v.queue or "", v.name) for v in views])


def _run_show(client: LaunchClient, options: argparse.Namespace) -> None:
    run = client.run(options.id)
    view = with_provenance(run.refresh())
    _show(replace(view, code=client.code_of(view), waits=run.waits), as_json=options.json)


def _of_directory(named: str) -> RunView | None:
    """Read a run that is named by its directory, or that the server cannot know since it was in the foreground.

    Raises:
        NotFoundError: it is a directory of something else.
    """
    path = directory_of(named)
    view = kept_run(path) if path is not None else None
    if view is None and (os.sep in named or Path(named).expanduser().is_dir()):
        raise NotFoundError(f"{named} is no directory of a run. Name one that holds {RECORDS}, or the id of a run.")
    return view


def _diff(options: argparse.Namespace) -> None:
    """Compare two runs; a server is asked only for those that are no directories."""
    from launch_sdk.cli.run_diff import print_diff
    from launch_sdk.client import LaunchClient
    from launch_sdk.runs.store import RunStore

    named = [options.id, options.other]
    views = [_of_directory(one) for one in named]
    store = RunStore.local()
    if not all(views):
        with LaunchClient() as client:
            views = [view or client.run(one).refresh() for view, one in zip(views, named, strict=True)]
            store = client.run_store()
    directories = [directory_of(one) for one in named]
    before, after = (
        (view, RunDirectory.of(view.run_id) if directory is None else RunDirectory(directory))
        for view, directory in zip(views, directories, strict=True)
        if view is not None
    )
    print_diff(before, after, store, as_json=options.json)


def _show(view: RunView, *, as_json: bool) -> None:
    if as_json:
        print_json(view.to_json())
    else:
        _print_run(view)


def with_provenance(view: RunView) -> RunView:
    """Add who gave each value of the config, if the server does not know and the run's directory is here."""
    if view.provenance is not None:
        return view
    return replace(view, provenance=RunDirectory.of(view.run_id).provenance() or None)


def _print_run(view: RunView) -> None:
    document = view.to_json()
    shown = ("run_id", "name", "state", "job", "job_version", "queue", "waits", "duration_s", "url", "error")
    rows = [(key, str(document[key])) for key in shown if document[key] is not None]
    rows += [(f"summary.{key}", str(value)) for key, value in view.summary.items()]
    rows += code_rows(view.code or {})
    rows += [("differs", line) for line in document["differs"]]
    print_table(("field", "value"), rows)
    inputs: Any = view.parameters.get("inputs") or {}
    known, secret = view.provenance or {}, secret_paths(inputs.get("config"))
    config = [
        (key, "(secret)" if path in secret else value, given_by(known.get(key)))
        for path, value in leaves(view.config)
        for key in [join_path(path)]
    ]
    config += _file_rows(view)
    if config:
        print_table(("config", "value", "given by"), config)


def _file_rows(view: RunView) -> list[tuple[str, object, str]]:
    """Lay out what was written into config files of the run's copy of its source."""
    if not view.is_program:
        return []
    inputs: Any = view.parameters.get("inputs") or {}
    declared: Mapping[str, Mapping[str, Any]] = inputs.get("files") or {}
    schemas = {file_key(path): schema for path, schema in declared.items()}
    rows: list[tuple[str, object, str]] = []
    files: Mapping[str, Mapping[str, Any]] = view.parameters.get("files") or {}
    for path, values in files.items():
        secret = secret_paths(schemas.get(file_key(path)))
        for at, value in leaves(values):
            is_deletion = at[-1:] == (DELETE,)
            keys = at[:-1] if is_deletion else at
            shown = "(removed)" if is_deletion else "(secret)" if keys in secret else value
            rows.append((f"{FILE_PREFIX}{file_key(path)}.{join_path(keys)}", shown, view.layer))
    return rows


def given_by(layers: Sequence[Mapping[str, object]] | None) -> str:
    """Say which layer gave a value, and which values of others it hides."""
    if not layers:
        return ""
    *hidden, top = layers
    over = ", ".join(f"{one.get('value')!r} of {one.get('layer')}" for one in reversed(hidden))
    return f"{top.get('layer')}, over {over}" if over else str(top.get("layer"))


def _run_diff(_: LaunchClient, options: argparse.Namespace) -> None:
    _diff(options)


def _run_logs(client: LaunchClient, options: argparse.Namespace) -> None:
    lines = client.run(options.id).logs()
    if options.json:
        print_json(lines)
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines)


def _run_stop(client: LaunchClient, options: argparse.Namespace) -> None:
    _end_run(client, options, lambda run: run.stop("stopped from the command line"), "; what it has logged counts")


def _run_cancel(client: LaunchClient, options: argparse.Namespace) -> None:
    _end_run(client, options, lambda run: run.cancel())


def _end_run(
    client: LaunchClient, options: argparse.Namespace, end: Callable[[LaunchedRun], None], more: str = ""
) -> None:
    run = client.run(options.id)
    before = run.refresh().state
    if not before.is_terminal:
        end(run)
    if options.json:
        print_json(run.refresh().to_json())
    else:
        told = f"Run {run.id} is {before.value} already" if before.is_terminal else f"Asked run {run.id} to end{more}"
        say(f"{told}.")


ACTIONS: dict[str, dict[str, tuple[str, str | None, Action]]] = {
    "run": {
        "list": ("List the latest runs.", None, _run_list),
        "show": ("Show a run, or a run directory: state, config and who gave it, summary.", "RUN", _run_show),
        "logs": ("Print what a run has logged.", "RUN", _run_logs),
        "diff": ("Compare two runs: code, arguments, config, packages, metrics.", "RUN OTHER", _run_diff),
        "stop": ("End a run; what it has logged counts as its result.", "RUN", _run_stop),
        "cancel": ("Give a run up: its program is ended.", "RUN", _run_cancel),
    },
}
