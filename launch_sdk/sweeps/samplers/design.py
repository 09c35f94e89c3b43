"""The first points of a model-based search: an endless, evenly filling sequence.

A Kronecker sequence x_n = frac(shift + n * alpha) whose alpha comes from the generalised golden ratio, the positive
root of x^(d+1) = x + 1 (M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018). Unlike a Latin
hypercube it has no fixed size: run 17 has its point however many runs there will be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from launch_sdk.sweeps.samplers.random_search import uniform_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def design_point(dimensions: int, number: int, seed: int) -> NDArray[np.float64]:
    """Give point `number` of the design of `seed`, of shape (dimensions,), each coordinate in [0, 1)."""
    ratio = 2.0
    for _ in range(64):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = (1 / ratio) ** np.arange(1, dimensions + 1)
    shift = np.array([uniform_of("design", seed, axis) for axis in range(dimensions)])
    return np.asarray((shift + number * steps) % 1.0, dtype=np.float64)
