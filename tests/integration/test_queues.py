"""Queues on a real server with real agents: order, values, why a run waits, deleting, agents from afar."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import get_client

from launch_sdk._prefect import names
from launch_sdk._prefect.surroundings import queue_of as queue_of_run
from launch_sdk._prefect.surroundings import surroundings_of
from launch_sdk.cli.agents import main as agent_command
from launch_sdk.cli.queues import main as queue_command
from launch_sdk.client import LaunchClient
from launch_sdk.errors import ConflictError, InvalidSpecError, NotFoundError
from launch_sdk.specs.document import Document
from launch_sdk.specs.placement import Placement, Priority
from launch_sdk.specs.queue_config import QueueConfig, parse_queue_config
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from tests.conftest import Home, eventually

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from launch_sdk.handles import LaunchedRun

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]

PROGRAM = """
import json, os, sys, time
from pathlib import Path
given = {name: os.environ.get(name) for name in ("THREADS", "SCRATCH", "ODD", "LAUNCH_QUEUE_MACROS")}
note = Path(sys.argv[1])
with note.open("a") as file:
    file.write(json.dumps({"name": os.environ["LAUNCH_RUN_NAME"], **given}) + chr(10))
while Path(f"{note}.hold").exists():
    time.sleep(0.05)
"""
CONFIG: dict[str, Any] = {
    "resource_args": {"env": {"THREADS": "{{threads}}", "SCRATCH": "/x/${run_id}/${queue_name}", "ODD": "{{odd}}"}},
    "template_variables": {
        "threads": {"type": "integer", "default": 4, "minimum": 1, "maximum": 16},
        "odd": {"type": "string", "default": "none"},
    },
}


@pytest.fixture
def client(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[LaunchClient]:
    monkeypatch.setenv("LAUNCH_HOME", str(home.path))
    monkeypatch.setenv("PREFECT_API_URL", home.api_url)
    with LaunchClient() as opened:
        before = set(opened.queues())
        yield opened
        for queue in set(opened.queues()) - before - {"default"}:
            opened.queue(queue).delete()


class Program:
    """A program that notes what it was given, and waits while it is held."""

    def __init__(self, folder: Path) -> None:
        (folder / "code").mkdir()
        (folder / "code" / "main.py").write_text(PROGRAM)
        self.folder = folder / "code"
        self.note = folder / "note"
        self.spec = RunSpec(str(self.folder), args=(str(self.note),))

    def hold(self) -> None:
        self.note.with_name("note.hold").touch()

    def let_go(self) -> None:
        self.note.with_name("note.hold").unlink(missing_ok=True)

    @property
    def notes(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.note.read_text().splitlines()] if self.note.exists() else []


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.let_go()


@contextmanager
def agent(home: Home, *words: str, **variables: str) -> Generator[subprocess.Popen[bytes]]:
    """A `launch-agent` that does not outlive the test."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("launch-agent")), *words],
            env=home.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def put(client: LaunchClient, program: Program, queue: str, name: str, **placement: Any) -> LaunchedRun:
    spec = replace(program.spec, name=name)
    return client.launch(spec, queue=queue, placement=Placement(**placement))


def queue_of(client: LaunchClient, name: str, **config: Any) -> str:
    client.create_queue(name, parse_queue_config(Document(config), "me") if config else None)
    return name


def test_one_agent_takes_the_urgent_first_with_the_values_that_submitters_chose_and_ends_when_asked_from_afar(
    home: Home, client: LaunchClient, program: Program, tmp_path: Path
) -> None:
    queue = queue_of(client, "by-priority", **CONFIG)
    program.hold()
    first = put(client, program, queue, "first")
    config = tmp_path / "agent.yaml"
    config.write_text(f"queues: [{queue}]\nmax_jobs: 7\nmax_schedulers: 2\nname: far-away\n")
    with agent(home, "-c", str(config), "--max-jobs", "1", LAUNCH_AGENT_MAX_JOBS="5") as process:
        eventually(lambda: program.notes, "the first run should start")
        for name, priority in (("low", 3), ("medium", 2), ("critical", 0), ("high", 1), ("medium-2", 2)):
            put(client, program, queue, name, priority=Priority(priority), variables={"threads": "16", "odd": "a=b"})

        items = client.queue(queue).items()
        assert [item.name for item in items] == ["critical", "high", "medium", "medium-2", "low", "first"]
        full = "Agent far-away is full (1 at once): first."
        eventually(lambda: full in (client.queue(queue).items()[0].waits or ""), "the reason should be that it is full")
        last = client.queue(queue).items()[4]
        assert last.waits == f"{full} Taken before it: 4."

        (seen,) = [one for one in client.agents() if one.name == "far-away"]
        assert (seen.queues, seen.max_jobs, seen.max_schedulers, seen.pid) == ((queue,), 1, 2, process.pid)
        assert [run.run_id for run in seen.runs] == [first.id]
        assert home.json("launch", "agent", "show", "far-away") == seen.to_json() | {"last_seen": ANY}

        program.let_go()
        eventually(lambda: len(program.notes) == 6, "every run should have started")
        assert [note["name"] for note in program.notes] == ["first", "critical", "high", "medium", "medium-2", "low"]
        plain, chosen = program.notes[0], program.notes[1]
        scratch = f"/x/{first.id}/{queue}"
        assert plain == {
            "name": "first", "THREADS": "4", "SCRATCH": scratch, "ODD": "none", "LAUNCH_QUEUE_MACROS": None,
        }  # fmt: skip
        assert (chosen["THREADS"], chosen["ODD"]) == ("16", "a=b")

        assert client.stop_agent("far-away").name == "far-away"
        assert process.wait(30) == 0
        waiting = put(client, program, queue, "late")
        assert waiting.waits == f"No agent polls queue {queue!r}. Start one: launch-agent --queues {queue}"
        assert not [one for one in client.agents() if one.name == "far-away"]
        with pytest.raises(NotFoundError, match="No agent called 'far-away' is running"):
            client.stop_agent("far-away")


def test_deleting_a_queue_ends_what_waits_and_lets_what_runs_go_on_and_another_says_what_it_lacks(
    home: Home, client: LaunchClient, program: Program
) -> None:
    queue = queue_of(client, "deleted-under-a-run")
    asking = queue_of(client, "asks-for", resource_args={"env": ["DATA_DIR", "HOME"]})
    program.hold()
    with agent(home, "--queues", f"{queue},{asking}", "--max-jobs", "2"):
        runs = put(client, program, queue, "runs")
        eventually(lambda: program.notes, "the run should start")
        handle = client.queue(queue)
        httpx.patch(f"{home.api_url}/work_pools/{queue}", json={"concurrency_limit": 1}).raise_for_status()
        limited = put(client, program, queue, "limited")
        assert limited.waits == f"Queue {queue!r} has a concurrency limit of 1 in the Prefect UI: runs."
        handle.delete_item(limited.id)
        handle.pause()
        waits, off = put(client, program, queue, "waits"), put(client, program, queue, "off")
        assert waits.waits == f"Queue {queue!r} is paused. Go on: launch queue resume {queue}"
        with pytest.raises(ConflictError, match="waits no more, it is running"):
            handle.delete_item(runs.id)
        assert handle.delete_item(off.id) == off.id
        assert handle.delete() == 1
        assert (waits.state, off.state) == (RunState.CANCELLED, RunState.CANCELLED)
        assert runs.state is RunState.RUNNING

        asks = put(client, program, asking, "asks").wait(60)
        assert asks.state is RunState.FAILED
        assert "takes DATA_DIR from its agents, and this agent has not" in (asks.error or "")
        program.let_go()
        assert runs.wait(60).state is RunState.FINISHED
    with pytest.raises(NotFoundError, match="does not exist"):
        client.queue(queue)
    assert [note["name"] for note in program.notes] == ["runs"]


def test_the_runs_of_a_sweep_stand_on_the_queue_as_its_file_says(
    home: Home, client: LaunchClient, program: Program
) -> None:
    queue = queue_of(client, "sweep-placed", **CONFIG)
    document: dict[str, Any] = {
        "method": "grid",
        "program": "main.py",
        "command": ["${interpreter}", "${program}", str(program.note)],
        "parameters": {"x": {"values": [1, 2]}},
        "launch": {"queue": queue, "priority": "high", "template_variables": {"threads": 2}},
    }
    wrong = document | {"launch": {"queue": queue, "template_variables": {"threads": 99, "more": 1}}}
    with pytest.raises(InvalidSpecError, match=r"has 2 faults"):
        client.submit_sweep(Document(wrong, directory=program.folder))
    program.hold()
    sweep = client.submit_sweep(Document(document, directory=program.folder))
    with agent(home, "--queues", queue):
        eventually(lambda: len(client.queue(queue).items()) == 3, "the sweep and its runs should be on the queue")
        priorities = {item.priority for item in client.queue(queue).items() if item.run_id != _parent(client, sweep.id)}
        assert priorities == {Priority.HIGH}
        with pytest.raises(ConflictError, match=f"has a sweep that goes on and needs it for its runs: {sweep.id}"):
            client.queue(queue).delete()
        program.let_go()
        assert sweep.wait(60).state is RunState.FINISHED
    assert [note["THREADS"] for note in program.notes] == ["2", "2"]


def _parent(client: LaunchClient, sweep_id: str) -> str:
    return str(client.sweep(sweep_id).refresh().scheduler["run_id"])


def test_a_submitter_cannot_read_the_environment_of_an_agent(client: LaunchClient, program: Program) -> None:
    queue = queue_of(client, "no-leak", **CONFIG)
    for leak in ("${HOME}", "{{ $HOME }}", "{{ prefect.variables.x }}", "${run_id}"):
        with pytest.raises(InvalidSpecError, match="only the queue's owner writes templates"):
            put(client, program, queue, "leak", variables={"odd": leak})
    assert client.queue(queue).items() == []


def test_prefects_own_worker_is_given_the_urgent_first_and_the_ui_the_defaults(
    home: Home, client: LaunchClient, program: Program
) -> None:
    queue = queue_of(client, "for-any-worker", **CONFIG)
    for name, priority in (("low", 3), ("medium", 2), ("critical", 0), ("high", 1)):
        put(client, program, queue, name, priority=Priority(priority))
    client.create_job(program.spec, name="placed-job", queue=queue)
    urgent = Placement(Priority.CRITICAL, {"threads": 3})
    client.launch_own_job("placed-job", name="of-a-job", placement=urgent)
    with httpx.Client(base_url=home.api_url) as http:
        given = http.post(f"/work_pools/{queue}/get_scheduled_flow_runs", json={}).raise_for_status().json()
        pool = http.get(f"/work_pools/{queue}").raise_for_status().json()
    assert [entry["flow_run"]["name"] for entry in given] == [
        "critical",
        "of-a-job",
        "high",
        "medium",
        "low",
    ]
    assert given[1]["flow_run"]["job_variables"]["env"]["THREADS"] == "3"
    client.delete_job("placed-job")
    defaults = pool["base_job_template"]["variables"]["properties"]["env"]["default"]
    assert (defaults["THREADS"], defaults["ODD"]) == ("4", "none")


def test_a_run_whose_queue_is_gone_when_it_starts_is_not_started_without_what_the_queue_said(
    client: LaunchClient, program: Program
) -> None:
    queue = queue_of(client, "gone-in-between", resource="container")
    run_id = UUID(put(client, program, queue, "claimed").id)

    async def start() -> object:
        async with get_client() as server:
            await server.update_flow_run_labels(run_id, {names.POOL: queue})  # as a worker does that takes it
            await server.delete_work_pool(queue)
            flow_run = await server.read_flow_run(run_id)
            assert flow_run.work_pool_name is None
            return await surroundings_of(server, queue_of_run(flow_run), {})

    with pytest.raises(NotFoundError, match="'gone-in-between' was deleted before this run started"):
        asyncio.run(start())


def test_a_queue_can_be_changed_and_closed_to_others(client: LaunchClient, program: Program) -> None:
    queue = queue_of(client, "changed")
    client.queue(queue).update(QueueConfig(description="mine", env={"A": "1"}))
    shown = client.queue(queue).refresh()
    assert (shown.config.description, shown.config.env, shown.state) == ("mine", {"A": "1"}, "no agent")
    client.create_queue("somebodys", QueueConfig(owner="somebody-else"))
    try:
        for attempt in (
            lambda: put(client, program, "somebodys", "x"),
            client.queue("somebodys").pause,
            client.queue("somebodys").delete,
        ):
            with pytest.raises(InvalidSpecError, match="private to 'somebody-else'"):
                attempt()
    finally:
        _delete_by_api(client, "somebodys")
    with pytest.raises(ConflictError, match="'changed' exists already"):
        client.create_queue(queue)


def _delete_by_api(client: LaunchClient, queue: str) -> None:
    """Delete another's queue past the check, which anybody who reaches the server can."""
    import os

    httpx.delete(f"{os.environ['PREFECT_API_URL']}/work_pools/{queue}").raise_for_status()
    assert queue not in client.queues()


def test_the_commands_speak_json(
    home: Home, client: LaunchClient, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> Any:
        assert (queue_command if words[0] == "queue" else agent_command)([*words[1:], "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    created = said("queue", "create", "spoken", "-c", json.dumps(CONFIG), "--description", "d")
    assert (created["name"], created["description"], created["has_agent"]) == ("spoken", "d", False)
    assert said("queue", "show", "spoken") == created
    assert "spoken" in [one["name"] for one in said("queue", "list")]
    run = put(client, program, "spoken", "waits", priority=Priority.HIGH)
    (item,) = said("queue", "items", "spoken")
    assert (item["run_id"], item["priority"], item["state"]) == (run.id, "high", "queued")
    assert item["waits"] == home.json("launch", "run", "show", run.id)["waits"] == run.waits
    assert said("queue", "pause", "spoken")["is_paused"] is True
    assert said("queue", "resume", "spoken")["is_paused"] is False
    assert said("queue", "update", "spoken", "--private")["access"] == "private"
    assert said("queue", "items", "spoken", "--delete", run.id) == {"deleted": run.id}
    assert said("queue", "delete", "spoken") == {"deleted": "spoken", "cancelled": 0}
    assert isinstance(said("agent", "list"), list)
    client.ensure_queue("default")
    with pytest.raises(ConflictError, match="cannot be deleted"):
        said("queue", "delete", "default")
    queue_command(["list"])
    assert "default" in capsys.readouterr().out


def test_five_hundred_submissions_at_once_all_arrive_once(home: Home, client: LaunchClient, program: Program) -> None:
    queue = queue_of(client, "crowded")
    first = put(client, program, queue, "first")
    flow_run = httpx.get(f"{home.api_url}/flow_runs/{first.id}").raise_for_status().json()
    url = f"{home.api_url}/deployments/{flow_run['deployment_id']}/create_flow_run"

    async def submit() -> list[str]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=120, limits=limits) as http:

            async def one(index: int) -> str:
                body = {"name": f"crowd-{index}", "parameters": flow_run["parameters"], "idempotency_key": f"c-{index}"}
                return (await http.post(url, json=body)).raise_for_status().json()["id"]

            return await asyncio.gather(*(one(index) for index in range(499)))

    ids = asyncio.run(submit())
    assert len({first.id, *ids}) == 500
    waiting = client.queue(queue).items()
    assert sorted(item.run_id for item in waiting) == sorted([first.id, *ids])
    assert {item.state for item in waiting} == {RunState.QUEUED}
