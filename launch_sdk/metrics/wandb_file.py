"""The transaction log of a W&B run, `run-<id>.wandb`, read while the client writes it.

The file is a LevelDB log: a header of 7 bytes, then blocks of 32 KiB; in them records with a header of their own
(checksum, length, kind), cut into fragments where a block ends. Each record is a protobuf message. The client is
killed like any program, so the file may end anywhere; a part that does not check out is passed over up to the next
block, as LevelDB does.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = b":W&B"
FILE_HEADER: Final = struct.Struct("<4sHB")
MAGIC_NUMBER: Final = 0xBEE1
VERSION: Final = 0
BLOCK_BYTES: Final = 1 << 15
RECORD_HEADER: Final = struct.Struct("<IHB")
MAX_RECORD_BYTES: Final = 64 << 20
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


class LogReader:
    """Takes the bytes of a log as they come and gives its whole records.

    Attributes:
        refused: the bytes are no W&B log, or of a version that is not known; nothing more is read.
        damaged: how many parts did not check out and were passed over.
    """

    def __init__(self) -> None:
        self.refused = False
        self.damaged = 0
        self._pending = bytearray()
        self._start = 0  # where `_pending` begins in the file
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in the next bytes and give the records that they complete."""
        self._pending += data
        if self._start == 0 and not self._read_file_header():
            return
        while (part := self._next_part()) is not None:
            record = self._joined(*part)
            if record is not None:
                yield record

    def _read_file_header(self) -> bool:
        if self.refused or len(self._pending) < FILE_HEADER.size:
            return False
        magic, number, version = FILE_HEADER.unpack_from(self._pending)
        self.refused = (magic, number, version) != (MAGIC, MAGIC_NUMBER, VERSION)
        if self.refused:
            self._pending.clear()
            return False
        self._drop(FILE_HEADER.size)
        return True

    def _next_part(self) -> tuple[int, bytes] | None:
        """Return the kind and the bytes of the next fragment; None until it is there."""
        while True:
            left = BLOCK_BYTES - self._start % BLOCK_BYTES
            if left < RECORD_HEADER.size:  # the rest of a block that holds no header is padding
                if len(self._pending) < left:
                    return None
                self._drop(left)
                continue
            if len(self._pending) < RECORD_HEADER.size:
                return None
            checksum, size, kind = RECORD_HEADER.unpack_from(self._pending)
            fits = FULL <= kind <= LAST and RECORD_HEADER.size + size <= left
            if fits and len(self._pending) < RECORD_HEADER.size + size:
                return None
            body = bytes(self._pending[RECORD_HEADER.size : RECORD_HEADER.size + size]) if fits else b""
            if fits and zlib.crc32(body, zlib.crc32(bytes((kind,)))) == checksum:
                self._drop(RECORD_HEADER.size + size)
                return kind, body
            if len(self._pending) < left:  # perhaps only not written yet; later bytes of the block tell
                return None
            self._pass_over(left)

    def _pass_over(self, size: int) -> None:
        padding = not any(self._pending[: RECORD_HEADER.size])
        self.damaged += 0 if padding else 1
        self._fragments.clear()
        self._drop(size)

    def _joined(self, kind: int, body: bytes) -> bytes | None:
        if kind in {FULL, FIRST}:
            self._fragments, self._fragment_bytes = [], 0
        elif not self._fragments:  # the beginning of it was lost
            return None
        self._fragments.append(body)
        self._fragment_bytes += len(body)
        if self._fragment_bytes > MAX_RECORD_BYTES:
            self.damaged += 1
            self._fragments = []
            return None
        if kind in {FULL, LAST}:
            record = b"".join(self._fragments)
            self._fragments = []
            return record
        return None

    def _drop(self, size: int) -> None:
        del self._pending[:size]
        self._start += size
