"""When a wanted point is taken, the nearest free one is found."""

from __future__ import annotations

import itertools

import pytest

from launch_sdk.specs.distributions import Categorical, IntUniform
from launch_sdk.sweeps.samplers.untried import nearest_untried

AXES = [IntUniform(0, 9), Categorical(("a", "b", "c")), IntUniform(0, 4)]


def test_a_free_point_is_kept() -> None:
    assert nearest_untried(AXES, (3, 1, 2), set[tuple[int, ...]]()) == (3, 1, 2)


def test_the_cheapest_step_is_taken_first() -> None:
    assert nearest_untried(AXES, (3, 1, 2), {(3, 1, 2)}) in {(2, 1, 2), (4, 1, 2)}
    assert nearest_untried(AXES, (3, 1, 2), {(level, 1, 2) for level in range(2, 5)}) in {
        (3, 1, 1),
        (3, 1, 3),
        (1, 1, 2),
    }


def test_the_very_last_free_point_is_found() -> None:
    everything = set(itertools.product(range(10), range(3), range(5)))
    assert nearest_untried(AXES, (0, 0, 0), everything - {(9, 2, 4)}) == (9, 2, 4)


def test_a_space_without_a_free_point_is_an_error() -> None:
    with pytest.raises(LookupError, match="every point"):
        nearest_untried([IntUniform(0, 1)], (0,), {(0,), (1,)})
