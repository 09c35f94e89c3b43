"""Where to go in a discrete space when the point that a model wants was tried already."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.distributions import Categorical

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from launch_sdk.specs.distributions import Distribution
    from launch_sdk.specs.space import ParameterPath, Space
    from launch_sdk.sweeps.samplers.protocol import Observation

Levels = tuple[int, ...]


class TriedPoints:
    """The points of a discrete space that runs have tried, whatever became of them.

    What a run's parameters come to is remembered, since it never changes; the memory only saves time.
    """

    def __init__(self) -> None:
        self._space: Space | None = None
        self._known: dict[int, tuple[Mapping[str, Any], Levels | None]] = {}

    def of(self, space: Space, observations: Sequence[Observation]) -> set[Levels]:
        """Give the points of these runs, without those that lie outside the space."""
        if self._space is not space:
            self._space, self._known = space, {}
        points = [self._point(space, observation) for observation in observations]
        return {point for point in points if point is not None}

    def _point(self, space: Space, observation: Observation) -> Levels | None:
        parameters = observation.parameters
        known = self._known.get(observation.index)
        if known is None or (known[0] is not parameters and known[0] != parameters):
            point = _levels(space, space.flatten(parameters)) if space.contains(parameters) else None
            known = self._known[observation.index] = (parameters, point)
        return known[1]


def away_from(space: Space, values: Mapping[ParameterPath, Any], tried: set[Levels]) -> dict[ParameterPath, Any]:
    """Give the untried point of a discrete space that is nearest to one, itself if it is untried.

    Raises:
        LookupError: every point was tried.
    """
    distributions = [distribution for _, distribution in space]
    levels = nearest_untried(distributions, _levels(space, values), tried)
    return {path: distribution.at_level(level) for (path, distribution), level in zip(space, levels, strict=True)}


def _levels(space: Space, values: Mapping[ParameterPath, Any]) -> Levels:
    return tuple(distribution.level(values[path]) for path, distribution in space)


def nearest_untried(distributions: Sequence[Distribution], start: Levels, tried: Container[Levels]) -> Levels:
    """Find the untried point with the shortest way from `start`, by Dijkstra's algorithm.

    One step changes one parameter: an ordered one by one level, at the cost of 1 / levels; a categorical one to any
    other option, at the cost of 1. Only tried points are passed through, so the work grows with their number and not
    with the space.

    Args:
        distributions: of each parameter, all with a finite number of levels.
        start: the level of each parameter.
        tried: the points that are taken.

    Raises:
        LookupError: every point was tried.
    """
    waiting: list[tuple[float, Levels]] = [(0.0, start)]
    seen = {start}
    while waiting:
        cost, point = heapq.heappop(waiting)
        if point not in tried:
            return point
        for step, neighbour in _neighbours(distributions, point):
            if neighbour not in seen:
                seen.add(neighbour)
                heapq.heappush(waiting, (cost + step, neighbour))
    raise LookupError("every point of the space was tried")


def _neighbours(distributions: Sequence[Distribution], point: Levels) -> Iterator[tuple[float, Levels]]:
    for position, distribution in enumerate(distributions):
        count, level = distribution.levels or 1, point[position]
        if isinstance(distribution, Categorical):
            cost, others = 1.0, [other for other in range(count) if other != level]
        else:
            cost, others = 1 / count, [other for other in (level - 1, level + 1) if 0 <= other < count]
        yield from ((cost, (*point[:position], other, *point[position + 1 :])) for other in others)
