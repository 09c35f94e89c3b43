"""Comparing values of a metric whichever way is better, and writing them for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launch_sdk.specs.sweep_spec import Goal
    from launch_sdk.sweeps.curve import Curve


@dataclass(frozen=True)
class Direction:
    """Which way the metric gets better; `cost` is small for what is good, whatever the goal."""

    goal: Goal

    def cost(self, value: float) -> float:
        return value + 0.0 if self.goal == "minimize" else 0.0 - value  # which turns -0.0 into 0.0

    def value(self, cost: float) -> float:
        """Undo `cost`."""
        return self.cost(cost)

    def costs(self, values: Iterable[float]) -> list[float]:
        return [self.cost(value) for value in values]

    def cost_at(self, curve: Curve, number: int) -> float | None:
        """Return the cost of a curve's value of this number; None if there is none yet."""
        value = curve.at(number)
        return None if value is None else self.cost(value)

    def worse(self, cost: float, than: float) -> str:
        """Say that one cost is worse than another, in values of the metric and in as few digits as tell them apart."""
        left, right = self.value(cost), self.value(than)
        digits = next((count for count in range(4, 17) if f"{left:.{count}g}" != f"{right:.{count}g}"), 17)
        return f"{left:.{digits}g} is worse than {right:.{digits}g}"
