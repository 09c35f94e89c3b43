"""The values of one parameter in a sweep file: checked, and made a distribution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.distributions import Categorical, Constant, Distribution, IntUniform, is_number
from launch_sdk.specs.real_distributions import Beta, LogNormal, LogUniform, Normal, Uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document

_DocumentPath = tuple[str | int, ...]
_MAX_EXPONENT = 709.0  # of the largest float


class ParameterValues:
    """Checks the values of one parameter whose keys are right, and builds its distribution."""

    def __init__(self, document: Document, faults: list[Fault], at: _DocumentPath, given: dict[Any, Any]) -> None:
        self._document = document
        self._faults = faults
        self._at = at
        self._given = given

    def build(self, name: str) -> Distribution | None:
        """Build the distribution of a name in `space.DISTRIBUTION_KEYS`; None if a value is wrong."""
        q = self._positive("q", 1.0) if name.startswith("q_") else None
        builders: dict[str, Callable[[], Distribution | None]] = {
            "constant": lambda: Constant(self._given["value"]) if self._is_plain(("value",)) else None,
            "categorical": self._categorical,
            "categorical_w_probabilities": self._categorical,
            "int_uniform": self._int_uniform,
            "uniform": lambda: self._range(q, inverse=None),
            "log_uniform_values": lambda: self._range(q, inverse=False),
            "inv_log_uniform_values": lambda: self._range(q, inverse=True),
            "log_uniform": lambda: self._exponents(q, inverse=False),
            "inv_log_uniform": lambda: self._exponents(q, inverse=True),
            "normal": lambda: self._normal(Normal, q),
            "log_normal": lambda: self._normal(LogNormal, q),
            "beta": lambda: Beta(self._positive("a", 1.0) or 1.0, self._positive("b", 1.0) or 1.0, q),
        }
        return builders[name.removeprefix("q_")]()

    def _tell(self, at: _DocumentPath, message: str) -> None:
        self._faults.append(self._document.fault(at, message))

    def _fault(self, key: str, message: str) -> None:
        self._tell((*self._at, key) if key in self._given else self._at, message)

    def _number(self, key: str, default: float | None = None) -> float | None:
        value = self._given.get(key, default)
        if is_number(value):
            return value
        self._fault(key, f"{key} {value!r} is not a finite number")
        return None

    def _positive(self, key: str, default: float) -> float | None:
        value = self._number(key, default)
        if value is None or value > 0:
            return value
        self._fault(key, f"{key} {value} is not above 0")
        return None

    def _limits(self) -> tuple[float, float] | None:
        low, high = self._number("min"), self._number("max")
        if low is None or high is None:
            return None
        if low < high:
            return low, high
        self._fault("min", f"min {low} is not less than max {high}")
        return None

    def _int_uniform(self) -> Distribution | None:
        limits = self._limits()
        wrong = [key for key in ("min", "max") if is_number(self._given[key]) and self._given[key] % 1 != 0]
        for key in wrong:
            self._fault(key, f"{key} {self._given[key]} is not an integer; use distribution: uniform for real numbers")
        return IntUniform(int(limits[0]), int(limits[1])) if limits and not wrong else None

    def _range(self, q: float | None, *, inverse: bool | None) -> Distribution | None:
        limits = self._limits()
        if inverse is not None and limits and limits[0] <= 0:
            self._fault("min", f"min {limits[0]} is not above 0, as a logarithmic distribution needs")
            return None
        if limits is None or ("q" in self._given and q is None):
            return None
        made = Uniform(*limits, q) if inverse is None else LogUniform(*limits, q, inverse)
        if q is not None and made.levels == 0:
            self._fault("q", f"no multiple of q {q} lies between min {limits[0]} and max {limits[1]}")
            return None
        return made

    def _exponents(self, q: float | None, *, inverse: bool) -> Distribution | None:
        """Read W&B's deprecated forms, whose limits are the natural logarithms of the smallest and largest value."""
        limits = self._limits()
        if limits is None or ("q" in self._given and q is None):
            return None
        wrong = [key for key, limit in zip(("min", "max"), limits, strict=True) if abs(limit) > _MAX_EXPONENT]
        for key in wrong:
            self._fault(key, f"{key} {self._given[key]} is an exponent of e: at most {_MAX_EXPONENT:g} can be reached")
        if wrong:
            return None
        low, high = (-limits[1], -limits[0]) if inverse else limits
        made = LogUniform(math.exp(low), math.exp(high), q, inverse, by_exponent=True)
        if made.min >= made.max:
            self._fault("min", f"min {limits[0]} and max {limits[1]} are exponents of e too near each other")
            return None
        if q is not None and made.levels == 0:
            self._fault("q", f"no multiple of q {q} lies between {made.min:.6g} and {made.max:.6g}")
            return None
        return made

    def _normal(self, family: type[Normal | LogNormal], q: float | None) -> Distribution | None:
        mu, sigma = self._number("mu", 0.0), self._number("sigma", 1.0)
        if sigma is not None and sigma < 0:
            self._fault("sigma", f"sigma {sigma} is negative")
        return family(mu, sigma, q) if mu is not None and sigma is not None else None

    def _categorical(self) -> Distribution | None:
        values = self._given["values"]
        if not isinstance(values, list):
            self._fault("values", f"values {values!r} is not a list")
            return None
        values = cast("list[Any]", values)
        if not values:
            self._fault("values", "values is empty: give at least one")
        elif all([self._is_plain(("values", index)) for index in range(len(values))]):  # noqa: C419  # all the faults at once
            if self._given.get("probabilities") is None:
                return Categorical(tuple(values))
            probabilities = self._probabilities(len(values))
            return Categorical(tuple(values), probabilities) if probabilities else None
        return None

    def _probabilities(self, wanted: int) -> tuple[float, ...] | None:
        given = self._given["probabilities"]
        if not isinstance(given, list) or not all(is_number(one) and one >= 0 for one in cast("list[Any]", given)):
            self._fault("probabilities", f"probabilities {given!r} is not a list of numbers of at least 0")
            return None
        chances = tuple(float(one) for one in cast("list[float]", given))
        if len(chances) != wanted:
            self._fault("probabilities", f"{len(chances)} probabilities for {wanted} values: give one for each value")
        elif not math.isclose(sum(chances), 1.0, abs_tol=1e-6):
            self._fault("probabilities", f"probabilities {given!r} sum to {sum(chances):.6g}, not to 1")
        else:
            return chances
        return None

    def _is_plain(self, inside: _DocumentPath) -> bool:
        """Refuse what JSON has no word for, such as the dates of YAML: a run would not get back what was written."""
        value: Any = self._given
        for part in inside:
            value = value[part]
        odd = next(_odd_values(value), None)
        if odd is not None:
            self._tell(
                (*self._at, *inside),
                f"{odd!r} is a {type(odd).__name__}, which JSON cannot hold: put it in quotes",
            )
        return odd is None


def _odd_values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, item in cast("dict[Any, Any]", value).items():
            if not isinstance(key, str):
                yield key
            yield from _odd_values(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _odd_values(item)
    elif value is not None and not isinstance(value, str | int | float):
        yield value
