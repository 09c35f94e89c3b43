"""Metrics from the lines that a program prints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import regex

from launch_sdk.metrics.lines import LineReader
from launch_sdk.metrics.numbers import as_step, parse_number
from launch_sdk.metrics.tail import Tail
from launch_sdk.specs.metric_source import STEP_GROUP

if TYPE_CHECKING:
    from pathlib import Path

    from launch_sdk.specs.metric_source import StdoutSource
    from launch_sdk.tracking.protocol import Record

MAX_LINE_LENGTH: Final = 10_000
SEARCH_TIMEOUT_S: Final = 0.05
MAX_TIMEOUTS: Final = 3


class StdoutMetrics:
    """Searches each line; one that takes the pattern too long is left out, and after three the pattern is given up."""

    def __init__(self, source: StdoutSource, output: Path) -> None:
        """Read the metrics of a pattern.

        Args:
            source: the pattern.
            output: the file that holds what the program prints.
        """
        self._source = source
        self._pattern = regex.compile(source.pattern)
        self._lines = LineReader(Tail(output), carriage_returns=True)
        self._timeouts = 0
        self._told: set[str] = set()
        self._notices: list[str] = []

    def read(self, *, at_end: bool) -> tuple[list[Record], bool]:
        if self._timeouts >= MAX_TIMEOUTS:
            return [], False
        lines, more = self._lines.read(at_end=at_end)
        found = [record for line in lines if line and (record := self._record(line)) is not None]
        return found, more

    def notices(self) -> list[str]:
        told, self._notices = self._notices, []
        return told

    def _record(self, line: str) -> Record | None:
        if self._timeouts >= MAX_TIMEOUTS:
            return None
        groups = self._search(line[:MAX_LINE_LENGTH])
        step = as_step(groups.pop(STEP_GROUP, None))
        logged: dict[str, Any] = {}
        for name, text in groups.items():
            number = parse_number(text) if text is not None else None
            if number is not None:
                logged[name] = number
            elif text is not None:
                self._tell_once(name, f"{name} is {text[:40]!r}, which is no number; such lines are left out")
        if not logged:
            return None
        record: Record = {"time": time.time(), "log": logged}
        return record if step is None else record | {"step": step}

    def _search(self, line: str) -> dict[str, str | None]:
        try:
            found = self._pattern.search(line, timeout=SEARCH_TIMEOUT_S)
        except TimeoutError:
            self._timeouts += 1
            if self._timeouts == MAX_TIMEOUTS:
                self._tell_once("", "takes too long on the program's lines and is given up; make it simpler")
            return {}
        return found.groupdict() if found else {}

    def _tell_once(self, about: str, message: str) -> None:
        if about not in self._told:
            self._told.add(about)
            self._notices.append(f"launch: metric source {self._source}: {message}.")
