"""Paths below a program's directory, wildcards filled in; nothing outside of it is ever named."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, Final

from launch_sdk.metrics.tail import is_within

if TYPE_CHECKING:
    from pathlib import Path

LOOK_EVERY_S: Final = 0.5
MAX_PLACES: Final = 200


class Places:
    """What a relative path with `*` and `?` stands for, as it appears."""

    def __init__(self, pattern: str, work: Path) -> None:
        """Look for a path.

        Args:
            pattern: relative, without `..`.
            work: the directory that it is relative to.
        """
        self._pattern = pattern
        self._work = work
        self._next_look = 0.0

    def look(self, *, at_end: bool = False) -> list[Path]:
        """Return what is there, at most `MAX_PLACES`; nothing if the last look was a moment ago."""
        if time.monotonic() < self._next_look and not at_end:
            return []
        self._next_look = time.monotonic() + LOOK_EVERY_S
        if not any(character in self._pattern for character in "*?["):
            paths = [self._work / self._pattern]
        else:
            try:
                paths = sorted(islice(self._work.glob(self._pattern), MAX_PLACES))
            except (OSError, ValueError, NotImplementedError):
                return []
        return [path for path in paths if path.exists() and is_within(path, self._work)]
