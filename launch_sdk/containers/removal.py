"""Removing the containers of runs whose process is gone: what a container is, is written down before it is made.

    python -P -m launch_sdk.containers.removal LAUNCH_HOME RUN_ID [PROCESS ...]

is what the guard of a run does when all of its processes are gone and a note of it is still there.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers.left_builds import remove_lost_builds
from launch_sdk.containers.notes import Note, read_notes

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER: Final = "containers"  # below LAUNCH_HOME
WAIT_S: Final = 10.0
_NONE, _BUSY = 404, 409  # there is none; somebody else is removing it


@dataclass(frozen=True, kw_only=True)
class Remembered(Note):
    """A note that a run has a container, or is about to.

    Attributes:
        name: of the container.
    """

    name: str

    @classmethod
    def of(cls, home: Path, run_id: str, engine: str | None, process: str) -> Remembered:
        path = home / FOLDER / f"{run_id}.json"
        return cls(path=path, engine=engine, process=process, name=container_name(run_id))


def container_name(run_id: str) -> str:
    return f"launch-{run_id}"


def remembered(home: Path) -> list[Remembered]:
    """Return the notes that there are."""
    return read_notes(Remembered, home / FOLDER)


def remove(api: Any, name: str) -> None:
    """Remove a container, running or not; nothing if there is none.

    Raises:
        Exception: of the Docker SDK's or its transport: it is not removed.
    """
    from docker.errors import APIError

    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            api.remove_container(name, force=True, v=True)
        except APIError as error:
            status = getattr(error.response, "status_code", None)
            if status == _NONE:
                return
            if status != _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def remove_lost(home: Path, is_dead: Callable[[str], bool]) -> list[str]:
    """Remove the containers of runs whose process is dead.

    Args:
        home: LAUNCH_HOME.
        is_dead: says of a process, as `runs.processes` names it, whether it is known to be gone.

    Returns:
        The names of those that were removed; one whose engine does not answer is left for the next time.
    """
    from launch_sdk.containers.engine import connect

    removed: list[str] = []
    for one in remembered(home):
        if not is_dead(one.process):
            continue
        with contextlib.suppress(Exception):
            engine = connect(one.engine, timeout_s=30)
            with contextlib.closing(engine):
                remove(engine.api, one.name)
            one.forget()
            removed.append(one.name)
    return removed


def main(home: str, run_id: str, *dead: str) -> None:
    """Remove the container of one run, and what builds of dead processes have left, if they are noted."""
    remove_lost_builds(Path(home), dead.__contains__)
    for one in remembered(Path(home)):
        if one.path.stem == run_id:
            from launch_sdk.containers.engine import connect

            remove(connect(one.engine, timeout_s=30).api, one.name)
            one.forget()


if __name__ == "__main__":
    main(*sys.argv[1:])
