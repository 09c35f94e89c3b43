"""Schedulers of the user's own in a test's process: a class speaks with its sweep without a program or a server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import NotFoundError
from launch_sdk.scheduling.desk import Desk
from launch_sdk.sweeps.custom_scheduler import Answerer, CustomScheduler, Message
from launch_sdk.sweeps.deciding import Decider
from launch_sdk.sweeps.prior import PriorRun, observations
from launch_sdk.sweeps.samplers import sampler_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.scheduling.scheduler import Scheduler
    from launch_sdk.sweeps.runs import SweepRun
    from launch_sdk.views import SweepView


class InProcess:
    """Implements `Talk` by a desk in this process; messages go through their text, as between processes."""

    def __init__(self, kind: type[Scheduler]) -> None:
        self.desk = Desk(kind, self._question)
        self.answer: Answerer | None = None

    def _question(self, message: Message) -> Message:
        if self.answer is None:
            raise RuntimeError("nothing is being asked")
        return cast("Message", _through_text(self.answer(_through_text(message))))

    def ask(self, message: Message, answer: Answerer) -> Message:
        self.answer = answer
        return cast("Message", _through_text(self.desk.answer(_through_text(message))))


def _through_text(message: Any) -> Any:
    return json.loads(json.dumps(message, allow_nan=False))


@dataclass
class FakeSchedulers:
    """What drives the sweeps of the server in memory.

    Attributes:
        kinds: the class of each scheduler job, by the job's name.
        at_work: the scheduler of each sweep that is driven now, by the sweep's id.
        states: what the schedulers of sweeps that have ended left, likewise.
    """

    kinds: dict[str, type[Scheduler]] = field(default_factory=dict[str, "type[Scheduler]"])
    at_work: dict[str, CustomScheduler] = field(default_factory=dict[str, CustomScheduler])
    states: dict[str, Any] = field(default_factory=dict[str, Any])

    def decider(self, view: SweepView, runs: Sequence[SweepRun], prior: Sequence[PriorRun]) -> Decider:
        """Give what a sweep decides by.

        Raises:
            NotFoundError: nobody has said which class its scheduler job has.
        """
        sampler = None if view.spec.method == "custom" else sampler_of(view.spec)
        scheduler = self.at_work.get(view.sweep_id)
        if scheduler is None and view.spec.scheduler.job is not None:
            name = view.spec.scheduler.job.partition(":")[0]
            scheduler = CustomScheduler(InProcess(self._kind(name)), name, view.spec, sampler)
            scheduler.open(view.sweep_id, view.document, runs, prior=prior, state=self.states.get(view.sweep_id))
            self.at_work[view.sweep_id] = scheduler
        return Decider(view.spec, sampler, None, scheduler, observations(prior))

    def end(self, sweep_id: str, runs: Sequence[SweepRun]) -> None:
        """Let a sweep's scheduler, if it has one, clean up; what it wants kept is there for a resume."""
        scheduler = self.at_work.pop(sweep_id, None)
        if scheduler is not None:
            scheduler.close(runs)
            self.states[sweep_id] = scheduler.state

    def _kind(self, name: str) -> type[Scheduler]:
        if name not in self.kinds:
            raise NotFoundError(f"Nobody has said which class job {name!r} has: server.add_scheduler(CLASS, {name!r})")
        return self.kinds[name]
