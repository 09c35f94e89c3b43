"""Every error that the library raises on purpose, named by what the caller should do.

LaunchError
├── InvalidSpecError       (ValueError)       mend the document or the arguments; lists every fault at once
├── NotFoundError          (LookupError)      name something that exists; the message names what does
├── ConflictError          (RuntimeError)     wait, or stop what is in the way
├── BackendUnavailableError(ConnectionError)  start the server, or correct its address
└── RunFailedError         (RuntimeError)     read the last lines of the program

A message says what happened, to which named thing, and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN_FAULTS = 60


class LaunchError(Exception):
    """The root: `except LaunchError` catches everything raised on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a document: where it is and what is wrong with it.

    Attributes:
        path: dotted path of the value in the document, `parameters.lr.min`; empty for the whole document.
        message: what is wrong and what would be right.
        line: line of the value in its file, counted from 1; None if the document came from no file.
    """

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class InvalidSpecError(LaunchError, ValueError):
    """A document or an argument is wrong. All of its faults are in `faults`, by line."""

    def __init__(self, subject: str, faults: Iterable[Fault]) -> None:
        self.subject = subject
        # In the order of the file; what has no line comes first, in the order it was found.
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line or 0))
        count = len(self.faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults[:SHOWN_FAULTS])
        if count > SHOWN_FAULTS:
            lines += f"\n  and {count - SHOWN_FAULTS} more"
        super().__init__(f"{subject} has {count} {'fault' if count == 1 else 'faults'}:\n{lines}")


class NotFoundError(LaunchError, LookupError):
    """A named thing does not exist."""


class ConflictError(LaunchError, RuntimeError):
    """Something in the present state forbids the request: it is running already, a port is taken."""


class BackendUnavailableError(LaunchError, ConnectionError):
    """The server cannot be reached or cannot be started."""


class RunFailedError(LaunchError, RuntimeError):
    """A run ended without success; the message holds the program's last lines."""
