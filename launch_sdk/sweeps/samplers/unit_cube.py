"""Optuna's distributions as the unit cube, in which a model sees every parameter at the same scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


ROUNDING = 1e-12


@dataclass(frozen=True)
class UnitCube:
    """A search space with one axis for each parameter, in the order of `space`.

    An ordered axis runs over [0, 1]; the values of an integer or stepped parameter are the middles of equal cells (in
    log space, of the cells between the half steps). A categorical axis holds the number of the choice.
    """

    space: Mapping[str, BaseDistribution]

    @property
    def choices(self) -> tuple[int, ...]:
        """The number of choices of each axis; 0 for an ordered one."""
        return tuple(len(one.choices) if isinstance(one, CategoricalDistribution) else 0 for one in self.space.values())

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Say whether all the parameters are given and inside the space."""
        return all(name in params and _inside(one, params[name]) for name, one in self.space.items())

    def encode(self, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """Give the point of shape (axes,) of some parameters inside the space."""
        return np.array([_encode(one, params[name]) for name, one in self.space.items()], dtype=np.float64)

    def decode(self, point: NDArray[np.float64]) -> dict[str, Any]:
        """Give the parameters nearest to a point of shape (axes,); plain Python values."""
        return {name: _decode(one, float(x)) for (name, one), x in zip(self.space.items(), point, strict=True)}

    def stretch(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn a point whose every axis is in [0, 1), such as one of a design, into one of this cube."""
        return np.array(
            [math.floor(x * n) if n else x for x, n in zip(point, self.choices, strict=True)], dtype=np.float64
        )


def _inside(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return False
    return isinstance(value, int | float) and distribution.low <= value <= distribution.high


def _encode(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    low, high = _edges(distribution)
    return min(max((_scaled(distribution, value) - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _decode(distribution: BaseDistribution, x: float) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[min(max(round(x), 0), len(distribution.choices) - 1)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101  # Optuna has no fourth kind
    low, high = _edges(distribution)
    scaled = low + _snapped(x) * (high - low)
    value = math.exp(scaled) if distribution.log else scaled
    if distribution.step is not None:
        value = distribution.low + round((value - distribution.low) / distribution.step) * distribution.step
    value = min(max(value, distribution.low), distribution.high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def _snapped(x: float) -> float:
    """Keep to [0, 1], and take what is at an end but for rounding to be that end."""
    return 0.0 if x < ROUNDING else 1.0 if x > 1.0 - ROUNDING else x


def _scaled(distribution: BaseDistribution, value: float) -> float:
    return math.log(value) if getattr(distribution, "log", False) else float(value)


def _edges(distribution: BaseDistribution) -> tuple[float, float]:
    """Give the ends of the axis in its scale, half a step outside the values of a stepped parameter."""
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101  # the caller has asked
    half = (distribution.step or 0) / 2
    return _scaled(distribution, distribution.low - half), _scaled(distribution, distribution.high + half)
