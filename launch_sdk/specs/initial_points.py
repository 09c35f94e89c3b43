"""The `initial` points of a sweep file: what its first runs try, before its method chooses."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.distributions import Categorical, Distribution, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document, Path_
    from launch_sdk.specs.space import ParameterPath, Space

KEY = "initial"
MAX_SHOWN = 8


def parse_initial(
    document: Document, space: Space, *, whole: bool, faults: list[Fault]
) -> tuple[Mapping[str, Any], ...]:
    """Read the list of points, each a mapping of parameters to values, nested as they are.

    Args:
        document: the sweep file.
        space: what the parameters may be.
        whole: whether a point must name every parameter that can vary; else the method chooses the rest.
        faults: each fault is added here, with its path and line.

    Returns:
        The points, nested, with parameters that have one value only filled in.
    """
    points = cast("dict[str, Any]", document.value).get(KEY)
    if not isinstance(points, list):
        return ()
    found: list[Mapping[str, Any]] = []
    places: dict[Any, int] = {}
    for index, point in enumerate(cast("list[Any]", points)):
        before = len(faults)
        reader = _Point(document, space, faults)
        reader.read((KEY, index), (), point)
        missing = [".".join(path) for path, _ in space.searched if path not in reader.values]
        if whole and missing and isinstance(point, dict):
            reader.fault((KEY, index), f"a point of a grid names every parameter; {', '.join(missing)} is missing")
        nested = space.nest(reader.filled)
        if len(faults) == before and (first := places.setdefault(canonical(nested), index)) != index:
            reader.fault((KEY, index), f"is the same point as {KEY}[{first}]")
        found.append(nested)
    return tuple(found)


class _Point:
    """Reads one point: the values that are right, by the path of their parameter."""

    def __init__(self, document: Document, space: Space, faults: list[Fault]) -> None:
        self.values: dict[ParameterPath, Any] = {}
        self._document = document
        self._space = space
        self._distributions = dict(space.dimensions)
        self._faults = faults

    def fault(self, at: Path_, message: str) -> None:
        self._faults.append(self._document.fault(at, message))

    @property
    def filled(self) -> dict[ParameterPath, Any]:
        """The values in the order of the space, with those of parameters that have one value only."""
        only = {path: one.quantile(0.5) for path, one in self._space if one.levels == 1}
        given = only | self.values
        return {path: given[path] for path, _ in self._space if path in given}

    def read(self, at: Path_, above: ParameterPath, point: object) -> None:
        if not isinstance(point, dict):
            self.fault(at, f"must be a mapping of parameters to values, not {point!r}")
            return
        names = sorted({path[len(above)] for path, _ in self._space if path[: len(above)] == above})
        for name, value in cast("dict[Any, Any]", point).items():
            path, place = (*above, name), (*at, str(name))
            if path in self._distributions:
                self._take(place, path, value)
            elif name in names:
                self.read(place, path, value)
            else:
                near = difflib.get_close_matches(str(name), names, n=1)
                there_are = (
                    f"there are {', '.join(names)}" if names else "name it under parameters, with what it may be"
                )
                hint = f"did you mean {near[0]}?" if near else there_are
                self.fault(place, f"is no parameter of the sweep; {hint}")

    def _take(self, at: Path_, path: ParameterPath, value: object) -> None:
        distribution = self._distributions[path]
        if distribution.contains(value):
            self.values[path] = value
        else:
            self.fault(at, f"{value!r} is no value of this parameter, which is {_described(distribution)}")


def _described(distribution: Distribution) -> str:
    if isinstance(distribution, Categorical):
        values = ", ".join(repr(value) for value in distribution.options[:MAX_SHOWN])
        return f"one of {values}{' ...' if len(distribution.options) > MAX_SHOWN else ''}"
    low, high = getattr(distribution, "min", None), getattr(distribution, "max", None)
    return distribution.name if low is None else f"{distribution.name} from {low} to {high}"
