"""Where a run writes and what it is called: given by a supervisor, or made below the working directory."""

# ruff: noqa: PTH100, PTH102, PTH103, PTH109, PTH110, PTH118, PTH119, PTH123
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os
import time

from launch_sdk.tracking import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FOLDER = "launch"
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 8


class Place:
    """Where one run writes and what it is called.

    Attributes:
        directory: absolute path of the run directory.
        run_id: what identifies the run.
        name: what people call it.
        project: what it belongs to.
        sweep_id: the sweep that it belongs to, or None.
    """

    __slots__ = ("directory", "name", "project", "run_id", "sweep_id")

    def __init__(self, directory: str, run_id: str, name: str, project: str, sweep_id: str | None) -> None:
        self.directory = directory
        self.run_id = run_id
        self.name = name
        self.project = project
        self.sweep_id = sweep_id

    def names(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "name": self.name, "project": self.project, "sweep_id": self.sweep_id}


def find_place(environ: Mapping[str, str], project: str | None, name: str | None) -> Place:
    """Decide where a run writes; what a supervisor says in the environment beats the script's own arguments.

    Args:
        environ: the environment; see `launch_sdk.tracking.protocol` for its names.
        project: the script's own choice.
        name: the script's own choice.

    Raises:
        OSError: the directory cannot be made.
    """
    run_id = environ.get(protocol.RUN_ID) or new_id()
    given = environ.get(protocol.RUN_DIR)
    directory = os.path.abspath(given or os.path.join(FOLDER, f"run-{time.strftime('%Y%m%d_%H%M%S')}-{run_id}"))
    name = environ.get(protocol.RUN_NAME) or name or f"run-{run_id}"
    project = environ.get(protocol.PROJECT) or project or os.path.basename(os.getcwd()) or "default"
    _make(directory, None if given else FOLDER)
    return Place(directory, run_id, name, project, environ.get(protocol.SWEEP_ID) or None)


def new_id() -> str:
    """Return eight random characters; forked processes get different ones."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in os.urandom(_ID_LENGTH))


def _make(directory: str, folder: str | None) -> None:
    try:
        if folder and not os.path.exists(folder) and _is_made(folder):
            # Runs are not source: without this each one would make the user's working tree look changed.
            with open(os.path.join(folder, ".gitignore"), "w", encoding="ascii") as file:
                file.write("*\n")
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        reason = f"launch.init() cannot make the run directory ({error.strerror}); run in a writable directory, or set"
        raise type(error)(error.errno, f"{reason} {protocol.RUN_DIR}", directory) from None


def _is_made(folder: str) -> bool:
    """Make a folder; False if another script has just made it."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        return False
    return True
