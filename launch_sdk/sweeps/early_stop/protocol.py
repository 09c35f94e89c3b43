"""What a rule of early stopping is told and what it must do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.curve import Curve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def _nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class History:
    """The metric of one run of the sweep, as far as it is known.

    Attributes:
        run_id: id of the run.
        index: its place in the sweep, from 0.
        curve: the logged values.
        state: where the run is in its life. Only one that is `RUNNING` can be ended early.
        ended: when it ended, unix seconds; None if it has not.
        parameters: the sweep's suggestion, nested.
    """

    run_id: str
    index: int
    curve: Curve
    state: RunState = RunState.RUNNING
    ended: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=_nothing)

    @property
    def is_active(self) -> bool:
        """Whether the run can be ended early."""
        return self.state is RunState.RUNNING

    @property
    def values(self) -> Sequence[float]:
        """The finite values in the order in which they were logged."""
        return self.curve.until(self.curve.count)


class Decision(NamedTuple):
    """End this run early, for this reason; a person reads it beside the run."""

    run_id: str
    reason: str


class EarlyStop(Protocol):
    """Decides which runs of a sweep are not worth going on with.

    The law, which `launch_sdk.testing.EarlyStopContract` checks:

    1. Pure and deterministic: the same histories give the same decisions, in whatever order they come, in another
       process too. Nothing is remembered from call to call and no argument is changed.
    2. Only active runs are ended, each at most once, each with a reason that is one line of text.
    3. A run that has logged nothing, or has logged values that are not finite, is no error.
    4. A rule that compares runs never ends one that has been at least as good as every other at every iteration.
    """

    def decide(self, histories: Sequence[History]) -> Iterable[Decision]:
        """Say which runs to end.

        Args:
            histories: of every run of the sweep, whatever became of it, in any order.
        """
        ...
