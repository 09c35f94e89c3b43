"""The lines of a growing text file, whole ones only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from launch_sdk.metrics.tail import Tail

MAX_LINE_BYTES: Final = 1 << 20


class LineReader:
    """Gives the lines of a file as they are completed.

    Attributes:
        too_long: how many lines were longer than `MAX_LINE_BYTES` and were left out.
        begun_anew: how often the file was begun anew.
    """

    def __init__(self, tail: Tail, *, carriage_returns: bool = False) -> None:
        """Read lines.

        Args:
            tail: of the file.
            carriage_returns: a carriage return ends a line too, as in progress bars.
        """
        self.too_long = 0
        self.begun_anew = 0
        self._tail = tail
        self._carriage_returns = carriage_returns
        self._rest = b""
        self._skipping = False

    def read(self, *, at_end: bool) -> tuple[list[str], bool]:
        """Return new lines without their ends, and whether there may be more to read at once.

        Args:
            at_end: the program has ended: a last line without its end is a line too.
        """
        data, anew = self._tail.read()
        if anew:
            self._rest, self._skipping = b"", False
            self.begun_anew += 1
        more = bool(data)
        if self._carriage_returns:
            data = data.replace(b"\r", b"\n")
        *lines, self._rest = (self._rest + data).split(b"\n")
        if at_end and not more and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        lines = self._without_long_ones(lines)
        return [line.rstrip(b"\r").decode("utf-8", "replace") for line in lines], more

    def _without_long_ones(self, lines: list[bytes]) -> list[bytes]:
        if self._skipping and lines:
            lines, self._skipping = lines[1:], False
        if len(self._rest) > MAX_LINE_BYTES:
            self.too_long += 0 if self._skipping else 1
            self._rest, self._skipping = b"", True
        elif self._skipping:
            self._rest = b""
        return lines
