"""What is known of a run's processes, and for how long nothing has changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from launch_sdk._prefect import names
from launch_sdk._prefect.attempts import attempts_of, process_is_gone
from launch_sdk._prefect.lost_runs import LOOK_EVERY_S, SILENT_S, Unchanged
from launch_sdk.runs.processes import has_processes, is_alive, process_identifier
from launch_sdk.tracking import protocol


def _flow_run(process: str | None, attempts: list[dict[str, Any]] | None = None) -> FlowRun:
    labels: dict[str, Any] = {names.ATTEMPTS: json.dumps(attempts)} if attempts else {}
    return FlowRun(id=uuid4(), flow_id=uuid4(), infrastructure_pid=process, labels=labels)


def _dead_process() -> str:
    with subprocess.Popen(["sleep", "60"]) as process:
        identifier = process_identifier(process.pid)
        assert is_alive(identifier)
        process.kill()
    assert not is_alive(identifier)
    return identifier


def test_a_dead_process_of_an_earlier_attempt_says_nothing_of_the_present_one() -> None:
    dead = _dead_process()
    earlier = {"ending": "lost", "message": "", "exit_code": None, "ended": 1.0, "process": dead, "agent": None}
    assert process_is_gone(_flow_run(dead))
    assert not process_is_gone(_flow_run(dead, [earlier]))
    assert not process_is_gone(_flow_run(process_identifier(os.getpid())))
    assert not process_is_gone(_flow_run(None))
    assert not process_is_gone(_flow_run(f"elsewhere:{dead.partition(':')[2]}"))
    assert [one.ending for one in attempts_of(_flow_run(None, [earlier]))] == ["lost"]


def test_a_run_is_not_gone_while_a_program_of_it_is_left() -> None:
    flow_run = _flow_run(_dead_process())
    sleeper = "import sys, time; print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", sleeper],
        env={protocol.RUN_ID: str(flow_run.id)},
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout
        program.stdout.readline()
        assert has_processes(str(flow_run.id))
        assert not process_is_gone(flow_run)
        program.kill()
    assert process_is_gone(flow_run)


def test_how_long_a_value_is_the_same_is_counted_from_when_it_was_first_seen_or_forgotten() -> None:
    unchanged = Unchanged()
    assert [unchanged.note("a", value, now) for value, now in ((1, 0.0), (1, 7.0), (2, 8.0), (2, 9.5))] == [
        0,
        7,
        0,
        1.5,
    ]
    unchanged.forget()
    assert unchanged.note("a", 2, 100.0) == 0


@pytest.mark.parametrize("first_look", range(int(LOOK_EVERY_S)))
def test_an_agent_of_another_machine_is_given_up_within_a_minute_of_its_last_word(first_look: int) -> None:
    unchanged = Unchanged()
    looks = (first_look + LOOK_EVERY_S * number for number in range(10))
    given_up = next(now for now in looks if unchanged.note("agent", "its last heartbeat", now) >= SILENT_S)
    assert given_up + LOOK_EVERY_S / 2 < 60  # the rest is for looking itself
