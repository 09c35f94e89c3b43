"""The folders of a run as its container sees them, and on this machine.

A program in a container may be hostile, and its supervisor may be root. So the program never writes into the run
directory. It has a folder of its own there, and what it leaves is taken over, see `taking_over`.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.environments.wandb import HOOK
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN: Final = "/mnt/launch/run"
CHECKPOINTS: Final = "/mnt/launch/checkpoints"
SDK: Final = "/mnt/launch/sdk"
WANDB_HOOK: Final = "/mnt/launch/hook"
CODE: Final = "/mnt/wandb"  # where W&B mounts it
FOLDER: Final = "container"
_OWN_FILE, _OWN_FOLDER = 0o644, 0o755
_EVERYBODY = 0o777


@dataclass(frozen=True)
class Mount:
    """A folder of the machine in a container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Inside:
    """Where the folders of one run are.

    Attributes:
        run: the run directory on this machine.
        work: the run's copy of the source, likewise.
        code: where the container has that copy; None if it has not.
        files: single files of it that the container has instead.
    """

    run: Path
    work: Path
    code: str | None = CODE
    files: tuple[Mount, ...] = ()

    @property
    def folder(self) -> Path:
        """What the program sees as its run directory."""
        return self.run / FOLDER

    def mounts(self) -> list[Mount]:
        package = Path(__file__).resolve().parents[1]
        code = [Mount(self.work, self.code)] if self.code is not None else []
        return [
            Mount(self.folder, RUN),
            Mount(self.run / protocol.CHECKPOINTS, CHECKPOINTS),
            Mount(package, f"{SDK}/{package.name}", read_only=True),
            Mount(HOOK, WANDB_HOOK, read_only=True),
            *code,
            *self.files,
        ]

    def start(self, place: Path) -> str | None:
        """Give the container's path of a folder in the run's copy of the source."""
        return None if self.code is None else str(PurePosixPath(self.code, place.relative_to(self.work)))

    def make(self, user_id: int, kept: Sequence[str]) -> None:
        """Make the folders, for the program to write to.

        Args:
            user_id: who it runs as.
            kept: names of files of the run directory that it is given copies of.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=_OWN_FOLDER)
        self.folder.chmod(_OWN_FOLDER)
        for name in kept:
            if (self.run / name).is_file():
                shutil.copyfile(self.run / name, self.folder / name)
                (self.folder / name).chmod(_OWN_FILE)
        for folder in (self.folder, self.run / protocol.CHECKPOINTS, *([self.work] if self.code is not None else [])):
            _hand_over(folder, user_id)


def _hand_over(folder: Path, user_id: int) -> None:
    """Give a folder and all in it to a user; whoever may not opens it to everybody. No link is followed.

    The run directory above it is its owner's alone, so nobody else of this machine gets there.
    """
    is_root = os.getuid() == 0
    if not is_root and os.getuid() == user_id:
        return
    for parent, folders, files in os.walk(folder, followlinks=False):
        for path in (parent, *(os.path.join(parent, name) for name in (*folders, *files))):  # noqa: PTH118  # a Path for each costs more than the call
            if is_root:
                os.chown(path, user_id, user_id, follow_symlinks=False)
            elif not os.path.islink(path):  # noqa: PTH114
                os.chmod(path, os.stat(path).st_mode | (_EVERYBODY if os.path.isdir(path) else 0o666))  # noqa: PTH101, PTH112, PTH116


def pythonpath(*given: Any) -> str:
    """Give the path of modules: the hook of the W&B client, then what image and queue say."""
    return ":".join(filter(None, (WANDB_HOOK, *given)))
