"""W&B's distributions of numbers on a real scale, each as it is and rounded to multiples of `q`."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

from launch_sdk.specs.distributions import Distribution, is_number, require
from launch_sdk.specs.incomplete_beta import beta_cdf, beta_quantile

_TINY = 2.0**-53
_MAX_EXPONENT = 709.0  # math.exp overflows a little above it
_TOLERANCE = 1e-9  # of a step or of a range: what arithmetic and a way through JSON may cost
_NORMAL = NormalDist()


class _Numeric(Distribution):
    """A real distribution, or its rounding to multiples of `q`.

    A subclass gives the range and the law of the unrounded number.
    """

    family: ClassVar[str]
    q: float | int | None

    @property
    def name(self) -> str:
        return self.family if self.q is None else f"q_{self.family}"

    @property
    @abstractmethod
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value; infinite if there is none."""

    @abstractmethod
    def raw_quantile(self, u: float) -> float: ...

    @abstractmethod
    def raw_cdf(self, x: float) -> float: ...

    @property
    def multiples(self) -> tuple[float, float]:
        """The lowest and the highest k for which k * q is inside the range; infinite if there is none."""
        low, high = self.range
        step = self.q or 1
        first = math.ceil(low / step - _TOLERANCE) if math.isfinite(low) else low
        last = math.floor(high / step + _TOLERANCE) if math.isfinite(high) else high
        return first, last

    @property
    def levels(self) -> int | None:
        first, last = self.multiples
        if self.q is None or not math.isfinite(last - first):
            return None
        return int(last) - int(first) + 1

    def quantile(self, u: float) -> float | int:
        low, high = self.range
        if u <= 0.0 and math.isfinite(low):
            value = float(low)  # a search that wants the end of a range gets it exactly
        elif u >= 1.0 and math.isfinite(high):
            value = float(high)
        else:
            value = float(min(max(self.raw_quantile(min(max(u, _TINY), 1 - _TINY)), low), high))
        if self.q is None:
            return value
        if abs(value) >= abs(self.q) * 2.0**53:
            return int(value) if isinstance(self.q, int) else value  # every float so large is a multiple
        first, last = self.multiples
        return _product(int(min(max(round(value / self.q), first), last)), self.q)

    def at_level(self, level: int) -> float | int:
        if self.levels is None or self.q is None:
            return super().at_level(level)
        return _product(int(self.multiples[0]) + level, self.q)

    def level(self, value: Any) -> int:
        if self.levels is None or self.q is None:
            return super().level(value)
        require(self, value)
        first, last = self.multiples
        return int(min(max(round(value / self.q), first), last) - first)

    def unit(self, value: Any) -> float:
        require(self, value)
        if self.q is None:
            return min(max(self.raw_cdf(float(value)), 0.0), 1.0)
        first, last = self.multiples
        k = round(value / self.q)
        below = 0.0 if k <= first else self.raw_cdf((k - 0.5) * self.q)
        above = 1.0 if k >= last else self.raw_cdf((k + 0.5) * self.q)
        return min(max((below + above) / 2, 0.0), 1.0)

    def contains(self, value: Any) -> bool:
        if not is_number(value):
            return False
        low, high = self.range
        slack = _TOLERANCE * max(abs(low) if math.isfinite(low) else 0.0, abs(high) if math.isfinite(high) else 0.0)
        return low - slack <= value <= high + slack and (self.q is None or _is_whole(value / self.q))


def _product(k: int, q: float) -> float | int:
    """Multiply without the noise of binary fractions: 3 * 0.1 is 0.3."""
    return k * q if isinstance(q, int) else float(f"{k * q:.15g}")


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) <= _TOLERANCE * max(1.0, abs(number))


@dataclass(frozen=True)
class Uniform(_Numeric):
    """A number from `min` to `max`, all equally likely.

    A grid search over a rounded one goes through min, min + q, ... and leaves out max, as W&B's does.
    """

    family: ClassVar[str] = "uniform"
    min: float
    max: float
    q: float | int | None = None

    @property
    def range(self) -> tuple[float, float]:
        return self.min, self.max

    def raw_quantile(self, u: float) -> float:
        return self.min * (1 - u) + self.max * u

    def raw_cdf(self, x: float) -> float:
        return (x / 2 - self.min / 2) / (self.max / 2 - self.min / 2)  # halves: the range may exceed the largest float

    @property
    def grid_size(self) -> int | None:
        return None if self.q is None else math.ceil((self.max - self.min) / self.q - _TOLERANCE)

    def grid_value(self, position: int) -> float | int:
        if self.q is None or not 0 <= position < (self.grid_size or 0):
            return super().grid_value(position)
        value = self.min + position * self.q
        whole = isinstance(self.q, int) and float(self.min).is_integer()
        return int(value) if whole else float(f"{value:.15g}")

    def grid_position(self, value: Any) -> int | None:
        if self.q is None or not is_number(value) or not _is_whole((value - self.min) / self.q):
            return None
        position = round((value - self.min) / self.q)
        return position if 0 <= position < (self.grid_size or 0) else None

    def contains(self, value: Any) -> bool:
        return super().contains(value) or self.grid_position(value) is not None


@dataclass(frozen=True)
class LogUniform(_Numeric):
    """A number from `min` > 0 to `max` whose logarithm is uniform: W&B's `log_uniform_values`.

    W&B's `inv_log_uniform_values` is the X for which log(1/X) is uniform between log(1/max) and log(1/min): the same
    law, since log(1/X) = -log(X); only the name differs. Of its deprecated `log_uniform` and `inv_log_uniform` the file
    gives the logarithms of the limits (`by_exponent`), of `inv_log_uniform` those of 1/X.
    """

    family: ClassVar[str] = "log_uniform_values"
    min: float
    max: float
    q: float | int | None = None
    inverse: bool = False
    by_exponent: bool = False

    @property
    def name(self) -> str:
        name = "inv_log_uniform_values" if self.inverse else super().name
        return name.removesuffix("_values") if self.by_exponent else name

    @property
    def range(self) -> tuple[float, float]:
        return self.min, self.max

    def raw_quantile(self, u: float) -> float:
        return math.exp(math.log(self.min) * (1 - u) + math.log(self.max) * u)

    def raw_cdf(self, x: float) -> float:
        low, high = math.log(self.min), math.log(self.max)
        return (math.log(max(x, self.min)) - low) / (high - low)


@dataclass(frozen=True)
class Normal(_Numeric):
    """A normal number of mean `mu` and standard deviation `sigma` >= 0."""

    family: ClassVar[str] = "normal"
    mu: float = 0.0
    sigma: float = 1.0
    q: float | int | None = None

    @property
    def range(self) -> tuple[float, float]:
        return -math.inf, math.inf

    def raw_quantile(self, u: float) -> float:
        return self.mu + self.sigma * _NORMAL.inv_cdf(u)

    def raw_cdf(self, x: float) -> float:
        return _NORMAL.cdf((x - self.mu) / self.sigma) if self.sigma > 0 else 0.5


@dataclass(frozen=True)
class LogNormal(_Numeric):
    """A number > 0 whose natural logarithm is normal of mean `mu` and standard deviation `sigma` >= 0."""

    family: ClassVar[str] = "log_normal"
    mu: float = 0.0
    sigma: float = 1.0
    q: float | int | None = None

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, math.inf

    def raw_quantile(self, u: float) -> float:
        return math.exp(min(self.mu + self.sigma * _NORMAL.inv_cdf(u), _MAX_EXPONENT))

    def raw_cdf(self, x: float) -> float:
        if x <= 0:
            return 0.0
        return _NORMAL.cdf((math.log(x) - self.mu) / self.sigma) if self.sigma > 0 else 0.5


@dataclass(frozen=True)
class Beta(_Numeric):
    """A number from 0 to 1 of the beta distribution with shapes `a` > 0 and `b` > 0."""

    family: ClassVar[str] = "beta"
    a: float = 1.0
    b: float = 1.0
    q: float | int | None = None

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def raw_quantile(self, u: float) -> float:
        return beta_quantile(u, self.a, self.b)

    def raw_cdf(self, x: float) -> float:
        return beta_cdf(x, self.a, self.b)
