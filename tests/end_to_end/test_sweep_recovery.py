"""kill -9 of anything at any moment, then a resume: no run lost, none twice, and what still runs is taken up.

The server here is this module's own, as it is killed too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from launch_sdk.runs.processes import process_start_time
from tests.conftest import Home, eventually
from tests.end_to_end.test_sweep_commands import agents_of, marks, parent_of, programs_of, project, write_sweep

__all__ = ["project"]  # the fixture
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
POINTS = 5
SLOW_S = 120.0
PROGRAM = """
import os, time
import launch_sdk as launch

with launch.init(config={"x": 0, "out": ""}) as run:
    out, x = run.config["out"], run.config["x"]
    open(f"{out}/started-{x}-{os.getpid()}", "x").close()
    while x and not os.path.exists(f"{out}/gate"):
        time.sleep(0.05)
    run.log({"loss": abs(x - 3)})
    open(f"{out}/ended-{x}-{os.getpid()}", "x").close()
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with socket.socket() as probe:  # a port that no other server of this machine begins with
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = tmp_path_factory.mktemp("recovery-home")
    home = Home(path, Home(path, "").json("launch", "server", "start", "--port", str(port))["api_url"])
    yield home
    home.run("launch", "server", "stop")


def begin(own: Home, project: Path) -> str:
    """Start a sweep, and return when its first run has ended and two others run, which wait for `open_gate`."""
    (project / "train.py").write_text(PROGRAM)
    sweep_id = own.json("launch-sweep", str(write_sweep(project, points=POINTS)), "--detach")["sweep_id"]

    def is_waiting() -> bool:
        return marks(project, "ended") == [0] and marks(project, "started") == [0, 1, 2]

    eventually(is_waiting, "two should run, one be over", SLOW_S)
    return sweep_id


def open_gate(project: Path) -> None:
    (project.parent / "out" / "gate").touch()


def show(own: Home, sweep_id: str) -> dict[str, Any]:
    return own.json("launch", "sweep", "show", sweep_id)


def parent_pid(own: Home, sweep_id: str) -> int:
    """Ask the server, as long as it is the first one, which process drives a sweep; 0 if none does yet."""
    tags = {"flow_runs": {"tags": {"all_": ["launch-sweep", f"sweep:{sweep_id}"]}}}
    with httpx.Client(base_url=own.api_url, timeout=60) as http:
        (parent,) = http.post("/flow_runs/filter", json=tags).raise_for_status().json()
    return int(parent["labels"].get("launch.scheduler.pid", 0))


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # some die of another's death
            os.kill(pid, signal.SIGKILL)


def resume(own: Home, sweep_id: str, **more: Any) -> dict[str, Any]:
    done = own.run("launch-sweep", "--resume_id", sweep_id, "--json", **more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_complete(view: dict[str, Any], project: Path) -> None:
    """Every point has one run that finished, and its program came to its end once."""
    assert [(run["index"], run["parameters"]["x"], run["state"]) for run in view["runs"]] == [
        (i, i, "finished") for i in range(POINTS)
    ]
    assert view["best"]["parameters"]["x"] == 3
    assert marks(project, "ended") == list(range(POINTS))


def test_a_killed_agent_takes_its_runs_along_and_they_start_again_by_what_the_server_knows(
    own: Home, project: Path, tmp_path: Path
) -> None:
    sweep_id = begin(own, project)
    parent = parent_pid(own, sweep_id)
    kill(*agents_of(own))
    eventually(lambda: not programs_of(project), "no program should outlive its agent")
    eventually(lambda: process_start_time(parent) is None, "nor the sweep's own process")
    open_gate(project)
    shutil.rmtree(own.path / "runs")  # of all that is on this machine only the packed code is needed
    agent = own.start_writing(project.parent / "agent.log", "launch-agent", "--max-jobs", "2")
    elsewhere = Home(tmp_path / "elsewhere", own.api_url)
    assert_complete(resume(elsewhere, sweep_id, PREFECT_API_URL=own.api_url), project)
    assert marks(project, "started") == [0, 1, 1, 2, 2, 3, 4]
    agent.send_signal(signal.SIGINT)
    agent.wait(60)


def test_a_sweep_whose_parent_dies_while_paused_cancelled_and_moved_loses_nothing(own: Home, project: Path) -> None:
    sweep_id = begin(own, project)
    assert own.json("launch", "sweep", "pause", sweep_id)["state"] == "paused"
    pids = [parent_pid(own, sweep_id)]
    kill(pids[-1])
    own.run("launch", "sweep", "resume", sweep_id)
    pids.append(next_parent(own, sweep_id, pids))
    assert marks(project, "started") == [0, 1, 2], "what goes on was taken up"

    kill(pids[-1])
    eventually(lambda: show(own, sweep_id)["state"] == "lost", "its parent should be seen to be gone")
    own.run("launch", "sweep", "cancel", sweep_id)
    eventually(lambda: not programs_of(project), "its programs should have ended")
    eventually(lambda: show(own, sweep_id)["state"] == "cancelled", "the sweep should be cancelled")

    own.run("launch", "queue", "create", "refuge")
    agent = own.start_writing(project.parent / "agent.log", "launch-agent", "--queues", "refuge")
    own.run("launch-sweep", "--resume_id", sweep_id, "-q", "refuge", "--detach")
    kill(next_parent(own, sweep_id, pids))
    open_gate(project)
    view = resume(own, sweep_id)
    assert_complete(view, project)
    assert view["queue"] == "refuge"
    assert set(marks(project, "started")) == set(range(POINTS))
    agent.send_signal(signal.SIGINT)
    agent.wait(60)


def next_parent(own: Home, sweep_id: str, earlier: list[int]) -> int:
    """Wait for the process that drives a resumed sweep."""
    return eventually(
        lambda: {parent_pid(own, sweep_id)} - {0, *earlier}, "another process should drive the sweep"
    ).pop()


def test_a_sweep_survives_the_death_of_everything(own: Home, project: Path) -> None:
    sweep_id = begin(own, project)
    server = own.json("launch", "server", "status")["pid"]
    programs = programs_of(project)
    flows = [parent_of(pid) for pid in programs]  # before the programs: a flow that lives on reports its program's end
    kill(parent_pid(own, sweep_id), server, *agents_of(own), *flows, *programs)
    eventually(lambda: not programs_of(project), "no program should be left")
    open_gate(project)
    assert_complete(resume(own, sweep_id), project)
    assert marks(project, "started") == [0, 1, 1, 2, 2, 3, 4]


def test_a_sweep_that_goes_on_is_not_resumed_and_goes_on_when_its_server_comes_back(own: Home, project: Path) -> None:
    sweep_id = begin(own, project)
    refused = own.run("launch-sweep", "--resume_id", sweep_id)
    assert (refused.returncode, "is running already" in refused.stderr) == (2, True), refused.stderr
    kill(own.json("launch", "server", "status")["pid"])
    own.json("launch", "server", "start")
    open_gate(project)
    view = resume_if_needed(own, sweep_id)
    assert_complete(view, project)


def resume_if_needed(own: Home, sweep_id: str) -> dict[str, Any]:
    """The parent may have outlived the server, and go on by itself."""

    def settled() -> str:
        state = show(own, sweep_id)["state"]
        return state if state in {"finished", "lost", "failed", "cancelled"} else ""

    state = eventually(settled, "the sweep should end, or its parent be seen to be gone", 60)
    return show(own, sweep_id) if state == "finished" else resume(own, sweep_id)
