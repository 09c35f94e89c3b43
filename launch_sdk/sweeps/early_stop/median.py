"""The median rule.

Source: Golovin et al., "Google Vizier: A Service for Black-Box Optimization" (KDD 2017), section 3.2.2.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launch_sdk.sweeps.early_stop.goals import Direction
from launch_sdk.sweeps.early_stop.protocol import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launch_sdk.specs.early_stop_spec import EarlyStopSpec
    from launch_sdk.specs.sweep_spec import Goal
    from launch_sdk.sweeps.early_stop.protocol import History


@dataclass(frozen=True)
class Median:
    """Ends a run whose best value so far is worse than the median of what the others had on average by then.

    Attributes:
        direction: which way is better.
        min_iter: how many values a run may log before it is judged.
        min_runs: how many other runs must have come as far.
    """

    direction: Direction
    min_iter: int
    min_runs: int

    @classmethod
    def of(cls, spec: EarlyStopSpec, goal: Goal) -> Median:
        return cls(Direction(goal), spec["min_iter"], spec["min_runs"])

    def decide(self, histories: Sequence[History]) -> Iterator[Decision]:
        for history in histories:
            count = history.curve.count
            if not history.is_active or count < self.min_iter or not count:
                continue
            others = [each.curve for each in histories if each is not history and each.curve.count >= count]
            if len(others) < self.min_runs:
                continue
            averages = [sum(values) / len(values) for curve in others for values in [curve.until(count)]]
            limit = statistics.median(self.direction.costs(averages))
            best = min(self.direction.costs(history.curve.until(count)))
            if best > limit:
                said = self.direction.worse(best, limit)
                yield Decision(
                    history.run_id, f"iteration {count}: the best so far, {said}, the median of {len(others)} runs"
                )
