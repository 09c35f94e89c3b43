"""Runs from before a sweep whose results its sampler is told, as if they had been its first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.runs import SweepRun
from launch_sdk.sweeps.samplers.protocol import Observation
from launch_sdk.tracking.values import dumps, loads

if TYPE_CHECKING:
    from launch_sdk.specs.sweep_spec import SweepSpec


@dataclass(frozen=True)
class PriorRun:
    """A run that ended before the sweep began.

    Attributes:
        run_id: of the run.
        parameters: what its config says of the sweep's parameters, nested.
        value: the sweep's metric; None if the run did not log it.
    """

    run_id: str
    parameters: Mapping[str, Any]
    value: float | None


def prior_run(spec: SweepSpec, run_id: str, config: Mapping[str, Any], summary: Mapping[str, Any]) -> PriorRun:
    """Take what a sweep can learn from a run out of its config and summary."""
    # Code says later what it looks for.
    parameters = dict(config) if spec.searches_by_code else spec.space.nest(spec.space.flatten(config))
    run = SweepRun(0, 0, run_id, run_id, RunState.FINISHED, parameters, summary)
    return PriorRun(run_id, parameters, run.metric(spec.metric))


def prior_notices(spec: SweepSpec, prior: Sequence[PriorRun]) -> list[str]:
    """Say which prior runs tell the sampler nothing, and why."""
    notices: list[str] = []
    for run in prior:
        values = spec.space.flatten(run.parameters)
        outside = [".".join(path) for path, one in spec.space if path not in values or not one.contains(values[path])]
        if outside:
            notices.append(f"Prior run {run.run_id} does not count: {', '.join(outside)} is not in the sweep's space.")
        elif spec.metric and run.value is None:
            notices.append(f"Prior run {run.run_id} has not logged {spec.metric.name!r}; it counts as one that failed.")
    return notices


def observations(prior: Sequence[PriorRun]) -> list[Observation]:
    """Give prior runs as a sampler sees them, numbered from below 0."""
    return [
        Observation(
            index=place - len(prior),
            parameters=run.parameters,
            value=run.value,
            status="failed" if run.value is None else "finished",
        )
        for place, run in enumerate(prior)
    ]


def prior_text(prior: Sequence[PriorRun]) -> str:
    """Write prior runs as one line of text."""
    return dumps([{"run_id": run.run_id, "parameters": run.parameters, "value": run.value} for run in prior])


def read_prior(text: str) -> list[PriorRun]:
    """Read what `prior_text` wrote."""
    return [PriorRun(run["run_id"], run["parameters"], run["value"]) for run in loads(text)]
