"""A real agent, in a process of its own, on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from launch_sdk.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

pytestmark = pytest.mark.server

FLOWS = '''
import asyncio, json, os, random, signal, subprocess, sys, time
from pathlib import Path
from prefect import flow

def note(folder, **what):
    draft = Path(folder, f"{os.getpid()}.draft")
    draft.write_text(json.dumps(what | {"pid": os.getpid()}))
    draft.rename(draft.with_suffix(".json"))

def mark(flow, flow_run, state):
    Path(flow_run.parameters["folder"], "hook").write_text(state.name)

@flow
async def quick(folder, seconds=0.0):
    began = time.time()
    await asyncio.sleep(seconds)
    note(folder, began=began, ended=time.time(), random=random.random(), sid=os.getsid(0), cwd=os.getcwd())

@flow
async def failing(folder):
    raise ValueError("on purpose")

@flow(on_crashed=[mark], on_cancellation=[mark])
async def training(folder):
    """Start programs as training does: one in a session of its own that ignores SIGTERM, one plain."""
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    first = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pids = [first.pid]
    if os.environ.get("STUBBORN"):
        second = subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True, stdout=subprocess.PIPE)
        second.stdout.readline()
        pids.append(second.pid)
    note(folder, programs=pids)
    await asyncio.sleep(600)
'''

AGENT = """
import asyncio, json, sys
from pathlib import Path
from launch_sdk.agent.agent import Project, serve

options = json.loads(sys.argv[1])
project = options.pop("project", None)
flows = {"flows/mine.py:quick": "flows.mine:quick"} if project else {}
asyncio.run(serve(options.pop("queues"), on_event=lambda text: print("EVENT", text, flush=True),
                  project=Project(Path(project), flows) if project else None, **options))
"""


def until(look: Callable[[], Any], what: str, seconds: float = 40.0) -> Any:
    """Look until there is something true to see."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what}")


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be collected."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@dataclass
class Server:
    url: str
    project: Path
    http: httpx.Client
    count: int = 0

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def queue(self) -> str:
        """Make a queue as the product does: with a work queue for the parents of sweeps."""
        self.count += 1
        name = f"queue-{self.count}"
        filled = {name: f"{{{{ {name} }}}}" for name in VARIABLES}
        template = {"job_configuration": filled, "variables": {"properties": VARIABLES}}
        self.post("/work_pools/", {"name": name, "type": "launch", "base_job_template": template})
        self.post(f"/work_pools/{name}/queues", {"name": "schedulers"})
        return name

    def deployment(
        self, queue: str, flow: str, *, lane: str = "default", project: Path | None = None, **more: Any
    ) -> str:
        folder = str(project or self.project)
        body = {
            "name": f"{queue}-{lane}",
            "flow_id": self.post("/flows/", {"name": flow})["id"],
            "entrypoint": f"flows/mine.py:{flow}",
            "work_pool_name": queue,
            "work_queue_name": lane,
            "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": folder}}],
            "enforce_parameter_schema": False,
        }
        return self.post("/deployments/", body | more)["id"]

    def start(self, deployment: str, **parameters: Any) -> str:
        return self.post(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})["id"]

    def run(self, flow_run: str) -> Any:
        return self.http.get(f"/flow_runs/{flow_run}").raise_for_status().json()

    def state(self, flow_run: str) -> str:
        return self.run(flow_run)["state"]["name"]

    def ends_as(self, flow_run: str, *, seconds: float = 40.0) -> str:
        final = {"Completed", "Failed", "Crashed", "Cancelled"}
        until(lambda: self.state(flow_run) in final, f"{flow_run} ended", seconds)
        return self.state(flow_run)

    def cancel(self, flow_run: str) -> None:
        self.post(f"/flow_runs/{flow_run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})


VARIABLES: dict[str, Any] = {
    "command": {"type": "string"},
    "env": {"type": "object", "default": {}},
    "labels": {"type": "object", "default": {}},
    "name": {"type": "string"},
    "stream_output": {"type": "boolean", "default": True},
    "working_dir": {"type": "string"},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    home = tmp_path_factory.mktemp("server")
    (home / "project" / "flows").mkdir(parents=True)
    (home / "project" / "flows" / "mine.py").write_text(FLOWS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    env |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "launch_sdk._prefect.server", "--port", str(port)], env=env, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}/api"

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/health", timeout=2).is_success
        return False

    try:
        until(answers, f"the server answers, see {home / 'log'}", 90)
        with httpx.Client(base_url=url, timeout=30) as http:
            yield Server(url, home / "project", http)
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Agent:
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def warm_pid(self) -> int:
        """The warm process: the agent's only child."""
        table = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return int((table.stdout.split() or ["0"])[0])


@pytest.fixture
def agent(server: Server, tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    agents: list[Agent] = []

    def start(*queues: str, **options: Any) -> Agent:
        log = tmp_path / f"agent-{len(agents)}.log"
        env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        env |= {"PREFECT_API_URL": server.url, "PREFECT_HOME": str(tmp_path / "home"), "DO_NOT_TRACK": "1"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", AGENT, json.dumps(options | {"queues": queues})],
                env=env,
                cwd=tmp_path,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        agents.append(Agent(process, log))
        until(lambda: "serves" in agents[-1].text or process.poll() is not None, "the agent serves")
        assert process.poll() is None, agents[-1].text
        return agents[-1]

    yield start
    for one in agents:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(20)


def notes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("*.json")]


def overlap(runs: list[dict[str, Any]]) -> int:
    """How many ran at once, at most."""
    edges = sorted([(run["began"], 1) for run in runs] + [(run["ended"], -1) for run in runs])
    at_once = most = 0
    for _, step in edges:
        at_once += step
        most = max(most, at_once)
    return most


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
    assert str(one["pid"]) in {server.run(run)["infrastructure_pid"] for run in (first, second)}


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


def test_a_queue_inside_the_pool_that_is_made_later_is_served_too(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    agent(queue)
    server.post(f"/work_pools/{queue}/queues", {"name": "urgent", "priority": 1})
    job = server.deployment(queue, "quick", lane="urgent")
    assert server.ends_as(server.start(job, folder=str(tmp_path))) == "Completed"


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
    server.start(server.deployment(queue, "training", job_variables={"env": {"STUBBORN": "1"}}), folder=str(tmp_path))
    (note,) = until(lambda: notes(tmp_path), "the training runs")
    warm = one.warm_pid
    one.process.kill()
    until(lambda: not [pid for pid in (warm, note["pid"], *note["programs"]) if is_alive(pid)], "all are gone", 30)


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


def test_an_idle_agent_ends_by_itself_but_not_before_its_work_is_done(
    server: Server, agent: Callable[..., Agent], tmp_path: Path
) -> None:
    queue = server.queue()
    job = server.deployment(queue, "quick")
    run = server.start(job, folder=str(tmp_path), seconds=2.0)
    one = agent(queue, exit_when_idle_s=0.5)
    assert one.process.wait(30) == 0, one.text
    assert server.state(run) == "Completed"


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
