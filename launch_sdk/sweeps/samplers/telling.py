"""Which runs of a long sweep to tell a model: the best ones and the latest, so that a suggestion never takes long."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from launch_sdk.specs.space import Space
    from launch_sdk.sweeps.samplers.protocol import Goal, Observation


@dataclass(frozen=True)
class Telling:
    """How many runs a model is told.

    Attributes:
        best: of the best results.
        latest: of the latest results besides those.
        others: of the latest runs in flight or without a result.
    """

    best: int
    latest: int
    others: int


def result_of(observation: Observation) -> float | None:
    """Give the finite result of a run; None if it has none."""
    if observation.status != "finished" or observation.value is None or not isfinite(observation.value):
        return None
    return float(observation.value)


def most_telling(
    space: Space, observations: Iterable[Observation], goal: Goal, telling: Telling
) -> tuple[list[Observation], float | None]:
    """Choose the runs to tell, all of them inside the space; what is not chosen is hardly looked at.

    Returns:
        The runs in order of their index; and the worst result of all, None if there is none.
    """
    ordered = sorted(observations, key=lambda one: one.index)
    results = [(value, place) for place, one in enumerate(ordered) if (value := result_of(one)) is not None]
    sign = -1.0 if goal == "maximize" else 1.0
    ranked = [place for _, place in sorted(results, key=lambda pair: (sign * pair[0], pair[1]))]
    best = set(_inside(space, ordered, ranked, telling.best))
    latest = (place for _, place in reversed(results) if place not in best)
    with_result = {place for _, place in results}
    others = (place for place in range(len(ordered) - 1, -1, -1) if place not in with_result)
    chosen = best.union(
        _inside(space, ordered, latest, telling.latest), _inside(space, ordered, others, telling.others)
    )
    worst = next(iter(_inside(space, ordered, reversed(ranked), 1)), None)
    return [ordered[place] for place in sorted(chosen)], None if worst is None else result_of(ordered[worst])


def _inside(space: Space, ordered: Sequence[Observation], places: Iterable[int], most: int) -> list[int]:
    """Give the first places whose runs are inside the space, as many as are wanted."""
    return list(islice((place for place in places if space.contains(ordered[place].parameters)), most))
