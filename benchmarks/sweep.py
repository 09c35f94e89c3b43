"""Wall time per run of a sweep of no-op scripts, beside `run_deployment` on Prefect's stock process worker.

    python benchmarks/sweep.py [--runs 40] [--rounds 3] [--workers 2] [--poll 0.5] [--ours] [--json FILE]

One embedded server in a temporary home. Each round runs both sides, one after the other: `launch-sweep` over a
script that logs one value (its agent is started beforehand and warm), and as many `arun_deployment` calls, as many
at a time, of a flow that starts the same script as a subprocess on `prefect worker start --type process`. A side's
time is from its first request to the last run's end; the sweep's includes its command, its parent and its artifacts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

BIN = Path(sys.executable).parent
SCRIPT = "import launch_sdk as launch\nwith launch.init(config={'x': 0.0}) as run:\n    run.log({'y': run.config.x})\n"
FLOW = """
import subprocess, sys
from prefect import flow

@flow
async def noop(x: float) -> float:
    subprocess.run([sys.executable, "noop.py"], cwd=__file__.rpartition("/")[0], check=True)
    return x
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--poll", type=float, default=0.5, help="seconds between polls of the stock side")
    parser.add_argument("--ours", action="store_true", help="leave the stock side out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="launch-bench-") as name:
        folder = Path(name)
        (folder / "noop.py").write_text(SCRIPT)
        (folder / "noop_flow.py").write_text(FLOW)
        with server(folder / "home") as environment:
            rounds = [
                (sweep(folder, environment, options), 0.0 if options.ours else stock(folder, environment, options))
                for _ in range(options.rounds)
            ]
    ours, theirs = (statistics.median(side) / options.runs for side in zip(*rounds, strict=True))
    print(f"{options.runs} no-op runs, {options.workers} at a time, median of {options.rounds} rounds\n")
    print("| who | wall per run | ratio |\n|---|---|---|")
    print(f"| launch-sweep | {ours:.3f} s | 1 |")
    if not options.ours:
        ratio = theirs / ours
        print(f"| run_deployment, process worker polling every {options.poll:g} s | {theirs:.3f} s | {ratio:.1f} |")
    if options.json:
        options.json.write_text(json.dumps({"ours_s": ours, "stock_s": theirs, "rounds": rounds}, indent=2) + "\n")


@contextlib.contextmanager
def server(home: Path) -> Generator[dict[str, str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "LAUNCH_"))}
    environment["LAUNCH_HOME"] = str(home)
    started = subprocess.run(
        [BIN / "launch", "server", "start", "--json"], env=environment, check=True, capture_output=True, text=True
    )
    address = json.loads(started.stdout)["api_url"]
    try:
        yield environment | {"PREFECT_API_URL": address, "PREFECT_HOME": str(home / "server")}
    finally:
        subprocess.run([BIN / "launch", "server", "stop"], env=environment, check=True, capture_output=True)


@contextlib.contextmanager
def process(words: list[str], environment: dict[str, str], ready: str) -> Generator[None]:
    """Run a worker; go on once it has said that it serves."""
    worker = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert worker.stdout is not None
    for line in worker.stdout:
        if ready in line:
            break
    drain = subprocess.Popen(["cat"], stdin=worker.stdout, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(60)
        drain.wait(60)


def sweep(folder: Path, environment: dict[str, str], options: argparse.Namespace) -> float:
    document: dict[str, Any] = {
        "program": "noop.py",
        "method": "random",
        "metric": {"name": "y"},
        "run_cap": options.runs,
        "scheduler": {"num_workers": options.workers},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
    }
    (folder / "sweep.yaml").write_text(json.dumps(document))
    agent = [str(BIN / "launch-agent"), "--queues", "default", "--max-jobs", str(options.workers)]
    with process(agent, environment, "serves default"):
        began = time.monotonic()
        done = subprocess.run(
            [BIN / "launch-sweep", folder / "sweep.yaml", "--json"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        took = time.monotonic() - began
    view = json.loads(done.stdout)
    assert [run["state"] for run in view["runs"]] == ["finished"] * options.runs
    return took


def stock(folder: Path, environment: dict[str, str], options: argparse.Namespace) -> float:
    environment = environment | {"PREFECT_WORKER_QUERY_SECONDS": str(options.poll), "PREFECT_LOGGING_LEVEL": "INFO"}
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "stock", "--type", "process"]
    with process([*worker, "--limit", str(options.workers)], environment, "started"):
        submit = [
            sys.executable,
            __file__,
            "--submit",
            str(folder),
            str(options.runs),
            str(options.workers),
            str(options.poll),
        ]
        return float(
            subprocess.run(submit, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        )


async def submit(folder: str, runs: int, workers: int, poll_s: float) -> float:
    """Run the flow so many times; in a process of its own, whose Prefect is pointed at the server from its start."""
    from prefect.deployments import arun_deployment
    from prefect.flows import Flow

    flow = await Flow.afrom_source(source=folder, entrypoint="noop_flow.py:noop")
    await flow.adeploy(name="bench", work_pool_name="stock", print_next_steps=False, ignore_warnings=True)
    places = asyncio.Semaphore(workers)

    async def one(x: float) -> None:
        async with places:
            run = await arun_deployment("noop/bench", parameters={"x": x}, poll_interval=poll_s)
            assert run.state is not None
            assert run.state.is_completed(), run.state

    await one(0.0)  # the first one of a worker is slower
    began = time.monotonic()
    await asyncio.gather(*(one(float(x)) for x in range(runs)))
    return time.monotonic() - began


if __name__ == "__main__":
    if sys.argv[1:2] == ["--submit"]:
        print(asyncio.run(submit(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))))
    else:
        main()
