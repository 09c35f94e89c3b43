"""What a sampler is told and what it must do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.specs.space import Space

METHODS = ("grid", "random", "bayes", "tpe")

Goal = Literal["minimize", "maximize"]
Status = Literal["running", "finished", "failed"]


@dataclass(frozen=True)
class Observation:
    """A run of the sweep as a sampler sees it.

    Attributes:
        index: the run's number in its sweep, from 0.
        parameters: nested, as they were suggested; a prior run may have others.
        value: the metric, possibly not finite; None if the run gave none.
        status: what became of the run.
    """

    index: int
    parameters: Mapping[str, Any] = field(hash=False)
    value: float | None
    status: Status

    @cached_property
    def result(self) -> float | None:
        """The finite result of a finished run; None of any other."""
        if self.status != "finished" or self.value is None or not isfinite(self.value):
            return None
        return float(self.value)


class Sampler(Protocol):
    """Decides the parameters of a sweep's runs.

    The law, which `launch_sdk.testing.SamplerContract` checks:

    1. Pure and deterministic: the same constructor arguments, space, observations and index give the same answer, in
       another process too. No argument is changed.
    2. Every value is inside its distribution, and is a plain Python value.
    3. Running observations are known: they are taken, though without a result.
    4. `grid`, `bayes` and `tpe` repeat no point of a discrete space, and say None when all were tried, whatever became
       of those runs. `random` draws with replacement, as W&B does, and never ends.
    5. An observation that lies outside the space, or has no finite value, is no error.
    """

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        """Suggest nested parameters for run `index`; None when the space is exhausted."""
        ...
