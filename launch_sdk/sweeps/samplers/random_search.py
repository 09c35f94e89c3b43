"""Random search: independent draws with replacement, each fixed by seed, run and parameter alone."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.space import Space
    from launch_sdk.sweeps.samplers.protocol import Observation

_BITS = 52


def seed_of(*parts: object) -> int:
    """Derive a number of 64 bits from plain values; the same in every process and on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:8], "big")


def uniform_of(*parts: object) -> float:
    """Derive a uniform number inside (0, 1), never at its ends, from plain values."""
    return ((seed_of(*parts) >> (64 - _BITS)) + 0.5) / 2**_BITS


class RandomSampler:
    """Draws each parameter by the inverse CDF of one uniform number; adding a parameter changes no other."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any]:
        """Suggest a point; it does not depend on the observations."""
        del observations
        return space.nest(
            {path: distribution.quantile(uniform_of(self._seed, index, path)) for path, distribution in space}
        )
