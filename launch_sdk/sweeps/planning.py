"""The heart of a sweep: from what is known of its runs to what to do next. Pure, so a restart is just another call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.runs import SweepRun, best_run, latest_attempts
from launch_sdk.sweeps.samplers import Observation, Sampler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.specs.sweep_spec import SweepSpec

FAILURES_AT_START = 3
FINISHED_WITHOUT_METRIC = 3


@dataclass(frozen=True)
class Launch:
    """Start a run with these parameters at this index."""

    index: int
    parameters: Mapping[str, Any]
    attempt: int = 0


@dataclass(frozen=True)
class Stop:
    """End a run that is not needed any more."""

    run_id: str
    reason: str


@dataclass(frozen=True)
class Finish:
    """End the sweep: nothing runs and nothing is left to start."""

    outcome: Literal["finished", "failed"]
    reason: str


Action = Launch | Stop | Finish


def plan(spec: SweepSpec, runs: Sequence[SweepRun], sampler: Sampler) -> list[Action]:
    """Decide what to do next.

    Law: the same arguments give the same actions; at most `num_workers` runs are ever active; no index is launched
    twice unless its run was cut short and not acknowledged; after `Finish` there is no other action.

    Args:
        spec: the sweep.
        runs: every run of it that exists, in any order, all attempts.
        sampler: what chooses parameters.

    Returns:
        The actions in the order to carry them out; empty means wait.
    """
    current = latest_attempts(runs)
    active = [run for run in current if run.is_active]
    if ending := _ending(spec, current):
        return [Stop(run.run_id, ending.reason) for run in active] if active else [ending]
    launches = _launches(spec, current, spec.num_workers - len(active), sampler)
    if launches or active:
        return list(launches)
    return [Finish("finished", _exhausted(spec, current))]


def _launches(spec: SweepSpec, current: Sequence[SweepRun], free: int, sampler: Sampler) -> list[Launch]:
    """Fill the free workers: first what was cut short, with its own parameters, then new suggestions."""
    again = [Launch(r.index, r.parameters, r.attempt + 1) for r in current if r.was_cut_short and not r.acknowledged]
    launches = again[: max(free, 0)]
    observations = [_observation(spec, run) for run in current]
    index = current[-1].index + 1 if current else 0
    while len(launches) < free and (spec.run_cap is None or index < spec.run_cap):
        parameters = sampler.suggest(spec.space, observations, index)
        if parameters is None:
            break
        launches.append(Launch(index, parameters))
        observations.append(Observation(index=index, parameters=parameters, value=None, status="running"))
        index += 1
    return launches


def _observation(spec: SweepSpec, run: SweepRun) -> Observation:
    will_run = run.is_active or (run.was_cut_short and not run.acknowledged)
    status = "running" if will_run else "finished" if run.state.has_result else "failed"
    value = None if will_run else run.metric(spec.metric)
    return Observation(index=run.index, parameters=run.parameters, value=value, status=status)


def _ending(spec: SweepSpec, current: Sequence[SweepRun]) -> Finish | None:
    """Say why the sweep should end before its runs are used up; None if it should not."""
    best = best_run(current, spec.metric)
    value = best.metric(spec.metric) if best else None
    if spec.metric and best and value is not None and spec.metric.reaches_target(value):
        return Finish("finished", f"run {best.index} reached the target: {spec.metric.name} is {value:g}")
    ended = [run for run in current if run.state.is_terminal]
    failed = [run for run in ended if run.state is RunState.FAILED]
    if len(failed) == len(ended) >= FAILURES_AT_START:
        error = failed[-1].error or "no message"
        return Finish("failed", f"the first {len(failed)} runs failed; the last with: {error}")
    if spec.method in {"bayes", "tpe"} and spec.metric and best is None:
        finished = [run for run in ended if run.state is RunState.FINISHED]
        if len(finished) >= FINISHED_WITHOUT_METRIC and all(run.metric(spec.metric) is None for run in finished):
            return Finish("failed", f"{len(finished)} runs finished, {missing_metric(spec, finished[0])}")
    return None


def missing_metric(spec: SweepSpec, run: SweepRun) -> str:
    """Say that a finished run has not logged the sweep's metric, and what it did log."""
    name = spec.metric.name if spec.metric else ""
    logged = ", ".join(sorted(run.summary)) or "nothing"
    return f"but none logged the metric {name!r}; run {run.index} logged {logged}. Correct metric.name, or log {name!r}"


def _exhausted(spec: SweepSpec, current: Sequence[SweepRun]) -> str:
    if spec.run_cap is not None and len(current) >= spec.run_cap:
        return f"all {spec.run_cap} runs have ended"
    return f"all {len(current)} points of the space have been tried"
