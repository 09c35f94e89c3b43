"""The scales in which results may look like draws of a Gaussian process: their own, and a logarithm.

A loss that is a thousand times too large in some places says little about where it is smallest, but in its own scale
it is all that a process sees. Which scale fits better is decided by the likelihood of the results, which takes the
slope of the scale into account (Snelson, Rasmussen and Ghahramani, "Warped Gaussian processes", 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scaled:
    """Results in another scale, in the same order.

    Attributes:
        targets: of mean 0 and deviation 1, of shape (runs,); all 0 if the results are equal.
        log_slope: the logarithm of the product, over the runs, of the derivatives of the targets by the results, up to
            a constant that the scales of the same results share.
    """

    targets: Array
    log_slope: float


def scales(values: Array) -> list[Scaled]:
    """Give results in the scales that can hold them.

    Args:
        values: finite, of shape (runs,), smaller being better.
    """
    scaled = values / max(float(np.abs(values).max()), np.finfo(np.float64).tiny)  # sums of 1e308 overflow
    plain = _standardised(scaled, 0.0)
    above = scaled - scaled.min()
    typical = float(np.median(above))
    if typical <= 0 or not plain.targets.any():
        return [plain]
    return [plain, _standardised(np.log1p(above / typical), -float(np.log(above + typical).sum()))]


def _standardised(values: Array, log_slope: float) -> Scaled:
    deviation = float(values.std())
    if deviation <= np.finfo(np.float64).eps:
        return Scaled(np.zeros_like(values), 0.0)
    return Scaled((values - values.mean()) / deviation, log_slope - len(values) * float(np.log(deviation)))
