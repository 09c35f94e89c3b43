"""Curve: what one run has logged of the sweep's metric, value by value, and the text in which it travels."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from launch_sdk.tracking.values import dumps, is_object, loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ALL_UNTIL = 1024  # up to here every value is kept
KEPT_PER_DOUBLING = 128  # of the values from n to 2n, beyond that
KEPT_NOT_FINITE = 256
_COLUMNS = ("numbers", "steps", "milliseconds")


class Point(NamedTuple):
    """One logged value of a metric.

    Attributes:
        step: the step that it was logged at.
        value: it may be infinite or NaN.
        time: when it was logged, unix seconds.
        number: how many finite values the run had logged by then, this one included.
    """

    step: int
    value: float
    time: float
    number: int


class Curve:
    """The points of one run in the order in which it logged them.

    A run may log a metric a million times. The first `ALL_UNTIL` finite values are all kept, then every eighth, from
    twice as many on every sixteenth, and so on, and always the last one. What is kept has its true number, so that
    "the value at iteration 81" is exact; "at iteration 100,000" is one at most 1/128 earlier.
    """

    __slots__ = ("_not_finite", "_settled", "numbers", "steps", "times", "values")

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self.numbers = array("q")
        self.steps = array("q")
        self.values = array("d")
        self.times = array("d")
        self._settled = True  # whether the last point stays when the next one comes
        self._not_finite = 0
        for point in points:
            self._put(point)

    @classmethod
    def of_values(cls, values: Iterable[float], times: Sequence[float] = ()) -> Self:
        """Make the curve of a run that logged these values at steps 0, 1, ..., a second apart if not said otherwise."""
        curve = cls()
        for step, value in enumerate(values):
            curve.add(step, value, times[step] if times else float(step))
        return curve

    def add(self, step: int, value: float, time: float) -> None:
        """Take in the next value that the run has logged."""
        finite = math.isfinite(value)
        number = self.count + finite
        if not finite:
            self._not_finite += 1
            if self._not_finite > KEPT_NOT_FINITE:
                return
        if not self._settled:
            for column in (self.numbers, self.steps, self.values, self.times):
                column.pop()
        self._put(Point(step, value, time, number))
        self._settled = not finite or _is_kept(number)

    def _put(self, point: Point) -> None:
        self.steps.append(point.step)
        self.values.append(point.value)
        self.times.append(point.time)
        self.numbers.append(point.number)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Point]:
        return (Point(*row) for row in zip(self.steps, self.values, self.times, self.numbers, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Curve) and self.to_text() == other.to_text()

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"Curve({self.count} values)"

    @property
    def count(self) -> int:
        """How many finite values the run has logged: W&B's iterations."""
        return self.numbers[-1] if self.numbers else 0

    def at(self, number: int) -> float | None:
        """Return the value of this number, from 1; None if the run has not logged so many."""
        position = self._position(number)
        return None if position is None else self.values[position]

    def time_of(self, number: int) -> float | None:
        """Return when the value of this number was logged, unix seconds; None if it was not."""
        position = self._position(number)
        return None if position is None else self.times[position]

    def until(self, number: int) -> Sequence[float]:
        """Return the finite values up to this number."""
        end = bisect_right(self.numbers, number)
        if end and self.numbers[end - 1] == end:
            return self.values[:end]  # all were finite, none was left out
        return [value for value in self.values[:end] if math.isfinite(value)]

    def _position(self, number: int) -> int | None:
        if not 1 <= number <= self.count:
            return None
        position = bisect_left(self.numbers, number)
        if self.numbers[position] > number:  # it was left out: the last one before it
            position -= 1
            while not math.isfinite(self.values[position]):
                position -= 1
        return position

    def to_text(self) -> str:
        """Write it as JSON; about 25 characters a point."""
        columns: dict[str, Any] = {
            "numbers": _steps_between(self.numbers),
            "steps": _steps_between(self.steps),
            "milliseconds": _steps_between([round(time * 1000) for time in self.times]),
            "values": list(self.values),
        }
        return dumps(columns)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote; times come back in whole milliseconds.

        Raises:
            ValueError: it is no such text.
        """
        columns = loads(text)
        if not is_object(columns):
            raise ValueError("a curve is an object of columns")
        try:
            numbers, steps, milliseconds = (list(accumulate(cast("list[int]", columns[name]))) for name in _COLUMNS)
            rows = zip(steps, columns["values"], milliseconds, numbers, strict=True)
            return cls(Point(step, value, time / 1000, number) for step, value, time, number in rows)
        except (KeyError, TypeError) as error:
            raise ValueError(f"a curve cannot be read: {error}") from error


def _is_kept(number: int) -> bool:
    if number <= ALL_UNTIL:
        return True
    return number % (1 << (number.bit_length() - KEPT_PER_DOUBLING.bit_length())) == 0


def _steps_between(values: Sequence[int]) -> list[int]:
    """Give the first value and then the differences, which are short to write."""
    return [*values[:1], *(after - before for before, after in pairwise(values))]
