"""`launch run diff`: two runs side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.command import print_json, say
from launch_sdk.cli.tables import print_table
from launch_sdk.run_diff import RunSide, run_diff
from launch_sdk.runs.source_files import source_files
from launch_sdk.runs.store import RunStore
from launch_sdk.runs.used_files import lock_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.views import RunView

SECTIONS = ("code", "arguments", "config", "packages", "metrics")


def print_diff(
    before: tuple[RunView, RunDirectory], after: tuple[RunView, RunDirectory], store: RunStore, *, as_json: bool
) -> None:
    """Print what differs between two runs."""
    found = run_diff(_side(*before, store), _side(*after, store))
    if as_json:
        print_json(found)
        return
    for section in SECTIONS:
        if rows := [_row(one) for one in found[section]]:
            print_table((section, *found["runs"]), rows)
        if section in found["unknown"]:
            say(f"{section}: {found['unknown'][section]}")
    if not any(found[section] for section in SECTIONS):
        say("Nothing differs in what is known of them.")


def _side(view: RunView, run: RunDirectory, store: RunStore) -> RunSide:
    source = str(view.parameters.get("source", "")) if view.is_program else ""
    files = source_files(source, store)
    return RunSide(view, source_files(source, RunStore.local()) if files is None else files, lock_of(run.path) or None)


def _row(one: Mapping[str, Any]) -> tuple[str, str, str]:
    if "change" in one:
        lines = f"+{one['added']} -{one['removed']} lines" if "added" in one else ""
        return one["what"], one["change"], lines
    return one["what"], _cell(one, "before"), _cell(one, "after")


def _cell(one: Mapping[str, Any], side: str) -> str:
    if side not in one:
        return ""
    return one[side] if isinstance(one[side], str) else json.dumps(one[side], ensure_ascii=False)
