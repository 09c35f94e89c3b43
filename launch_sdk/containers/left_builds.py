"""What interrupted builds leave on an engine: noted before a build begins, and removed by whoever finds the note.

Every layer of a build has a label. It is the same for the next build of the same kind, so that the engine finds its
layers again; which of them are an interrupted build's own is told by their time.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers.generated import LAYERS_LABEL
from launch_sdk.containers.notes import Note, read_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

FOLDER: Final = "builds"  # below LAUNCH_HOME
QUIET_S: Final = 1.5  # an engine ends a build a moment after whoever asked for it has gone
WAIT_S: Final = 20.0
_POLL_S = 0.25
_GONE, _IN_USE = 404, 409


@dataclass(frozen=True, kw_only=True)
class NotedBuild(Note):
    """A note that something is being built.

    Attributes:
        label: value of the label that its layers have.
        since: when it began, by the engine's clock, in seconds since 1970.
    """

    label: str
    since: int


@dataclass(frozen=True)
class BuildNotes:
    """Where somebody notes what he builds.

    Attributes:
        home: LAUNCH_HOME.
        owner: identifier of the run that it is built for, or another word for a file's name.
        engine: address of the engine; None for this machine's, or DOCKER_HOST.
        process: of whoever builds, as `runs.processes` names it.
    """

    home: Path
    owner: str
    engine: str | None
    process: str

    def write(self, api: Any, label: str) -> NotedBuild:
        """Note that layers with a label are about to be made."""
        since = int(datetime.fromisoformat(str(api.info()["SystemTime"])).timestamp())
        path = self.home / FOLDER / f"{self.owner}.{uuid.uuid4().hex}.json"
        noted = NotedBuild(path=path, engine=self.engine, process=self.process, label=label, since=since)
        noted.write()
        return noted


def noted_builds(home: Path) -> list[NotedBuild]:
    """Return the notes that there are."""
    return read_notes(NotedBuild, home / FOLDER)


def remove_lost_builds(home: Path, is_dead: Callable[[str], bool]) -> list[str]:
    """Remove what builds have left whose process is dead.

    What another one builds meanwhile may be of the same layers: then it is left for the next time, as it is where the
    engine does not answer.

    Args:
        home: LAUNCH_HOME.
        is_dead: says of a process, as `runs.processes` names it, whether it is known to be gone.

    Returns:
        The identifiers of the layers that were removed.
    """
    from launch_sdk.containers.engine import connect

    notes = noted_builds(home)
    dead = {one.process for one in notes if is_dead(one.process)}
    busy = {(one.engine, one.label) for one in notes if one.process not in dead}
    removed: list[str] = []
    for one in notes:
        if one.process in dead and (one.engine, one.label) not in busy:
            with contextlib.suppress(Exception):
                engine = connect(one.engine, timeout_s=30)
                with contextlib.closing(engine):
                    removed += remove_layers(engine.api, one.label, one.since)
                one.forget()
    return removed


def remove_layers(api: Any, label: str, since: int) -> list[str]:
    """Remove the layers of an interrupted build until the engine makes no more of them.

    Args:
        api: the engine.
        label: value of the label that they have.
        since: the build's beginning; older ones are of builds that were finished.

    Raises:
        TimeoutError: some are still in use.
    """
    removed: list[str] = []
    deadline = time.monotonic() + WAIT_S
    quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + QUIET_S:
        layers = _layers_of(api, label, since)
        removed += [one for one in layers if _remove(api, one)]
        if layers:
            quiet_since = time.monotonic()
        if quiet_since > deadline:
            raise TimeoutError(f"Layers of an interrupted build are still in use: {', '.join(layers)}")
        time.sleep(_POLL_S)
    return removed


def _layers_of(api: Any, label: str, since: int) -> list[str]:
    """Name the layers with the label, and those below, that were made since; each before the one that it stands on."""
    rows = {str(row["Id"]): row for row in api.images(all=True) if int(row["Created"]) >= since}
    loose = {name: row for name, row in rows.items() if not _is_named(row)}
    kept = {below for name, row in rows.items() if _is_named(row) for below in _line(rows, name)}
    ours = [name for name, row in loose.items() if _label_of(row) == label]
    found = {below: len(_line(loose, below)) for name in ours for below in _line(loose, name) if below not in kept}
    return sorted(found, key=lambda name: -found[name])


def _label_of(row: Mapping[str, Any]) -> str | None:
    labels: Mapping[str, str] = row.get("Labels") or {}
    return labels.get(LAYERS_LABEL)


def _line(rows: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    """Name an image and those below it, as far as they are known."""
    line: list[str] = []
    while name in rows:
        line.append(name)
        name = str(rows[name].get("ParentId") or "")
    return line


def _is_named(row: Mapping[str, Any]) -> bool:
    names: Iterable[str] = [*(row.get("RepoTags") or ()), *(row.get("RepoDigests") or ())]
    return any(not name.startswith("<none>") for name in names)


def _remove(api: Any, name: str) -> bool:
    from docker.errors import APIError

    try:
        api.remove_image(name, noprune=True)
    except APIError as error:
        if getattr(error.response, "status_code", None) in {_GONE, _IN_USE}:
            return False
        raise
    return True
