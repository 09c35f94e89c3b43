"""The space that a sweep searches: W&B's `parameters` section, read with all of its defaults, and the values in it."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.distributions import Categorical, Constant, Distribution, IntUniform, is_number
from launch_sdk.specs.inputs import split_file_parameter
from launch_sdk.specs.real_distributions import Beta, LogNormal, LogUniform, Normal, Uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document

ParameterPath = tuple[str, ...]
_DocumentPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Space:
    """The parameters of a sweep, each with its distribution.

    Attributes:
        dimensions: the path of each parameter (more than one part if it is nested) and its distribution, names sorted
            at each level.
    """

    dimensions: tuple[tuple[ParameterPath, Distribution], ...]

    def __iter__(self) -> Iterator[tuple[ParameterPath, Distribution]]:
        return iter(self.dimensions)

    @cached_property
    def searched(self) -> tuple[tuple[ParameterPath, Distribution], ...]:
        """The dimensions that can have more than one value."""
        return tuple((path, one) for path, one in self.dimensions if one.levels != 1)

    @cached_property
    def is_discrete(self) -> bool:
        """Whether the number of different points is finite."""
        return self.levels is not None

    @cached_property
    def levels(self) -> int | None:
        """The number of different points that draws can give; None if there is no bound."""
        return _product([one.levels for _, one in self.dimensions])

    def size(self) -> int | None:
        """Give the number of points of a grid search; None if a grid search cannot go through the space."""
        return _product([one.grid_size for _, one in self.dimensions])

    def flatten(self, nested: Mapping[str, Any]) -> dict[ParameterPath, Any]:
        """Take the space's parameters out of nested ones; those that `nested` lacks are left out."""
        flat: dict[ParameterPath, Any] = {}
        for path, _ in self.dimensions:
            value: Any = nested
            for name in path:
                if not isinstance(value, Mapping) or name not in value:
                    break
                value = cast("Mapping[str, Any]", value)[name]
            else:
                flat[path] = value
        return flat

    def nest(self, flat: Mapping[ParameterPath, Any]) -> dict[str, Any]:
        """Make nested parameters of flat ones, the caller's own; the inverse of `flatten`."""
        nested: dict[str, Any] = {}
        for path, value in flat.items():
            place = nested
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = copy.deepcopy(value)
        return nested

    def contains(self, nested: Mapping[str, Any]) -> bool:
        """Say whether every parameter of the space is given and inside its distribution."""
        flat = self.flatten(nested)
        return all(path in flat and one.contains(flat[path]) for path, one in self.dimensions)


def _product(sizes: list[int | None]) -> int | None:
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


def grid_faults(space: Space) -> list[tuple[ParameterPath, str]]:
    """List the parameters that a grid search cannot go through, as (path, message)."""
    return [
        (
            path,
            f"{distribution.name} has no grid: give value, values, integer min and max, or distribution: q_uniform",
        )
        for path, distribution in space
        if distribution.grid_size is None
    ]


def parse_parameters(document: Document, path: _DocumentPath = ("parameters",)) -> tuple[Space, list[Fault]]:
    """Read the `parameters` section of a sweep, with W&B's defaults and its inference of the distribution.

    Args:
        document: the sweep's document.
        path: where the section is in it.

    Returns:
        The space of all the parameters that are right, and every fault with its path and line.
    """
    section: Any = document.value
    for part in path:
        section = cast("dict[Any, Any]", section).get(part) if isinstance(section, dict) else None
    reader = _Reader(document)
    reader.read_section(path, section, ())
    return Space(tuple(sorted(reader.dimensions, key=lambda dimension: dimension[0]))), reader.faults


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_FILE = re.compile(r"[^\0]+\.(?:json|ya?ml|toml)")  # a config file, below `files`
_FORMS = "`value: ...`, `values: [...]`, `min: ...` and `max: ...`, or `distribution: ...`"

# The keys of each distribution: those that must be given, then those that may be.
DISTRIBUTION_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "constant": (("value",), ()),
    "categorical": (("values",), ("probabilities",)),
    "categorical_w_probabilities": (("values", "probabilities"), ()),
    "int_uniform": (("min", "max"), ()),
    "uniform": (("min", "max"), ()),
    "q_uniform": (("min", "max"), ("q",)),
    "log_uniform_values": (("min", "max"), ()),
    "q_log_uniform_values": (("min", "max"), ("q",)),
    "inv_log_uniform_values": (("min", "max"), ()),
    "normal": ((), ("mu", "sigma")),
    "q_normal": ((), ("mu", "sigma", "q")),
    "log_normal": ((), ("mu", "sigma")),
    "q_log_normal": ((), ("mu", "sigma", "q")),
    "beta": ((), ("a", "b")),
    "q_beta": ((), ("a", "b", "q")),
}
_EXPONENTS = ("log_uniform", "q_log_uniform", "inv_log_uniform")
_ALL_KEYS = (
    "distribution",
    "parameters",
    *dict.fromkeys(key for keys in DISTRIBUTION_KEYS.values() for key in (*keys[0], *keys[1])),
)


class _Reader:
    """Goes through the section once and collects dimensions and faults."""

    def __init__(self, document: Document) -> None:
        self.dimensions: list[tuple[ParameterPath, Distribution]] = []
        self.faults: list[Fault] = []
        self._document = document

    def fault(self, at: _DocumentPath, message: str) -> None:
        self.faults.append(self._document.fault(at, message))

    def read_section(self, at: _DocumentPath, section: Any, names: ParameterPath) -> None:
        if section is None:
            self.fault(at, "missing: give a mapping of parameter names to what each may be")
        elif not isinstance(section, dict):
            self.fault(at, f"{section!r} is not a mapping of parameter names to what each may be")
        elif not section:
            self.fault(at, "empty: give at least one parameter")
        else:
            for name, given in cast("dict[Any, Any]", section).items():
                self._read_parameter((*at, str(name)), name, given, names)

    def _read_parameter(self, at: _DocumentPath, name: Any, given: Any, names: ParameterPath) -> None:
        if not isinstance(name, str) or not _is_name(name, names):
            self.fault(at, f"{name!r} is no parameter name: letters, digits, _ . - and no digit, . or - first")
        elif not isinstance(given, dict):
            right = f"values: {given!r}" if isinstance(given, list) else f"value: {given!r}"
            self.fault(at, f"write `{right}`: a parameter is a mapping with {_FORMS}")
        elif "parameters" in given and "distribution" not in given:
            self._read_nested(at, cast("dict[Any, Any]", given), (*names, name))
        else:
            self._read_distribution(at, cast("dict[Any, Any]", given), (*names, name))

    def _read_nested(self, at: _DocumentPath, given: dict[Any, Any], names: ParameterPath) -> None:
        self._refuse_unknown(at, given, ("parameters",), "a parameter with nested `parameters`")
        self.read_section((*at, "parameters"), given["parameters"], names)

    def _read_distribution(self, at: _DocumentPath, given: dict[Any, Any], names: ParameterPath) -> None:
        before = len(self.faults)
        name = self._name(at, given)
        if name is None:
            return
        required, optional = DISTRIBUTION_KEYS[name]
        self._refuse_unknown(at, given, ("distribution", *required, *optional), name)
        for key in required:
            if key not in given:
                self.fault(at, f"{key} is missing: {name} needs {' and '.join(required)}")
        if len(self.faults) == before:
            distribution = _Values(self, at, given).build(name)
            if distribution is not None and len(self.faults) == before:
                self.dimensions.append((names, distribution))

    def _name(self, at: _DocumentPath, given: dict[Any, Any]) -> str | None:
        if "distribution" not in given:
            return self._inferred_name(at, given)
        name = given["distribution"]
        if name in _EXPONENTS:
            self.fault(
                (*at, "distribution"),
                f"{name} is deprecated: its min/max specify base-e exponents; use {name}_values for limit values",
            )
        elif not isinstance(name, str) or name not in DISTRIBUTION_KEYS:
            self.fault((*at, "distribution"), f"{name!r} is no distribution{_nearest(name, DISTRIBUTION_KEYS)}")
        else:
            return name
        return None

    def _inferred_name(self, at: _DocumentPath, given: dict[Any, Any]) -> str | None:
        if "value" in given:
            return "constant"
        if "values" in given:
            return "categorical_w_probabilities" if "probabilities" in given else "categorical"
        if "min" in given and "max" in given:
            whole = all(isinstance(given[key], int) and not isinstance(given[key], bool) for key in ("min", "max"))
            return "int_uniform" if whole else "uniform"
        for key, other in (("min", "max"), ("max", "min")):
            if key in given:
                self.fault(at, f"{other} is missing: a range needs min and max")
                return None
        known = self._refuse_unknown(at, given, _ALL_KEYS, "a parameter")
        if known:
            self.fault(at, f"it says nothing about its values: give {_FORMS}")
        return None

    def _refuse_unknown(self, at: _DocumentPath, given: dict[Any, Any], known: tuple[str, ...], what: str) -> bool:
        unknown = [key for key in given if key not in known]
        for key in unknown:
            self.fault((*at, str(key)), f"{key!r} is no key of {what}{_nearest(key, known)}")
        return not unknown


def _is_name(name: str, above: ParameterPath) -> bool:
    """Say whether a parameter may be called so: a word, or the path of a config file with or without keys in it."""
    of_file = _FILE.fullmatch(name) if above == ("files",) else split_file_parameter(name) if not above else None
    return bool(NAME.fullmatch(name) or of_file)


def _nearest(word: Any, known: Any) -> str:
    """Say which known word was probably meant, or list them all."""
    close = get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


class _Values:
    """Checks the values of one parameter whose keys are right, and builds its distribution."""

    def __init__(self, reader: _Reader, at: _DocumentPath, given: dict[Any, Any]) -> None:
        self._reader = reader
        self._at = at
        self._given = given

    def build(self, name: str) -> Distribution | None:
        q = self._positive("q", 1.0) if name.startswith("q_") else None
        builders: dict[str, Callable[[], Distribution | None]] = {
            "constant": lambda: Constant(self._given["value"]) if self._is_plain(("value",)) else None,
            "categorical": self._categorical,
            "categorical_w_probabilities": self._categorical,
            "int_uniform": self._int_uniform,
            "uniform": lambda: self._range(q, inverse=None),
            "log_uniform_values": lambda: self._range(q, inverse=False),
            "inv_log_uniform_values": lambda: self._range(q, inverse=True),
            "normal": lambda: self._normal(Normal, q),
            "log_normal": lambda: self._normal(LogNormal, q),
            "beta": lambda: Beta(self._positive("a", 1.0) or 1.0, self._positive("b", 1.0) or 1.0, q),
        }
        return builders[name.removeprefix("q_")]()

    def _fault(self, key: str, message: str) -> None:
        self._reader.fault((*self._at, key) if key in self._given else self._at, message)

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
            self._reader.fault(
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
