"""What agents write on the server of themselves."""

from __future__ import annotations

import json

import pytest

from launch_sdk._prefect.agent_records import AgentRecord
from launch_sdk.queue_views import AgentView, HeldRun

LARGEST_VARIABLE = 5_000  # Prefect's
ABOUT = {"name": "n", "process": "host.example:12:345", "queues": ("a", "b"), "max_jobs": -1, "max_schedulers": 2}


def test_a_record_is_read_as_it_was_written() -> None:
    record = AgentRecord.holding([HeldRun("1", "first"), HeldRun("2", "sweep", is_sweep=True)], **ABOUT)
    assert AgentRecord.from_value(json.loads(json.dumps(record.to_value()))) == record
    assert (record.host, record.pid) == ("host.example", 12)


def test_an_agent_that_has_taken_very_much_still_fits_and_counts_it_all() -> None:
    held = [HeldRun(f"{i:036d}", "é" * 500, is_sweep=i % 2 == 1) for i in range(300)]
    record = AgentRecord.holding(held, **ABOUT)
    assert len(json.dumps(record.to_value())) < LARGEST_VARIABLE
    view = AgentView(
        "n", ("a",), is_online=True, runs=record.runs, more_runs=record.more_runs, more_sweeps=record.more_sweeps
    )
    assert (view.count(sweeps=False), view.count(sweeps=True)) == (150, 150)


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, {"runs": 1}, {"runs": [], "queues": [], "more": 1}])
def test_what_somebody_else_has_written_is_no_record(value: object) -> None:
    assert AgentRecord.from_value(value) is None
