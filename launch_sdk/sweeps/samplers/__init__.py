"""Samplers: what decides the parameters of a sweep's next run. Each imports its heavy libraries when it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_sdk.specs.space import grid_faults
from launch_sdk.sweeps.samplers.protocol import METHODS, Goal, Observation, Sampler, Status

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["METHODS", "Goal", "Observation", "Sampler", "Status", "grid_faults", "make_sampler"]


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
