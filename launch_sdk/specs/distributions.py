"""W&B's distributions as frozen values: what a parameter may be, and how one uniform number becomes one value.

Every distribution answers the same few questions. `quantile` is its inverse CDF, so that one uniform number draws one
value; `unit` goes back, so that a model can work on [0, 1]; `contains` says whether a value is legal. A distribution
whose `q` is set is rounded to multiples of `q`, half to even, and never leaves its range.

The list of distributions, their keys and defaults are those of W&B's sweep configuration (its `schema.json`).
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard, cast

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether `value` is a finite number; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def canonical(value: Any) -> Hashable:
    """Turn a plain value into a key that is equal exactly when W&B's grid search holds two values equal.

    3 equals 3.0, True differs from 1, NaN equals NaN, a list differs from a tuple, the order of a mapping's keys counts
    for nothing.
    """
    if isinstance(value, bool) or value is None:
        return ("literal", str(value))
    if isinstance(value, int | float):
        return ("number", "nan") if value != value else ("number", value)  # noqa: PLR0124  # NaN differs from itself
    if isinstance(value, list | tuple):
        items = cast("list[Any] | tuple[Any, ...]", value)
        return (type(items).__name__, tuple(canonical(item) for item in items))
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return ("mapping", frozenset((canonical(key), canonical(item)) for key, item in pairs))
    return (type(value).__name__, str(value))


class Distribution(ABC):
    """What one parameter may be. All values are plain Python values.

    Attributes:
        name: W&B's name of it, as in the key `distribution`.
    """

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def levels(self) -> int | None:
        """The number of different values that a draw can have; None if there is no bound."""

    @property
    def grid_size(self) -> int | None:
        """The number of values that a grid search goes through; None if a grid search cannot."""
        return None

    def grid_value(self, position: int) -> Any:
        """Give value number `position` of a grid search.

        Raises:
            IndexError: there is no such value.
        """
        raise IndexError(f"{self.name} has no grid value {position}")

    def grid_position(self, value: Any) -> int | None:
        """Give the number of `value` in a grid search; None if it is not one of its values."""
        del value
        return None

    def at_level(self, level: int) -> Any:
        """Give the value of a level, counted from 0; the inverse of `level`.

        Raises:
            IndexError: the number of levels has no bound.
        """
        raise IndexError(f"{self.name} has no level {level}")

    def level(self, value: Any) -> int:
        """Give the number of `value` among those a draw can have, in their order.

        Raises:
            ValueError: `value` is not one of the distribution, or the number of levels has no bound.
        """
        raise ValueError(f"{value!r} has no level: {self.name} is not discrete")

    @abstractmethod
    def quantile(self, u: float) -> Any:
        """Draw the value of the uniform number `u` in [0, 1]; both ends are legal."""

    @abstractmethod
    def unit(self, value: Any) -> float:
        """Give a number in [0, 1] whose quantile is `value`: the middle one if there are many.

        Raises:
            ValueError: `value` is not one of the distribution.
        """

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Say whether `value` can be suggested, by a draw or by a grid search."""


def require(distribution: Distribution, value: Any) -> None:
    """Raise a ValueError unless `value` is one of the distribution."""
    if not distribution.contains(value):
        raise ValueError(f"{value!r} is no value of {distribution}")


@dataclass(frozen=True)
class Categorical(Distribution):
    """One of some values of any kind, all equally likely or with the given probabilities (sum 1)."""

    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None

    @property
    def name(self) -> str:
        return "categorical" if self.probabilities is None else "categorical_w_probabilities"

    @cached_property
    def options(self) -> tuple[Any, ...]:
        """The different values that have a chance, in the order written."""
        return tuple(value for value, _ in self._chances.values())

    @cached_property
    def _chances(self) -> Mapping[Hashable, tuple[Any, float]]:
        weights = self.probabilities or tuple(1 / len(self.values) for _ in self.values)
        chances: dict[Hashable, tuple[Any, float]] = {}
        for value, weight in zip(self.values, weights, strict=True):
            if weight > 0:
                first, before = chances.get(canonical(value), (value, 0.0))
                chances[canonical(value)] = (first, before + weight)
        return chances

    @cached_property
    def _edges(self) -> tuple[float, ...]:
        edges = [0.0]
        for _, weight in self._chances.values():
            edges.append(edges[-1] + weight)
        return (*edges[:-1], 1.0)

    @cached_property
    def _positions(self) -> Mapping[Hashable, int]:
        return {key: position for position, key in enumerate(self._chances)}

    @property
    def levels(self) -> int:
        return len(self.options)

    @property
    def grid_size(self) -> int | None:
        return len(self.options) if self.probabilities is None else None

    def grid_value(self, position: int) -> Any:
        return self.options[position] if self.probabilities is None else super().grid_value(position)

    def grid_position(self, value: Any) -> int | None:
        return self.position(value) if self.probabilities is None else None

    def position(self, value: Any) -> int | None:
        """Give the number of `value` among `options`; keys that a run added to a mapping count for nothing."""
        exact = self._positions.get(canonical(value))
        if exact is None and isinstance(value, dict):
            return next((at for at, option in enumerate(self.options) if _extends(value, option)), None)  # pyright: ignore[reportUnknownArgumentType]  # any mapping will do
        return exact

    def at_level(self, level: int) -> Any:
        return self.options[level]

    def level(self, value: Any) -> int:
        position = self.position(value)
        if position is None:
            raise ValueError(f"{value!r} is none of the values {list(self.options)!r}")
        return position

    def quantile(self, u: float) -> Any:
        for option, upper in zip(self.options, self._edges[1:], strict=True):
            if u < upper:
                return option
        return self.options[-1]

    def unit(self, value: Any) -> float:
        position = self.level(value)
        return (self._edges[position] + self._edges[position + 1]) / 2

    def contains(self, value: Any) -> bool:
        return self.position(value) is not None


def _extends(value: dict[Any, Any], option: Any) -> bool:
    """Say whether `value` is the mapping `option` with keys added at any depth."""
    if not isinstance(option, dict):
        return False
    for key, expected in cast("dict[Any, Any]", option).items():
        if key not in value:
            return False
        if canonical(value[key]) != canonical(expected) and not (
            isinstance(value[key], dict) and _extends(value[key], expected)
        ):
            return False
    return True


@dataclass(frozen=True)
class Constant(Categorical):
    """Always the same value of any kind."""

    def __init__(self, value: Any) -> None:
        object.__setattr__(self, "values", (value,))
        object.__setattr__(self, "probabilities", None)

    @property
    def value(self) -> Any:
        return self.values[0]

    @property
    def name(self) -> str:
        return "constant"


@dataclass(frozen=True)
class IntUniform(Distribution):
    """An integer from `min` to `max`, both ends included."""

    min: int
    max: int

    @property
    def name(self) -> str:
        return "int_uniform"

    @property
    def levels(self) -> int:
        return self.max - self.min + 1

    @property
    def grid_size(self) -> int:
        return self.levels

    def grid_value(self, position: int) -> int:
        if not 0 <= position < self.levels:
            raise IndexError(f"int_uniform has no grid value {position}")
        return self.min + position

    def grid_position(self, value: Any) -> int | None:
        return int(value) - self.min if self.contains(value) else None

    def at_level(self, level: int) -> int:
        return self.min + level

    def level(self, value: Any) -> int:
        require(self, value)
        return int(value) - self.min

    def quantile(self, u: float) -> int:
        return min(self.min + math.floor(u * self.levels), self.max)

    def unit(self, value: Any) -> float:
        require(self, value)
        return (int(value) - self.min + 0.5) / self.levels

    def contains(self, value: Any) -> bool:
        return is_number(value) and value == int(value) and self.min <= value <= self.max
