"""How one of W&B's distributions looks to Optuna: a plain one, in the scale in which draws are uniform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from launch_sdk.specs.distributions import Categorical, Distribution, IntUniform
from launch_sdk.specs.real_distributions import Uniform

_MOST_EXACT = 2**50  # Optuna computes with floats, which hold larger integers no longer


@dataclass(frozen=True)
class Latent:
    """A distribution of ours beside the one that Optuna searches.

    A categorical becomes the number of its option, so that values of any kind will do. Integers and multiples of `q`
    become integers. Everything else becomes its quantile in [0, 1]: logarithmic ranges are searched in log space,
    normal and beta distributions where their mass is.
    """

    source: Distribution
    distribution: BaseDistribution

    @classmethod
    def of(cls, source: Distribution) -> Latent:
        levels = source.levels
        if isinstance(source, Categorical):
            return cls(source, CategoricalDistribution(range(len(source.options))))
        if isinstance(source, IntUniform | Uniform) and levels is not None and levels < _MOST_EXACT:
            return cls(source, IntDistribution(0, levels - 1))
        return cls(source, FloatDistribution(0.0, 1.0))

    @property
    def _counts_levels(self) -> bool:
        return not isinstance(self.distribution, FloatDistribution)

    def encode(self, value: Any) -> int | float:
        """Turn a value of ours into Optuna's."""
        return self.source.level(value) if self._counts_levels else self.source.unit(value)

    def decode(self, value: Any) -> Any:
        """Turn Optuna's value into ours."""
        return self.source.at_level(value) if self._counts_levels else self.source.quantile(value)
