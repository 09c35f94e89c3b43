"""Where to go in a discrete space when the point that a model wants was tried already."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from launch_sdk.specs.distributions import Categorical

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from launch_sdk.specs.distributions import Distribution

Levels = tuple[int, ...]


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
