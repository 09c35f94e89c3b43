"""Keep NumPy's linear algebra on one thread for a while.

OpenBLAS starts a thread for each core even for small matrices, and they wait for each other by spinning. Beside
trainings that use every core, a suggestion of 0.2 s took 1.6 to 20 s so. And sums whose order depends on the machine
would make a suggestion depend on it.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy.linalg

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

# NumPy's wheels since 2.0, its earlier ones, and a library of the system.
_NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")


@contextmanager
def one_thread() -> Generator[None]:
    """Limit OpenBLAS to one thread, in the whole process, until the block ends; with another library do nothing.

    Blocks in two threads must not overlap: the later end would restore the 1 that it found.
    """
    controls = thread_controls()
    if controls is None:
        yield
        return
    ask, limit = controls
    before = ask()
    limit(1)
    try:
        yield
    finally:
        limit(before)


@cache
def thread_controls() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Find the functions that give and set OpenBLAS's number of threads; None if NumPy uses another library."""
    module: str | None = getattr(getattr(numpy.linalg, "_umath_linalg", None), "__file__", None)
    if module is None:
        return None
    library = ctypes.CDLL(module)  # a symbol is looked up in what the module is linked to as well
    for name in _NAMES:
        ask, limit = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
        if ask is not None and limit is not None:
            limit.restype = None
            return ask, limit
    return None
