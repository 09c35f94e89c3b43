"""From Prefect's flow runs to the library's own values."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk.edits import Edits
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.curve import Curve
from launch_sdk.sweeps.runs import SweepRun
from launch_sdk.tracking.protocol import merge
from launch_sdk.tracking.values import is_object, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.schemas.objects import FlowRun


def run_state(flow_run: FlowRun) -> RunState:
    """Translate a flow run's state."""
    state = flow_run.state
    if state is None:
        return RunState.QUEUED
    if state.type.value == "COMPLETED" and state.name == names.STOPPED:
        return RunState.STOPPED
    if state.type.value in {"CANCELLED", "CRASHED"} and run_labels(flow_run).get(names.STOP_REASON):
        return RunState.STOPPED
    return {
        "SCHEDULED": RunState.QUEUED,
        "PAUSED": RunState.QUEUED,
        "PENDING": RunState.STARTING,
        "RUNNING": RunState.RUNNING,
        "CANCELLING": RunState.STOPPING,
        "COMPLETED": RunState.FINISHED,
        "CANCELLED": RunState.CANCELLED,
        "FAILED": RunState.FAILED,
        "CRASHED": RunState.LOST,
    }[state.type.value]


def run_error(flow_run: FlowRun) -> str | None:
    """Return why a run failed or was lost; None if it did neither."""
    if run_state(flow_run) not in {RunState.FAILED, RunState.LOST} or flow_run.state is None:
        return None
    return flow_run.state.message or "no message"


def run_labels(flow_run: FlowRun) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", flow_run.labels or {})


def run_summary(flow_run: FlowRun) -> dict[str, Any]:
    """Return the last logged values with what people changed later; empty if there are none yet."""
    return run_edits(flow_run).summary.over(_object(flow_run, names.SUMMARY) or {})


def recorded_config(flow_run: FlowRun, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the config that the program recorded, over what it was given, with what people changed later.

    None if it has recorded none yet and nobody has changed anything.
    """
    recorded = _object(flow_run, names.CONFIG)
    changes = run_edits(flow_run).config
    if recorded is None and changes.is_empty:
        return None
    config = deepcopy(dict(given))
    merge(config, recorded or {})
    return changes.over(config)


def declared_inputs(flow_run: FlowRun) -> dict[str, Any] | None:
    """Return what the program declared as its inputs; None if nothing, or not yet."""
    return _object(flow_run, names.INPUTS)


def run_provenance(flow_run: FlowRun) -> dict[str, Any] | None:
    """Return which layers gave each value of the config; None if that is not known."""
    return _object(flow_run, names.PROVENANCE)


def run_code(flow_run: FlowRun) -> dict[str, Any] | None:
    """Return which code a run had and where that comes from; None before its end."""
    return _object(flow_run, names.CODE)


def run_lock(flow_run: FlowRun) -> dict[str, Any] | None:
    """Return what a run recorded of its environment; None before its end, and of the runs of a sweep."""
    return _object(flow_run, names.LOCK)


def run_edits(flow_run: FlowRun) -> Edits:
    """Return what people have changed in a run's config and summary."""
    return Edits.from_dict(_object(flow_run, names.EDITS) or {})


def job_version(flow_run: FlowRun) -> str | None:
    """Return the version of a job that a run is of; of one that a form has started, what its deployment was then."""
    said = run_labels(flow_run).get(names.VERSION)
    version = said or (flow_run.deployment_version if names.JOB_TAG in flow_run.tags else None)
    return str(version) if version else None


def is_program(flow_run: FlowRun, job: str | None) -> bool:
    """Say whether a flow run is one of `run-job` or of a job, so that its parameters are a RunSpec.

    Args:
        flow_run: any.
        job: `flow/deployment` that it is a run of; None if that is gone.
    """
    return names.JOB_TAG in flow_run.tags or (job or "").startswith(f"{names.RUN_JOB}/")


def _object(flow_run: FlowRun, label: str) -> dict[str, Any] | None:
    text = run_labels(flow_run).get(label)
    value = loads(text) if isinstance(text, str) else None
    return value if is_object(value) else None


def run_page(ui_url: str, run_id: object) -> str:
    return f"{ui_url}/runs/flow-run/{run_id}"


def ui_url(api_url: str) -> str:
    """Return the address of the UI that belongs to an API."""
    return api_url.rstrip("/").removesuffix("/api")


def sweep_run(flow_run: FlowRun, ui: str) -> SweepRun | None:
    """Read a child of a sweep; None for a flow run that is none, as the parent itself."""
    labels = run_labels(flow_run)
    index, parameters = labels.get(names.INDEX), labels.get(names.PARAMETERS)
    if not isinstance(index, int) or not isinstance(parameters, str):
        return None
    state = run_state(flow_run)
    was_asked = state in {RunState.STOPPING, RunState.STOPPED}  # else it was faster than the wish
    history = labels.get(names.HISTORY)
    return SweepRun(
        index=index,
        attempt=int(labels.get(names.ATTEMPT, 0)),
        run_id=str(flow_run.id),
        name=flow_run.name,
        state=state,
        parameters=cast("dict[str, Any]", loads(parameters)),
        summary=run_summary(flow_run),
        acknowledged=bool(labels.get(names.ACKNOWLEDGED, False)),
        again=bool(labels.get(names.AGAIN, False)),
        started=flow_run.start_time.timestamp() if flow_run.start_time else None,
        ended=flow_run.end_time.timestamp() if flow_run.end_time else None,
        error=run_error(flow_run),
        stop_reason=cast("str | None", labels.get(names.STOP_REASON)) if was_asked else None,
        url=run_page(ui, flow_run.id),
        curve=Curve.from_text(history) if isinstance(history, str) else Curve(),
    )
