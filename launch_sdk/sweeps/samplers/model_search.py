"""Model-based search (`bayes`, `tpe`) through Optuna: our observations become a study, Optuna's answer our parameters.

The only words of Optuna's ("trial", "study") in this library are in this package's three modules that import it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState, create_trial

from launch_sdk.sweeps.samplers.gaussian_process import GaussianProcessSampler, quiet_tpe
from launch_sdk.sweeps.samplers.latent import Latent
from launch_sdk.sweeps.samplers.random_search import RandomSampler, seed_of
from launch_sdk.sweeps.samplers.untried import Levels, away_from, tried_points

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
        imputes: give runs that ended without a finite result the worst one, as the sampler knows no failed runs.
    """

    def __init__(self, goal: Goal, seed: int, make: Callable[[Task], BaseSampler], *, imputes: bool) -> None:
        self._goal: Goal = goal
        self._seed = seed
        self._make = make
        self._imputes = imputes

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        """Suggest the next point; None when every point of a discrete space was tried."""
        tried = tried_points(space, observations) if space.is_discrete else set[Levels]()
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
        failed_value = _worst(space, observations, self._goal) if self._imputes else None
        study.add_trials(list(_trials(space, latents, observations, failed_value)))
        asked = study.ask(distributions).params
        return {path: latents["/".join(path)].decode(asked["/".join(path)]) for path, _ in space.searched}


def _study(goal: Goal, sampler: BaseSampler) -> Study:
    """Make an empty study in memory."""
    return optuna.create_study(storage=optuna.storages.InMemoryStorage(), sampler=sampler, direction=goal)


def _trials(
    space: Space, latents: Mapping[str, Latent], observations: Sequence[Observation], failed_value: float | None
) -> Iterator[FrozenTrial]:
    """Turn the observations inside the space into trials."""
    for observation in sorted(observations, key=lambda one: one.index):
        if not space.contains(observation.parameters):
            continue
        flat = space.flatten(observation.parameters)
        value = _result(observation)
        if value is None and observation.status != "running":
            value = failed_value
        state = TrialState.COMPLETE if value is not None else TrialState.FAIL
        yield create_trial(
            state=TrialState.RUNNING if observation.status == "running" else state,
            value=value,
            params={name: latents[name].encode(flat[tuple(name.split("/"))]) for name in latents},
            distributions={name: latent.distribution for name, latent in latents.items()},
        )


def _worst(space: Space, observations: Sequence[Observation], goal: Goal) -> float | None:
    """Give the worst finite result; W&B gives it to runs that ended without one (`impute: worst`)."""
    results = [_result(one) for one in observations if space.contains(one.parameters)]
    return (min if goal == "maximize" else max)((one for one in results if one is not None), default=None)


def _result(observation: Observation) -> float | None:
    if observation.status != "finished" or observation.value is None or not isfinite(observation.value):
        return None
    return float(observation.value)


def tpe_sampler(goal: Goal, seed: int) -> ModelSampler:
    """Make the sampler of Optuna's tree-structured Parzen estimator."""
    return ModelSampler(goal, seed, _tpe, imputes=True)


def bayes_sampler(goal: Goal, seed: int) -> ModelSampler:
    """Make the sampler of our Gaussian process."""
    return ModelSampler(goal, seed, _gaussian_process, imputes=False)


def _tpe(task: Task) -> BaseSampler:
    return quiet_tpe(task.seed)


def _gaussian_process(task: Task) -> BaseSampler:
    return GaussianProcessSampler(
        seed=task.seed, design_seed=task.design_seed, search_space=dict(task.distributions), number=task.index
    )
