"""What is wrong with the options of one command: read them all, then say it all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from launch_sdk.errors import Fault, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class OptionFaults:
    """Collects what readers of options find wrong."""

    def __init__(self) -> None:
        self._found: list[tuple[str, InvalidSpecError]] = []

    def read(self, option: str, reader: Callable[[], T], instead: T) -> T:
        """Return what a reader returns, or `instead` if it finds faults, which are kept.

        Args:
            option: what the faults are of, if the reader names no option itself.
            reader: reads; raises InvalidSpecError.
            instead: to go on with.
        """
        try:
            return reader()
        except InvalidSpecError as error:
            self._found.append((option, error))
            return instead

    def require_none(self) -> None:
        """Raise InvalidSpecError with all that was found, if anything was; what one reader found, as it said it."""
        if len(self._found) == 1:
            raise self._found[0][1]
        if self._found:
            faults = [_of_option(fault, option) for option, error in self._found for fault in error.faults]
            raise InvalidSpecError("The command", faults)


def _of_option(fault: Fault, option: str) -> Fault:
    if fault.path.startswith("-"):
        return fault
    path = "" if fault.path.replace("_", "-") == option.lstrip("-") else fault.path
    line = f"line {fault.line}: " if fault.line is not None else ""  # of the option's file; the command has no lines
    return Fault(f"{option} {path}".strip(), f"{line}{fault.message}")
