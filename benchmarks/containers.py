"""How long a container takes to say its first line, and a sweep of containers: ours beside prefect-docker's worker.

    python benchmarks/containers.py [--rounds 9] [--runs 20] [--json FILE]

One server, one engine, one image with Prefect for both (ours needs none: it is mounted into the bare base image). Times
are from before the request that enqueues to the time that the program prints, on this machine's one clock. Both workers
are warm. Prefect's polls every 0.2 s (10 s as it comes), so that what is compared is the start and not the polling. The
base image is what `scripts/engine up` makes. The image with Prefect is built at the first start, which takes a minute
and needs a package index.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from start import Contender, enqueue, finish, post, running, server

from launch_sdk.containers.base_images import present
from launch_sdk.containers.engine import connect

BASE, WITH_PREFECT = "launch-base:bookworm", f"launch-bench-prefect:{version('prefect')}"
PROGRAM = "import time\nprint('first line', time.time(), flush=True)\n"
LOGS = "import launch_sdk as launch\nwith launch.init(config={'x': 0}) as run:\n    run.log({'y': run.config.x})\n"
FLOW = """
import time
from prefect import flow

@flow(log_prints=True)
async def first():
    print("first line", time.time())
"""
DOCKERFILE = f"""
FROM {BASE}
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -q prefect=={version("prefect")} \
 "fastapi=={version("fastapi")}" && /opt/venv/bin/python -m compileall -q /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY flow.py /bench/flow.py
WORKDIR /bench
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    build()
    with tempfile.TemporaryDirectory(prefix="launch-bench-") as name, server(Path(name)) as api:
        folder = Path(name)
        os.environ |= {"LAUNCH_HOME": str(folder / "launch"), "PREFECT_API_URL": str(api.base_url).rstrip("/")}
        figures = {"ours": ours(api, folder, options), "prefect-docker": theirs(api, folder, options)}
    first, other = figures["ours"]["first_line_s"], figures["prefect-docker"]["first_line_s"]
    print(f"Median of {options.rounds}; load {os.getloadavg()[0]:.1f}.\n")
    print("| enqueue to the first line in a container | median (max) | ratio |\n|---|---|---|")
    print(f"| our agent | {first:.2f} s ({figures['ours']['max_s']:.2f}) | 1 |")
    print(
        f"| prefect-docker's worker | {other:.2f} s ({figures['prefect-docker']['max_s']:.2f}) | {other / first:.1f} |"
    )
    print(f"\nA sweep of {options.runs} containers, 2 at a time: {figures['ours']['sweep_s']:.1f} s.")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def ours(api: httpx.Client, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    from launch_sdk.client import LaunchClient
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.queue_config import parse_queue_config
    from launch_sdk.specs.run_spec import RunSpec

    for name, text in (("first", PROGRAM), ("sweep", LOGS)):
        (folder / name).mkdir()
        (folder / name / "main.py").write_text(text)
    queue = Document({"resource": "container", "resource_args": {"image": BASE}})
    command = [str(Path(sys.executable).with_name("launch-agent")), "--queues", "boxes", "--max-jobs", "2"]
    with LaunchClient() as client:
        client.create_queue("boxes", parse_queue_config(queue, "me"))
        with running(
            Contender("agent", command, {"LAUNCH_HOME": os.environ["LAUNCH_HOME"]}, "serves"), folder, url(api)
        ):
            time.sleep(5)  # until it is warm
            spec = RunSpec.from_dict({"source": str(folder / "first"), "entry_point": ["main.py"]})

            def start() -> str:
                return client.launch(spec, queue="boxes").id

            times = first_lines(api, start, options.rounds)
            began = time.monotonic()
            swept(folder, options.runs)
            return figures_of(times) | {"sweep_s": time.monotonic() - began}


def swept(folder: Path, runs: int) -> None:
    sweep = {
        "program": "main.py",
        "method": "random",
        "metric": {"name": "y", "goal": "minimize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "run_cap": runs,
        "scheduler": {"num_workers": 2},
    }
    (folder / "sweep" / "sweep.yaml").write_text(json.dumps(sweep))
    words = [str(Path(sys.executable).with_name("launch-sweep")), str(folder / "sweep" / "sweep.yaml"), "-q", "boxes"]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=True)
    states = [one["state"] for one in json.loads(done.stdout)["runs"]]
    assert states == ["finished"] * runs, states


def theirs(api: httpx.Client, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    from prefect_docker.worker import DockerWorker

    template = DockerWorker.get_default_base_job_template()
    post(api, "/work_pools/", {"name": "theirs", "type": "docker", "base_job_template": template})
    deployment = {
        "name": "theirs",
        "flow_id": post(api, "/flows/", {"name": "first"})["id"],
        "entrypoint": "flow.py:first",
        "path": "/bench",
        "work_pool_name": "theirs",
        "job_variables": {"image": WITH_PREFECT, "image_pull_policy": "Never", "auto_remove": True},
    }
    job = post(api, "/deployments/", deployment)["id"]
    command = [
        sys.executable,
        "-m",
        "prefect",
        "worker",
        "start",
        "--pool",
        "theirs",
        "--type",
        "docker",
        "--limit",
        "2",
    ]
    env = {"PREFECT_WORKER_QUERY_SECONDS": "0.2"}
    with running(Contender("docker worker", command, env, "started!"), folder, url(api)):
        return figures_of(first_lines(api, lambda: enqueue(api, job), options.rounds))


def first_lines(api: httpx.Client, start: Any, rounds: int) -> list[float]:
    times: list[float] = []
    for _ in range(rounds + 1):
        time.sleep(random.uniform(0.0, 1.0))  # noqa: S311  # not in step with anybody's polling
        began = time.time()
        run = start()
        finish(api, [run])
        times.append(printed(api, run) - began)
    return times[1:]  # the first of each is not counted


def printed(api: httpx.Client, run: str) -> float:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        logs = post(api, "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200})
        said = [one["message"].split()[-1] for one in logs if one["message"].startswith("first line")]
        if said:
            return float(said[0])
        time.sleep(0.2)
    raise TimeoutError(f"run {run} printed nothing")


def figures_of(times: list[float]) -> dict[str, float]:
    return {"first_line_s": statistics.median(times), "max_s": max(times)}


def url(api: httpx.Client) -> str:
    return str(api.base_url)


def build() -> None:
    api = connect().api
    assert present(api, BASE), f"there is no {BASE}: scripts/engine up PIDFILE"
    if present(api, WITH_PREFECT):
        return
    print(f"Building {WITH_PREFECT} (once) ...", flush=True)
    with contextlib.closing(io.BytesIO()) as content:
        with tarfile.open(fileobj=content, mode="w") as tar:
            for name, text in (("Dockerfile", DOCKERFILE), ("flow.py", FLOW)):
                entry = tarfile.TarInfo(name)
                entry.size = len(text.encode())
                tar.addfile(entry, io.BytesIO(text.encode()))
        content.seek(0)
        said = list(api.build(fileobj=content, custom_context=True, tag=WITH_PREFECT, decode=True, rm=True))
    assert present(api, WITH_PREFECT), said[-3:]


if __name__ == "__main__":
    main()
