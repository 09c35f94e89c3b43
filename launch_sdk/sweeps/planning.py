"""The heart of a sweep: from what is known of its runs to what to do next. Pure, so a restart is just another call."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import LEARNING
from launch_sdk.sweeps.early_stop import History
from launch_sdk.sweeps.report import duration
from launch_sdk.sweeps.runs import SweepRun, best_run, latest_attempts, metric_value
from launch_sdk.sweeps.samplers import Observation, Sampler

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from launch_sdk.specs.sweep_spec import Impute, Metric, SweepSpec
    from launch_sdk.sweeps.early_stop import EarlyStop

FAILURES_AT_START = 3
RUNS_OF_A_FRACTION = 10  # of which a fraction may fail: fewer say nothing yet
FINISHED_WITHOUT_METRIC = 3
SETTLE_S = 5.0
MAX_ATTEMPTS = 5  # of a run whose process is lost again and again


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
    """End the sweep: nothing runs and nothing is left to start, or its user wants no more."""

    outcome: Literal["finished", "failed", "stopped"]
    reason: str


Action = Launch | Stop | Finish
Wish = Literal["pause", "stop"]


def plan(
    spec: SweepSpec,
    runs: Sequence[SweepRun],
    sampler: Sampler,
    early_stop: EarlyStop | None = None,
    *,
    wish: Wish | None = None,
    prior: Sequence[Observation] = (),
    now: float | None = None,
    closing: Finish | None = None,
) -> list[Action]:
    """Decide what to do next.

    Law: the same arguments give the same actions; at most `num_workers` runs are ever active; no index is launched
    twice unless its run was cut short (cancelled and not acknowledged, or lost fewer than `MAX_ATTEMPTS` times), has
    failed no more often than `retries` says, or its user wants it again; only a running run is stopped early, and its
    worker is free once it has ended; after `Finish` there is no other action. A wish ends no run: a paused sweep starts
    none, a stopped one ends with its last, and so does one that is closing.

    Args:
        spec: the sweep.
        runs: every run of it that exists, in any order, all attempts.
        sampler: what chooses parameters.
        early_stop: what ends runs that are not worth going on with; None ends none.
        wish: what the sweep's user wants of it; None for nothing but its runs.
        prior: results from before the sweep, for the sampler.
        now: unix seconds, for the limits of time; None lets none be over.
        closing: how a custom scheduler wants the sweep to end when nothing runs any more; None if it goes on.

    Returns:
        The actions in the order to carry them out; empty means wait.
    """
    current = latest_attempts(runs)
    unsettled = [run for run in current if not run.is_settled]
    active = [run for run in unsettled if run.is_active]
    again = {run.run_id for run in unsettled if _starts_again(run) or _is_retried(spec, run, runs)}
    broken = [run for run in unsettled if not run.is_active and run.run_id not in again]
    if ending := _ending(spec, current, broken) or _time_is_up(spec, runs, now) or _too_costly(spec, runs):
        return [Stop(run.run_id, ending.reason) for run in active] if active else [ending]
    reasons = _too_long(spec, active, now) | dict(early_stop.decide(_histories(current)) if early_stop else ())
    stops = [Stop(run_id, reason) for run_id, reason in reasons.items()]
    if wish == "stop" and closing is None:
        closing = Finish("stopped", f"stopped by its user after {len(current)} runs")
    if wish is not None or closing is not None:
        return [*stops] if active or closing is None else [closing]
    free = spec.num_workers - len(active)
    repeated = [Launch(run.index, run.parameters, run.attempt + 1) for run in unsettled if run.run_id in again]
    seen = [*prior, *(_observation(spec, run, again) for run in current)]
    launches = [*repeated[: max(free, 0)], *_suggestions(spec, current, free - len(repeated), sampler, seen)]
    if launches or active:
        return [*stops, *launches]
    if current and all(run.state is RunState.FAILED for run in current):
        return [Finish("failed", f"all {len(current)} runs failed; the last with: {current[-1].error or 'no message'}")]
    return [Finish("finished", _exhausted(spec, current))]


def _histories(current: Sequence[SweepRun]) -> list[History]:
    return [History(run.run_id, run.index, run.curve, run.state, run.ended, run.parameters) for run in current]


def _suggestions(
    spec: SweepSpec, current: Sequence[SweepRun], free: int, sampler: Sampler, seen: Sequence[Observation]
) -> list[Launch]:
    """Fill the free workers with what the sampler suggests."""
    launches: list[Launch] = []
    observations = list(seen)
    for index in _free_indices(current):
        if len(launches) >= free or (spec.run_cap is not None and index >= spec.run_cap):
            break
        parameters = _parameters(spec, sampler, observations, index)
        if parameters is None:
            break
        launches.append(Launch(index, parameters))
        observations.append(Observation(index=index, parameters=parameters, value=None, status="running"))
    return launches


def _free_indices(current: Sequence[SweepRun]) -> Iterator[int]:
    """Give the indices that no run has; one may be missing where a sweep was cut off while it started several."""
    top = current[-1].index + 1 if current else 0
    if top > len(current):
        taken = {run.index for run in current}
        yield from (index for index in range(top) if index not in taken)
    yield from itertools.count(top)


def _parameters(
    spec: SweepSpec, sampler: Sampler, observations: Sequence[Observation], index: int
) -> Mapping[str, Any] | None:
    """Give an initial point, with what it lacks from the sampler; after those, the sampler's own.

    Code of the user's may add parameters that the file does not name, so it is asked even where a point is whole.
    """
    point = spec.initial[index] if index < len(spec.initial) else None
    if point is not None and spec.space.contains(point) and not spec.searches_by_code:
        return point
    suggested = sampler.suggest(spec.space, observations, index)
    if suggested is None or point is None:
        return suggested
    return spec.space.nest(spec.space.flatten(point), over=suggested)


def _starts_again(run: SweepRun) -> bool:
    """A run that went down with its sweep does; one whose own process is lost does a few times."""
    if run.again and run.state.is_terminal:
        return True
    if run.acknowledged:
        return False
    return run.state is RunState.CANCELLED or (run.state is RunState.LOST and run.attempt + 1 < MAX_ATTEMPTS)


def _is_retried(spec: SweepSpec, run: SweepRun, runs: Sequence[SweepRun]) -> bool:
    if run.state is not RunState.FAILED or not spec.limits.retries:
        return False
    failures = sum(one.index == run.index and one.state is RunState.FAILED for one in runs)
    return failures <= spec.limits.retries


def _observation(spec: SweepSpec, run: SweepRun, again: Container[str]) -> Observation:
    """Give a run as the sampler sees it; `again` holds the ids of those that start again."""
    if run.is_settled:
        return _result(run, spec.metric)
    if run.run_id in again:
        value, status = None, "running"
    elif run.is_active:
        value = _imputed(run, spec.metric, spec.metric.impute_while_running if spec.metric else None)
        status = "running" if value is None else "finished"
    else:
        value = _imputed(run, spec.metric, spec.metric.impute if spec.metric else None)
        status = "failed" if value is None else "finished"
    return Observation(index=run.index, parameters=run.parameters, value=value, status=status)


def _result(run: SweepRun, metric: Metric | None) -> Observation:
    """Give a settled run as the sampler sees it; it stays with the run, for a long sweep has thousands."""
    known: tuple[Metric | None, Observation] | None = run.kept
    if known is None or known[0] is not metric:
        seen = Observation(index=run.index, parameters=run.parameters, value=run.metric(metric), status="finished")
        run.keep(known := (metric, seen))
    return known[1]


def _imputed(run: SweepRun, metric: Metric | None, by: Impute | None) -> float | None:
    """Give what a run without a result counts as; None for the worst one, which the sampler knows."""
    if metric is None or by not in {"best", "latest"}:
        return None
    latest = run.metric(metric)
    values = [value for value in (*run.curve.values, latest) if value is not None and math.isfinite(value)]
    if not values:
        return None
    if by == "best":
        return min(values) if metric.goal == "minimize" else max(values)
    return values[-1]


def _ending(spec: SweepSpec, current: Sequence[SweepRun], broken: Sequence[SweepRun]) -> Finish | None:
    """Say why the sweep should end before its runs are used up; None if it should not.

    Args:
        spec: the sweep.
        current: the latest attempts, perhaps thousands, of which those that are settled count.
        broken: those that have ended without a result and do not start again.
    """
    if spec.metric and spec.metric.target is not None:
        best = best_run([run for run in current if run.is_settled], spec.metric)
        value = best.metric(spec.metric) if best else None
        if best and value is not None and spec.metric.reaches_target(value):
            return Finish("finished", f"run {best.index} reached the target: {spec.metric.name} is {value:g}")
    if failing := _too_many_failures(spec, current, broken):
        return failing
    if (
        spec.method in {*LEARNING, "custom"}
        and spec.metric
        and not any(_has_value(run, spec.metric) for run in current)
    ):
        finished = [run for run in current if run.is_settled and run.state is RunState.FINISHED]
        if len(finished) >= FINISHED_WITHOUT_METRIC and all(run.metric(spec.metric) is None for run in finished):
            return Finish("failed", f"{len(finished)} runs finished, {missing_metric(spec, finished[0])}")
    return None


def _has_value(run: SweepRun, metric: Metric | None) -> bool:
    value = run.metric(metric) if run.is_settled else None
    return value is not None and math.isfinite(value)


def _too_many_failures(spec: SweepSpec, current: Sequence[SweepRun], broken: Sequence[SweepRun]) -> Finish | None:
    """Say that more runs have failed than the sweep takes; None if not.

    They are judged in order of time: what ends afterwards, being stopped for this reason, must not take it back.
    """
    if not any(run.state is RunState.FAILED for run in broken):
        return None
    ended = [*(run for run in current if run.is_settled), *broken]
    told = sorted((run for run in ended if not run.was_cut_short), key=lambda run: (run.ended or 0.0, run.index))
    limit, failed = spec.limits.max_failed, list[SweepRun]()
    for count, run in enumerate(told, start=1):
        failed += [run] if run.state is RunState.FAILED else []
        error = run.error or "no message"
        if limit is None and count == len(failed) == FAILURES_AT_START:
            return Finish("failed", f"the first {count} runs failed; the last with: {error}")
        if limit is None or run.state is not RunState.FAILED:
            continue
        of_them = f"{len(failed)} of {count} runs failed, more than max_failed {limit:g}; the last with: {error}"
        judged = isinstance(limit, int) or count >= min(RUNS_OF_A_FRACTION, spec.run_limit or RUNS_OF_A_FRACTION)
        if judged and len(failed) > (limit if isinstance(limit, int) else limit * count):
            return Finish("failed", of_them)
    return None


def _time_is_up(spec: SweepSpec, runs: Sequence[SweepRun], now: float | None) -> Finish | None:
    limit = spec.limits.max_time_s
    if limit is None or now is None:
        return None
    started = min((run.started for run in runs if run.started is not None), default=now)
    if now - started < limit:
        return None
    return Finish("finished", f"its max_time of {duration(limit)} is over")


def _too_costly(spec: SweepSpec, runs: Sequence[SweepRun]) -> Finish | None:
    """Say that all attempts together have cost what they may; a value that is no finite number costs nothing."""
    name, most = spec.limits.cost_metric, spec.limits.max_cost
    if name is None:
        return None
    costs = [value for run in runs if (value := metric_value(run.summary, name)) is not None and math.isfinite(value)]
    if (cost := math.fsum(costs)) < most:
        return None
    return Finish("finished", f"its runs have cost {cost:g} {name}, and may cost {most:g}")


def _too_long(spec: SweepSpec, active: Sequence[SweepRun], now: float | None) -> dict[str, str]:
    """Name the running runs that take longer than a run may, with the reason to stop them."""
    limit = spec.limits.max_run_time_s
    if limit is None or now is None:
        return {}
    started = {run.run_id: run.started for run in active if run.state is RunState.RUNNING}
    reason = f"its max_run_time of {duration(limit)} is over"
    return {run_id: reason for run_id, since in started.items() if since is not None and now - since >= limit}


def settle(runs: Sequence[SweepRun], opened: float, now: float) -> tuple[list[SweepRun], list[SweepRun]]:
    """Tell runs that a user gave up from those that went down with their sweep.

    A sweep that is told to end dies a moment before or after its runs. So a run that is cancelled while its sweep
    looks on is held to be stopping for `SETTLE_S`; if the sweep still lives then, somebody meant that run alone.

    Args:
        runs: every attempt of every index.
        opened: when this process began to drive the sweep, unix seconds.
        now: unix seconds.

    Returns:
        The runs as `plan` should see them, and those among them that are given up, to be acknowledged.
    """
    seen: list[SweepRun] = []
    given_up: list[SweepRun] = []
    for run in runs:
        in_our_time = run.state is RunState.CANCELLED and (run.ended or now) >= opened
        if not in_our_time or run.acknowledged:
            seen.append(run)
        elif now - (run.ended or now) < SETTLE_S:
            seen.append(replace(run, state=RunState.STOPPING))
        else:
            given_up.append(replace(run, acknowledged=True))
            seen.append(given_up[-1])
    return seen, given_up


def missing_metric(spec: SweepSpec, run: SweepRun) -> str:
    """Say that a finished run has not logged the sweep's metric, and what it did log."""
    name = spec.metric.name if spec.metric else ""
    if (value := run.metric(spec.metric)) is not None:
        return f"but none logged a finite {name!r}; that of run {run.index} is {value}"
    logged = ", ".join(sorted(run.summary)) or "nothing"
    return f"but none logged the metric {name!r}; run {run.index} logged {logged}. Correct metric.name, or log {name!r}"


def _exhausted(spec: SweepSpec, current: Sequence[SweepRun]) -> str:
    if spec.run_cap is not None and len(current) >= spec.run_cap:
        return f"all {spec.run_cap} runs have ended"
    if spec.scheduler.job:
        return f"its scheduler had no more after {len(current)} runs"
    return f"all {len(current)} points of the space have been tried"
