"""kill -9 of anything at any moment, then a resume: no run lost, none twice, and what still runs is taken up.

The server here is this module's own, as it is killed too.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Home, eventually
from tests.end_to_end.test_sweep_commands import agents_of, marks, parent_of, programs_of, project, write_sweep

__all__ = ["project"]  # the fixture
pytestmark = pytest.mark.timeout(120)
POINTS = 5


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("recovery-home"), "")
    home.json("launch", "server", "start")
    yield home
    home.run("launch", "server", "stop")


def begin(own: Home, project: Path, points: int = POINTS) -> str:
    """Start a sweep, and return when a run of it has ended and two others run."""
    sweep = write_sweep(project, points=points, constants={"seconds": 1.5})
    sweep_id = own.json("launch-sweep", str(sweep), "--detach")["sweep_id"]
    eventually(lambda: marks(project, "ended") and len(programs_of(project)) == 2, "two should run, one have ended")
    return sweep_id


def show(own: Home, sweep_id: str) -> dict[str, Any]:
    return own.json("launch", "sweep", "show", sweep_id)


def parent_pid(own: Home, sweep_id: str) -> int:
    return int(show(own, sweep_id)["scheduler"]["pid"])


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # some die of another's death
            os.kill(pid, signal.SIGKILL)


def resume(own: Home, sweep_id: str, *more: str) -> dict[str, Any]:
    done = own.run("launch-sweep", "--resume_id", sweep_id, "--json", *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_complete(view: dict[str, Any], project: Path, points: int = POINTS) -> None:
    """Every point has one run that finished, and its program came to its end once."""
    assert [(run["index"], run["parameters"]["x"], run["state"]) for run in view["runs"]] == [
        (i, i, "finished") for i in range(points)
    ]
    assert view["best"]["parameters"]["x"] == 3
    assert marks(project, "ended") == list(range(points))


def test_a_killed_agent_takes_its_runs_along_and_they_start_again(own: Home, project: Path) -> None:
    sweep_id = begin(own, project)
    before = marks(project, "started")
    kill(*agents_of(own))
    eventually(lambda: not programs_of(project), "no program should outlive its agent", 30)
    assert_complete(resume(own, sweep_id), project)
    assert len(before) + 2 <= len(marks(project, "started")) <= POINTS + 2


def test_a_sweep_whose_parent_dies_while_paused_cancelled_and_moved_loses_nothing(own: Home, project: Path) -> None:
    points = 9
    sweep_id = begin(own, project, points)
    assert own.json("launch", "sweep", "pause", sweep_id)["state"] == "paused"
    pids = [parent_pid(own, sweep_id)]
    kill(pids[-1])
    eventually(lambda: show(own, sweep_id)["state"] == "lost", "a dead parent should be noticed")
    own.run("launch", "sweep", "resume", sweep_id)
    pids.append(next_parent(own, sweep_id, pids))
    eventually(lambda: programs_of(project), "the resumed sweep should go on")
    started = marks(project, "started")
    assert started == list(range(len(started))), "what went on was taken up, nothing ran twice"

    own.run("launch", "sweep", "cancel", sweep_id)
    kill(pids[-1])
    own.run("launch", "sweep", "cancel", sweep_id)
    eventually(lambda: not programs_of(project), "its programs should have ended", 30)
    eventually(lambda: show(own, sweep_id)["state"] == "cancelled", "the sweep should be cancelled")

    own.run("launch", "queue", "create", "refuge")
    agent = own.start_writing(project.parent / "agent.log", "launch-agent", "--queues", "refuge")
    own.run("launch-sweep", "--resume_id", sweep_id, "-q", "refuge", "--detach")
    kill(next_parent(own, sweep_id, pids))
    eventually(lambda: show(own, sweep_id)["state"] == "lost", "a dead parent should be noticed")
    view = resume(own, sweep_id)
    assert_complete(view, project, points)
    assert view["queue"] == "refuge"
    assert len(marks(project, "started")) <= points + 2, "only what was cancelled started again"
    agent.send_signal(signal.SIGINT)
    agent.wait(30)


def next_parent(own: Home, sweep_id: str, earlier: list[int]) -> int:
    """Wait for the process that drives a resumed sweep."""
    return eventually(
        lambda: {parent_pid(own, sweep_id)} - {0, *earlier}, "another process should drive the sweep"
    ).pop()


def test_a_sweep_survives_the_death_of_everything(own: Home, project: Path) -> None:
    sweep_id = begin(own, project)
    programs = programs_of(project)
    flows = [parent_of(pid) for pid in programs]  # before the programs: a flow that lives on reports its program's end
    server = own.json("launch", "server", "status")["pid"]
    kill(parent_pid(own, sweep_id), server, *agents_of(own), *flows, *programs)
    eventually(lambda: not programs_of(project), "no program should be left", 30)
    view = resume(own, sweep_id)
    assert [(run["index"], run["state"]) for run in view["runs"]] == [(i, "finished") for i in range(POINTS)]
    assert set(marks(project, "ended")) == set(range(POINTS))


def test_a_sweep_goes_on_when_its_server_comes_back(own: Home, project: Path) -> None:
    sweep_id = begin(own, project)
    kill(own.json("launch", "server", "status")["pid"])
    own.json("launch", "server", "start")
    view = resume_if_needed(own, sweep_id)
    assert [(run["index"], run["state"]) for run in view["runs"]] == [(i, "finished") for i in range(POINTS)]


def resume_if_needed(own: Home, sweep_id: str) -> dict[str, Any]:
    """The parent may have outlived the server, and go on by itself."""

    def settled() -> str:
        state = show(own, sweep_id)["state"]
        return state if state in {"finished", "lost", "failed", "cancelled"} else ""

    state = eventually(settled, "the sweep should end, or its parent be seen to be gone", 60)
    return show(own, sweep_id) if state == "finished" else resume(own, sweep_id)
