"""A Gaussian process over the unit cube, with noise: Matern 5/2, one length for each axis, fitted by its posterior.

The formulas are those of Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), ch. 2 and 5. Two
choices of a categorical axis are at distance 0 or 1; two points of an ordered one at their difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from launch_sdk.sweeps.samplers.quasi_newton import Box, minimise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_ROOT_5 = math.sqrt(5)
_JITTER = 1e-12  # of the scale: keeps the matrix of near-equal points positive definite in 64 bits
_LEAST_NOISE, _MOST_NOISE = 1e-12, 0.5  # as variances, of results whose variance is 1
_STARTS = ((0.5, 1e-4), (0.17, 1e-2))  # length in units of sqrt(axes), and variance of the noise
_STEPS = 60
_SMALL = 48  # rows of a triangular matrix that is inverted at once
_NOISE_RATE = 30.0  # of the exponential prior of the noise's variance: mostly below 1/30
_SCALE_SPREAD = 1.5  # standard deviation of the logarithm of the process's variance
_WEIGHT_SPREAD = 1.0  # and of the logarithms of the axes' weights around their mean


@dataclass(frozen=True)
class Kernel:
    """What makes two points alike.

    Attributes:
        choices: the number of choices of each axis; 0 for an ordered one.
        weights: inverse squared lengths, of shape (axes,).
        scale: variance of the process.
        noise: variance of a result's noise.
    """

    choices: tuple[int, ...]
    weights: Array
    scale: float
    noise: float

    def covariance(self, left: Array, right: Array) -> Array:
        """Give the covariance, of shape (left, right), of the noiseless values at points of shape (n, axes)."""
        squared = differences(left, right, self.choices) ** 2 @ self.weights
        return self.scale * _matern(squared)[0]

    def gradient(self, point: Array, others: Array) -> tuple[Array, Array]:
        """Give the covariance of a point with others, (others,), and its derivative by the point, (others, axes)."""
        apart = differences(point[np.newaxis], others, self.choices)[0]
        value, slope = _matern(apart**2 @ self.weights)
        return self.scale * value, 2 * self.scale * slope[:, np.newaxis] * apart * self.weights

    def among(self, points: Array, noisy: int) -> Array:
        """Give the covariance matrix of results at `points`, of which only the first `noisy` have noise."""
        matrix = self.covariance(points, points)
        matrix[np.diag_indices(len(points))] += _JITTER * self.scale
        matrix[np.diag_indices(noisy)] += self.noise
        return matrix


@dataclass(frozen=True)
class Fitted:
    """A kernel and how well it explains the results.

    Attributes:
        kernel: with the highest posterior density that was found.
        loss: the negative logarithm of that density, without its constant.
    """

    kernel: Kernel
    loss: float


def fit(points: Array, targets: Array, choices: Sequence[int]) -> Fitted:
    """Find the kernel with the highest posterior density.

    The priors (of the weights and the noise) are those of Optuna's Gaussian process: they hold the lengths near the
    size of the cube unless the results say otherwise. Ours besides is that the axes' weights are much alike, since a
    few results cannot tell so many lengths.

    Args:
        points: of shape (runs, axes).
        targets: of shape (runs,), of mean 0 and deviation 1.
        choices: the number of choices of each axis; 0 for an ordered one.
    """
    axes = points.shape[1]
    squares = squared_differences(points, choices)
    box = Box(np.log([*[1e-4] * axes, 1e-2, _LEAST_NOISE]), np.log([*[1e4] * axes, 1e2, _MOST_NOISE]))
    starts = [np.log([*[1 / (length**2 * axes)] * axes, 1.0, noise]) for length, noise in _STARTS]
    found = [
        minimise(lambda given: negative_log_posterior(given, squares, targets), one, box, _STEPS) for one in starts
    ]
    logarithms, loss = min(found, key=lambda pair: pair[1])
    *weights, scale, noise = np.exp(logarithms)
    return Fitted(Kernel(tuple(choices), np.array(weights), float(scale), float(noise)), loss)


def squared_differences(points: Array, choices: Sequence[int]) -> Array:
    """Give how far apart points are on each axis, squared, of shape (axes, runs, runs)."""
    return np.ascontiguousarray(np.moveaxis(differences(points, points, choices) ** 2, -1, 0))


def differences(left: Array, right: Array, choices: Sequence[int]) -> Array:
    """Give how far apart points are on each axis, of shape (left, right, axes)."""
    apart = left[:, np.newaxis, :] - right[np.newaxis, :, :]
    categorical = np.array(choices) > 0
    apart[..., categorical] = apart[..., categorical] != 0
    return apart


def whitener(matrix: Array) -> Array:
    """Give the inverse of the Cholesky factor of a covariance matrix: it makes what has that covariance white noise.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite.
    """
    return _inverse(np.asarray(np.linalg.cholesky(matrix), dtype=np.float64))


def _inverse(lower: Array) -> Array:
    """Invert a lower triangular matrix by halves: NumPy inverts any matrix, in twice the time."""
    if len(lower) <= _SMALL:
        return np.asarray(np.linalg.inv(lower), dtype=np.float64)
    half = len(lower) // 2
    top, bottom = _inverse(lower[:half, :half]), _inverse(lower[half:, half:])
    result = np.zeros_like(lower)
    result[:half, :half], result[half:, half:] = top, bottom
    result[half:, :half] = -bottom @ (lower[half:, :half] @ top)
    return result


def constant_mean(whiten: Array, targets: Array) -> float:
    """Give the mean with the highest likelihood, by generalised least squares (Rasmussen and Williams, 2.7)."""
    ones = whiten.sum(axis=1)
    return float(ones @ (whiten @ targets) / (ones @ ones))


def _matern(squared: Array) -> tuple[Array, Array]:
    """Give the correlation at squared distances, and its derivative by them."""
    root = _ROOT_5 * np.sqrt(squared)
    decay = np.exp(-root)
    return (1 + root + 5 / 3 * squared) * decay, -5 / 6 * (1 + root) * decay


def negative_log_posterior(logarithms: Array, squares: Array, targets: Array) -> tuple[float, Array]:
    """Give the negative logarithm of the posterior density, without its constant, and its gradient.

    Args:
        logarithms: of the weights, the scale and the noise, of shape (axes + 2,).
        squares: squared differences, of shape (axes, runs, runs).
        targets: of shape (runs,).
    """
    weights, scale, noise = np.exp(logarithms[:-2]), math.exp(logarithms[-2]), math.exp(logarithms[-1])
    correlation, slope = _matern(np.tensordot(weights, squares, 1))
    matrix = scale * correlation
    matrix[np.diag_indices(len(targets))] += noise + _JITTER * scale
    try:
        whiten = whitener(matrix)
    except np.linalg.LinAlgError:
        return math.inf, np.zeros_like(logarithms)
    white = whiten @ (targets - constant_mean(whiten, targets))
    inverse, pull = whiten.T @ whiten, whiten.T @ white
    by_matrix = 0.5 * (inverse - np.outer(pull, pull))
    by_noise = noise * float(np.trace(by_matrix))
    gradient = np.append(
        weights * np.tensordot(squares, scale * by_matrix * slope, 2),
        [float((by_matrix * matrix).sum()) - by_noise, by_noise],
    )
    value = 0.5 * float(white @ white) - float(np.log(np.diag(whiten)).sum())
    prior, by_prior = _prior(logarithms)
    return value + prior, gradient + by_prior


def _prior(logarithms: Array) -> tuple[float, Array]:
    weights, noise = np.exp(logarithms[:-2]), math.exp(logarithms[-1])
    apart = logarithms[:-2] - logarithms[:-2].mean()
    by_alike, by_scale = apart / _WEIGHT_SPREAD**2, logarithms[-2] / _SCALE_SPREAD**2
    alike, scale = 0.5 * apart @ by_alike, 0.5 * logarithms[-2] * by_scale
    value = 0.1 * (weights + 1 / weights).sum() + alike + scale + _NOISE_RATE * noise
    return float(value), np.array([*(0.1 * (weights - 1 / weights) + by_alike), by_scale, _NOISE_RATE * noise])
