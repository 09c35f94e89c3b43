"""Following a file that another program writes: what was appended since the last look, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG

CHUNK_BYTES = 1 << 16


class Tail:
    """A growing file.

    Attributes:
        path: of the file; it may appear late. Only a regular file is read: a pipe in its place would block.
        offset: where the next look begins, in bytes.
    """

    def __init__(self, path: Path, within: Path | None = None) -> None:
        """Follow a file.

        Args:
            path: of the file.
            within: a directory that the file must lie in, links resolved; None for anywhere.
        """
        self.path = path
        self.within = within
        self.offset = 0
        self._inode: int | None = None

    def read(self) -> tuple[bytes, bool]:
        """Return the next bytes, `CHUNK_BYTES` at most, and whether the file was begun anew since the last look."""
        try:
            if self.within is not None and not is_within(self.path, self.within):
                return b"", False
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b"", False
        try:
            if self.within is not None and not is_within(Path(f"/proc/self/fd/{descriptor}"), self.within):
                return b"", False  # somebody has put a link there since
            return self._read(descriptor)
        except OSError:
            return b"", False
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> tuple[bytes, bool]:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            return b"", False
        anew = status.st_size < self.offset or self._inode not in {None, status.st_ino}
        if anew:
            self.offset = 0
        self._inode = status.st_ino
        data = os.pread(descriptor, CHUNK_BYTES, self.offset)
        self.offset += len(data)
        return data, anew


def is_within(path: Path, directory: Path) -> bool:
    """Tell whether a path leads into a directory, links resolved."""
    real, root = os.path.realpath(path), os.path.realpath(directory)
    return real == root or real.startswith(root.rstrip(os.sep) + os.sep)
