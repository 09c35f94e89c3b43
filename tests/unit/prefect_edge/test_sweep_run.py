"""What a child of a sweep is read as, from the state and the labels of its flow run."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType

from launch_sdk._prefect import names
from launch_sdk._prefect.views import sweep_run
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.curve import Curve
from launch_sdk.sweeps.runs import SweepRun

CHILD: dict[str, Any] = {names.INDEX: 3, names.PARAMETERS: '{"x":1}'}


def _read(state: StateType, **labels: Any) -> SweepRun:
    flow_run = FlowRun(flow_id=uuid.uuid4(), state=State(type=state), labels=CHILD | labels)
    run = sweep_run(flow_run, "http://ui")
    assert run is not None
    return run


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (StateType.CANCELLING, RunState.STOPPING),
        (StateType.CANCELLED, RunState.STOPPED),
        (StateType.CRASHED, RunState.STOPPED),
        (StateType.COMPLETED, RunState.FINISHED),
        (StateType.FAILED, RunState.FAILED),
    ],
)
def test_a_run_that_was_asked_to_end_has_stopped_unless_it_was_faster(state: StateType, expected: RunState) -> None:
    run = _read(state, **{names.STOP_REASON: "band 3: 2 is worse than 1"})
    assert run.state is expected
    assert (run.stop_reason is not None) == (expected in {RunState.STOPPING, RunState.STOPPED})


def test_a_run_that_nobody_asked_to_end_is_lost_or_cancelled() -> None:
    assert _read(StateType.CRASHED).state is RunState.LOST
    assert _read(StateType.CANCELLED).state is RunState.CANCELLED


def test_the_curve_of_its_metric_is_read_and_without_one_is_empty() -> None:
    curve = Curve.of_values([0.5, float("nan"), 0.25])
    assert _read(StateType.RUNNING, **{names.HISTORY: curve.to_text()}).curve == curve
    assert _read(StateType.RUNNING).curve == Curve()
