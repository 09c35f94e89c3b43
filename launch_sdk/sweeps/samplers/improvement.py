"""The expected improvement that a point promises, in logarithms, whatever the runs in flight will give.

The improvement is over the lowest expected result, not the lowest result: with noise, a lucky run is no goal. Its
logarithm has a slope even where the improvement is too small for a float (Ament et al., 2023,
https://arxiv.org/abs/2310.20708). Runs in flight are given results drawn from the process, many times over, and the
improvement is the mean over the draws (Snoek, Larochelle and Adams, 2012, section 3.2): where a run is under way there
is little left to gain, and what it may find is reckoned with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from launch_sdk.sweeps.samplers.process import constant_mean, whitener

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from launch_sdk.sweeps.samplers.process import Kernel

    Array = NDArray[np.float64]

_DRAWS = 16  # and as many with the opposite sign
_LEAST_VARIANCE = 1e-16  # of the scale
_FAR = -25.0  # where the asymptotic series is exact and the formula is not

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


class Improvement:
    """The logarithm of the expected improvement as a function of a point.

    Args:
        kernel: of the process.
        points: with results, of shape (runs, axes).
        targets: the results, of shape (runs,); smaller is better.
        pending: the points in flight, of shape (pending, axes).
        seed: of the draws.

    Attributes:
        expected: the expected results at `points`, of shape (runs,).
        pending: the number of points in flight.
    """

    def __init__(self, kernel: Kernel, points: Array, targets: Array, pending: Array, seed: int) -> None:
        self._kernel = kernel
        self.pending = len(pending)
        whiten = whitener(kernel.among(points, len(points)))
        self._mean = constant_mean(whiten, targets)
        pull = whiten.T @ (whiten @ (targets - self._mean))
        self.expected: Array = self._mean + kernel.covariance(points, points) @ pull
        drawn = self._draw(points, whiten, pull, pending, seed) if len(pending) else np.empty((0, 1))
        self._points = np.vstack([points, pending])
        self._best: Array = np.minimum(self.expected.min(), drawn.min(axis=0, initial=np.inf))
        results = np.vstack([np.tile(targets[:, np.newaxis], drawn.shape[1]), drawn]) - self._mean
        self._whiten = whitener(kernel.among(self._points, len(points)))
        self._pull: Array = self._whiten.T @ (self._whiten @ results)

    def _draw(self, points: Array, whiten: Array, pull: Array, pending: Array, seed: int) -> Array:
        """Draw results for the points in flight, of shape (pending, draws)."""
        across = self._kernel.covariance(pending, points)
        white = whiten @ across.T
        covariance = self._kernel.among(pending, 0) - white.T @ white
        values, vectors = np.linalg.eigh(covariance)
        normal = np.random.default_rng(seed).standard_normal((len(pending), _DRAWS))
        spread = vectors * np.sqrt(np.maximum(values, 0.0)) @ np.hstack([normal, -normal])
        return (self._mean + across @ pull)[:, np.newaxis] + spread

    def values(self, points: Array) -> Array:
        """Give the logarithm at points of shape (n, axes), of shape (n,)."""
        covariance = self._kernel.covariance(points, self._points)
        mean = self._mean + covariance @ self._pull
        explained = ((covariance @ self._whiten.T) ** 2).sum(axis=1)
        deviation = np.sqrt(self._floored(self._kernel.scale - explained))[:, np.newaxis]
        logs = log_improvement((self._best - mean) / deviation)[0] + np.log(deviation)
        return np.logaddexp.reduce(logs, axis=1) - math.log(logs.shape[1])

    def loss(self, point: Array) -> tuple[float, Array]:
        """Give minus the logarithm at a point of shape (axes,), and its gradient."""
        covariance, slopes = self._kernel.gradient(point, self._points)
        mean = self._mean + covariance @ self._pull
        white = self._whiten @ covariance
        deviation = math.sqrt(float(self._floored(self._kernel.scale - white @ white)))
        gain = (self._best - mean) / deviation
        logs, rates = log_improvement(gain)
        total = float(np.logaddexp.reduce(logs))
        rates = rates * np.exp(logs - total)  # the weight of each draw in the mean
        by_deviation = -(slopes.T @ (self._whiten.T @ white)) / deviation
        by_mean = slopes.T @ (self._pull @ rates)
        gradient = (by_deviation * (1 - float(rates @ gain)) - by_mean) / deviation
        return -(total - math.log(len(logs)) + math.log(deviation)), -gradient

    def _floored(self, variance: Array) -> Array:
        return np.maximum(variance, _LEAST_VARIANCE * self._kernel.scale)


def log_improvement(gain: Array) -> tuple[Array, Array]:
    """Give the logarithm of the expected positive part of a normal variable of deviation 1, and its derivative.

    Args:
        gain: the means of the variables, of any shape.
    """
    near, far = np.maximum(gain, _FAR), np.minimum(gain, _FAR)
    above = 0.5 * _erfc(-near / math.sqrt(2))
    improvement = np.exp(-0.5 * near**2) / math.sqrt(2 * math.pi) + near * above
    small = far**-2.0
    series = np.log(small) + np.log1p(-3 * small + 15 * small**2)
    tail = -0.5 * far**2 - 0.5 * math.log(2 * math.pi) + series
    is_far = gain < _FAR
    return np.where(is_far, tail, np.log(improvement)), np.where(is_far, -far - 2 / far, above / improvement)
