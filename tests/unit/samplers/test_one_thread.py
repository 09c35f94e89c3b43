"""Linear algebra stays on one thread while a point is sought, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from launch_sdk.sweeps.samplers.one_thread import one_thread, thread_controls

if TYPE_CHECKING:
    from collections.abc import Callable

BLAS = str(np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"])


@pytest.mark.skipif("openblas" not in BLAS, reason="NumPy was built with another library")
def test_openblas_has_one_thread_inside_and_as_many_as_before_after_an_error() -> None:
    controls = thread_controls()
    assert controls is not None
    ask, limit = controls
    at_first = ask()
    try:
        limit(2)
        before = ask()
        with pytest.raises(ZeroDivisionError), one_thread():
            _divide_by_threads_less_one(ask)
        assert ask() == before
    finally:
        limit(at_first)


def _divide_by_threads_less_one(ask: Callable[[], int]) -> float:
    return 1 / (ask() - 1)
