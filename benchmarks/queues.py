"""Queues and agents beside Prefect's own: how soon a run starts, what one costs, and idling, and a long line.

    python benchmarks/queues.py [--parts start,cold,noop,idle,drain] [--database sqlite|postgresql] [--json FILE]
                                [--rounds 15] [--runs 200] [--drain 2000] [--ray PYTHON] [--syne PYTHON] [--ours]

One server with its data in a temporary folder, ours and Prefect's process worker in turns.

start: from before the request that enqueues to the first line of user code, one run at a time, on a warm agent: forked
    with NumPy imported, forked, started; and in the flow of a process worker, polling as it does and every 0.5 s.
cold: a run waits and nobody serves its queue; from the start of the agent's or worker's command to the first line.
noop: runs that do nothing, all enqueued at once, 2 and 8 at a time; wall time from the first request to the last end.
    With --ray and --syne (interpreters that have `ray[tune]`, `syne-tune`), as many trials of theirs.
idle: processor time of agent and server over half a minute, and their memory; own memory (PSS and USS of
    /proc/PID/smaps_rollup) of the two processes of a run that sleeps. Linux.
drain: 2,000 runs enqueued by eight clients at once; each must have run once. What the server did for them.

With --ours, start, cold and noop leave out the others, which take most of the time.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from start import answers, clean_env, post

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

PROGRAM = """import time; first = time.time()
import os, sys
with open(os.environ["NOTES"], "a") as notes: notes.write(f"{os.environ['LAUNCH_RUN_ID']} {first}\\n")
time.sleep(float((sys.argv + ["0"])[1]))
"""
FLOW = """
import os, time
from prefect import flow
from prefect.runtime import flow_run

@flow
async def nothing():
    first = time.time()
    with open(os.environ["NOTES"], "a") as notes: notes.write(f"{flow_run.id} {first}\\n")
"""
SERVER = """
import collections, json, os, re, sys, time
from launch_sdk._prefect import server
counts, seconds = collections.Counter(), collections.Counter()
plain = server.keep_pages_local

def counting(app, url):
    inner = plain(app, url)
    async def counted(scope, receive, send):
        if scope["type"] == "lifespan":
            await inner(scope, receive, send)
            return
        if scope["path"] == "/api/__counts":
            body = json.dumps({"count": counts, "seconds": seconds, "cpu": time.process_time()}).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
            return
        route = re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "ID", f"{scope.get('method', 'WS')} {scope['path']}")
        counts[route] += 1
        began = time.perf_counter()
        await inner(scope, receive, send)
        seconds[route] += time.perf_counter() - began
    return counted

server.keep_pages_local = counting
server.main()
"""
RAY = """
import sys, time, ray
from ray import tune
ray.init(num_cpus=int(sys.argv[2]), logging_level="ERROR", include_dashboard=False)
def trial(config): return {"y": 0.0}
tune.run(trial, num_samples=2, verbose=0, resources_per_trial={"cpu": 1})
began = time.time()
tune.run(trial, num_samples=int(sys.argv[1]), verbose=0, resources_per_trial={"cpu": 1}, reuse_actors=False)
print("took", time.time() - began)
"""
SYNE = """
import os, sys, time
from syne_tune import Tuner, StoppingCriterion
from syne_tune.backend import LocalBackend
from syne_tune.config_space import uniform
from syne_tune.optimizer.baselines import RandomSearch
open("trial.py", "w").write("from syne_tune import Reporter; import argparse\\np = argparse.ArgumentParser(); "
    "p.add_argument('--x', type=float); p.parse_known_args(); Reporter()(y=0.0)\\n")
runs, workers = int(sys.argv[1]), int(sys.argv[2])
tuner = Tuner(trial_backend=LocalBackend(entry_point="trial.py"), n_workers=workers, sleep_time=0.1, save_tuner=False,
    scheduler=RandomSearch({"x": uniform(0, 1)}, metrics=["y"]),
    stop_criterion=StoppingCriterion(max_num_trials_completed=runs),
    print_update_interval=1e9, results_update_interval=1e9)
began = time.time()
tuner.run()
print("took", time.time() - began)
"""
STOCK_POOL, TICK = "stock", os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Bench:
    """A server, and a folder with what runs on it."""

    folder: Path
    api: httpx.Client
    server: int  # its process

    @property
    def notes(self) -> Path:
        return self.folder / "notes"

    @property
    def environment(self) -> dict[str, str]:
        home = self.folder / "home"
        kept = {name: value for name, value in clean_env().items() if not name.startswith("LAUNCH_")}
        where = {"PREFECT_API_URL": str(self.api.base_url).rstrip("/"), "PREFECT_HOME": str(home / "prefect")}
        where["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"  # as with the embedded server, which asks for no token
        return kept | where | {"LAUNCH_HOME": str(home), "NOTES": str(self.notes)}

    def command(self, name: str, *words: str) -> str:
        command = [str(Path(sys.executable).with_name(name)), *words]
        done = subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def queue(self, name: str, config: dict[str, Any], *words: str) -> Job:
        """Make a queue, and a run on it from which others are made."""
        self.command("launch", "queue", "create", name, "-c", json.dumps(config))
        code = self.folder / "code"
        code.mkdir(exist_ok=True)
        (code / "main.py").write_text(PROGRAM)
        run = json.loads(self.command("launch", "-q", name, str(code), "--detach", "--json", *words))["run_id"]
        flow_run = self.api.get(f"/flow_runs/{run}").raise_for_status().json()
        return Job(self.api, flow_run["deployment_id"], {"parameters": flow_run["parameters"]})

    def stock(self) -> Job:
        """Make a process pool of Prefect's, and a deployment on it."""
        from prefect.workers.process import ProcessWorker

        (self.folder / "bench_flow.py").write_text(FLOW)
        template = ProcessWorker.get_default_base_job_template()
        post(self.api, "/work_pools/", {"name": STOCK_POOL, "type": "process", "base_job_template": template})
        deployment = {
            "name": "bench",
            "flow_id": post(self.api, "/flows/", {"name": "nothing"})["id"],
            "entrypoint": "bench_flow.py:nothing",
            "work_pool_name": STOCK_POOL,
            "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(self.folder)}}],
        }
        return Job(self.api, post(self.api, "/deployments/", deployment)["id"], {})

    def started(self) -> dict[str, list[float]]:
        """Say when each run's user code began, by run."""
        found: dict[str, list[float]] = {}
        for line in self.notes.read_text().splitlines() if self.notes.exists() else []:
            found.setdefault(line.split()[0], []).append(float(line.split()[1]))
        return found

    @contextlib.contextmanager
    def serving(self, words: list[str], ready: str, **more: str) -> Generator[int]:
        """Run an agent or a worker; its process id."""
        log = self.folder / "serving.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                words,
                env=self.environment | more,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_for(lambda: ready in log.read_text() or process.poll() is not None, log)
            assert process.poll() is None, log.read_text()
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:  # Prefect's worker does not always end when told to
                process.kill()
                process.wait()

    def agent(self, queue: str, at_once: int, *, preloads: str = "serves") -> contextlib.AbstractContextManager[int]:
        words = [str(Path(sys.executable).with_name("launch-agent")), "--queues", queue, "--max-jobs", str(at_once)]
        return self.serving(words, preloads)

    def worker(self, at_once: int, poll_s: float | None = None) -> contextlib.AbstractContextManager[int]:
        words = [sys.executable, "-m", "prefect", "worker", "start", "--pool", STOCK_POOL, "--type", "process"]
        more = {"PREFECT_WORKER_QUERY_SECONDS": str(poll_s)} if poll_s else {}
        return self.serving([*words, "--limit", str(at_once)], "started!", **more)


@dataclass(frozen=True)
class Job:
    """What is enqueued."""

    api: httpx.Client
    deployment: str
    wanted: dict[str, Any]

    def enqueue(self) -> str:
        body = self.wanted | {"enforce_parameter_schema": False}
        return post(self.api, f"/deployments/{self.deployment}/create_flow_run", body)["id"]

    def finish(self, count: int, timeout_s: float = 1800.0) -> None:
        """Wait until so many of its runs are final, asking rarely and for a number only."""
        final = {"deployments": {"id": {"any_": [self.deployment]}}}
        states = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
        body = final | {"flow_runs": {"state": {"type": {"any_": states}}}}
        deadline = time.monotonic() + timeout_s
        while post(self.api, "/flow_runs/count", body) < count:
            assert time.monotonic() < deadline, f"{count} runs did not end"
            time.sleep(0.25)

    def count(self, state: str) -> int:
        body = {"deployments": {"id": {"any_": [self.deployment]}}, "flow_runs": {"state": {"type": {"any_": [state]}}}}
        return post(self.api, "/flow_runs/count", body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="start,cold,noop,idle,drain")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--drain", type=int, default=2000)
    parser.add_argument("--idle-seconds", type=float, default=30.0)
    parser.add_argument("--ray", help="interpreter with ray[tune]")
    parser.add_argument("--syne", help="interpreter with syne-tune")
    parser.add_argument("--ours", action="store_true", help="only ours, of start, cold and noop")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    parts = {"start": start, "cold": cold, "noop": noop, "idle": idle, "drain": drain}
    figures: dict[str, Any] = {"database": options.database}
    with tempfile.TemporaryDirectory(prefix="launch-bench-", ignore_cleanup_errors=True) as name:
        for part in options.parts.split(","):
            folder = Path(name) / part
            folder.mkdir()
            with bench(folder, options.database) as here:
                figures[part] = parts[part](here, options)
            print(
                f"{part} ({options.database}; load {os.getloadavg()[0]:.1f})",
                json.dumps(figures[part], indent=1),
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def start(here: Bench, options: argparse.Namespace) -> dict[str, Any]:
    forked = here.queue("forked", {"preload": []})
    with_numpy = here.queue("with-numpy", {"preload": ["numpy"]})
    plain = here.queue("plain", {})
    stock = here.stock()
    sides = {
        "agent, forked with NumPy": (with_numpy, here.agent("with-numpy", 2, preloads="Preloaded numpy")),
        "agent, forked": (forked, here.agent("forked", 2)),
        "agent, started": (plain, here.agent("plain", 2)),
        "Prefect worker, polling every 0.5 s": (stock, here.worker(2, 0.5)),
        "Prefect worker": (stock, here.worker(2)),
    }
    found: dict[str, Any] = {}
    for name, (job, serving) in sides.items():
        if job is stock and options.ours:
            continue
        with serving:
            singles(here, job, 3)  # the first ones of each are not counted
            took = singles(here, job, options.rounds)
        found[name] = {"median_s": round(statistics.median(took), 3), "max_s": round(max(took), 3)}
    return found


def cold(here: Bench, options: argparse.Namespace) -> dict[str, Any]:
    plain, stock = here.queue("plain", {}), here.stock()
    with here.agent("plain", 1):
        plain.finish(1)
    took: dict[str, list[float]] = {"agent": [], "Prefect worker": []}
    for _ in range(options.rounds):
        for name, job, serve in (
            ("agent", plain, lambda: here.agent("plain", 1)),
            ("Prefect worker", stock, lambda: here.worker(1)),
        ):
            if job is stock and options.ours:
                continue
            run = job.enqueue()
            began = time.time()
            with serve():
                wait_for(lambda run=run: run in here.started(), here.folder / "serving.log")
                took[name].append(here.started()[run][0] - began)
                job.finish(len(took[name]) + (job is plain))
    return {
        name: {"median_s": round(statistics.median(times), 3), "max_s": round(max(times), 3)}
        for name, times in took.items()
        if times
    }


def singles(here: Bench, job: Job, rounds: int) -> list[float]:
    took: list[float] = []
    for index in range(rounds):
        time.sleep(0.5 + 0.37 * (index % 4))  # not in step with anybody's polling
        began = time.time()
        run = job.enqueue()
        wait_for(lambda run=run: run in here.started(), here.folder / "serving.log")
        took.append(here.started()[run][0] - began)
    return took


def noop(here: Bench, options: argparse.Namespace) -> dict[str, Any]:
    forked, plain, stock = here.queue("forked", {"preload": []}), here.queue("plain", {}), here.stock()
    found: dict[str, Any] = {}
    done = {"forked": 1, "plain": 1, "stock": 0}  # of the jobs, how many runs have ended before
    for at_once in (2, 8):
        for name, job, serving in (
            ("forked", forked, here.agent("forked", at_once)),
            ("plain", plain, here.agent("plain", at_once)),
            ("stock", stock, here.worker(at_once)),
        ):
            if job is stock and options.ours:
                continue
            with serving as agent:
                job.enqueue()
                job.finish(done[name] + 1)
                began, cpu, own = time.monotonic(), cpu_s(here.server), cpu_s(agent)
                enqueue_all(job, options.runs)
                done[name] += options.runs + 1
                job.finish(done[name])
                wall, own = time.monotonic() - began, cpu_s(agent) - own
            found[f"{name}, {at_once} at once"] = {
                "wall_s_per_run": round(wall / options.runs, 3),
                "server_cpu_s_per_run": round((cpu_s(here.server) - cpu) / options.runs, 3),
                "agent_cpu_s_per_run": round(own / options.runs, 3),
            }
        for name, program, python in (("Ray Tune", RAY, options.ray), ("Syne Tune", SYNE, options.syne)):
            if python:
                took = foreign(here, program, python, options.runs, at_once)
                found[f"{name}, {at_once} at once"] = {"wall_s_per_run": took and round(took / options.runs, 3)}
    assert not any(job.count(state) for job in (forked, plain, stock) for state in ("FAILED", "CRASHED", "CANCELLED"))
    return found


def foreign(here: Bench, program: str, python: str, runs: int, at_once: int) -> float | None:
    done = subprocess.run(
        [python, "-c", program, str(runs), str(at_once)],
        cwd=here.folder,
        env=clean_env() | {"RAY_AIR_NEW_OUTPUT": "0", "RAY_CHDIR_TO_TRIAL_DIR": "0"},
        check=False,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    took = re.search(r"took ([\d.]+)", done.stdout)
    if took is None:
        print(done.stderr[-2000:], file=sys.stderr)
    return float(took[1]) if took else None


def idle(here: Bench, options: argparse.Namespace) -> dict[str, Any]:
    job = here.queue("forked", {"preload": []}, "-E", "main.py 600")
    with here.agent("forked", 2) as agent:
        wait_for(here.started, here.folder / "serving.log")
        found: dict[str, Any] = {}
        for process, kind in processes_of_run(agent):
            found[f"{kind} of a run that sleeps"] = memory(process)
        runs = [agent, *[process for process, kind in below(agent) if kind == "warm"]]
        found["agent"], found["warm process"] = (memory(process) for process in runs)
        found["server"] = memory(here.server)
        run = post(here.api, "/flow_runs/filter", {"deployments": {"id": {"any_": [job.deployment]}}})[0]["id"]
        here.command("launch", "run", "cancel", run)
        job.finish(1)
        time.sleep(5)
        before = {"agent": cpu_s(agent), "server": cpu_s(here.server)}
        time.sleep(options.idle_seconds)
        after = {"agent": cpu_s(agent), "server": cpu_s(here.server)}
    spent = {who: round(100 * (after[who] - before[who]) / options.idle_seconds, 2) for who in before}
    return found | {"idle_cpu_percent": spent | {"both": round(sum(spent.values()), 2)}}


def drain(here: Bench, options: argparse.Namespace) -> dict[str, Any]:
    job = here.queue("forked", {"preload": []})
    with here.agent("forked", 4):
        job.finish(1)
    before, cpu = counts(here), cpu_s(here.server)
    began = time.monotonic()
    enqueue_all(job, options.drain)
    submitted = time.monotonic() - began
    with here.agent("forked", 4):
        began = time.monotonic()
        job.finish(options.drain + 1, timeout_s=3600)
        drained = time.monotonic() - began
    after, cpu = counts(here), cpu_s(here.server) - cpu
    started = here.started()
    log = (here.folder / "server.log").read_text(errors="replace")
    routes = {name: number - before["count"].get(name, 0) for name, number in after["count"].items()}
    spent = {name: number - before["seconds"].get(name, 0) for name, number in after["seconds"].items()}
    return {
        "runs": options.drain,
        "submitted_per_s": round(options.drain / submitted, 1),
        "drained_s_per_run": round(drained / options.drain, 3),
        "completed": job.count("COMPLETED") - 1,
        "lost": options.drain + 1 - len(started),
        "doubled": sum(len(times) > 1 for times in started.values()),
        "database_is_locked": log.count("database is locked"),
        "server_cpu_s_per_run": round(cpu / options.drain, 3),
        "requests_per_run": round(sum(routes.values()) / options.drain, 1),
        "where_they_go": {
            name: {
                "per_run": round(routes[name] / options.drain, 2),
                "s_per_run": round(spent[name] / options.drain, 4),
            }
            for name, _ in collections.Counter(spent).most_common(16)
            if not name.startswith("WS")  # streams, which stay open
        },
    }


def enqueue_all(job: Job, count: int) -> None:
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda _: job.enqueue(), range(count)))


def counts(here: Bench) -> dict[str, Any]:
    return here.api.get("/__counts").raise_for_status().json()


def cpu_s(process: int) -> float:
    """Read the processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(process: int) -> dict[str, float]:
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    kilobytes = {name: int(number) for name, number in re.findall(r"(\w+): +(\d+) kB", text)}
    own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    rss, pss = kilobytes["Rss"], kilobytes["Pss"]
    return {"rss_mb": round(rss / 1024, 1), "pss_mb": round(pss / 1024, 1), "own_mb": round(own / 1024, 1)}


def below(process: int) -> Iterator[tuple[int, str]]:
    """Give the processes below an agent, with what each is."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    for child in children.get(process, []):
        is_warm = b"agent.warm" in Path(f"/proc/{child}/cmdline").read_bytes()
        yield child, "warm" if is_warm else "preloaded"
        for guard in children.get(child, []):
            yield guard, "guard"
            for inner in children.get(guard, []):
                yield inner, "flow" if is_warm else "program"


def processes_of_run(agent: int) -> Iterator[tuple[int, str]]:
    yield from ((process, kind) for process, kind in below(agent) if kind in {"guard", "flow", "program"})


def wait_for(condition: Any, log: Path, timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.02)


@contextlib.contextmanager
def bench(folder: Path, database: str) -> Generator[Bench]:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgresql()) if database == "postgresql" else None
        with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "server.log").open("wb") as log:
            port = listening.getsockname()[1]
            process = subprocess.Popen(
                [sys.executable, "-c", SERVER, "--listening", str(listening.fileno())],
                pass_fds=[listening.fileno()],
                env=clean_env()
                | {"PREFECT_HOME": str(folder / "server")}
                | ({"PREFECT_API_DATABASE_CONNECTION_URL": url} if url else {}),
                stdout=log,
                stderr=log,
            )
        stack.callback(end, process)
        api = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=120))
        wait_for(lambda: answers(api) or process.poll() is not None, folder / "server.log")
        assert process.poll() is None, (folder / "server.log").read_text()
        (folder / "home").mkdir()
        yield Bench(folder, api, process.pid)


@contextlib.contextmanager
def postgresql() -> Generator[str]:
    """Run a PostgreSQL of its own; `initdb` refuses to be run by root, so another user owns it then."""
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    home = Path(tempfile.mkdtemp(prefix="launch-pg-"))
    if user:
        shutil.chown(home, "nobody", "nogroup")
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    data = str(home / "data")
    subprocess.run([*user, "initdb", "-D", data, "-U", "prefect", "-A", "trust"], check=True, stdout=subprocess.DEVNULL)
    how = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c max_connections=200"
    control = [*user, "pg_ctl", "-D", data, "-l", str(home / "log"), "-w"]
    subprocess.run([*control, "-o", how, "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "fast", "stop"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(home, ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


if __name__ == "__main__":
    main()
