"""Runs that no server knows: those in the foreground and of scripts started by hand, as their directories tell."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from launch_sdk.errors import InvalidSpecError
from launch_sdk.runs.processes import process_start_time
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.used_files import lock_of
from launch_sdk.sources.packed import is_packed
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.tracking import code_capture, protocol
from launch_sdk.tracking.place import FOLDER
from launch_sdk.tracking.values import decode, dumps, is_array, is_object, loads
from launch_sdk.views import RunView

if TYPE_CHECKING:
    from collections.abc import Mapping

VIEW = "run.json"
CAPTURE_WAIT_S = 30.0
CAPTURE_BEGINS_S = 5.0  # within which a capture says that it has begun
_SAID = ("parameters", "created", "started", "ended", "error", "queue", "job")


def directory_of(named: str) -> Path | None:
    """Find the directory of a run that is on no server: named itself, of a run in the foreground, or of a script.

    Args:
        named: a directory, or the id, or the directory's name, of a run in the foreground or of a script that somebody
            has started in the working directory.
    """
    path = Path(named).expanduser()
    if path.is_dir():
        return path
    if not re.fullmatch(r"[\w-]+", named):
        return None
    here = sorted(Path(FOLDER).glob(f"run-*-{named}")) if re.fullmatch(r"[0-9a-z]{8}", named) else []
    places = [RunDirectory.of(named).path, Path(FOLDER, named)] if named.startswith("run-") else here
    return next((place for place in places if place.is_dir()), None)


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
    code = protocol.read_code(path)
    parameters: Any = decode(more.pop("parameters", None)) or _started_by_hand(code, about)
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
        code=code or None,
        lock=lock_of(path, snapshot) or None,
        is_program="source" in parameters,
        **values,
    )


def _started_by_hand(code: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Give what repeats a script that somebody has started, if its code was captured: a RunSpec in its plain form."""
    source, entry_point, args = code.get("source"), code.get("entry_point"), about.get("args")
    if not (is_object(code.get("capture")) and is_packed(str(source))):
        return {}
    started = {"entry_point": entry_point} if is_words(entry_point) and entry_point else {}
    project = about.get("project")
    known = {"args": args if is_words(args) else [], "project": project if isinstance(project, str) else None}
    try:
        return RunSpec.from_dict({"source": source, **started, **known}).to_dict()
    except InvalidSpecError:  # the program may write there too
        return {}


def is_words(value: object) -> TypeGuard[list[str]]:
    return is_array(value) and all(isinstance(word, str) for word in value)


def wait_for_capture(path: Path) -> None:
    """Wait until the code of a script that was started a moment ago is captured, as long as somebody works at it."""
    deadline = time.monotonic() + CAPTURE_WAIT_S
    while _is_being_captured(protocol.read_code(path)) and time.monotonic() < deadline:
        time.sleep(0.05)


def why_no_code(code: Mapping[str, Any]) -> str:
    """Say why a run directory holds no code, to somebody who wants to repeat the run."""
    about = _capture_of(code)
    if about.get("state") == code_capture.FAILED:
        return f"its code was not captured: {about.get('error')}."
    if _is_being_captured(code):
        return "its code is still being captured; launch it again in a moment."
    return f"{'the capture of its code was cut short' if about else 'its code was not captured'}."


def _is_being_captured(code: Mapping[str, Any]) -> bool:
    about = _capture_of(code)
    pid, started = about.get("pid"), about.get("started")
    if about.get("state") != code_capture.STARTED:
        return False
    if isinstance(pid, int):
        return process_start_time(pid) is not None
    return isinstance(started, float) and time.time() - started < CAPTURE_BEGINS_S


def _capture_of(code: Mapping[str, Any]) -> Mapping[str, Any]:
    said = code.get("capture")
    return said if is_object(said) else {}


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
    return replace(view, lock=lock_of(RunDirectory.of(view.run_id).path) or None)
