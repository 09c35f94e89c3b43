"""What a program in a container leaves in its folder, taken over into the run directory.

Only a regular file that is no link is read, under a name that is known, and up to a size: the program may have put
anything in its place, and change it while it is looked at.
"""

from __future__ import annotations

import contextlib
import os
from stat import S_ISREG
from typing import TYPE_CHECKING, Final

from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SNAPSHOTS: Final = (
    protocol.CONFIG,
    protocol.SUMMARY,
    protocol.METADATA,
    protocol.PROVENANCE,
    protocol.ENVIRONMENT,
)
MAX_SNAPSHOT_BYTES: Final = 64 << 20
MAX_RECORDS_BYTES: Final = 1 << 30
MAX_FILE_BYTES: Final = 100_000_000  # what the SDK itself keeps of a file that a program logs
MAX_FILES: Final = 1_000
CHUNK_BYTES: Final = 1 << 20
CHUNKS_A_LOOK: Final = 16
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIGITS = frozenset("0123456789abcdef")
_DIGEST = 64


class TakenRecords:
    """The records that a program appends, copied as they come."""

    def __init__(self, folder: Path, records: Path) -> None:
        """Begin behind what both have.

        Args:
            folder: the program's.
            records: the run's own file.
        """
        self._source = folder / protocol.RECORDS
        self._target = records
        self._offset = self._taken = records.stat().st_size if records.is_file() else 0

    def look(self, *, at_end: bool = False) -> None:
        """Take over what is new; while the program runs, not more than a look may take.

        A NUL ends what is taken: no record has one, and a file of nothing but holes is made of them.
        """
        with contextlib.suppress(OSError), _regular(self._source) as descriptor:
            for _ in range(MAX_RECORDS_BYTES // CHUNK_BYTES if at_end else CHUNKS_A_LOOK):
                if os.fstat(descriptor).st_size < self._offset:  # begun anew
                    self._offset = 0
                room = min(CHUNK_BYTES, MAX_RECORDS_BYTES - self._taken)
                data = os.pread(descriptor, room, self._offset).partition(b"\0")[0]
                if not data:
                    return
                self._offset += len(data)
                self._taken += len(data)
                with self._target.open("ab") as target:
                    target.write(data)


def take_over(folder: Path, run: Path) -> None:
    """Take over the snapshots and the logged files of a program that has ended."""
    for name in SNAPSHOTS:
        with contextlib.suppress(OSError):
            _copy(folder / name, run / name, MAX_SNAPSHOT_BYTES)
    logged = folder / "files"
    if logged.is_symlink() or not logged.is_dir():
        return
    names = [name for name in os.listdir(logged)[:MAX_FILES] if len(name) == _DIGEST and set(name) <= _DIGITS]  # noqa: PTH208
    (run / "files").mkdir(exist_ok=True)
    for name in names:
        with contextlib.suppress(OSError):
            _copy(logged / name, run / "files" / name, MAX_FILE_BYTES)


def _copy(source: Path, target: Path, limit: int) -> None:
    with _regular(source) as descriptor:
        if os.fstat(descriptor).st_size > limit:
            return
        with target.with_name(f".{target.name}.taken").open("wb") as file:
            taken = 0
            while taken <= limit and (data := os.read(descriptor, CHUNK_BYTES)):
                taken += len(data)
                file.write(data)
        target.with_name(f".{target.name}.taken").replace(target)


@contextlib.contextmanager
def _regular(path: Path) -> Generator[int]:
    """Open a regular file that is no link, without waiting for anybody.

    Raises:
        OSError: there is none.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file")
        yield descriptor
    finally:
        os.close(descriptor)
