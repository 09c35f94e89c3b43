"""Decider: everything that a sweep decides by, put together for `plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launch_sdk.sweeps.early_stop import FirstOf
from launch_sdk.sweeps.planning import Action, Finish, Wish, plan

if TYPE_CHECKING:
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.custom_scheduler import CustomScheduler
    from launch_sdk.sweeps.early_stop import EarlyStop
    from launch_sdk.sweeps.runs import SweepRun
    from launch_sdk.sweeps.samplers import Observation, Sampler


@dataclass(frozen=True)
class Decider:
    """Decides one cycle after the other.

    Attributes:
        spec: the sweep.
        sampler: what chooses parameters, unless a scheduler does.
        early_stop: the rules of the file; None for none.
        scheduler: the user's own, which is asked first; None for none.
        prior: results from before the sweep.
    """

    spec: SweepSpec
    sampler: Sampler | None
    early_stop: EarlyStop | None = None
    scheduler: CustomScheduler | None = None
    prior: Sequence[Observation] = ()

    def actions(self, runs: Sequence[SweepRun], *, wish: Wish | None = None, now: float | None = None) -> list[Action]:
        """Decide what to do next; see `plan`. It may take as long as the scheduler does: call it in a thread.

        Args:
            runs: every run of the sweep, all attempts.
            wish: what the sweep's user wants of it.
            now: unix seconds.
        """
        scheduler = self.scheduler
        if scheduler is None:
            return self._plan(runs, wish, now, None)
        scheduler.poll(runs)
        before = scheduler.closing
        actions = self._plan(runs, wish, now, before)
        if before is None and scheduler.closing and any(isinstance(action, Finish) for action in actions):
            return [scheduler.closing]  # it has said so while it was asked for a run
        return actions

    def _plan(
        self, runs: Sequence[SweepRun], wish: Wish | None, now: float | None, closing: Finish | None
    ) -> list[Action]:
        sampler = self.scheduler or self.sampler
        if sampler is None:
            raise RuntimeError("a sweep of method custom needs its scheduler")
        rules = tuple(rule for rule in (self.early_stop, self.scheduler) if rule is not None)
        early_stop = FirstOf(rules) if rules else None
        return plan(self.spec, runs, sampler, early_stop, wish=wish, prior=self.prior, now=now, closing=closing)
