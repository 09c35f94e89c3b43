"""The next point by a Gaussian process: efficient global optimisation (Jones, Schonlau and Welch, 1998)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from launch_sdk.sweeps.samplers.improvement import Improvement
from launch_sdk.sweeps.samplers.one_thread import one_thread
from launch_sdk.sweeps.samplers.process import fit
from launch_sdk.sweeps.samplers.proposal import most_promising
from launch_sdk.sweeps.samplers.scales import scales

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MOST_POINTS = 150  # the time of a fit grows with the cube of it
MOST_PENDING = 100  # the latest: thousands of failed runs would take seconds


@dataclass(frozen=True)
class Evidence:
    """What is known when a point is wanted, smaller values being better.

    Attributes:
        points: of shape (runs, axes).
        values: of shape (runs,), finite, at least two.
        pending: the points of runs in flight or without a result, the latest last, of shape (pending, axes).
    """

    points: Array
    values: Array
    pending: Array


@one_thread()
def propose(evidence: Evidence, choices: Sequence[int], seed: int) -> Array:
    """Give the point, of shape (axes,), that promises the largest improvement.

    Args:
        evidence: results and runs in flight.
        choices: the number of choices of each axis, whose points hold the number of the choice; 0 for an ordered axis
            over [0, 1].
        seed: of the search for the largest improvement.

    Raises:
        ValueError: a value is not finite, or the arithmetic breaks down (`numpy.linalg.LinAlgError`).
    """
    if not np.isfinite(evidence.values).all():
        raise ValueError("a Gaussian process needs finite results")
    kept = _most_telling(evidence.values)
    points = evidence.points[kept]
    tried = [(fit(points, one.targets, choices), one) for one in scales(evidence.values[kept])]
    fitted, scaled = min(tried, key=lambda pair: pair[0].loss - pair[1].log_slope)
    improvement = Improvement(fitted.kernel, points, scaled.targets, evidence.pending[-MOST_PENDING:])
    return most_promising(improvement, points, choices, seed)


def _most_telling(values: Array) -> NDArray[np.intp]:
    """Choose the runs to fit: the best half and then the most recent, in their order."""
    if len(values) <= MOST_POINTS:
        return np.arange(len(values))
    best = np.argsort(values, kind="stable")[: MOST_POINTS // 2]
    recent = np.setdiff1d(np.arange(len(values)), best)[-(MOST_POINTS - len(best)) :]
    return np.sort(np.concatenate([best, recent]))
