"""Samplers: what decides the parameters of a sweep's next run. Each imports its heavy libraries when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_sdk.specs.space import grid_faults
from launch_sdk.sweeps.samplers.protocol import METHODS, Goal, Observation, Sampler, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.samplers.optuna_source import OptunaSource

__all__ = ["METHODS", "Goal", "Observation", "Sampler", "Status", "grid_faults", "make_sampler", "sampler_of"]


def sampler_of(spec: SweepSpec, source: OptunaSource | None = None) -> Sampler:
    """Make the sampler of a sweep.

    Args:
        spec: the sweep.
        source: its `optuna_source`, loaded; None if it names none.

    Raises:
        InvalidSpecError: a package that the sampler needs is not installed.
        ValueError: the source was not loaded.
    """
    goal = spec.metric.goal if spec.metric else "minimize"
    if spec.optuna is None:
        return make_sampler(spec.method, goal=goal, seed=spec.seed, shuffle=spec.shuffle)
    if spec.optuna.source is not None and source is None:
        raise ValueError(f"the code {spec.optuna.source} of the sweep must be loaded first")
    from launch_sdk.sweeps.samplers.optuna_search import OptunaSampler

    return OptunaSampler(spec.optuna, goal, spec.seed, source)


def make_sampler(method: str, *, goal: Goal, seed: int, shuffle: bool = False) -> Sampler:
    """Make the sampler of a search method.

    Args:
        method: `grid`, `random`, `bayes` or `tpe`.
        goal: whether a small or a large value of the metric is good; grid and random do not care.
        seed: what every draw is derived from, any integer.
        shuffle: go through a grid in a random order.

    Raises:
        ValueError: there is no such method.
    """
    makers: dict[str, Callable[[], Sampler]] = {
        "grid": lambda: _grid(seed if shuffle else None),
        "random": lambda: _random(seed),
        "bayes": lambda: _bayes(goal, seed),
        "tpe": lambda: _tpe(goal, seed),
    }
    if method not in makers:
        raise ValueError(f"there is no search method {method!r}; there are {', '.join(METHODS)}")
    return makers[method]()


def _grid(shuffle: int | None) -> Sampler:
    from launch_sdk.sweeps.samplers.grid import GridSampler

    return GridSampler(shuffle)


def _random(seed: int) -> Sampler:
    from launch_sdk.sweeps.samplers.random_search import RandomSampler

    return RandomSampler(seed)


def _bayes(goal: Goal, seed: int) -> Sampler:
    from launch_sdk.sweeps.samplers.model_search import bayes_sampler

    return bayes_sampler(goal, seed)


def _tpe(goal: Goal, seed: int) -> Sampler:
    from launch_sdk.sweeps.samplers.model_search import tpe_sampler

    return tpe_sampler(goal, seed)
