"""The expected improvement that a point promises, in logarithms, beside what is believed before any result.

The improvement is over the lowest expected result, not the lowest result: with noise, a lucky run is no goal. Its
logarithm has a slope even where the improvement is too small for a float (Ament et al., 2023,
https://arxiv.org/abs/2310.20708). A run in flight is believed to give what the process expects of it (the "kriging
believer" of Ginsbourger, Le Riche and Carraro, 2010): where it is under way there is little left to gain, and nothing
changes elsewhere.

A process knows least at the ends of the axes, so that expected improvement begins there, though the minimum seldom is
there: somebody chose the ranges around where it may be. That belief is a density with its mode in the middle, whose
weight falls with the number of results (Hvarfner et al., "piBO", 2022, https://arxiv.org/abs/2204.11051).
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

_BELIEF = 10.0  # weight of the belief in the middle, divided by the number of results
_AT_THE_END = 0.3  # added to a raised cosine that is 0 at the ends of an axis and 1 in its middle
_LEAST_VARIANCE = 1e-16  # of the scale
_FAR = -25.0  # where the asymptotic series is exact and the formula is not

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


class Improvement:
    """The logarithm of the expected improvement, plus that of the belief, as a function of a point.

    Args:
        kernel: of the process.
        points: with results, of shape (runs, axes).
        targets: the results, of shape (runs,); smaller is better.
        pending: the points in flight, of shape (pending, axes).

    Attributes:
        expected: the expected results at `points`, of shape (runs,).
        pending: the number of points in flight.
    """

    def __init__(self, kernel: Kernel, points: Array, targets: Array, pending: Array) -> None:
        self._kernel = kernel
        self.pending = len(pending)
        whiten = whitener(kernel.among(points, len(points)))
        self._mean = constant_mean(whiten, targets)
        self._pull: Array = np.pad(whiten.T @ (whiten @ (targets - self._mean)), (0, len(pending)))
        self._points = np.vstack([points, pending])
        expected = self._expected(kernel.covariance(self._points, self._points))
        self.expected: Array = expected[: len(points)]
        self._best = float(expected.min())
        self._whiten = whitener(kernel.among(self._points, len(points)))
        self._belief = _BELIEF / len(points)
        self._ordered = np.array(kernel.choices) == 0

    def values(self, points: Array) -> Array:
        """Give the logarithm at points of shape (n, axes), of shape (n,)."""
        covariance = self._kernel.covariance(points, self._points)
        explained = ((covariance @ self._whiten.T) ** 2).sum(axis=1)
        deviation = np.sqrt(self._floored(self._kernel.scale - explained))
        logs = log_improvement((self._best - self._expected(covariance)) / deviation)[0] + np.log(deviation)
        return logs + self._belief * (log_belief(points)[0] @ self._ordered)

    def loss(self, point: Array) -> tuple[float, Array]:
        """Give minus the logarithm at a point of shape (axes,), and its gradient."""
        covariance, slopes = self._kernel.gradient(point, self._points)
        white = self._whiten @ covariance
        deviation = math.sqrt(float(self._floored(self._kernel.scale - white @ white)))
        gain = (self._best - self._expected(covariance)) / deviation
        log, rate = log_improvement(gain)
        by_deviation = -(slopes.T @ (self._whiten.T @ white)) / deviation
        gradient = (by_deviation * (1 - rate * gain) - slopes.T @ self._pull * rate) / deviation
        belief, by_belief = log_belief(point)
        value = float(log) + math.log(deviation) + self._belief * float(belief @ self._ordered)
        return -value, -(gradient + self._belief * np.where(self._ordered, by_belief, 0.0))

    def _expected(self, covariance: Array) -> Array:
        """Give the expected results from the covariance with the known points, of shape (..., known)."""
        return self._mean + covariance @ self._pull

    def _floored(self, variance: Array) -> Array:
        return np.maximum(variance, _LEAST_VARIANCE * self._kernel.scale)


def log_belief(coordinates: Array) -> tuple[Array, Array]:
    """Give the logarithm of the belief that the minimum is at a coordinate in [0, 1], and its derivative.

    Args:
        coordinates: of any shape.
    """
    angle = 2 * math.pi * coordinates
    density = _AT_THE_END + 0.5 * (1 - np.cos(angle))
    return np.log(density), math.pi * np.sin(angle) / density


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
