"""W&B's hyperband: at certain iterations a run must be among the best of those that came as far.

Source of the rule: `wandb/sweeps`, `hyperband_stopping.py` (MIT), whose decisions it gives on every history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launch_sdk.specs.early_stop_spec import hyperband_bands
from launch_sdk.sweeps.early_stop.goals import Direction
from launch_sdk.sweeps.early_stop.protocol import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launch_sdk.specs.early_stop_spec import EarlyStopSpec
    from launch_sdk.specs.sweep_spec import Goal
    from launch_sdk.sweeps.curve import Curve
    from launch_sdk.sweeps.early_stop.protocol import History


@dataclass(frozen=True)
class Hyperband:
    """Ends a run that is worse than about the best `1 / eta` of all runs at the last band that it has reached.

    Attributes:
        direction: which way is better.
        bands: the iterations at which runs are compared, ascending.
        eta: of `n` runs that reached a band, `int(n / eta) + 1` are good enough.
        strict: compare the value at the band; else the best value so far.
    """

    direction: Direction
    bands: tuple[int, ...]
    eta: float
    strict: bool

    @classmethod
    def of(cls, spec: EarlyStopSpec, goal: Goal) -> Hyperband:
        return cls(Direction(goal), tuple(hyperband_bands(spec.options)), spec["eta"], spec["strict"])

    def decide(self, histories: Sequence[History]) -> Iterator[Decision]:
        thresholds: dict[int, float] = {}
        for history in histories:
            band = self._band(history.curve) if history.is_active else None
            if band is None:
                continue
            if band not in thresholds:
                thresholds[band] = self._threshold(histories, band)
            cost = self._cost(history.curve, band)
            if cost > thresholds[band]:
                what = "" if self.strict else "the best so far, "
                said = self.direction.worse(cost, thresholds[band])
                yield Decision(history.run_id, f"band {band}: {what}{said}")

    def _band(self, curve: Curve) -> int | None:
        """Return the largest band that a run has reached."""
        return max((band for band in self.bands if band <= curve.count), default=None)

    def _cost(self, curve: Curve, band: int) -> float:
        if self.strict:
            return self.direction.cost_at(curve, band) or 0.0
        return min(self.direction.costs(curve.until(curve.count)))

    def _threshold(self, histories: Sequence[History], band: int) -> float:
        there = (self.direction.cost_at(history.curve, band) for history in histories)
        costs = sorted(cost for cost in there if cost is not None)
        return costs[int(1.0 / self.eta * len(costs))]  # in W&B's order of operations: it rounds the same way
