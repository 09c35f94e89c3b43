"""The space that a sweep searches: W&B's `parameters` section, read with all of its defaults, and the values in it."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.inputs import split_file_parameter
from launch_sdk.specs.parameter_values import ParameterValues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launch_sdk.errors import Fault
    from launch_sdk.specs.distributions import Distribution
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

    def nest(self, flat: Mapping[ParameterPath, Any], over: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make nested parameters of flat ones, the caller's own; the inverse of `flatten`.

        Args:
            flat: values by the paths of their parameters.
            over: nested parameters that stay as they are where `flat` has none.
        """
        nested: dict[str, Any] = copy.deepcopy(dict(over or {}))
        for path, value in flat.items():
            place = nested
            for name in path[:-1]:
                if not isinstance(place.get(name), dict):
                    place[name] = {}
                place = cast("dict[str, Any]", place[name])
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
    "log_uniform": (("min", "max"), ()),
    "q_log_uniform": (("min", "max"), ("q",)),
    "inv_log_uniform": (("min", "max"), ()),
    "normal": ((), ("mu", "sigma")),
    "q_normal": ((), ("mu", "sigma", "q")),
    "log_normal": ((), ("mu", "sigma")),
    "q_log_normal": ((), ("mu", "sigma", "q")),
    "beta": ((), ("a", "b")),
    "q_beta": ((), ("a", "b", "q")),
}
DEPRECATED = ("log_uniform", "q_log_uniform", "inv_log_uniform")  # by W&B: their limits are exponents of e
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
            distribution = ParameterValues(self._document, self.faults, at, given).build(name)
            if distribution is not None and len(self.faults) == before:
                self.dimensions.append((names, distribution))

    def _name(self, at: _DocumentPath, given: dict[Any, Any]) -> str | None:
        if "distribution" not in given:
            return self._inferred_name(at, given)
        name = given["distribution"]
        if not isinstance(name, str) or name not in DISTRIBUTION_KEYS:
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
