"""Runs that no server knows: those in the foreground and of scripts started by hand, as their directories tell."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launch_sdk.runs.processes import process_start_time
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.specs.run_state import RunState
from launch_sdk.tracking import environment, protocol
from launch_sdk.tracking.values import decode, dumps, is_object, loads
from launch_sdk.views import RunView

if TYPE_CHECKING:
    from pathlib import Path

VIEW = "run.json"
_SAID = ("parameters", "created", "started", "ended", "error", "queue", "job")


def keep(run: RunDirectory, view: RunView) -> None:
    """Leave in a run's directory what only its supervisor knows of it."""
    protocol.write_atomically(run.path, VIEW, dumps(view.to_json()))


def kept_run(path: Path) -> RunView | None:
    """Read a run from its directory; None if the directory is that of no run.

    The state of a run without `run.json` is that of its program: finished, failed, running if its process is alive
    here, else lost.
    """
    if not any((path / name).is_file() for name in (VIEW, protocol.RECORDS, protocol.CONFIG, protocol.OVERRIDES)):
        return None
    snapshot = protocol.read_snapshot(path)
    said, about = _said(path), snapshot.metadata
    run_id = said.get("run_id") or about.get("run_id") or path.resolve().name
    more = {key: said[key] for key in _SAID if key in said}
    parameters: Any = decode(more.pop("parameters", {}))
    started = about.get("started")
    values: dict[str, Any] = {"created": started, "started": started, "ended": None, "error": None} | more
    return RunView(
        run_id=run_id,
        name=said.get("name") or about.get("name") or run_id,
        state=RunState(said["state"]) if "state" in said else _state(snapshot),
        job=values.pop("job", None),
        queue=values.pop("queue", None),
        parameters=parameters,
        summary=snapshot.summary or decode(said.get("summary") or {}),
        url=None,
        recorded=snapshot.config or None,
        inputs=snapshot.inputs,
        provenance=RunDirectory(path).provenance() or None,
        code=protocol.read_code(path) or None,
        lock=environment.read(path) or None,
        is_program="source" in parameters,
        **values,
    )


def _said(path: Path) -> dict[str, Any]:
    try:
        document = loads((path / VIEW).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not is_object(document) or not is_object(document.get("parameters")):  # the program may write here too
        return {}
    return document if document.get("state") in {state.value for state in RunState} else {}


def _state(snapshot: protocol.Snapshot) -> RunState:
    if snapshot.exit_code is not None:
        return RunState.FAILED if snapshot.exit_code else RunState.FINISHED
    pid, host = snapshot.metadata.get("pid"), snapshot.metadata.get("host")
    is_alive = isinstance(pid, int) and host == os.uname().nodename and process_start_time(pid) is not None
    return RunState.RUNNING if is_alive else RunState.LOST


def with_lock(view: RunView) -> RunView:
    """Add what a run ran with, if the server does not know and the run's directory is here."""
    if view.lock is not None:
        return view
    return replace(view, lock=environment.read(RunDirectory.of(view.run_id).path) or None)
