"""What a source of metrics is to the supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from launch_sdk.tracking.protocol import Record


class Source(Protocol):
    """Something that a program writes and that metrics can be read from.

    The law: `read` takes a bounded time and never waits, raises nothing whatever the program has written, and gives
    nothing twice. Records carry `time`; a `log` without `step` becomes a step of its own.
    """

    def read(self, *, at_end: bool) -> tuple[list[Record], bool]:
        """Read a bounded piece of what is new.

        Args:
            at_end: the program has ended, so what is there now is complete.

        Returns:
            Records, and whether there may be more to read at once.
        """
        ...

    def notices(self) -> list[str]:
        """Give what the user should be told, each line once."""
        ...
