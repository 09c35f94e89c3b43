"""Metrics from a JSON-lines or CSV file that a program writes."""

from __future__ import annotations

import csv
import json
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from launch_sdk.metrics.lines import LineReader
from launch_sdk.metrics.numbers import as_step, parse_number
from launch_sdk.metrics.places import Places
from launch_sdk.metrics.tail import Tail

if TYPE_CHECKING:
    from launch_sdk.specs.metric_source import FileSource
    from launch_sdk.tracking.protocol import Record

DEFAULT_STEP: Final = "step"
DELIMITERS: Final = (",", ";", "\t")
DIGEST_BYTES: Final = 8
MAX_REMEMBERED: Final = 1_000_000


class FileMetrics:
    """Follows the files that a path stands for; without wildcards it is one, which may appear late."""

    def __init__(self, source: FileSource, work: Path) -> None:
        """Read the metrics of a file.

        Args:
            source: the file.
            work: where the program was started; nothing outside of it is read.
        """
        self._source = source
        self._work = work
        self._places = Places(source.path, work)
        self._files: dict[Path, RowFile] = {}
        self._told = False

    def read(self, *, at_end: bool) -> tuple[list[Record], bool]:
        for path in self._places.look(at_end=at_end):
            if path not in self._files:
                self._files[path] = RowFile(path, self._work, self._source.step)
        records: list[Record] = []
        more = False
        for file in self._files.values():
            new, is_more = file.read(at_end=at_end)
            records += new
            more = more or is_more
        return records, more

    def notices(self) -> list[str]:
        skipped = sum(file.skipped for file in self._files.values())
        if not skipped or self._told:
            return []
        self._told = True
        return [f"launch: metric source {self._source}: it holds lines that are no row; they are left out."]


class RowFile:
    """One file of rows.

    A program may write the whole file again with every row, as `DataFrame.to_csv` does. So a file that is begun anew is
    compared with what was read before, line by line, and only what is new counts.
    """

    def __init__(self, path: Path, work: Path, step: str | None) -> None:
        self.skipped = 0
        self._step = step
        self._is_csv = path.suffix.lower() in {".csv", ".tsv"}
        self._lines = LineReader(Tail(path, within=work))
        self._header: list[str] | None = None
        self._delimiter = ","
        self._digests = bytearray()
        self._at = 0
        self._begun = 0

    def read(self, *, at_end: bool) -> tuple[list[Record], bool]:
        lines, more = self._lines.read(at_end=at_end)
        if self._lines.begun_anew != self._begun:
            self._begun, self._at = self._lines.begun_anew, 0
        return [record for line in lines if (record := self._take(line)) is not None], more

    def _take(self, line: str) -> Record | None:
        if not line.strip() or self._was_read(line):
            return None
        row = self._csv_row(line) if self._is_csv else self._json_row(line)
        return self._record(row) if row else None

    def _was_read(self, line: str) -> bool:
        digest = blake2b(line.encode(), digest_size=DIGEST_BYTES).digest()
        start, self._at = self._at, self._at + DIGEST_BYTES
        if self._digests.startswith(digest, start):
            return True
        del self._digests[start:]  # from here on the file is another one
        if start < MAX_REMEMBERED * DIGEST_BYTES:
            self._digests += digest
        if start == 0:
            self._header = None
        return False

    def _json_row(self, line: str) -> dict[str, Any]:
        try:
            row: object = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            self.skipped += 1
            return {}
        return cast("dict[str, Any]", row)

    def _csv_row(self, line: str) -> dict[str, Any]:
        if self._header is None:
            line = line.removeprefix("\ufeff")
            self._delimiter = max(DELIMITERS, key=line.count)
            self._header = [name.strip() for name in self._cells(line)]
            return {}
        cells = zip(self._header, self._cells(line), strict=False)
        values = {name: _cell(cell) for name, cell in cells if name and cell.strip()}
        self.skipped += 0 if values else 1
        return values

    def _cells(self, line: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=self._delimiter), list[str]())
        except csv.Error:
            return []

    def _record(self, row: dict[str, Any]) -> Record | None:
        column = self._step or DEFAULT_STEP
        step = as_step(row.get(column))
        logged = {key: value for key, value in row.items() if step is None or key != column}
        if not logged:
            return None
        record: Record = {"time": time.time(), "log": logged}
        return record if step is None else record | {"step": step}


def _cell(text: str) -> Any:
    number = parse_number(text)
    return text.strip() if number is None else number
