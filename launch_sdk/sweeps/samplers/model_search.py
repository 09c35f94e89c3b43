"""Model-based search (`bayes`, `tpe`) through Optuna: our observations become a study, Optuna's answer our parameters.

The only words of Optuna's ("trial", "study") in this library are in this package's three modules that import it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState, create_trial

from launch_sdk.sweeps.samplers.gaussian_process import GaussianProcessSampler, quiet_tpe
from launch_sdk.sweeps.samplers.latent import Latent
from launch_sdk.sweeps.samplers.random_search import RandomSampler, seed_of
from launch_sdk.sweeps.samplers.surrogate import MOST_PENDING, MOST_POINTS
from launch_sdk.sweeps.samplers.telling import Telling, most_telling
from launch_sdk.sweeps.samplers.untried import Levels, TriedPoints, away_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from launch_sdk.specs.space import ParameterPath, Space
    from launch_sdk.sweeps.samplers.protocol import Goal, Observation

# One line per suggestion would say that a study was created in memory; a sweep has thousands of suggestions.
logging.getLogger("optuna.storages._in_memory").setLevel(logging.WARNING)

_SEEDS = 2**32
# The process takes no more: its time grows with their cube. TPE compares the best 25 at most with all the others, and
# weighs old ones little.
_TOLD_PROCESS = Telling(best=MOST_POINTS // 2, latest=MOST_POINTS - MOST_POINTS // 2, others=MOST_PENDING)
_TOLD_TPE = Telling(best=100, latest=700, others=200)


@dataclass(frozen=True)
class Task:
    """What an Optuna sampler is made for: one suggestion.

    Attributes:
        seed: from the sweep's seed and the run's number, so that each run draws its own.
        design_seed: from the sweep's seed alone, so that the runs share one initial design.
        index: the run's number.
        distributions: what to suggest.
    """

    seed: int
    design_seed: int
    index: int
    distributions: Mapping[str, BaseDistribution]


class ModelSampler:
    """Suggests by an Optuna sampler that is made anew for each suggestion and is told every observation.

    Args:
        goal: whether a small or a large metric is good.
        seed: what every draw is derived from.
        make: makes the sampler; a function of a module, so that this one can be pickled.
        telling: how many runs it is told.
        imputes: give runs that ended without a finite result the worst one, as the sampler knows no failed runs.
    """

    def __init__(
        self, goal: Goal, seed: int, make: Callable[[Task], BaseSampler], telling: Telling, *, imputes: bool
    ) -> None:
        self._goal: Goal = goal
        self._seed = seed
        self._make = make
        self._telling = telling
        self._tried = TriedPoints()
        self._imputes = imputes

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        """Suggest the next point; None when every point of a discrete space was tried."""
        tried = self._tried.of(space, observations) if space.is_discrete else set[Levels]()
        if space.levels is not None and len(tried) >= space.levels:
            return None
        values = {path: distribution.quantile(0.5) for path, distribution in space}
        if space.searched:
            values |= self._ask(space, observations, index)
        suggested = space.nest(away_from(space, values, tried) if tried else values)
        if not space.is_discrete and any(suggested == one.parameters for one in observations):
            return RandomSampler(self._seed).suggest(space, observations, index)  # a second look tells nothing new
        return suggested

    def _ask(self, space: Space, observations: Sequence[Observation], index: int) -> dict[ParameterPath, Any]:
        latents = {"/".join(path): Latent.of(distribution) for path, distribution in space.searched}
        distributions = {name: latent.distribution for name, latent in latents.items()}
        seed = seed_of(self._seed, index) % _SEEDS
        sampler = self._make(Task(seed, seed_of(self._seed) % _SEEDS, index, distributions))
        study = _study(self._goal, sampler)
        told, worst = most_telling(space, observations, self._goal, self._telling)
        study.add_trials(list(_trials(space, latents, told, worst if self._imputes else None)))
        asked = study.ask(distributions).params
        return {path: latents["/".join(path)].decode(asked["/".join(path)]) for path, _ in space.searched}


def _study(goal: Goal, sampler: BaseSampler) -> Study:
    """Make an empty study in memory."""
    return optuna.create_study(storage=optuna.storages.InMemoryStorage(), sampler=sampler, direction=goal)


def _trials(
    space: Space, latents: Mapping[str, Latent], observations: Sequence[Observation], failed_value: float | None
) -> Iterator[FrozenTrial]:
    """Turn observations inside the space into trials."""
    for observation in observations:
        flat = space.flatten(observation.parameters)
        value = observation.result
        if value is None and observation.status != "running":
            value = failed_value
        state = TrialState.COMPLETE if value is not None else TrialState.FAIL
        yield create_trial(
            state=TrialState.RUNNING if observation.status == "running" else state,
            value=value,
            params={name: latents[name].encode(flat[tuple(name.split("/"))]) for name in latents},
            distributions={name: latent.distribution for name, latent in latents.items()},
        )


def tpe_sampler(goal: Goal, seed: int) -> ModelSampler:
    """Make the sampler of Optuna's tree-structured Parzen estimator."""
    return ModelSampler(goal, seed, _tpe, _TOLD_TPE, imputes=True)


def bayes_sampler(goal: Goal, seed: int) -> ModelSampler:
    """Make the sampler of our Gaussian process."""
    return ModelSampler(goal, seed, _gaussian_process, _TOLD_PROCESS, imputes=False)


def _tpe(task: Task) -> BaseSampler:
    return quiet_tpe(task.seed)


def _gaussian_process(task: Task) -> BaseSampler:
    return GaussianProcessSampler(
        seed=task.seed, design_seed=task.design_seed, search_space=dict(task.distributions), number=task.index
    )
