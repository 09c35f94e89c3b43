"""What a person sees of a sweep: counts, the table of its runs, time left. Pure; the pictures are in pictures.py."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.runs import SweepRun, best_run, latest_attempts

if TYPE_CHECKING:
    from launch_sdk.specs.sweep_spec import SweepSpec


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes:
        finished, failed, active: numbers of runs; failed counts what ended without a result.
        total: how many there will be; None if endless.
        best: the best run so far.
        seconds_left: estimate from the median run; None before the first has ended or if endless.
    """

    finished: int
    failed: int
    active: int
    total: int | None
    best: SweepRun | None
    seconds_left: float | None

    @property
    def percent(self) -> float:
        return 100.0 * (self.finished + self.failed) / self.total if self.total else 0.0


def progress(spec: SweepSpec, runs: Sequence[SweepRun]) -> Progress:
    """Count the runs and estimate the time left."""
    current = latest_attempts(runs)
    finished = sum(run.state.has_result for run in current)
    active = sum(run.is_active for run in current)
    durations = [run.duration_s for run in current if run.state is RunState.FINISHED and run.duration_s is not None]
    total, seconds_left = spec.run_limit, None
    if total is not None and durations:
        remaining = max(total - (len(current) - active), 0)
        seconds_left = math.ceil(remaining / spec.num_workers) * statistics.median(durations)
    return Progress(
        finished, len(current) - active - finished, active, total, best_run(current, spec.metric), seconds_left
    )


def flat_parameters(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Spell nested parameters with dots: `{"a": {"b": 1}}` is `{"a.b": 1}`."""
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        if isinstance(value, Mapping) and value:
            result |= flat_parameters(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result


def short_names(names: Sequence[str]) -> list[str]:
    """Shorten dotted names to as few of their last parts as still tell them apart.

    `["optimizer.lr", "seed"]` gives `lr` and `seed`; `["a.lr", "b.lr"]` stay whole.

    Returns:
        The short form of each name, in the same order; different names stay different.
    """
    waiting = list(dict.fromkeys(names))
    found: dict[str, str] = {}
    length = 1
    while waiting:
        tails = {name: ".".join(name.split(".")[-length:]) for name in waiting}
        counts = Counter([*tails.values(), *found.values()])
        found |= {name: tail for name, tail in tails.items() if tail == name or (tail and counts[tail] == 1)}
        waiting = [name for name in waiting if name not in found]
        length += 1
    return [found[name] for name in names]


def varying_parameters(runs: Iterable[SweepRun]) -> list[str]:
    """Name, with dots and sorted, the parameters that are not the same in every run."""
    rows = [flat_parameters(run.parameters) for run in runs]
    names = sorted({name for row in rows for name in row})
    return [name for name in names if len({repr(row.get(name)) for row in rows}) > 1]


def short(value: object, limit: int = 24) -> str:
    """Write a value in few characters, on one line; the default limit is a cell's width."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def duration(seconds: float | None) -> str:
    """Write a time span: `4.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds is None:
        return ""
    if seconds < 60:  # noqa: PLR2004  # seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004


def ranked(spec: SweepSpec, runs: Sequence[SweepRun]) -> list[SweepRun]:
    """Order the runs with a finite metric, best first."""
    metric = spec.metric
    if metric is None:
        return []
    scored = [(run.metric(metric), run) for run in latest_attempts(runs) if run.state.has_result]
    valued = [(value, run) for value, run in scored if value is not None and math.isfinite(value)]
    sign = 1 if metric.goal == "minimize" else -1
    return [run for _, run in sorted(valued, key=lambda pair: (sign * pair[0], pair[1].index))]
