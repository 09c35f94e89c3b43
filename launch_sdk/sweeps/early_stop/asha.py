"""ASHA: successive halving without waiting for one another.

Source of the rule: Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from launch_sdk.specs.early_stop_spec import ascending_bands
from launch_sdk.sweeps.early_stop.goals import Direction
from launch_sdk.sweeps.early_stop.protocol import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launch_sdk.specs.early_stop_spec import EarlyStopSpec
    from launch_sdk.specs.sweep_spec import Goal
    from launch_sdk.sweeps.early_stop.protocol import History


@dataclass(frozen=True)
class Asha:
    """Judges a run once at each rung, at the moment when it gets there, beside those that got there before it.

    It goes on if it is among the best `1 / eta` of them, the best one in any case. The two forms differ as long as
    fewer than `eta` runs have got to a rung:

    * `stopping`: all of these go on, for there is nothing yet to judge them by. Nothing of a good run is lost.
    * `promotion`: only the best so far goes on. In the paper's promotion form a run waits at its rung until it is
      among the best `1 / eta`, and the others wait for good. A program cannot be paused, so what does not earn its
      promotion when it arrives has to end. It saves the most and forgives a bad start the least.

    Attributes:
        direction: which way is better.
        rungs: the iterations at which runs are judged, ascending.
        eta: the share that goes on is `1 / eta`.
        judges_first: whether fewer than `eta` runs are judged: the promotion form.
    """

    direction: Direction
    rungs: tuple[int, ...]
    eta: float
    judges_first: bool

    @classmethod
    def of(cls, spec: EarlyStopSpec, goal: Goal) -> Asha:
        rungs = _rungs(spec["min_iter"], spec["eta"], spec["max_iter"])
        return cls(Direction(goal), rungs, spec["eta"], judges_first=spec["form"] == "promotion")

    def decide(self, histories: Sequence[History]) -> Iterator[Decision]:
        arrivals: dict[int, _Arrivals] = {}
        for history in histories:
            for rung in self.rungs if history.is_active else ():
                if rung > history.curve.count:
                    break
                if rung not in arrivals:
                    arrivals[rung] = _Arrivals(histories, rung, self.direction)
                if reason := self._judge(history, rung, arrivals[rung]):
                    yield Decision(history.run_id, reason)
                    break

    def _judge(self, history: History, rung: int, arrivals: _Arrivals) -> str | None:
        """Say why a run should have ended at a rung; None if it should not."""
        there = arrivals.until(history)
        if len(there) < self.eta and not self.judges_first:
            return None
        good_enough = max(int(len(there) / self.eta), 1)
        cost, limit = float(there[-1]), float(np.partition(there, good_enough - 1)[good_enough - 1])
        if cost <= limit:
            return None
        return f"rung {rung}: {self.direction.worse(cost, limit)}, number {good_enough} of {len(there)}"


class _Arrivals:
    """The runs that have got to a rung, in the order in which they did; the index decides between equals."""

    def __init__(self, histories: Sequence[History], rung: int, direction: Direction) -> None:
        self.rung = rung
        there = [each for each in histories if each.curve.count >= rung]
        rows = sorted((self._key(each), direction.cost(each.curve.at(rung) or 0.0)) for each in there)
        self.keys = [key for key, _ in rows]
        self.costs = np.array([cost for _, cost in rows])

    def until(self, history: History) -> np.ndarray:
        """Return the costs of those that were there when this run came, its own as the last."""
        return self.costs[: bisect_right(self.keys, self._key(history))]

    def _key(self, history: History) -> tuple[float, int]:
        return (history.curve.time_of(self.rung) or 0.0, history.index)


def _rungs(first: int, eta: float, end: int | None) -> tuple[int, ...]:
    return tuple(rung for rung in dict.fromkeys(ascending_bands(first, eta)) if end is None or rung < end)
