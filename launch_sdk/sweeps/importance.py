"""How much each parameter of a sweep mattered, by PED-ANOVA. Needs NumPy alone, so that a page waits for no library."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MIN_RUNS = 6
TOP = 0.25  # share of the runs that count as good
MIN_TOP = 3
GRID = 50


def importances(columns: Mapping[str, Sequence[float]], best_first: bool = True) -> dict[str, float]:
    """Weigh parameters by how differently the best runs and all runs are spread over them.

    The importance of a parameter is the Pearson divergence of two densities over its axis, that of the best quarter
    of the runs from that of all runs, both estimated with Gaussian kernels (Watanabe et al. 2023, PED-ANOVA,
    arXiv:2304.10255, equation 11, with one prior kernel as wide as the axis).

    Args:
        columns: each parameter's place on [0, 1] in every run, shape (runs,).
        best_first: whether the runs are ordered best first; if not, worst first.

    Returns:
        Weights that add up to 1, greatest first; empty with fewer than six runs or if all weigh nothing.
    """
    import numpy as np

    count = len(next(iter(columns.values()), ()))
    if count < MIN_RUNS:
        return {}
    top = max(MIN_TOP, math.ceil(TOP * count))
    divergences: dict[str, float] = {}
    for name, places in columns.items():
        values = np.asarray(places if best_first else places[::-1], dtype=np.float64)
        whole, good = _density(values), _density(values[:top])
        divergences[name] = float(np.sum(whole * (good / whole - 1.0) ** 2))
    total = sum(divergences.values())
    if total <= 0.0:
        return {}
    ordered = sorted(divergences.items(), key=lambda item: (-item[1], item[0]))
    return {name: value / total for name, value in ordered}


def _density(values: FloatArray) -> FloatArray:
    """Estimate a density over [0, 1] on a grid; shape (GRID,), sums to 1."""
    import numpy as np

    grid = (np.arange(GRID) + 0.5) / GRID
    # Scott's rule; no narrower than a step of the grid, or few runs would look like certainty.
    width = max(1.06 * float(np.std(values)) * len(values) ** -0.2, 1.0 / GRID)
    kernels = _normalised(np.exp(-0.5 * ((grid[None, :] - values[:, None]) / width) ** 2))
    prior = _normalised(np.exp(-0.5 * (grid[None, :] - 0.5) ** 2))
    return cast("FloatArray", (kernels.sum(axis=0) + prior[0]) / (len(values) + 1))


def _normalised(rows: FloatArray) -> FloatArray:
    return cast("FloatArray", rows / rows.sum(axis=1, keepdims=True))
