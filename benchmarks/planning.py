"""What does a long sweep cost its parent? Time and memory of one cycle, and of one suggestion.

    .venv/bin/python benchmarks/planning.py                        sweeps of 100 and of 10,000 finished runs, 64 running
    .venv/bin/python benchmarks/planning.py --latency              only the suggestions: 50, 200, 1,000 and 10,000 runs

A cycle is what `flows/run_sweep.py` does between two waits: read the children from a real server, settle, `plan` (with
one free place, so that one run is suggested), and write the artifacts. The server is an embedded one in a temporary
home; the runs are flow runs as a sweep makes them, copied in its database. Each size is measured in a process of its
own, for the memory. Times are medians, on the clock; those of suggestions also the slowest, and of processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import resource
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

BIN = Path(sys.executable).parent
PARAMETERS: dict[str, Any] = {f"x{axis}": {"min": 0.0, "max": 1.0} for axis in range(6)}
MIXED: dict[str, Any] = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
    "width": {"min": 8, "max": 1024},
    "depth": {"min": 1, "max": 12},
    "act": {"values": ["relu", "tanh", "gelu"]},
    "drop": {"distribution": "q_uniform", "min": 0.0, "max": 0.9, "q": 0.1},
}
DISCRETE = {name: given for name, given in MIXED.items() if name != "lr"}
SPACES = {"6 floats": PARAMETERS, "mixed": MIXED, "discrete": DISCRETE}
METHODS = ("random", "bayes", "tpe")
SIZES = (50, 200, 1000, 10_000)
RUNNING = 64
CYCLES = 15
SUGGESTIONS = 9


def loss(parameters: dict[str, Any]) -> float:
    return sum((hash(str(value)) % 1000) / 1000 for value in parameters.values())


def latency(method: str, space_name: str, size: int) -> tuple[float, float, float]:
    """Give milliseconds of one suggestion after `size` runs, 64 more run: by the clock, the slowest, processor time."""
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.space import parse_parameters
    from launch_sdk.sweeps.samplers import Observation, make_sampler

    space, _ = parse_parameters(Document({"parameters": SPACES[space_name]}))
    draws, sampler = make_sampler("random", goal="minimize", seed=1), make_sampler(method, goal="minimize", seed=1)
    points = [draws.suggest(space, [], index) or {} for index in range(size + RUNNING)]

    def known() -> list[Observation]:  # as `plan` makes them: new ones each time, over the same parameters
        done = [Observation(index, points[index], loss(points[index]), "finished") for index in range(size)]
        return [*done, *(Observation(index, points[index], None, "running") for index in range(size, size + RUNNING))]

    sampler.suggest(space, known(), size + RUNNING)  # the first one imports
    clock, processor = [], []
    for again in range(SUGGESTIONS):
        observations = known()
        start = (time.perf_counter(), time.process_time())
        sampler.suggest(space, observations, size + RUNNING + again)
        clock.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return 1000 * statistics.median(clock), 1000 * max(clock), 1000 * statistics.median(processor)


def show_latencies(methods: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    print(
        f"| ms of one suggestion, {RUNNING} running: median (slowest, processor) | {_cells(f'{s:,}' for s in SIZES)} |"
    )
    print("|---" * (len(SIZES) + 1) + "|")
    for method in methods:
        for space in SPACES:
            times = [latency(method, space, size) for size in SIZES]
            found[f"{method}, {space}"] = dict(zip(SIZES, times, strict=True))
            cells = (f"{clock:.0f} ({slowest:.0f}, {processor:.0f})" for clock, slowest, processor in times)
            print(f"| {method}, {space} | {_cells(cells)} |", flush=True)
    return found


def _cells(words: Iterable[str]) -> str:
    return " | ".join(words)


async def create(size: int, sweep_id: str) -> str:
    """Create the flow runs of a sweep; give the id of its parent."""
    from prefect import flow, get_client

    from launch_sdk._prefect import names
    from launch_sdk.tracking.values import dumps

    async with get_client() as client:
        flow_id = await client.create_flow(flow(name="benchmark")(lambda: None))
        ids: list[str] = []
        for index in (0, *range(size, size + RUNNING)):
            point = dict.fromkeys(PARAMETERS, 0.5)
            labels = {names.SWEEP: sweep_id, names.INDEX: index, names.ATTEMPT: 0, names.PARAMETERS: dumps(point)}
            body = {
                "flow_id": str(flow_id),
                "name": f"{index:03d} run",
                "tags": [names.sweep_tag(sweep_id)],
                "labels": labels | ({names.SUMMARY: dumps({"loss": 1.0})} if index == 0 else {}),
                "state": {"type": "RUNNING" if index else "COMPLETED"},
            }
            ids.append((await client.request("POST", "/flow_runs/", json=body)).json()["id"])
        multiply(ids[0], size)
        tags = [names.PARENT_TAG, names.sweep_tag(sweep_id)]
        parent = await client.create_flow_run(flow(name="parent")(lambda: None), tags=tags)
    return str(parent.id)


def multiply(template: str, size: int) -> None:
    """Copy an ended run in the server's database until there are so many, each with values and a time of its own.

    The server itself takes some 10 ms to create one.
    """
    from launch_sdk._prefect import names
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.space import parse_parameters
    from launch_sdk.sweeps.samplers import make_sampler
    from launch_sdk.tracking.values import dumps

    space, _ = parse_parameters(Document({"parameters": PARAMETERS}))
    draws = make_sampler("random", goal="minimize", seed=1)
    (database,) = Path(os.environ["LAUNCH_HOME"]).rglob("*.db")
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.row_factory = sqlite3.Row
        run = dict(connection.execute("SELECT * FROM flow_run WHERE id = ?", (template,)).fetchone())
        state = dict(connection.execute("SELECT * FROM flow_run_state WHERE id = ?", (run["state_id"],)).fetchone())
        for index in range(1, size):
            run_id, state_id = str(uuid.uuid4()), str(uuid.uuid4())
            point = draws.suggest(space, [], index) or {}
            labels = json.loads(run["labels"]) | {names.INDEX: index, names.PARAMETERS: dumps(point)}
            labels[names.SUMMARY] = dumps({"loss": loss(point)})
            at = datetime.now(UTC) - timedelta(seconds=60 + size - index)
            times = dict.fromkeys(("expected_start_time", "start_time", "end_time"), f"{at:%Y-%m-%d %H:%M:%S.%f}")
            of_run = {"id": run_id, "state_id": state_id, "name": f"{index:03d} run", "labels": json.dumps(labels)}
            _insert(connection, "flow_run", run | of_run | times)
            _insert(connection, "flow_run_state", state | {"id": state_id, "flow_run_id": run_id})


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    columns, places = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", list(row.values()))  # noqa: S608  # names of columns


async def cycles(method: str, parent_id: str, sweep_id: str) -> dict[str, float]:
    """Do what the parent does, over and over; give medians in milliseconds and memory in MB."""
    from prefect import get_client

    from launch_sdk._prefect.sweep_identity import SweepIdentity
    from launch_sdk._prefect.sweep_report import SweepReport
    from launch_sdk._prefect.sweep_runs import SweepRuns
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.sweep_spec import parse_sweep
    from launch_sdk.sweeps.planning import plan, settle
    from launch_sdk.sweeps.samplers import sampler_of

    document = {
        "method": method,
        "program": "train.py",
        "metric": {"name": "loss"},
        "parameters": PARAMETERS,
        "scheduler": {"num_workers": RUNNING + 1},
    }
    spec = parse_sweep(Document(document))
    identity = SweepIdentity(sweep_id, uuid.UUID(parent_id), "default", None)
    sampler = sampler_of(spec)
    logger = logging.getLogger("benchmark")
    times: dict[str, list[float]] = {}
    async with get_client() as client:
        runs, report = SweepRuns(client, spec, identity, "http://ui"), SweepReport(client, spec, identity, logger)
        start = time.perf_counter()
        await runs.read()
        first = time.perf_counter() - start
        for _ in range(CYCLES):
            marks, processor = [time.perf_counter()], time.process_time()
            seen, _ = settle(await runs.read(), 0.0, time.time())
            marks.append(time.perf_counter())
            actions = await asyncio.to_thread(plan, spec, seen, sampler, None, now=time.time())
            marks.append(time.perf_counter())
            await report.show(runs.known)
            marks.append(time.perf_counter())
            assert len(actions) == 1
            for name, before, after in zip(("read", "plan", "show"), marks, marks[1:], strict=False):
                times.setdefault(name, []).append(1000 * (after - before))
            times.setdefault("cycle", []).append(1000 * (marks[-1] - marks[0]))
            times.setdefault("processor", []).append(1000 * (time.process_time() - processor))
            await asyncio.sleep(0.3)
        if report.drawing:
            report.drawing.cancel()
        report.drawing_process.close()
    found = {name: statistics.median(values) for name, values in times.items()}
    found["slowest cycle"] = max(times["cycle"][1:])
    return found | {"first read": 1000 * first, "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def show_cycles(methods: list[str], sizes: list[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="launch-bench-") as home:
        environment = {**os.environ, "LAUNCH_HOME": home, "PREFECT_LOGGING_LEVEL": "WARNING"}
        with socket.socket() as free:  # of its own: a benchmark beside others takes nobody's port
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = [str(BIN / "launch"), "server", "start", "--port", str(port), "--json"]
        started = subprocess.run(words, env=environment, capture_output=True, check=True)
        environment["PREFECT_API_URL"] = json.loads(started.stdout)["api_url"]
        try:
            parents = {size: _worker(environment, "create", str(size)) for size in sizes}
            print(
                "| a parent's cycle, ms | read | plan | show | whole | processor | slowest | first read | memory, MB |"
            )
            print("|---" * 9 + "|")
            for method in methods:
                for size, parent in parents.items():
                    one = _worker(environment, "cycles", method, parent, f"bench{size}")
                    found[f"{method}, {size}"] = one
                    keys = ("read", "plan", "show", "cycle", "processor", "slowest cycle", "first read", "MB")
                    cells = " | ".join(f"{one[key]:.0f}" for key in keys)
                    print(f"| {method}, {size:,} finished, {RUNNING} running | {cells} |", flush=True)
        finally:
            subprocess.run([str(BIN / "launch"), "server", "stop"], env=environment, capture_output=True, check=True)
    return found


def _worker(environment: dict[str, str], *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, __file__, "--worker", *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def work(words: list[str]) -> None:
    if words[0] == "create":
        print(json.dumps(asyncio.run(create(int(words[1]), f"bench{words[1]}"))))
    else:
        print(json.dumps(asyncio.run(cycles(*words[1:]))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", action="store_true", help="only the suggestions")
    parser.add_argument("--cycles", action="store_true", help="only the cycles")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 10_000], help="finished runs of the cycles")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker)
        return
    found: dict[str, Any] = {}
    if not given.cycles:
        found["latency_ms"] = show_latencies(given.methods)
    if not given.latency:
        print()
        found["cycles"] = show_cycles(given.methods, given.sizes)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
