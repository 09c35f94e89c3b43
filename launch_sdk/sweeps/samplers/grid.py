"""Grid search: every combination once, in the order of a counter whose last name (alphabetically) turns fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.space import grid_faults
from launch_sdk.sweeps.samplers.permutation import permuted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.space import ParameterPath, Space
    from launch_sdk.sweeps.samplers.protocol import Observation


class GridSampler:
    """Gives the first combination that no observation has, whatever became of its run.

    Args:
        shuffle: seed of a random order; None for that of the counter.

    A combination is never stored, only its number: the value positions are the digits of a mixed-radix number, so a
    billion combinations cost nothing to begin with.
    """

    def __init__(self, shuffle: int | None = None) -> None:
        self._shuffle = shuffle

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        """Suggest the first untried combination; None when there is none left.

        Raises:
            InvalidSpecError: a parameter has no grid; `grid_faults` lists them beforehand.
        """
        del index  # what was tried counts, not how often
        size = space.size()
        if size is None:
            raise InvalidSpecError(
                "the grid search", [Fault(".".join(path), message) for path, message in grid_faults(space)]
            )
        tried = {_number(space, observation) for observation in observations}
        order = (self._at(place, size) for place in range(min(len(tried) + 1, size)))
        number = next((number for number in order if number not in tried), None)
        return None if number is None else space.nest(_combination(space, number))

    def _at(self, place: int, size: int) -> int:
        return place if self._shuffle is None else permuted(place, size, self._shuffle)


def _combination(space: Space, number: int) -> dict[ParameterPath, Any]:
    values: dict[ParameterPath, Any] = {}
    for path, distribution in reversed(space.dimensions):
        number, position = divmod(number, distribution.grid_size or 1)
        values[path] = distribution.grid_value(position)
    return {path: values[path] for path, _ in space}


def _number(space: Space, observation: Observation) -> int | None:
    """Give the number of an observed combination; None if it is none of the grid."""
    values = space.flatten(observation.parameters)
    number = 0
    for path, distribution in space:
        position = distribution.grid_position(values[path]) if path in values else None
        if position is None:
            return None
        number = number * (distribution.grid_size or 1) + position
    return number
