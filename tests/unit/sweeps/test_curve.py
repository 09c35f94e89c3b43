"""What a run has logged of the metric: counting, looking up, leaving out, and the text in which it travels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.sweeps.curve import ALL_UNTIL, Curve, Point

NAN = math.nan


def test_values_that_are_not_finite_are_kept_but_not_counted() -> None:
    curve = Curve.of_values([NAN, 3.0, math.inf, 2.0, NAN])
    assert curve.count == 2
    assert (curve.at(1), curve.at(2), curve.at(3), curve.at(0)) == (3.0, 2.0, None, None)
    assert list(curve.until(2)) == [3.0, 2.0]
    assert list(curve.until(1)) == [3.0]
    assert len(curve) == 5
    assert curve.time_of(2) == 3.0


def test_an_empty_curve_has_nothing() -> None:
    curve = Curve()
    assert (curve.count, curve.at(1), list(curve.until(5)), list(curve)) == (0, None, [], [])
    assert Curve.from_text(curve.to_text()) == curve


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**62), st.floats(), st.integers(0, 2 * 10**12).map(lambda ms: ms / 1000)), max_size=20
    )
)
def test_a_curve_comes_back_from_its_text(rows: list[tuple[int, float, float]]) -> None:
    curve = Curve()
    for row in rows:
        curve.add(*row)
    again = Curve.from_text(curve.to_text())
    assert again == curve
    assert [point.number for point in again] == [point.number for point in curve]
    assert [repr(point.value) for point in again] == [repr(value) for _, value, _ in rows]


@pytest.mark.parametrize("text", ["[]", "{}", "3", "no", '{"numbers":[1],"steps":[],"milliseconds":[],"values":[]}'])
def test_a_text_that_is_no_curve_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Curve.from_text(text)


def test_a_long_run_keeps_every_early_value_and_ever_fewer_of_the_later_ones() -> None:
    curve = Curve()
    for number in range(1, 100_001):
        curve.add(number - 1, float(number), number / 10)
    assert curve.count == 100_000
    assert [curve.at(n) for n in (1, 3, 9, 27, 81, 243, 729, ALL_UNTIL)] == [1, 3, 9, 27, 81, 243, 729, ALL_UNTIL]
    assert curve.at(100_000) == 100_000.0
    assert len(curve) < 2_000
    for number in (ALL_UNTIL + 1, 2187, 6561, 99_999):
        value = curve.at(number)
        assert value is not None
        assert number * (1 - 1 / 128) <= value <= number
    assert len(curve.to_text()) < 64_000
    assert curve == Curve.from_text(curve.to_text())


def test_of_a_run_that_logs_nothing_but_nan_only_the_first_are_kept() -> None:
    curve = Curve.of_values([NAN] * 10_000 + [1.0])
    assert len(curve) < 300
    assert curve.at(1) == 1.0


def test_points_know_their_step_and_time() -> None:
    curve = Curve()
    curve.add(7, 0.5, 12.25)
    assert list(curve) == [Point(7, 0.5, 12.25, 1)]
