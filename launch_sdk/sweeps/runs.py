"""What a sweep knows of its runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.curve import Curve

if TYPE_CHECKING:
    from launch_sdk.specs.sweep_spec import Metric


DEFINED_SUMMARIES = ("best", "last", "mean")


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class SweepRun:
    """One attempt at one index of a sweep.

    Attributes:
        index: place in the sweep, from 0.
        attempt: 0, or how often this index was started again after its run was cut short.
        run_id: id of the run.
        name: name of the run.
        state: where it is in its life.
        parameters: the sweep's suggestion, nested.
        summary: last values that it logged.
        acknowledged: the sweep has seen it end cut short and does not start it again.
        again: its user wants it started again, whatever became of it.
        started, ended: unix seconds; None if not yet.
        error: why it failed; None if it did not.
        stop_reason: why it was asked to end early; None if it was not.
        url: its page in the Prefect UI.
        curve: the values of the metric one by one; empty if the sweep ends no run early.
        is_active: it has not ended.
        is_settled: it has ended with a result, and nobody wants it again: nothing will become of it any more.
        kept: what `keep` has noted; no part of what the run is.
    """

    index: int
    attempt: int
    run_id: str
    name: str
    state: RunState
    parameters: Mapping[str, Any]
    summary: Mapping[str, Any] = field(default_factory=_nothing)
    acknowledged: bool = False
    again: bool = False
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    stop_reason: str | None = None
    url: str | None = None
    curve: Curve = field(default_factory=Curve)
    is_active: bool = field(init=False, repr=False, compare=False)
    is_settled: bool = field(init=False, repr=False, compare=False)
    kept: Any = field(init=False, repr=False, compare=False, default=None)
    _value: tuple[Metric, float | None] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_active", not self.state.is_terminal)
        object.__setattr__(self, "is_settled", self.state.has_result and not self.again)

    def keep(self, what: object) -> None:
        """Keep what its planner makes of it, which is asked for in every cycle, in place of what was kept before."""
        object.__setattr__(self, "kept", what)

    @property
    def was_cut_short(self) -> bool:
        """Ended by something else than its own program: its sweep, its agent or its user."""
        return self.state in {RunState.CANCELLED, RunState.LOST}

    @property
    def duration_s(self) -> float | None:
        return self.ended - self.started if self.started is not None and self.ended is not None else None

    def metric(self, metric: Metric | None) -> float | None:
        """Return the metric's value in the summary; None if it was not logged or is no number."""
        if metric is None:
            return None
        known = self._value
        if known is None or known[0] is not metric:
            known = (metric, self._look_up(metric))
            object.__setattr__(self, "_value", known)
        return known[1]

    def _look_up(self, metric: Metric) -> float | None:
        value = metric_value(self.summary, metric.name)
        extreme = "min" if metric.goal == "minimize" else "max"
        for kept in (extreme, *DEFINED_SUMMARIES):  # W&B's define_metric keeps such values in place of the last one
            value = metric_value(self.summary, f"{metric.name}.{kept}") if value is None else value
        return value


def metric_value(summary: Mapping[str, Any], name: str) -> float | None:
    """Look `name` up in a summary, first as it is and then along its dots.

    Returns:
        The number; None if there is none. It may be infinite or NaN.
    """
    value: Any = summary.get(name)
    if value is None:
        value = summary
        for part in name.split("."):
            value = cast("Mapping[str, Any]", value).get(part) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def latest_attempts(runs: Iterable[SweepRun]) -> list[SweepRun]:
    """Keep the latest attempt of each index, in order of index."""
    latest: dict[int, SweepRun] = {}
    for run in runs:
        known = latest.get(run.index)
        if known is None or run.attempt > known.attempt:
            latest[run.index] = run
    return [latest[index] for index in sorted(latest)]


def best_run(runs: Sequence[SweepRun], metric: Metric | None) -> SweepRun | None:
    """Return the run with the best finite metric among those with a result, the earliest of equals."""
    best: SweepRun | None = None
    if metric is None:
        return None
    for run in runs:
        value = run.metric(metric)
        if value is None or not math.isfinite(value) or not run.state.has_result:
            continue
        if best is None or metric.is_better(value, cast("float", best.metric(metric))):
            best = run
    return best
