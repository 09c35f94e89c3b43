"""How much of the disk a program's output may take: its beginning and its end; what lies between is given back.

The program writes into the file itself, so nothing can be cut off from it. But the kernel takes back the blocks of a
part of a file: the file keeps its length and its places, and what was in the hole reads as zeros.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 64 << 20
TAIL_BYTES = 64 << 20
STEP_BYTES = 16 << 20  # holes are made in steps, so that a program that prints a lot costs few calls
_BLOCK = 4096
_KEEP_SIZE = 1
_PUNCH_HOLE = 2


def bound(path: Path, read_bytes: int, head: int = HEAD_BYTES, tail: int = TAIL_BYTES, step: int = STEP_BYTES) -> None:
    """Give back what is neither in the first `head` nor in the last `tail` bytes of a file, if it is too large.

    Where the file system cannot do that (NFS before 4.2), the file stays as it is.

    Args:
        path: of a file that others may be appending to.
        read_bytes: what lies behind this is not given back: nobody has read it yet.
        head: how much of its beginning is kept, in bytes.
        tail: how much of its end is kept, in bytes.
        step: how much more may be there before anything is given back, in bytes.
    """
    with contextlib.suppress(OSError):
        facts = path.stat()
        if facts.st_blocks * 512 <= head + tail + step:
            return
        begin = -(-head // _BLOCK) * _BLOCK
        end = min(facts.st_size - tail, read_bytes) // _BLOCK * _BLOCK
        if end > begin:
            _punch(path, begin, end - begin)


def _punch(path: Path, begin: int, length: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        _fallocate()(descriptor, _PUNCH_HOLE | _KEEP_SIZE, begin, length)
    finally:
        os.close(descriptor)


@cache
def _fallocate() -> Any:
    function = ctypes.CDLL(None, use_errno=True).fallocate64
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return function
