"""How one of W&B's distributions looks to Optuna where people name its values: in them, as far as Optuna can say that.

`latent` is the other way, for our own methods: better to search, but arguments such as `x0: {lr: 0.01}` would mean
nothing in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from launch_sdk.specs.distributions import Categorical, Distribution, IntUniform
from launch_sdk.specs.real_distributions import LogUniform, Uniform

_MOST_EXACT = 2**50  # Optuna computes with floats, which hold larger integers no longer


@dataclass(frozen=True)
class Plain:
    """A distribution of ours beside the one that Optuna searches.

    Ranges, logarithmic ranges, integers, multiples of `q` and choices are themselves. Optuna has no word for the others
    (normal and beta distributions, logarithmic ranges with `q`): they are their quantile in [0, 1]. Nor has it one for
    choices that are lists or mappings, or that Python holds equal, as 1 and true: they are their number, from 0.

    Attributes:
        source: ours.
        distribution: Optuna's.
        by_value: whether the values of the two are the same.
    """

    source: Distribution
    distribution: BaseDistribution
    by_value: bool = True

    @classmethod
    def of(cls, source: Distribution) -> Plain:
        if isinstance(source, Categorical):
            return cls._of_choices(source)
        if isinstance(source, IntUniform) and max(abs(source.min), abs(source.max)) < _MOST_EXACT:
            return cls(source, IntDistribution(source.min, source.max))
        if isinstance(source, LogUniform) and source.q is None:
            return cls(source, FloatDistribution(source.min, source.max, log=True))
        if isinstance(source, Uniform):
            return cls._of_range(source)
        return cls(source, FloatDistribution(0.0, 1.0), by_value=False)

    @classmethod
    def _of_choices(cls, source: Categorical) -> Plain:
        options = source.options
        are_plain = all(one is None or isinstance(one, str | int | float) for one in options)
        if are_plain and len(set(options)) == len(options) and all(one == one for one in options):  # noqa: PLR0124  # NaN
            return cls(source, CategoricalDistribution(options))
        return cls(source, CategoricalDistribution(range(len(options))), by_value=False)

    @classmethod
    def _of_range(cls, source: Uniform) -> Plain:
        if source.q is None:
            return cls(source, FloatDistribution(source.min, source.max))
        levels = source.levels
        if levels is None or levels >= _MOST_EXACT:
            return cls(source, FloatDistribution(0.0, 1.0), by_value=False)
        low, high = source.at_level(0), source.at_level(levels - 1)
        if isinstance(low, int) and isinstance(high, int) and isinstance(source.q, int):
            return cls(source, IntDistribution(low, high, step=source.q))
        return cls(source, FloatDistribution(float(low), float(high), step=float(source.q)))

    @property
    def grid(self) -> list[Any] | None:
        """What a grid search goes through, as Optuna sees it; None if it cannot."""
        size = self.source.grid_size
        return None if size is None else [self.encode(self.source.grid_value(position)) for position in range(size)]

    def encode(self, value: Any) -> Any:
        """Turn a value of ours into Optuna's."""
        if isinstance(self.source, Categorical):
            level = self.source.level(value)
            return self.source.options[level] if self.by_value else level
        if self.by_value and self.source.levels is not None:
            return self.source.at_level(self.source.level(value))
        if not self.by_value:
            return self.source.unit(value)
        assert isinstance(self.distribution, FloatDistribution)  # noqa: S101  # what is left
        return min(max(float(value), self.distribution.low), self.distribution.high)  # ours forgives a rounding

    def decode(self, value: Any) -> Any:
        """Turn Optuna's value into ours, the nearest one that there is."""
        if isinstance(self.source, Categorical):
            return value if self.by_value else self.source.options[int(value)]
        if not self.by_value:
            return self.source.quantile(float(value))
        return float(value) if self.source.levels is None else self.source.at_level(self.source.level(value))
