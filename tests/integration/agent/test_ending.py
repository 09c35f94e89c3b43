"""How runs and agents end: cancelled, killed, told to, idle."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.agent.lab import is_alive, notes, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.agent.lab import Agent, Server

pytestmark = pytest.mark.server


def test_cancelling_ends_the_run_and_all_that_it_started(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    agent(queue)
    run = server.start(server.deployment(queue, "training"), folder=str(tmp_path))
    (note,) = until(lambda: notes(tmp_path), "the training runs")
    server.cancel(run)
    assert server.ends_as(run) == "Cancelled"
    assert not [pid for pid in (note["pid"], *note["programs"]) if is_alive(pid)]
    assert (tmp_path / "hook").read_text() == "Cancelling"


def test_a_run_that_is_cancelled_before_it_starts_ends_and_gives_its_place_back(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    agent(queue, max_jobs=1)
    run = server.start(server.deployment(queue, "training"), folder=str(tmp_path))
    until(lambda: server.state(run) != "Scheduled", "the agent has taken it")
    server.cancel(run)
    assert server.ends_as(run) == "Cancelled"
    assert server.ends_as(server.start(server.deployment(queue, "quick"), folder=str(tmp_path))) == "Completed"


@pytest.mark.parametrize("lasted_s", [0.0, 3.0], ids=["at its beginning", "later"])
def test_a_suspended_flow_ends_at_its_next_step_and_is_resumed(
    server: Server, agent: Callable[..., Agent], tmp_path: Path, lasted_s: float
) -> None:
    queue = server.queue()
    agent(queue, max_jobs=1)
    run = server.start(server.deployment(queue, "steps"), folder=str(tmp_path))
    (note,) = until(lambda: notes(tmp_path), "it runs")
    time.sleep(lasted_s)
    server.suspend(run)
    until(lambda: not is_alive(note["pid"]), "its process has ended", 10)
    assert server.state(run) == "Suspended"
    assert not (tmp_path / "all").exists()
    assert server.ends_as(server.start(server.deployment(queue, "quick"), folder=str(tmp_path))) == "Completed"
    server.post(f"/flow_runs/{run}/resume", {})
    until(lambda: len(notes(tmp_path)) == 3, "it starts again")  # twice, and the quick one


def test_a_killed_flow_is_crashed_and_leaves_no_program(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    agent(queue, max_jobs=1)
    job = server.deployment(queue, "training", job_variables={"env": {"STUBBORN": "1"}})
    run = server.start(job, folder=str(tmp_path))
    (note,) = until(lambda: notes(tmp_path), "the training runs")
    os.kill(note["pid"], signal.SIGKILL)
    assert server.ends_as(run, seconds=5) == "Crashed"
    until((tmp_path / "hook").exists, "the flow's crash hook has run")  # after the state is known
    until(lambda: not [pid for pid in note["programs"] if is_alive(pid)], "its programs are gone", 20)
    (tmp_path / f"{note['pid']}.json").unlink()
    assert server.ends_as(server.start(server.deployment(queue, "quick"), folder=str(tmp_path))) == "Completed"


def test_a_killed_agent_leaves_neither_flow_nor_program(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    one = agent(queue)
    run = server.start(
        server.deployment(queue, "training", job_variables={"env": {"STUBBORN": "1"}}), folder=str(tmp_path)
    )
    (note,) = until(lambda: notes(tmp_path), "the training runs")
    warm = one.warm_pid
    one.process.kill()
    until(lambda: not [pid for pid in (warm, note["pid"], *note["programs"]) if is_alive(pid)], "all are gone", 30)
    assert server.ends_as(run) == "Crashed"  # said by the flow itself, as its last act


def test_a_killed_warm_process_costs_no_run(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queue = server.queue()
    one = agent(queue, max_jobs=1)
    job = server.deployment(queue, "quick")
    running = server.start(job, folder=str(tmp_path), seconds=2.0)
    until(lambda: server.state(running) == "Running", "the first runs")
    warm = one.warm_pid
    os.kill(warm, signal.SIGKILL)
    following = server.start(job, folder=str(tmp_path))
    assert [server.ends_as(running), server.ends_as(following)] == ["Completed", "Completed"]
    assert one.warm_pid not in {0, warm}


def test_the_first_signal_waits_for_what_runs_and_takes_nothing_new(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    one = agent(queue, max_jobs=1)
    job = server.deployment(queue, "quick")
    running = server.start(job, folder=str(tmp_path), seconds=2.0)
    until(lambda: server.state(running) == "Running", "the first runs")
    one.process.send_signal(signal.SIGTERM)
    until(lambda: "Taking nothing new" in one.text, "the signal has arrived")
    waiting = server.start(job, folder=str(tmp_path))
    assert one.process.wait(20) == 0, one.text
    assert [server.state(running), server.state(waiting)] == ["Completed", "Scheduled"]


def test_the_second_signal_cancels_what_runs(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queue = server.queue()
    one = agent(queue)
    run = server.start(server.deployment(queue, "training"), folder=str(tmp_path))
    (note,) = until(lambda: notes(tmp_path), "the training runs")
    one.process.send_signal(signal.SIGINT)
    until(lambda: "Taking nothing new" in one.text, "the first signal has arrived")
    one.process.send_signal(signal.SIGINT)
    assert one.process.wait(20) == 0, one.text
    assert server.state(run) == "Cancelled"
    assert not [pid for pid in (note["pid"], *note["programs"]) if is_alive(pid)]


def test_the_third_signal_kills_what_does_not_end(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queue = server.queue()
    one = agent(queue)
    job = server.deployment(queue, "training", job_variables={"env": {"STUBBORN": "1"}})
    run = server.start(job, folder=str(tmp_path))
    (note,) = until(lambda: notes(tmp_path), "the training runs")
    for said in ("Taking nothing new", "Cancelling", "Killing"):
        one.process.send_signal(signal.SIGTERM)
        until(lambda said=said: said in one.text, f"{said}: the signal has arrived")
    assert one.process.wait(9) == 0, one.text  # what ignores SIGTERM has 10 s, unless it is killed
    assert server.state(run) in {"Cancelled", "Crashed"}, one.text
    assert not [pid for pid in (note["pid"], *note["programs"]) if is_alive(pid)]


def test_an_idle_agent_ends_by_itself_but_not_before_its_work_is_done(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    job = server.deployment(queue, "quick")
    run = server.start(job, folder=str(tmp_path), seconds=2.0)
    one = agent(queue, exit_when_idle_s=0.5)
    assert one.process.wait(30) == 0, one.text
    assert server.state(run) == "Completed"
