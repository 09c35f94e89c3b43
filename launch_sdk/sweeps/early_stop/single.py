"""Rules that look at one run alone: a plateau, a threshold, values that are no numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launch_sdk.sweeps.early_stop.goals import Direction
from launch_sdk.sweeps.early_stop.protocol import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launch_sdk.specs.early_stop_spec import EarlyStopSpec
    from launch_sdk.specs.sweep_spec import Goal
    from launch_sdk.sweeps.curve import Curve
    from launch_sdk.sweeps.early_stop.protocol import History


class SingleRunRule:
    """A rule that needs nothing but the curve of a run."""

    def reason(self, curve: Curve) -> str | None:
        """Say why the run of this curve should end; None if it should not."""
        raise NotImplementedError

    def decide(self, histories: Sequence[History]) -> Iterator[Decision]:
        for history in histories:
            if history.is_active and (reason := self.reason(history.curve)):
                yield Decision(history.run_id, reason)


@dataclass(frozen=True)
class Plateau(SingleRunRule):
    """Ends a run whose last `patience` values are no more than `min_delta` better than the best one before them.

    Attributes:
        direction: which way is better.
        patience: how many values in a row may be no better.
        min_delta: what is no more than this better is no better, in units of the metric.
        min_iter: how many values a run may log before it is judged.
    """

    direction: Direction
    patience: int
    min_delta: float
    min_iter: int

    @classmethod
    def of(cls, spec: EarlyStopSpec, goal: Goal) -> Plateau:
        return cls(Direction(goal), spec["patience"], spec["min_delta"], spec["min_iter"])

    def reason(self, curve: Curve) -> str | None:
        before = curve.count - self.patience
        if before < 1 or curve.count < self.min_iter:
            return None
        best = min(self.direction.costs(curve.until(before)))
        now = min(self.direction.costs(curve.until(curve.count)))
        if best - now > self.min_delta:
            return None
        by = f" by more than {self.min_delta:g}" if self.min_delta else ""
        return f"plateau: no better than {self.direction.value(best):.6g}{by} in the last {self.patience} values"


@dataclass(frozen=True)
class Threshold(SingleRunRule):
    """Ends a run that logs a value worse than a limit, from its `min_iter`-th value on.

    Attributes:
        direction: which way is better.
        limit: the worst value that is good enough, as a cost.
        min_iter: the first value that is looked at, from 1.
    """

    direction: Direction
    limit: float
    min_iter: int

    @classmethod
    def of(cls, spec: EarlyStopSpec, goal: Goal) -> Threshold:
        direction = Direction(goal)
        return cls(direction, direction.cost(spec["worse_than"]), spec["min_iter"])

    def reason(self, curve: Curve) -> str | None:
        for value, number in zip(curve.values, curve.numbers, strict=True):
            cost = self.direction.cost(value)
            if number >= self.min_iter and math.isfinite(value) and cost > self.limit:
                return f"iteration {number}: {self.direction.worse(cost, self.limit)}, the threshold"
        return None


@dataclass(frozen=True)
class NotFinite(SingleRunRule):
    """Ends a run that logs `patience` values in a row that are NaN or infinite.

    Attributes:
        patience: so many in a row.
    """

    patience: int

    @classmethod
    def of(cls, spec: EarlyStopSpec, goal: Goal) -> NotFinite:
        del goal  # neither way is better
        return cls(spec["patience"])

    def reason(self, curve: Curve) -> str | None:
        in_a_row = 0
        for value, number in zip(curve.values, curve.numbers, strict=True):
            in_a_row = 0 if math.isfinite(value) else in_a_row + 1
            if in_a_row == self.patience:
                after = f"{number} values" if number else "no number at all"
                times = f" {in_a_row} times in a row" if in_a_row > 1 else ""
                return f"the metric is {value}{times}, after {after}"
        return None
