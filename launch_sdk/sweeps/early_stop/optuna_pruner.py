"""Any pruner of Optuna's as a rule: what the runs logged is told to it again, in the order in which it happened."""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.pruners import make_pruner
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.early_stop.protocol import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from optuna.pruners import BasePruner

    from launch_sdk.specs.early_stop_spec import EarlyStopSpec
    from launch_sdk.specs.sweep_spec import Goal
    from launch_sdk.sweeps.early_stop.protocol import History


_log = logging.getLogger("launch_sdk.sweeps")


@dataclass(frozen=True)
class _Event:
    """Something that became known of a run; the fields in order decide which came first."""

    time: float
    index: int
    step: int  # how many values the run had logged, from 1
    value: float | None  # None: the run ended


@dataclass(frozen=True)
class OptunaPruner:
    """Asks a pruner after each value of each active run, in a study in memory that lives for one decision.

    A step of Optuna's is the number of the logged value, from 1. A run that finished is a complete trial, one that was
    ended early a pruned one.

    Attributes:
        pruner: name of the class.
        args: its arguments.
        goal: whether a small or a large value is good.
    """

    pruner: str
    args: Mapping[str, Any]
    goal: Goal

    @classmethod
    def of(cls, spec: EarlyStopSpec, goal: Goal) -> OptunaPruner:
        return cls(spec["pruner"], spec["args"] or {}, goal)

    def decide(self, histories: Sequence[History]) -> Iterator[Decision]:
        pruner = make_pruner(self.pruner, self.args)
        return _decisions(pruner, histories, self.goal, asks_all=_leaves_marks(pruner))


@dataclass(frozen=True)
class OwnPruner:
    """Asks a pruner that code of the user's has made, and ends nothing if it fails: a mistake must not cost a run.

    Attributes:
        pruner: a fresh copy of it is asked each time.
        goal: whether a small or a large value is good.
    """

    pruner: BasePruner
    goal: Goal

    def decide(self, histories: Sequence[History]) -> list[Decision]:
        try:
            return list(_decisions(copy.deepcopy(self.pruner), histories, self.goal, asks_all=True))
        except Exception as error:  # noqa: BLE001  # whatever the user's code does
            name = type(self.pruner).__name__
            _log.warning("%s failed and ended no run: %s: %s", name, type(error).__name__, error)
            return []


def _decisions(pruner: BasePruner, histories: Sequence[History], goal: Goal, *, asks_all: bool) -> Iterator[Decision]:
    """Tell a pruner what happened, in order, and ask it about each active run after each of its values.

    Args:
        pruner: a fresh one.
        histories: of every run.
        goal: whether a small or a large value is good.
        asks_all: ask it about runs that have ended too, for what it writes down then.
    """
    name = type(pruner).__name__
    replay = _Replay(goal, pruner)
    runs = sorted(histories, key=lambda history: history.index)
    for history in runs:
        replay.begin(history)
    pruned: set[int] = set()
    for event in sorted((event for run in runs for event in _events(run)), key=_order):
        run = replay.runs[event.index]
        if event.value is None:
            replay.end(run)
            continue
        replay.report(event)
        if event.index in pruned or not (run.is_active or asks_all):
            continue
        if replay.asks(event) and run.is_active:
            pruned.add(event.index)
            yield Decision(run.run_id, f"{name}: pruned at iteration {event.step} with {event.value:.6g}")


class _Replay:
    """A study to which the runs are told."""

    def __init__(self, goal: Goal, pruner: BasePruner) -> None:
        import optuna

        logging.getLogger("optuna.storages._in_memory").setLevel(logging.WARNING)  # that a study begins is no news
        name = "sweep"  # HyperbandPruner goes by it
        self.storage = optuna.storages.InMemoryStorage()
        self.study = optuna.create_study(storage=self.storage, study_name=name, direction=goal, pruner=pruner)
        self.study_id = self.storage.get_study_id_from_name(name)
        self.pruner = pruner
        self.runs: dict[int, History] = {}
        self.trials: dict[int, int] = {}

    def begin(self, run: History) -> None:
        self.runs[run.index] = run
        self.trials[run.index] = self.storage.create_new_trial(self.study_id)

    def report(self, event: _Event) -> None:
        self.storage.set_trial_intermediate_value(self.trials[event.index], event.step, cast("float", event.value))

    def asks(self, event: _Event) -> bool:
        """Ask the pruner about a run, as of now."""
        return self.pruner.prune(self.study, self.storage.get_trial(self.trials[event.index]))

    def end(self, run: History) -> None:
        from optuna.trial import TrialState

        values = run.values
        state = TrialState.PRUNED if run.state is RunState.STOPPED else TrialState.FAIL
        if run.state is RunState.FINISHED and values:
            state = TrialState.COMPLETE
        result = [values[-1]] if state is TrialState.COMPLETE else None
        self.storage.set_trial_state_values(self.trials[run.index], state, result)


def _leaves_marks(pruner: BasePruner) -> bool:
    """Say whether a pruner writes down, when it is asked about a run, what it goes by when asked about others."""
    from optuna.pruners import HyperbandPruner, PatientPruner, SuccessiveHalvingPruner

    if isinstance(pruner, PatientPruner):
        inner = pruner._wrapped_pruner  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it has no other name
        return inner is not None and _leaves_marks(inner)
    return isinstance(pruner, HyperbandPruner | SuccessiveHalvingPruner)


def _events(run: History) -> Iterator[_Event]:
    time, step = 0.0, 0
    not_finite = 0
    for point in run.curve:
        not_finite += not math.isfinite(point.value)
        time, step = point.time, point.number + not_finite
        yield _Event(time, run.index, step, point.value)
    if run.state.is_terminal:
        yield _Event(max(run.ended or time, time), run.index, step + 1, None)


def _order(event: _Event) -> tuple[float, int, int]:
    return (event.time, event.index, event.step)
