"""Scalars from TensorBoard's event files.

An event file is a sequence of TFRecords (length, checksum of the length, payload, checksum of the payload), each an
`Event` message. Scalars are in `simple_value`, or in a tensor of one element as TensorFlow 2 writes them.
"""

from __future__ import annotations

import math
import os
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.metrics.places import Places
from launch_sdk.metrics.protobuf import FIXED32, FIXED64, MalformedError, Message, unpack_floats
from launch_sdk.metrics.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launch_sdk.specs.metric_source import TensorboardSource
    from launch_sdk.tracking.protocol import Record

LENGTH: Final = struct.Struct("<QI")
CHECKSUM_BYTES: Final = 4
MAX_EVENT_BYTES: Final = 64 << 20
MAX_FILES: Final = 500
MAX_DIRECTORIES: Final = 1000
# Field numbers of event.proto, summary.proto and tensor.proto
_WALL_TIME, _STEP, _SUMMARY = 1, 2, 5
_VALUE, _TAG, _SIMPLE_VALUE, _TENSOR = 1, 1, 2, 8
_DTYPE, _CONTENT, _FLOATS, _DOUBLES, _INTS, _INT64S = 1, 4, 5, 6, 7, 10
_FLOAT, _DOUBLE, _INT32, _INT64, _HALF = 1, 2, 3, 9, 19
_LETTERS: Final = {_INT32: "<i", _INT64: "<q", _HALF: "<e"}


class TensorboardMetrics:
    """Follows every event file below a directory."""

    def __init__(self, source: TensorboardSource, work: Path) -> None:
        """Read the scalars of a directory.

        Args:
            source: the directory.
            work: where the program was started; nothing outside of it is read.
        """
        self._source = source
        self._work = work
        self._places = Places(source.path, work)
        self._files: dict[Path, EventFile] = {}
        self._told = False

    def read(self, *, at_end: bool) -> tuple[list[Record], bool]:
        for root in self._places.look(at_end=at_end):
            for path in _event_files(root):
                if path not in self._files and len(self._files) < MAX_FILES:
                    self._files[path] = EventFile(path, self._work, _prefix(path, root))
        records: list[Record] = []
        more = False
        for file in self._files.values():
            new, is_more = file.read()
            records += new
            more = more or is_more
        return records, more

    def notices(self) -> list[str]:
        broken = [str(path) for path, file in self._files.items() if file.refused]
        if not broken or self._told:
            return []
        self._told = True
        return [f"launch: metric source {self._source}: {broken[0]} is no event file, or is damaged in the middle."]


class EventFile:
    """One event file.

    Attributes:
        refused: its framing does not hold; nothing more is read.
    """

    def __init__(self, path: Path, work: Path, prefix: str) -> None:
        self.refused = False
        self._tail = Tail(path, within=work)
        self._prefix = prefix
        self._pending = bytearray()

    def read(self) -> tuple[list[Record], bool]:
        if self.refused:
            return [], False
        data, anew = self._tail.read()
        if anew:
            self._pending.clear()
        self._pending += data
        records: list[Record] = []
        for event in self._events():
            record = self._record(event)
            if record and records and records[-1]["step"] == record["step"]:
                records[-1]["log"].update(record["log"])
            elif record:
                records.append(record)
        return records, bool(data)

    def _events(self) -> Iterator[bytes]:
        while len(self._pending) >= LENGTH.size:
            size, checksum = LENGTH.unpack_from(self._pending)
            if size > MAX_EVENT_BYTES or masked_crc32c(bytes(self._pending[:8])) != checksum:
                self.refused = True
                self._pending.clear()
                return
            if len(self._pending) < LENGTH.size + size + CHECKSUM_BYTES:
                return
            event = bytes(self._pending[LENGTH.size : LENGTH.size + size])
            del self._pending[: LENGTH.size + size + CHECKSUM_BYTES]
            yield event

    def _record(self, data: bytes) -> Record | None:
        try:
            event = Message(data)
            scalars = dict(_scalars(event.message(_SUMMARY)))
        except (MalformedError, RecursionError):
            return None
        step, stamp = event.integer(_STEP), event.number(_WALL_TIME)
        if not scalars or step < 0:
            return None
        logged = {f"{self._prefix}{tag}": value for tag, value in scalars.items()}
        return {"time": stamp if math.isfinite(stamp) else time.time(), "step": step, "log": logged}


def _scalars(summary: Message) -> Iterator[tuple[str, Any]]:
    for value in summary.messages(_VALUE):
        tag = value.text(_TAG)
        if not tag:
            continue
        if value.has(_SIMPLE_VALUE):
            yield tag, value.number(_SIMPLE_VALUE)
        elif value.has(_TENSOR):
            elements = _elements(value.message(_TENSOR))
            if len(elements) == 1:
                yield tag, elements[0]


def _elements(tensor: Message) -> list[float]:
    """Return the elements of a tensor of numbers; nothing for text and whatever else cannot be a scalar."""
    kind, content = tensor.integer(_DTYPE), tensor.raw(_CONTENT)
    if kind == _FLOAT:
        return unpack_floats(content, FIXED32) or tensor.numbers(_FLOATS, FIXED32)
    if kind == _DOUBLE:
        return unpack_floats(content, FIXED64) or tensor.numbers(_DOUBLES, FIXED64)
    if kind not in _LETTERS:
        return []
    letter = _LETTERS[kind]
    if content:
        return [struct.unpack(letter, content)[0]] if len(content) == struct.calcsize(letter) else []
    return list[float](tensor.integers(_INTS if kind == _INT32 else _INT64S))


def _event_files(root: Path) -> Iterator[Path]:
    """Give the event files below a directory; links to directories are not followed, so there is no loop."""
    for count, (directory, subdirectories, names) in enumerate(os.walk(root)):
        if count >= MAX_DIRECTORIES:
            return
        subdirectories.sort()
        yield from (Path(directory, name) for name in sorted(names) if "tfevents" in name)


def _prefix(path: Path, root: Path) -> str:
    below = path.parent.relative_to(root).as_posix()
    return "" if below == "." else f"{below}/"


def _crc_table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE: Final = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """Checksum of TFRecords: CRC-32C, rotated, with a constant added."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
