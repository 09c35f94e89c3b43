"""Just enough of the protobuf wire format to read other programs' files: fields by their numbers, no schema.

The format is described at https://protobuf.dev/programming-guides/encoding. What is read here was written by programs
that may be killed at any moment, or mean harm: every length is checked, and whatever does not fit is
a `MalformedError`.
"""

from __future__ import annotations

import struct
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
MAX_VARINT_BYTES: Final = 10
_FIXED_SIZES: Final = {FIXED64: 8, FIXED32: 4}
_U64: Final = (1 << 64) - 1


class MalformedError(ValueError):
    """The bytes are no message."""


class Message:
    """The fields of one message. Asking for a field that is not there gives the format's default, as protobuf does.

    A field of another wire type than the one asked for counts as absent, so a hostile file has nothing to confuse.
    """

    __slots__ = ("_fields", "_numbers")

    def __init__(self, data: bytes) -> None:
        """Split a message into its fields.

        Raises:
            MalformedError: the bytes are no message.
        """
        self._fields: dict[tuple[int, int], list[bytes | int]] = {}
        at = 0
        while at < len(data):
            tag, at = read_varint(data, at)
            number, kind = tag >> 3, tag & 7
            value, at = _read_value(data, at, kind)
            self._fields.setdefault((number, kind), []).append(value)
        self._numbers = {number for number, _ in self._fields}

    def has(self, number: int) -> bool:
        return number in self._numbers

    def raw(self, number: int) -> bytes:
        """Return the last value of a field of bytes; empty if there is none."""
        values = self.raws(number)
        return values[-1] if values else b""

    def raws(self, number: int) -> list[bytes]:
        """Return every value of a field of bytes."""
        return [value for value in self._fields.get((number, BYTES), ()) if isinstance(value, bytes)]

    def text(self, number: int) -> str:
        return self.raw(number).decode("utf-8", "replace")

    def texts(self, number: int) -> list[str]:
        return [value.decode("utf-8", "replace") for value in self.raws(number)]

    def message(self, number: int) -> Message:
        """Return a field that is itself a message; an empty one if it is not there.

        Raises:
            MalformedError: its bytes are no message.
        """
        return Message(self.raw(number))

    def messages(self, number: int) -> list[Message]:
        return [Message(value) for value in self.raws(number)]

    def integer(self, number: int) -> int:
        """Return an int32 or int64 field (two's complement); 0 if it is not there."""
        values = self._fields.get((number, VARINT))
        value = values[-1] if values else 0
        return as_signed(value) if isinstance(value, int) else 0

    def zigzag(self, number: int) -> int:
        """Return an sint64 field; 0 if it is not there."""
        coded = self.integer(number) & _U64
        return (coded >> 1) ^ -(coded & 1)

    def integers(self, number: int) -> list[int]:
        """Return a repeated integer field, packed or not."""
        values = [as_signed(value) for value in self._fields.get((number, VARINT), ()) if isinstance(value, int)]
        for packed in self.raws(number):
            at = 0
            while at < len(packed):
                value, at = read_varint(packed, at)
                values.append(as_signed(value))
        return values

    def number(self, number: int) -> float:
        """Return a double or float field; 0.0 if it is not there."""
        values = self.numbers(number, FIXED64) or self.numbers(number, FIXED32)
        return values[-1] if values else 0.0

    def numbers(self, number: int, kind: int) -> list[float]:
        """Return a repeated double (`FIXED64`) or float (`FIXED32`) field, packed or not."""
        single = [value for value in self._fields.get((number, kind), ()) if isinstance(value, bytes)]
        return unpack_floats(b"".join([*single, *self.raws(number)]), kind)


def unpack_floats(data: bytes, kind: int) -> list[float]:
    """Unpack little-endian doubles or floats; a remainder that is no whole one is left out."""
    size, letter = (8, "d") if kind == FIXED64 else (4, "f")
    count = len(data) // size
    return list(struct.unpack(f"<{count}{letter}", data[: count * size]))


def as_signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned integer of variable length and return it with the place behind it.

    Raises:
        MalformedError: it has no end, or is longer than 64 bits can be.
    """
    value = shift = 0
    for place in range(at, min(at + MAX_VARINT_BYTES, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the top bit says that more follow
            return value & _U64, place + 1
        shift += 7
    raise MalformedError("a number has no end")


def _read_value(data: bytes, at: int, kind: int) -> tuple[bytes | int, int]:
    if kind == VARINT:
        return read_varint(data, at)
    if kind == BYTES:
        size, at = read_varint(data, at)
    elif kind in _FIXED_SIZES:
        size = _FIXED_SIZES[kind]
    else:
        raise MalformedError(f"wire type {kind} is not in use")
    if size > len(data) - at:
        raise MalformedError("a field is longer than its message")
    return data[at : at + size], at + size
