"""The next point by a Gaussian process: egobox's, with the Matern 5/2 kernel and the log expected improvement.

The method is efficient global optimisation (Jones, Schonlau and Welch, 1998) with the logarithm of the improvement
(Ament et al., 2023, https://arxiv.org/abs/2310.20708). Runs in flight enter with what the process predicts for them
(the "kriging believer" of Ginsbourger, Le Riche and Carraro, 2010), though never as better than the best result seen:
a run that is merely believed to be good must not end the search around the one that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import egobox
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MOST_POINTS = 150  # the time of a fit grows with the cube of it: 0.2 s here, 4 s at 500
_MATERN = egobox.CorrelationSpec.MATERN52
_HEAVY_TAIL = 3.5  # skewness, as measured: Branin's results stay below it, and a lower bound costs precision there


@dataclass(frozen=True)
class Evidence:
    """What is known when a point is wanted, smaller values being better.

    Attributes:
        points: of shape (runs, axes).
        values: of shape (runs,), finite, at least two.
        pending: the points of runs in flight, of shape (pending, axes).
    """

    points: Array
    values: Array
    pending: Array


def propose(evidence: Evidence, choices: Sequence[int], seed: int) -> Array:
    """Give the point, of shape (axes,), with the highest log expected improvement.

    Args:
        evidence: results and runs in flight.
        choices: the number of choices of each axis; 0 for an ordered axis over [0, 1].
        seed: of the fit and of the search for the highest improvement.
    """
    kept = _most_telling(evidence.values)
    points, targets = evidence.points[kept], standardised(evidence.values[kept])
    if len(evidence.pending):
        believed = _believed(points, targets, evidence.pending, choices, seed)
        points, targets = np.vstack([points, evidence.pending]), np.concatenate([targets, believed])
    process = egobox.GpConfig(corr_spec=_MATERN)
    optimizer = egobox.Egor(_axes(choices), gp_config=process, seed=seed)
    return np.asarray(optimizer.suggest(points, targets[:, np.newaxis], seed=seed)[0], dtype=np.float64)


def standardised(values: Array) -> Array:
    """Bring results to mean 0 and deviation 1, through a logarithm first if a few are very bad.

    The order is kept. All-equal results become zeros.

    Args:
        values: finite, of shape (runs,).
    """
    scaled = values / max(float(np.abs(values).max()), np.finfo(np.float64).tiny)  # sums of 1e308 overflow
    plain = _unit_deviation(scaled)
    if float(np.mean(plain**3)) <= _HEAVY_TAIL:
        return plain
    above = scaled - scaled.min()
    typical = float(np.median(above))
    return _unit_deviation(np.log1p(above / typical)) if typical > 0 else plain


def _unit_deviation(values: Array) -> Array:
    deviation = float(values.std())
    centred = values - values.mean()
    return centred / deviation if deviation > np.finfo(np.float64).eps else np.zeros_like(values)


def _most_telling(values: Array) -> NDArray[np.intp]:
    """Choose the runs to fit: the best half and then the most recent, in their order."""
    if len(values) <= MOST_POINTS:
        return np.arange(len(values))
    best = np.argsort(values, kind="stable")[: MOST_POINTS // 2]
    recent = np.setdiff1d(np.arange(len(values)), best)[-(MOST_POINTS - len(best)) :]
    return np.sort(np.concatenate([best, recent]))


def _believed(points: Array, targets: Array, pending: Array, choices: Sequence[int], seed: int) -> Array:
    process = egobox.Gpx.builder(corr_spec=_MATERN, seed=seed).fit(one_hot(points, choices), targets)
    predicted = np.asarray(process.predict(one_hot(pending, choices)), dtype=np.float64)
    return np.maximum(predicted, targets.min())


def one_hot(points: Array, choices: Sequence[int]) -> Array:
    """Give each categorical axis a column for each of its choices, 1 for the one taken and 0 for the others.

    `Egor` does so itself; a process fitted by itself panics on the axes of `Egor`.

    Args:
        points: of shape (runs, axes).
        choices: the number of choices of each axis; 0 for an ordered one, which stays one column.
    """
    columns = [
        np.eye(n)[column.astype(np.intp)] if n else column[:, np.newaxis]
        for n, column in zip(choices, points.T, strict=True)
    ]
    return np.hstack(columns)


def _axes(choices: Sequence[int]) -> list[egobox.XSpec]:
    kinds = egobox.XType
    return [egobox.XSpec(kinds.ENUM, [float(n)]) if n else egobox.XSpec(kinds.FLOAT, [0.0, 1.0]) for n in choices]
