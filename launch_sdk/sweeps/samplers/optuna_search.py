"""`method: optuna`: any sampler of Optuna's, over the sweep file's parameters or a search space in code."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import BruteForceSampler, GridSampler
from optuna.trial import TrialState

from launch_sdk.errors import Fault, InvalidSpecError, LaunchError
from launch_sdk.specs.optuna_parts import check_packages, make_part
from launch_sdk.specs.optuna_spec import DEFAULT_SAMPLER, GRID, Part
from launch_sdk.sweeps.samplers.define_by_run import FileQuestion, SourceQuestion
from launch_sdk.sweeps.samplers.random_search import seed_of
from launch_sdk.sweeps.samplers.replay import Studies, Told, told_run
from launch_sdk.sweeps.samplers.untried import Levels, TriedPoints, away_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import Trial

    from launch_sdk.specs.optuna_spec import OptunaSpec
    from launch_sdk.specs.space import Space
    from launch_sdk.sweeps.samplers.define_by_run import Question
    from launch_sdk.sweeps.samplers.optuna_source import OptunaSource
    from launch_sdk.sweeps.samplers.protocol import Goal, Observation

_SEEDS = 2**32


@dataclass
class _Asked:
    """A run's parameters as Optuna was asked for them; None if it was not."""

    parameters: Mapping[str, Any]
    answer: tuple[dict[str, Any], dict[str, BaseDistribution]] | None
    told: Told | None = None

    def run(self, observation: Observation) -> Told | None:
        """Give the run as a study is told it; None if a value lies outside what is asked for now."""
        if self.answer is None:
            return None
        state, value = _outcome(observation)
        if self.told is None or (self.told.state, self.told.value) != (state, value):
            try:
                self.told = told_run(observation.index, *self.answer, state, value)
            except ValueError:
                self.answer = None
                return None
        return self.told


class OptunaSampler:
    """Suggests by a sampler of Optuna's.

    The study is made anew from the observations for every suggestion, see `replay`; the draws of a suggestion come from
    the seed and the run's index, whatever seed the sampler itself was given. Runs that ended without a finite result
    are failed trials, runs in flight running ones. A point of a discrete space is suggested once, and there is None
    when all were: in code, all that an exhaustive search of it finds.

    Args:
        spec: the block `optuna` of the sweep.
        goal: whether a small or a large metric is good.
        seed: what every draw is derived from.
        source: the user's file, loaded; None if there is none.

    Raises:
        InvalidSpecError: a package that the sampler needs is not installed.
    """

    def __init__(self, spec: OptunaSpec, goal: Goal, seed: int, source: OptunaSource | None = None) -> None:
        self._part = spec.sampler or Part(DEFAULT_SAMPLER)
        self._goal: Goal = goal
        self._seed = seed
        self._source = source
        self._space: Space | None = None
        self._question: Question | None = None
        self._asked: dict[int, _Asked] = {}
        self._tried = TriedPoints()
        if source is None or source.sampler is None:
            check_packages("sampler", self._part.type, self._part.args)
        before = source.trials if source is not None else ()
        self._studies = Studies(goal, seed, self._make, before)

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        """Suggest nested parameters for run `index`; None when there is nothing left to try.

        Raises:
            InvalidSpecError: the sampler or the user's code fails; it says how.
        """
        question = self._asking(space)
        is_file = isinstance(question, FileQuestion)
        tried = self._tried.of(space, observations) if is_file and space.is_discrete else set[Levels]()
        if is_file and space.levels is not None and len(tried) >= space.levels:
            return None
        try:
            suggested = self._suggest(question, observations, index)
        except LaunchError:
            raise
        except Exception as error:
            raise self._failure(index, error) from error
        if suggested is None or not is_file or not tried:
            return suggested
        return space.nest(away_from(space, space.flatten(suggested), tried))

    def study_of(self, space: Space, observations: Sequence[Observation]) -> Study:
        """Make the study that the next suggestion is asked of, in memory; it is the caller's own.

        Raises:
            InvalidSpecError: the user's code fails.
        """
        return self._studies.study_of(self._told(self._asking(space), observations))

    def _suggest(self, question: Question, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        runs = self._told(question, observations)
        study = self._studies.study_of(runs)
        trial = self._studies.ask(study, index)
        parameters = question.ask(trial)
        if isinstance(study.sampler, GridSampler | BruteForceSampler):
            return None if _has_run(trial, runs) else parameters
        if isinstance(question, FileQuestion) or not _is_repeated(trial, runs):
            return parameters  # of a file's space `suggest` knows what is left
        trial = self._studies.ask(self._studies.with_sampler(runs, _exhaustive()), index)
        parameters = question.ask(trial)
        return None if _is_repeated(trial, runs) else parameters

    def _asking(self, space: Space) -> Question:
        if self._question is None or self._space is not space:
            has_code = self._source is not None and self._source.space is not None
            self._space, self._asked = space, {}
            self._question = (
                SourceQuestion(space, cast("OptunaSource", self._source)) if has_code else FileQuestion(space)
            )
        return self._question

    def _make(self) -> BaseSampler:
        if self._source is not None and self._source.sampler is not None:
            return copy.deepcopy(self._source.sampler)
        args = self._part.args
        if self._part.type == GRID and "search_space" not in args and isinstance(self._question, FileQuestion):
            args = {**args, "search_space": self._question.grid}
        return make_part("sampler", self._part.type, args, seed_of(self._seed) % _SEEDS)

    def _told(self, question: Question, observations: Sequence[Observation]) -> list[Told]:
        told: list[Told] = []
        for one in sorted(observations, key=lambda one: one.index):
            known = self._asked.get(one.index)
            if known is None or known.parameters != one.parameters:
                known = self._asked[one.index] = _Asked(one.parameters, question.asked(one.parameters, one.index))
            if (run := known.run(one)) is not None:
                told.append(run)
        return told

    def _failure(self, index: int, error: Exception) -> InvalidSpecError:
        name = self._part.type
        where = "optuna.sampler"
        if self._source is not None and self._source.sampler is not None:
            name, where = f"the {type(self._source.sampler).__name__} of {self._source.file}", "optuna.optuna_source"
        told = " ".join(str(error).split())
        return InvalidSpecError("The sweep", [Fault(where, f"{name} failed on run {index}: {_type(error)}{told}")])


def _type(error: Exception) -> str:
    return f"{type(error).__name__}: " if str(error) else type(error).__name__


def _outcome(observation: Observation) -> tuple[TrialState, float | None]:
    if observation.status == "running":
        return TrialState.RUNNING, None
    result = observation.result
    return (TrialState.FAIL, None) if result is None else (TrialState.COMPLETE, result)


def _is_repeated(trial: Trial, runs: Sequence[Told]) -> bool:
    """Say whether a run has tried the same point, of a space where that is no chance of rounding."""
    distributions = trial.distributions.values()
    if any(isinstance(one, FloatDistribution) and one.step is None for one in distributions):
        return False
    return _has_run(trial, runs)


def _has_run(trial: Trial, runs: Sequence[Told]) -> bool:
    params, distributions = trial.params, trial.distributions
    kinds = {name for name, one in distributions.items() if isinstance(one, CategoricalDistribution)}
    return any(_is_same(params, run.params, kinds) for run in runs)


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any], categorical: set[str]) -> bool:
    return one.keys() == other.keys() and all(
        value == other[name] and (name not in categorical or type(value) is type(other[name]))
        for name, value in one.items()
    )


def _exhaustive() -> BaseSampler:
    return make_part("sampler", "BruteForceSampler", {}, 0)
