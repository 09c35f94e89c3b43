"""Which runs an agent takes, how many at once, and what a run finds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launch_sdk.errors import ConflictError, NotFoundError
from tests.integration.agent.lab import notes, overlap, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.agent.lab import Agent, Server

pytestmark = pytest.mark.server


def test_a_run_completes_in_a_session_and_a_directory_of_its_own(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    agent(queue)
    job = server.deployment(queue, "quick")
    first, second = server.start(job, folder=str(tmp_path)), server.start(job, folder=str(tmp_path))
    assert [server.ends_as(first), server.ends_as(second)] == ["Completed", "Completed"]
    one, other = notes(tmp_path)
    assert one["sid"] == one["pid"]
    assert one["random"] != other["random"]
    identifiers = [server.run(run)["infrastructure_pid"].split(":") for run in (first, second)]
    assert {int(pid) for _, pid, _ in identifiers} == {one["pid"], other["pid"]}


def test_a_flow_that_raises_is_failed_not_crashed(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queue = server.queue()
    agent(queue)
    assert server.ends_as(server.start(server.deployment(queue, "failing"), folder=str(tmp_path))) == "Failed"


def test_max_jobs_holds_over_all_queues_together(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queues = [server.queue(), server.queue()]
    agent(*queues, max_jobs=1)
    jobs = [server.deployment(queue, "quick") for queue in queues]
    runs = [server.start(job, folder=str(tmp_path), seconds=0.3) for job in jobs for _ in range(2)]
    assert [server.ends_as(run) for run in runs] == ["Completed"] * 4
    assert overlap(notes(tmp_path)) == 1


def test_queues_are_served_in_turns(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queues = [server.queue(), server.queue()]
    folders = [tmp_path / queue for queue in queues]
    runs: list[str] = []
    for queue, folder, count in zip(queues, folders, (4, 2), strict=True):
        folder.mkdir()
        job = server.deployment(queue, "quick")
        runs += [server.start(job, folder=str(folder)) for _ in range(count)]
    agent(*queues, max_jobs=1)
    assert [server.ends_as(run) for run in runs] == ["Completed"] * 6
    long, short = ([note["began"] for note in notes(folder)] for folder in folders)
    assert max(short) < max(long), "the short line is not kept waiting by the long one"


def test_an_agent_hears_of_a_run_at_once_and_one_that_hears_nothing_looks(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    heard, looked_for = server.queue(), server.queue()
    agent(heard, polls_every_s=600)
    agent(looked_for, polls_every_s=1, is_deaf=True)
    for queue in (heard, looked_for):
        run = server.start(server.deployment(queue, "quick"), folder=str(tmp_path))
        assert server.ends_as(run, seconds=10) == "Completed"


def test_a_scheduler_takes_no_place_of_a_job(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queue = server.queue()
    agent(queue, max_jobs=1, max_schedulers=1)
    parents, children = tmp_path / "parents", tmp_path / "children"
    parents.mkdir()
    children.mkdir()
    parent = server.deployment(queue, "quick", lane="schedulers")
    first = [server.start(parent, folder=str(parents), seconds=2.0) for _ in range(2)]
    until(lambda: "Running" in {server.state(run) for run in first}, "a scheduler runs")
    child = server.start(server.deployment(queue, "quick"), folder=str(children), seconds=0.1)
    assert [server.ends_as(run) for run in [child, *first]] == ["Completed"] * 3
    assert overlap(notes(parents)) == 1
    assert overlap(notes(parents) + notes(children)) == 2


@pytest.mark.parametrize("has_sweeps_first", [False, True])
def test_a_long_line_of_runs_that_cannot_start_here_hides_nothing(
    server: Server, agent: Callable[..., Agent], tmp_path: Path, *, has_sweeps_first: bool
) -> None:
    queue = server.queue()
    if has_sweeps_first:  # as in queues that the product makes
        server.http.patch(f"/work_pools/{queue}/queues/schedulers", json={"priority": 1}).raise_for_status()
    job = server.deployment(queue, "quick")
    unfit = [server.start(job, folder=str(tmp_path), resources={"gpu": 9}) for _ in range(8)]
    runs = [server.start(job, folder=str(tmp_path)) for _ in range(6)]
    parent = server.start(server.deployment(queue, "quick", lane="schedulers"), folder=str(tmp_path))
    one = agent(queue, max_jobs=2, max_schedulers=1)
    assert [server.ends_as(run) for run in (*runs, parent)] == ["Completed"] * 7
    assert {server.state(run) for run in unfit} <= {"Scheduled", "Late"}
    assert one.text.count("waits for another agent") == len(unfit)


def test_a_place_that_was_taken_is_used_though_the_server_goes_away_meanwhile(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    job = server.deployment(queue, "quick")
    runs = [server.start(job, folder=str(tmp_path)) for _ in range(5)]
    agent(queue, max_jobs=1, hears_once=True)
    assert [server.ends_as(run) for run in runs] == ["Completed"] * 5


def test_a_queue_inside_the_pool_that_is_made_later_is_served_too(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    agent(queue)
    server.post(f"/work_pools/{queue}/queues", {"name": "urgent", "priority": 1})
    job = server.deployment(queue, "quick", lane="urgent")
    assert server.ends_as(server.start(job, folder=str(tmp_path))) == "Completed"


def test_a_run_for_later_takes_no_place_until_then(server: Server, agent: Callable[..., Agent], tmp_path: Path) -> None:
    queue = server.queue()
    agent(queue, max_jobs=1)
    job = server.deployment(queue, "quick")
    due = time.time() + 8.0
    later = server.start(job, in_s=8.0, folder=str(tmp_path))
    at_once = server.start(job, folder=str(tmp_path))
    assert [server.ends_as(at_once), server.ends_as(later)] == ["Completed", "Completed"]
    began = {note["pid"]: note["began"] for note in notes(tmp_path)}
    first, second = (began[int(server.run(run)["infrastructure_pid"].split(":")[1])] for run in (at_once, later))
    assert first < second
    assert second >= due


def test_prefect_s_own_command_starts_the_worker_alone(server: Server, tmp_path: Path) -> None:
    queue = server.queue()
    command = [str(Path(sys.executable).parent / "prefect"), "worker", "start", "--pool", queue, "--run-once"]
    run = server.start(server.deployment(queue, "quick"), folder=str(tmp_path))
    env = os.environ | {"PREFECT_API_URL": server.url, "PREFECT_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    assert server.ends_as(run) == "Completed"


def test_a_project_with_a_flows_folder_of_its_own_is_not_confused_with_the_preloaded_one(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "flows").mkdir(parents=True)
    (theirs / "flows" / "__init__.py").touch()
    (theirs / "flows" / "deep.py").write_text("NAME = 'their own'\n")
    (theirs / "flows" / "mine.py").write_text(
        "from pathlib import Path\nfrom prefect import flow\nfrom flows.deep import NAME\n"
        "@flow(name='theirs')\nasync def quick(folder):\n    Path(folder, 'name').write_text(NAME)\n"
    )
    queue = server.queue()
    agent(queue, project=str(server.project))
    body = {"flow_id": server.post("/flows/", {"name": "theirs"})["id"]}
    assert (
        server.ends_as(server.start(server.deployment(queue, "quick", project=theirs, **body), folder=str(tmp_path)))
        == "Completed"
    )
    assert (tmp_path / "name").read_text() == "their own"
    ours = server.deployment(queue, "quick", project=tmp_path / "does-not-exist")
    assert server.ends_as(server.start(ours, folder=str(tmp_path))) == "Completed"  # preloaded: no pull step was run


def test_an_unknown_queue_is_an_error_that_names_the_known_ones(server: Server) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from launch_sdk.agent.agent import serve

    known = server.queue()
    server.post("/work_pools/", {"name": "foreign", "type": "docker", "base_job_template": {}})
    with temporary_settings({PREFECT_API_URL: server.url}):
        with pytest.raises(NotFoundError, match=f"'gpuu' does not exist.*'{known}'"):
            asyncio.run(serve(["gpuu"]))
        with pytest.raises(ConflictError, match="of type 'docker'"):
            asyncio.run(serve(["foreign"]))
