"""The records file of a run: each record is one line, written whole by one call of the kernel.

Nothing is buffered, so a program that is killed loses no line. Several processes may append to the same file: the
kernel orders the writes. A line that a full disk cut off is closed by the next one.
"""

from __future__ import annotations

import os

from launch_sdk.tracking.notices import warn_always

TYPE_CHECKING = False
if TYPE_CHECKING:
    from launch_sdk.tracking.protocol import Directory


class RecordWriter:
    """Appends lines to a file; a failing disk is warned of once and never stops the program."""

    def __init__(self, path: Directory) -> None:
        """Open the file for appending, and make it if it is not there.

        Raises:
            OSError: the file cannot be opened.
        """
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._torn = _ends_in_a_torn_line(self._descriptor)
        self._warned = False

    def write(self, line: str) -> None:
        """Append one line; the caller holds the lock of its run."""
        data = f"\n{line}\n".encode() if self._torn else f"{line}\n".encode()
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            self.failed(error.strerror or str(error))
        else:
            self._torn = written < len(data)
            if self._torn:
                self.failed("the disk is full")

    def failed(self, reason: str) -> None:
        """Say once that something of this run cannot be written."""
        if self._warned:
            return
        self._warned = True
        warn_always(f"launch cannot write to {self.path}: {reason}. The program goes on; what it logs now is lost.")

    def close(self) -> None:
        os.close(self._descriptor)


def _ends_in_a_torn_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
