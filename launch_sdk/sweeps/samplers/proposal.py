"""Where the promised improvement is highest: many points are looked at, the best few are followed uphill.

Far from every result the process knows nothing and promises much, and the more runs are in flight, the more of them
would go there. So about two of them may go anywhere, and the others stay near the best result, in a box that shrinks as
results come in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from launch_sdk.sweeps.samplers.quasi_newton import Box, minimise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from launch_sdk.sweeps.samplers.improvement import Improvement

    Array = NDArray[np.float64]

_ROAMING = 2  # runs in flight that may be anywhere
_MOST_NEARBY = 0.8  # of the points: runs that have failed look like runs in flight, and there may be many
_REACH = 2.5  # how far the others are from the best result, divided by the number of results; the cube's sides are 1
_ANYWHERE = 600
_AROUND = 30  # points around each of the best results at each distance
_CENTRES = 4
_DISTANCES = (0.1, 0.02, 0.002)
_CLIMBS = 6
_STEPS = 40


def most_promising(improvement: Improvement, points: Array, choices: Sequence[int], seed: int) -> Array:
    """Find the point, of shape (axes,), with the highest improvement, anywhere or near the best result.

    Args:
        improvement: what to maximise.
        points: those with results, of shape (runs, axes); the search looks around the best of them.
        choices: the number of choices of each axis; 0 for an ordered one over [0, 1].
        seed: of where to look.
    """
    rng, counts = np.random.default_rng(seed), np.array(choices)
    centres = points[np.argsort(improvement.expected, kind="stable")[:_CENTRES]]
    nearby = min(improvement.pending / (improvement.pending + _ROAMING), _MOST_NEARBY)
    reach = _REACH / len(points) if rng.random() < nearby else 1.0
    box = _box(centres[0], reach, counts)
    around = [_near(centre, distance, counts, box, rng) for centre in centres for distance in _DISTANCES]
    candidates = np.vstack([_anywhere(_ANYWHERE, counts, box, rng), *around])
    promise = improvement.values(candidates)
    best = np.argsort(-promise, kind="stable")[: _CLIMBS // 2]
    elsewhere = np.argsort(-promise[:_ANYWHERE], kind="stable")[: _CLIMBS - len(best)]
    tops = [_climb(improvement, candidates[one], counts == 0, box) for one in dict.fromkeys([*best, *elsewhere])]
    return min(tops, key=lambda top: top[1])[0]


def _box(centre: Array, reach: float, counts: NDArray[np.int_]) -> Box:
    """Bound the ordered axes around a point; of a categorical one every choice stays."""
    low, high = np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)
    return Box(np.where(counts > 0, 0.0, low), np.where(counts > 0, 1.0, high))


def _anywhere(number: int, counts: NDArray[np.int_], box: Box, rng: np.random.Generator) -> Array:
    uniform = box.low + rng.random((number, len(counts))) * (box.high - box.low)
    return np.where(counts > 0, np.floor(uniform * np.maximum(counts, 1)), uniform)


def _near(centre: Array, distance: float, counts: NDArray[np.int_], box: Box, rng: np.random.Generator) -> Array:
    """Change some coordinates of a point: all ordered ones in half of the copies, one or two others in each."""
    shape = (_AROUND, len(counts))
    some = rng.random(shape) < 1.5 / len(counts)
    moved = some | (rng.random((_AROUND, 1)) < 0.5)  # noqa: PLR2004  # half of them
    ordered = np.clip(centre + distance * moved * rng.standard_normal(shape), box.low, box.high)
    drawn = _anywhere(_AROUND, counts, box, rng)
    return np.where(counts > 0, np.where(some, drawn, centre), ordered)


def _climb(improvement: Improvement, start: Array, ordered: NDArray[np.bool_], box: Box) -> tuple[Array, float]:
    """Follow the slope along the ordered axes inside a box; give the top and its loss."""

    def loss(coordinates: Array) -> tuple[float, Array]:
        point = start.copy()
        point[ordered] = coordinates
        value, gradient = improvement.loss(point)
        return value, gradient[ordered]

    if not ordered.any():
        return start, improvement.loss(start)[0]
    found, value = minimise(loss, start[ordered], Box(box.low[ordered], box.high[ordered]), _STEPS)
    top = start.copy()
    top[ordered] = found
    return top, value
