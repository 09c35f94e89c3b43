"""A socket of ours for a program in a container: it inherits none, so it connects to one in its folder."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "scheduler.sock"
BYTES: Final = 1 << 16
_EVERYBODY: Final = 0o666  # the folder above it is its owner's alone; the container's user is another one


class Bridge:
    """Passes on what a program says that connects, both ways, until either side ends. Only the first one is heard."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        """Listen.

        Args:
            folder: the program's.
            descriptor: of our socket; it is duplicated, and stays the caller's.
        """
        self._ours = socket.socket(fileno=os.dup(descriptor))
        self._listening = socket.socket(socket.AF_UNIX)
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._listening.bind(f"/proc/self/fd/{place}/{NAME}")  # a name of a socket holds 108 characters at most
        finally:
            os.close(place)
        (folder / NAME).chmod(_EVERYBODY)
        self._listening.listen(1)
        threading.Thread(target=self._serve, name="bridge", daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            program, _ = self._listening.accept()
            self._listening.close()
            with program:
                back = threading.Thread(target=_pass_on, args=(self._ours, program), name="bridge back", daemon=True)
                back.start()
                _pass_on(program, self._ours)
                back.join()
        self._ours.close()

    def close(self) -> None:
        """Let a program wait no more that has not connected, or is gone."""
        for one in (self._listening, self._ours):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(BYTES):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
