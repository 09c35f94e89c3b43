"""A study made anew from what is known of a sweep's runs: nothing that a sampler has written down is kept anywhere.

Most of Optuna's samplers need to be told the runs and their results only. Others (CMA-ES, genetic ones, quasi-Monte
Carlo, the grid) leave notes in the study as they suggest: which generation a run is of, the state of an optimiser. For
these every run is suggested again, in order, with the seed that it had; what it came to is put in the suggestion's
place. One at a time that gives the very notes that there were. With runs in flight a suggestion was made without
results that are known now, so that a run may count for a later generation than it did; it is the same in any process.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    GPSampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import TrialState, create_trial

from launch_sdk.sweeps.samplers.random_search import seed_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from launch_sdk.sweeps.samplers.protocol import Goal

# One line per suggestion would say that a study was created in memory; a sweep has thousands of suggestions.
logging.getLogger("optuna.storages._in_memory").setLevel(logging.WARNING)

_SEEDS = 2**32
_LEAVE_NO_NOTES = (TPESampler, GPSampler, RandomSampler, BruteForceSampler)


@dataclass(frozen=True)
class Told:
    """A run as a study is told it.

    Attributes:
        index: its number in the sweep, from 0; below 0 from before it.
        params: Optuna's values of its parameters.
        distributions: of each of them.
        state: `RUNNING`, `COMPLETE` or `FAIL`.
        value: its result, if it is complete.
        trial: the same as a trial.
    """

    index: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    state: TrialState
    value: float | None
    trial: FrozenTrial = field(compare=False)


def told_run(
    index: int,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    state: TrialState,
    value: float | None,
) -> Told:
    """Make a run as a study is told it.

    Raises:
        ValueError: a value is outside its distribution.
    """
    trial = create_trial(state=state, value=value, params=params, distributions=distributions)
    return Told(index, params, distributions, state, value, trial)


class Studies:
    """Makes studies of what is known.

    What the leading runs that have ended left behind is remembered, for it will not change; the memory only saves time.

    Args:
        goal: whether a small or a large value is good.
        seed: what every draw is derived from.
        make: makes a fresh sampler, with `seed` for all that its constructor draws.
        before: trials from before the sweep.
    """

    def __init__(
        self, goal: Goal, seed: int, make: Callable[[], BaseSampler], before: Sequence[FrozenTrial] = ()
    ) -> None:
        self._goal: Goal = goal
        self._seed = seed
        self._make = make
        self._before = list(before)
        self._runs: list[Told] = []
        self._trials: list[FrozenTrial] = []
        self._notes: dict[str, Any] = {}

    def study_of(self, runs: Sequence[Told]) -> Study:
        """Make a study that knows these runs, in order of their index."""
        sampler = self._make()
        if _leaves_no_notes(sampler):
            study = self._study(sampler)
            study.add_trials([*self._before, *(run.trial for run in runs)])
            return study
        return self._replayed(sampler, list(runs))

    def ask(self, study: Study, index: int) -> Trial:
        """Begin the trial of run `index`: its draws come from the seed and the index alone."""
        _reseed(study.sampler, seed_of(self._seed, index))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return study.ask()

    def with_sampler(self, runs: Sequence[Told], sampler: BaseSampler) -> Study:
        """Make a study that knows these runs, for another sampler, which leaves no notes."""
        study = self._study(sampler)
        study.add_trials([*self._before, *(run.trial for run in runs)])
        return study

    def _study(self, sampler: BaseSampler) -> Study:
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, study_name="sweep", sampler=sampler, direction=self._goal)
        study.stop = _nothing  # a sampler that has had enough says so outside of Optuna's own loop too
        return study

    def _replayed(self, sampler: BaseSampler, runs: list[Told]) -> Study:
        study = self._study(sampler)
        storage, study_id = _storage_of(study)
        is_optunas = type(sampler).__module__.startswith("optuna.")  # somebody else's may keep notes in itself
        known = len(self._runs) if is_optunas and runs[: len(self._runs)] == self._runs else 0
        study.add_trials([*self._before, *self._trials[:known]])
        for key, value in self._notes.items() if known else ():
            storage.set_study_system_attr(study_id, key, value)
        is_settled = True
        for place, run in enumerate(runs[known:], start=known):
            self._replay(study, run)
            is_settled = is_settled and run.state.is_finished()
            if is_settled:
                self._runs = runs[: place + 1]
                self._notes = dict(storage.get_study_system_attrs(study_id))
        self._trials = study.get_trials(deepcopy=False)[len(self._before) :][: len(self._runs)]
        return study

    def _replay(self, study: Study, run: Told) -> None:
        storage, study_id = _storage_of(study)
        trial = self.ask(study, run.index)
        _ = trial.relative_params  # the sampler suggests, and writes down what it goes by
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        for name, distribution in run.distributions.items():
            storage.set_trial_param(trial_id, name, distribution.to_internal_repr(run.params[name]), distribution)
        if run.state.is_finished():
            study.tell(trial.number, run.value, run.state)


def _storage_of(study: Study) -> tuple[Any, int]:
    storage: Any = study._storage  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it has no other name
    return storage, storage.get_study_id_from_name(study.study_name)


def _nothing() -> None:
    """Do nothing."""


def _leaves_no_notes(sampler: BaseSampler) -> bool:
    if isinstance(sampler, PartialFixedSampler):
        return all(_leaves_no_notes(one) for one in vars(sampler).values() if isinstance(one, BaseSampler))
    return isinstance(sampler, _LEAVE_NO_NOTES)


def _reseed(sampler: BaseSampler, seed: int) -> None:
    """Give everything in a sampler that draws at random a seed of its own."""
    for place, state in enumerate(_random_states(sampler, set())):
        one = seed_of(seed, place) % _SEEDS
        if isinstance(state, np.random.Generator):
            state.bit_generator.state = type(state.bit_generator)(one).state
        else:
            state.seed(one)


def _random_states(holder: Any, seen: set[int]) -> Iterator[np.random.RandomState | np.random.Generator]:
    """Find the sources of randomness in a sampler and in what it is made of, in the order of its attributes."""
    if id(holder) in seen:
        return
    seen.add(id(holder))
    rng = getattr(holder, "rng", None) if type(holder).__name__ == "LazyRandomState" else holder
    if isinstance(rng, np.random.RandomState | np.random.Generator):
        yield rng
    elif isinstance(holder, BaseSampler) or type(holder).__module__.startswith("optuna.samplers"):
        for value in vars(holder).values() if hasattr(holder, "__dict__") else ():
            yield from _random_states(value, seen)
