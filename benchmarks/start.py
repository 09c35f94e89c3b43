"""How long a run takes to start, and how many get through: our agent beside Prefect's process worker.

    python benchmarks/start.py [--rounds 15] [--runs 40] [--json FILE]

One server (ours, on a free port, with its data in a temporary folder), one flow (`async`, empty, loaded from a file
after a `set_working_directory` step), one worker at a time. Times are of this process's clock, from before the request
that enqueues; `Running` and `Completed` are the time stamps of the states, made by the flow's process on this machine.
Some ten minutes, most of them Prefect's polling.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

FLOW = "from prefect import flow\n\n\n@flow\nasync def nothing():\n    pass\n"
AGENT = """
import asyncio, sys
from pathlib import Path
from launch_sdk.agent.agent import Project, serve
flows = {"flows/bench.py:nothing": "flows.bench:nothing"} if sys.argv[2] == "preloaded" else {}
asyncio.run(serve(["bench"], max_jobs=2, on_event=lambda text: print(text, flush=True),
                  project=Project(Path(sys.argv[1]), flows)))
"""
STOCK = ["-m", "prefect", "worker", "start", "--pool", "bench", "--type", "process", "--limit", "2"]


@dataclass(frozen=True)
class Contender:
    name: str
    command: list[str]
    env: dict[str, str]
    ready: str  # what it prints when it serves


@dataclass(frozen=True)
class Figures:
    name: str
    running_s: float
    completed_s: float
    completed_max_s: float
    runs_per_s: float
    load: float  # of the machine, over the minute before the end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="launch-bench-") as name, server(Path(name)) as api:
        job = prepare(api, Path(name))
        print(f"Median of {options.rounds} runs; throughput over {options.runs} runs, 2 at a time.\n")
        print("| who | enqueue to Running | to Completed (max) | ratio | runs/s | ratio | load |\n" + "|---" * 7 + "|")
        figures: list[Figures] = []
        for one in contenders(Path(name)):
            figures.append(measure(api, job, one, Path(name), options))
            print(row(figures[-1], figures[0]), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in figures], indent=2) + "\n")


def row(one: Figures, first: Figures) -> str:
    cells = (
        one.name,
        f"{one.running_s:.2f} s",
        f"{one.completed_s:.2f} s ({one.completed_max_s:.2f})",
        f"{one.completed_s / first.completed_s:.1f}",
        f"{one.runs_per_s:.2f}",
        f"{first.runs_per_s / one.runs_per_s:.1f}",
        f"{one.load:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def contenders(folder: Path) -> list[Contender]:
    python = sys.executable
    return [
        Contender("agent, flow preloaded", [python, "-c", AGENT, str(folder), "preloaded"], {}, "serves"),
        Contender("agent, flow loaded from its file", [python, "-c", AGENT, str(folder), "cold"], {}, "serves"),
        Contender("Prefect worker, default settings", [python, *STOCK], {}, "started!"),
        Contender(
            "Prefect worker, polling every 0.5 s", [python, *STOCK], {"PREFECT_WORKER_QUERY_SECONDS": "0.5"}, "started!"
        ),
    ]


def measure(api: httpx.Client, job: str, contender: Contender, folder: Path, options: argparse.Namespace) -> Figures:
    with running(contender, folder, str(api.base_url)):
        finish(api, [enqueue(api, job)])  # the first run of each is not counted
        singles = [single(api, job) for _ in range(options.rounds)]
        began = time.time()
        finish(api, [enqueue(api, job) for _ in range(options.runs)])
        through = options.runs / (time.time() - began)
    completed = [both[1] for both in singles]
    return Figures(
        contender.name,
        statistics.median(both[0] for both in singles),
        statistics.median(completed),
        max(completed),
        through,
        os.getloadavg()[0],
    )


def single(api: httpx.Client, job: str) -> tuple[float, float]:
    time.sleep(random.uniform(0.0, 1.0))  # noqa: S311  # not in step with anybody's polling
    began = time.time()
    run = enqueue(api, job)
    finish(api, [run])
    history = api.get("/flow_run_states/", params={"flow_run_id": run}).raise_for_status().json()
    at = {state["type"]: datetime.fromisoformat(state["timestamp"]).timestamp() for state in history}
    return at["RUNNING"] - began, at["COMPLETED"] - began


def enqueue(api: httpx.Client, job: str) -> str:
    return post(api, f"/deployments/{job}/create_flow_run", {})["id"]


def finish(api: httpx.Client, runs: list[str]) -> None:
    """Wait until all runs are final, asking rarely enough to disturb nobody."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        states = post(api, "/flow_runs/filter", {"flow_runs": {"id": {"any_": runs}}, "limit": 200})
        final = [one for one in states if one["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}]
        if len(final) == len(runs):
            wrong = {one["state_type"] for one in final} - {"COMPLETED"}
            assert not wrong, wrong
            return
        time.sleep(0.1)
    raise TimeoutError(f"{len(runs)} runs did not end")


def post(api: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    return api.post(path, json=body).raise_for_status().json()


@contextlib.contextmanager
def running(contender: Contender, folder: Path, api_url: str) -> Generator[None]:
    env = clean_env() | {"PREFECT_API_URL": api_url.rstrip("/"), "PREFECT_HOME": str(folder / "home")} | contender.env
    log = folder / f"{contender.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(contender.command, env=env, cwd=folder, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while contender.ready not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # Prefect's worker does not always end when told to
            process.kill()
            process.wait()


@contextlib.contextmanager
def server(folder: Path) -> Generator[httpx.Client]:
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "server.log").open("wb") as log:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "launch_sdk._prefect.server", "--listening", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            env=clean_env() | {"PREFECT_HOME": str(folder / "server")},
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=60) as api:
            deadline = time.monotonic() + 90
            while not answers(api):
                assert time.monotonic() < deadline, (folder / "server.log").read_text()
                time.sleep(0.2)
            yield api
    finally:
        process.terminate()
        process.wait(30)


def answers(api: httpx.Client) -> bool:
    try:
        return api.get("/health").is_success
    except httpx.TransportError:
        return False


def prepare(api: httpx.Client, folder: Path) -> str:
    """Make the queue and the deployment; its id."""
    from launch_sdk.agent.worker import LaunchWorker

    (folder / "flows").mkdir()
    (folder / "flows" / "bench.py").write_text(FLOW)
    template = LaunchWorker.get_default_base_job_template()
    post(api, "/work_pools/", {"name": "bench", "type": "launch", "base_job_template": template})
    deployment = {
        "name": "bench",
        "flow_id": post(api, "/flows/", {"name": "nothing"})["id"],
        "entrypoint": "flows/bench.py:nothing",
        "work_pool_name": "bench",
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}],
    }
    return post(api, "/deployments/", deployment)["id"]


def clean_env() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return env | {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


if __name__ == "__main__":
    main()
