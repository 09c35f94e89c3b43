"""What becomes of a sweep and its runs, in the server in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.runs import SweepRun
from launch_sdk.views import SweepView

if TYPE_CHECKING:
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.planning import Launch

Objective = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def submitted(sweep_id: str, spec: SweepSpec, document: Mapping[str, Any], source: str | None, queue: str) -> SweepView:
    """Return a sweep that waits for its agent."""
    return SweepView(
        sweep_id=sweep_id,
        name=f"{spec.name or 'sweep'}-{sweep_id}",
        state=RunState.QUEUED,
        spec=spec,
        runs=(),
        scheduler={"run_id": f"scheduler-{sweep_id}", "host": None, "pid": None},
        message=None,
        url=f"memory:/sweeps/{sweep_id}",
        queue=queue,
        source=source,
        document=document,
    )


def launched(sweep_id: str, action: Launch, at: float) -> SweepRun:
    """Return the run that an action starts, at `at`, unix seconds."""
    run_id = f"{sweep_id}/{action.index}/{action.attempt}"
    return SweepRun(action.index, action.attempt, run_id, run_id, RunState.RUNNING, action.parameters, started=at)


def ended(run: SweepRun, objective: Objective, at: float) -> SweepRun:
    """Return a run with what its program came to: the objective's summary, or its error."""
    try:
        summary = objective(run.parameters)
    except Exception as error:  # noqa: BLE001  # a program may fail in any way
        return replace(run, state=RunState.FAILED, ended=at, error=str(error))
    return replace(run, state=RunState.FINISHED, ended=at, summary=summary)
