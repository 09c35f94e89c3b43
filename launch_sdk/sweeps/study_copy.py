"""A sweep as a study of Optuna's, for tools that look at one: a copy in memory, which changes nothing of the sweep."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from launch_sdk.specs.distributions import Categorical, IntUniform, is_number
from launch_sdk.specs.real_distributions import LogUniform, Uniform
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.runs import SweepRun, latest_attempts
from launch_sdk.tracking.values import dumps, encode

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from launch_sdk.specs.distributions import Distribution
    from launch_sdk.specs.sweep_spec import SweepSpec

_STATES = {
    RunState.FINISHED: TrialState.COMPLETE,
    RunState.STOPPED: TrialState.PRUNED,
    RunState.QUEUED: TrialState.WAITING,
}


def study_storage(name: str, spec: SweepSpec, runs: Sequence[SweepRun]) -> BaseStorage:
    """Copy a sweep into a storage of its own, in memory.

    A run becomes a trial of its index: its parameters by their dotted names, its metric, and the values that it has
    logged one by one where the sweep follows them. One that finished without its metric, was given up, failed or was
    lost is a failed trial; one that was ended early a pruned one. Parameters that the file does not name, from a search
    space in code or a scheduler, are as wide as what the runs have of them.

    Args:
        name: of the study.
        spec: of the sweep.
        runs: every attempt of every index.
    """
    logging.getLogger("optuna.storages._in_memory").setLevel(logging.WARNING)  # that a study begins is no news
    storage = optuna.storages.InMemoryStorage()
    goal = spec.metric.goal if spec.metric else "minimize"
    study = optuna.create_study(storage=storage, study_name=name, direction=goal)
    if spec.metric:
        study.set_user_attr("metric", spec.metric.name)
    latest = latest_attempts(runs)
    distributions = _others(spec, latest) | {
        ".".join(path): _distribution(one, path, spec, latest) for path, one in spec.space
    }
    for number, run in enumerate(latest):
        study.add_trial(_trial(number, run, spec, distributions))
    return storage


def _trial(number: int, run: SweepRun, spec: SweepSpec, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    value = run.metric(spec.metric)
    state = _STATES.get(run.state, TrialState.FAIL if run.state.is_terminal else TrialState.RUNNING)
    if value is None or not math.isfinite(value):
        value = None
        state = TrialState.FAIL if state is TrialState.COMPLETE else state
    given = {".".join(path): _shown(item) for path, item in _leaves(run.parameters, spec)}
    params = {key: item for key, item in given.items() if _is_of(distributions[key], item)}
    begun = run.started if run.started is not None else run.ended
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value if state in {TrialState.COMPLETE, TrialState.PRUNED} else None,
        values=None,
        datetime_start=_time(begun) if state is not TrialState.WAITING else None,
        datetime_complete=_time(run.ended or begun or 0.0) if state.is_finished() else None,
        params=params,
        distributions={key: distributions[key] for key in params},
        user_attrs=_attributes(run),
        system_attrs={},
        intermediate_values={point.number: point.value for point in run.curve if math.isfinite(point.value)},
    )


def _attributes(run: SweepRun) -> dict[str, Any]:
    said = {
        "index": run.index,
        "run_id": run.run_id,
        "state": run.state.value,
        "url": run.url,
        "error": run.error,
        "stop_reason": run.stop_reason,
    }
    return {key: value for key, value in said.items() if value is not None} | {
        f"summary.{key}": encode(value) for key, value in run.summary.items()
    }


def _distribution(
    one: Distribution, path: tuple[str, ...], spec: SweepSpec, runs: Sequence[SweepRun]
) -> BaseDistribution:
    """Give the distribution that a person knows; one without ends is as wide as its runs."""
    if isinstance(one, Categorical):
        return CategoricalDistribution(list(dict.fromkeys(_shown(option) for option in one.options)))
    if isinstance(one, IntUniform):
        return IntDistribution(one.min, one.max)
    if isinstance(one, LogUniform) and one.q is None:
        return FloatDistribution(one.min, one.max, log=True)
    if isinstance(one, Uniform):
        return FloatDistribution(one.min, one.max)
    values = [float(value) for run in runs if (value := spec.space.flatten(run.parameters).get(path)) is not None]
    ends = [*values, float(one.quantile(0.01)), float(one.quantile(0.99))]
    return FloatDistribution(min(ends), max(ends))


def _others(spec: SweepSpec, runs: Sequence[SweepRun]) -> dict[str, BaseDistribution]:
    """Give distributions of the parameters that runs have and the file does not name."""
    values: dict[str, list[Any]] = {}
    for run in runs:
        for path, value in _leaves(run.parameters, spec):
            values.setdefault(".".join(path), []).append(_shown(value))
    return {name: _spanning(found) for name, found in values.items()}


def _spanning(values: Sequence[Any]) -> BaseDistribution:
    if all(is_number(value) and isinstance(value, int) for value in values):
        return IntDistribution(min(values), max(values))
    if all(is_number(value) for value in values):
        return FloatDistribution(min(values), max(values))
    return CategoricalDistribution(list(dict.fromkeys(values)))


def _leaves(given: Any, spec: SweepSpec, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """List the parameters in nested ones; a mapping that is a value of the space is one parameter."""
    is_value = any(path == known for known, _ in spec.space)
    if is_value or not isinstance(given, Mapping) or (path and not given):
        yield path, given
        return
    for name, value in cast("Mapping[str, Any]", given).items():
        yield from _leaves(value, spec, (*path, str(name)))


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else dumps(value)


def _is_of(distribution: BaseDistribution, value: Any) -> bool:
    try:
        internal = distribution.to_internal_repr(value)
    except (ValueError, TypeError):  # none of the choices, or no number
        return False
    return distribution._contains(internal)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it has no other name


def _time(seconds: float | None) -> datetime:
    return datetime.fromtimestamp(seconds or 0.0, UTC).astimezone().replace(tzinfo=None)  # Optuna's have no zone
