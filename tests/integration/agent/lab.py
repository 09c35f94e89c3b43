"""What the agent's tests stand on: a server's REST API, flows that leave notes, an agent in its own process."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

FLOWS = '''
import asyncio, json, os, random, signal, subprocess, sys, time
from pathlib import Path
from prefect import flow, task

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

@task
async def step():
    await asyncio.sleep(0.2)

@flow
async def steps(folder, count=100):
    note(folder, began=time.time())
    for _ in range(count):
        await step()
    Path(folder, "all").touch()

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
if options.pop("is_deaf", False):  # as behind a proxy that lets no stream through
    import prefect.events.clients
    prefect.events.clients.get_events_subscriber = None
if options.pop("hears_once", False):  # as where the server goes away between two questions
    import httpx
    from launch_sdk.agent.worker import LaunchWorker
    async def rest_of_line(self):
        raise httpx.ConnectError("gone")
    LaunchWorker._rest_of_line = rest_of_line
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
        name = f"agent-test-{self.count}"
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

    def start(self, deployment: str, *, in_s: float = 0.0, **parameters: Any) -> str:
        body: dict[str, Any] = {"parameters": parameters}
        if in_s:
            at = (datetime.now(UTC) + timedelta(seconds=in_s)).isoformat()
            body["state"] = {"type": "SCHEDULED", "state_details": {"scheduled_time": at}}
        return self.post(f"/deployments/{deployment}/create_flow_run", body)["id"]

    def run(self, flow_run: str) -> Any:
        return self.http.get(f"/flow_runs/{flow_run}").raise_for_status().json()

    def state(self, flow_run: str) -> str:
        return self.run(flow_run)["state"]["name"]

    def ends_as(self, flow_run: str, *, seconds: float = 40.0) -> str:
        final = {"Completed", "Failed", "Crashed", "Cancelled"}
        until(lambda: self.state(flow_run) in final, f"{flow_run} ended", seconds)
        return self.state(flow_run)

    def suspend(self, flow_run: str) -> None:
        until_then = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        details = {"pause_reschedule": True, "pause_timeout": until_then}
        state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
        answer = self.post(f"/flow_runs/{flow_run}/set_state", {"state": state})
        assert answer["status"] == "ACCEPT", answer

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
