"""From Prefect's flow runs to the library's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.runs import SweepRun
from launch_sdk.tracking.values import loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.schemas.objects import FlowRun


def run_state(flow_run: FlowRun) -> RunState:
    """Translate a flow run's state."""
    state = flow_run.state
    if state is None:
        return RunState.QUEUED
    if state.type.value == "CANCELLED" and run_labels(flow_run).get(names.STOP_REASON):
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
    """Return the last logged values; empty if there are none yet."""
    text = run_labels(flow_run).get(names.SUMMARY)
    return cast("dict[str, Any]", loads(text)) if isinstance(text, str) else {}


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
    return SweepRun(
        index=index,
        attempt=int(labels.get(names.ATTEMPT, 0)),
        run_id=str(flow_run.id),
        name=flow_run.name,
        state=run_state(flow_run),
        parameters=cast("dict[str, Any]", loads(parameters)),
        summary=run_summary(flow_run),
        acknowledged=bool(labels.get(names.ACKNOWLEDGED, False)),
        started=flow_run.start_time.timestamp() if flow_run.start_time else None,
        ended=flow_run.end_time.timestamp() if flow_run.end_time else None,
        error=run_error(flow_run),
        stop_reason=cast("str | None", labels.get(names.STOP_REASON)),
        url=run_page(ui, flow_run.id),
    )
