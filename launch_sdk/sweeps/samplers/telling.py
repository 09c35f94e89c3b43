"""Which runs of a long sweep to tell a model: the best ones and the latest, so that a suggestion never takes long."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

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


def most_telling(
    space: Space, observations: Iterable[Observation], goal: Goal, telling: Telling
) -> tuple[list[Observation], float | None]:
    """Choose the runs to tell, all of them inside the space; what is not chosen is hardly looked at.

    Returns:
        The runs in order of their index; and the worst result of all, None if there is none.
    """
    ordered = sorted(observations, key=lambda one: one.index)
    with_result = [place for place, one in enumerate(ordered) if one.result is not None]
    values = np.array([ordered[place].result for place in with_result], dtype=np.float64)
    order: list[int] = np.argsort(-values if goal == "maximize" else values, kind="stable").tolist()
    ranked = [with_result[one] for one in order]
    best = set(_inside(space, ordered, ranked, telling.best))
    latest = (place for place in reversed(with_result) if place not in best)
    others = (place for place in range(len(ordered) - 1, -1, -1) if ordered[place].result is None)
    chosen = best.union(
        _inside(space, ordered, latest, telling.latest), _inside(space, ordered, others, telling.others)
    )
    worst = next(iter(_inside(space, ordered, reversed(ranked), 1)), None)
    return [ordered[place] for place in sorted(chosen)], None if worst is None else ordered[worst].result


def _inside(space: Space, ordered: Sequence[Observation], places: Iterable[int], most: int) -> list[int]:
    """Give the first places whose runs are inside the space, as many as are wanted."""
    return list(islice((place for place in places if space.contains(ordered[place].parameters)), most))
