"""Kill agents, flows, programs and the server at random under load, and see that no run is lost, doubled or stuck.

    python benchmarks/chaos.py [--seconds 300] [--seed 1] [--runs 60] [--agents 2] [--preload] [--json FILE]

A home and a server of its own, agents with three places each, runs of one to four seconds. Every one to three seconds
one process is killed with SIGKILL: a program, a flow, a guard, a warm process, an agent (another one is started), or
the server (it is started again on its port); with --preload programs are forked, and their guards and the preloaded
processes are killed too. The draws come from the seed; which process they hit depends on the
machine.

At the end every run must be in a final state, and no two attempts of a run may ever have run at once: each program
holds a lock on a file of its run while it lives. A run may fail or be lost for good: it has 50 retries, and is given up
after five losses.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PROGRAM = """
import fcntl, os, random, sys, time
folder, run = os.environ["CHAOS"], os.environ["LAUNCH_RUN_ID"]
lock = open(f"{folder}/{run}.lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open(f"{folder}/doubled", "a").write(run + "\\n")
    sys.exit(1)
open(f"{folder}/starts", "a").write(run + "\\n")
time.sleep(random.uniform(1, 4))
open(f"{folder}/ends", "a").write(run + "\\n")
"""
VICTIMS = {"program": 30, "flow": 25, "guard": 10, "warm": 10, "agent": 15, "server": 10}
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
SETTLE_S = 240.0
QUEUE = "chaos"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="how long processes are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--preload", action="store_true", help="fork the programs, see docs/how-to/queues.md")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        draws = random.Random(options.seed)  # noqa: S311  # nothing secret
        figures = Chaos(Path(folder), draws, options.agents, options.preload).run(options.runs, options.seconds)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(0 if figures["doubled"] == 0 and not figures["stuck"] else 1)


@dataclass
class Chaos:
    """A server, its agents, and what is done to them."""

    folder: Path
    draws: random.Random
    count: int
    preloads: bool = False
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    kills: collections.Counter[str] = field(default_factory=collections.Counter)

    def run(self, runs: int, seconds: float) -> dict[str, Any]:
        (self.folder / "code").mkdir()
        (self.folder / "code" / "main.py").write_text(PROGRAM)
        try:
            self._command("launch", "server", "start")
            self._command("launch", "queue", "create", QUEUE, *(["-c", '{"preload": []}'] if self.preloads else []))
            self.agents = [self._agent() for _ in range(self.count)]
            ids = self._submit(runs)
            self._rage(time.monotonic() + seconds)
            began = time.monotonic()
            states = self._settled(ids)
            return self._figures(ids, states, time.monotonic() - began)
        finally:
            for agent in self.agents:
                agent.send_signal(signal.SIGTERM)
            for agent in self.agents:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    agent.wait(20)
                agent.kill()
            self._command("launch", "server", "stop")

    def _submit(self, runs: int) -> list[str]:
        code = str(self.folder / "code")
        first = json.loads(self._command("launch", "-q", QUEUE, code, "--detach", "--json", "--retries", "50"))
        flow_run = self._http("GET", f"/flow_runs/{first['run_id']}")
        wanted = {"parameters": flow_run["parameters"], "enforce_parameter_schema": False}
        path = f"/deployments/{flow_run['deployment_id']}/create_flow_run"
        return [first["run_id"], *(self._http("POST", path, wanted)["id"] for _ in range(runs - 1))]

    def _rage(self, until: float) -> None:
        while time.monotonic() < until:
            time.sleep(self.draws.uniform(1, 3))
            victim = self.draws.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            if victim == "server":
                self._kill_server()
            elif pids := self._processes()[victim]:
                self._kill(victim, self.draws.choice(sorted(pids)))
            self._revive()

    def _kill_server(self) -> None:
        self._kill("server", self._server()["pid"])
        time.sleep(self.draws.uniform(0, 3))
        self._command("launch", "server", "start")

    def _kill(self, victim: str, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills[victim] += 1

    def _revive(self) -> None:
        for place, agent in enumerate(self.agents):
            if agent.poll() is not None:
                self.agents[place] = self._agent()

    def _agent(self) -> subprocess.Popen[bytes]:
        with (self.folder / "agents.log").open("ab") as log:
            return subprocess.Popen(
                [_program("launch-agent"), "--queues", QUEUE, "--max-jobs", "3"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _processes(self) -> dict[str, set[int]]:
        """Find who is who: below an agent its warm process and preloaded ones, below these guards, flows and programs.

        What is below a preloaded process counts as what it is like below a warm one: its programs as flows.
        """
        below: dict[int, set[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                below.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), set()).add(int(stat.parent.name))
        found: dict[str, set[int]] = {"agent": {agent.pid for agent in self.agents if agent.poll() is None}}
        above = found["agent"]
        for kind in ("warm", "guard", "flow", "program"):
            above = found[kind] = {child for parent in above for child in below.get(parent, set())}
        return found

    def _settled(self, ids: list[str]) -> dict[str, str]:
        deadline = time.monotonic() + SETTLE_S
        while True:
            self._revive()
            states = self._states(ids)
            if all(state in FINAL for state in states.values()) or time.monotonic() > deadline:
                return states
            time.sleep(0.5)

    def _states(self, ids: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        self.messages.clear()
        for at in range(0, len(ids), 200):
            wanted = {"flow_runs": {"id": {"any_": ids[at : at + 200]}}, "limit": 200}
            for one in self._http("POST", "/flow_runs/filter", wanted):
                found[one["id"]] = one["state_type"]
                if one["state_type"] in {"FAILED", "CRASHED"}:
                    self.messages[one["id"]] = one["state"]["message"][:300]
        return found

    def _figures(self, ids: list[str], states: dict[str, str], settled_s: float) -> dict[str, Any]:
        starts, ends, doubled = (collections.Counter(self._lines(name)) for name in ("starts", "ends", "doubled"))
        stuck = {run: state for run, state in states.items() if state not in FINAL}
        completed = [run for run, state in states.items() if state == "COMPLETED"]
        return {
            "runs": len(ids),
            "states": dict(collections.Counter(states.values())),
            "stuck": stuck,
            "kills": dict(self.kills),
            "starts": sum(starts.values()),
            "doubled": sum(doubled.values()),
            "completed_without_an_end": sum(ends[run] == 0 for run in completed),
            "ended_more_than_once": sum(count > 1 for count in ends.values()),
            "ended_badly": self.messages,
            "settled_s": round(settled_s, 1),
        }

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def _server(self) -> dict[str, Any]:
        return json.loads((self.folder / "home" / "server" / "server.json").read_text())

    def _http(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = httpx.request(method, f"http://127.0.0.1:{self._server()['port']}/api{path}", json=body, timeout=60)
        return answer.raise_for_status().json()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LAUNCH_"))}
        return kept | {"LAUNCH_HOME": str(self.folder / "home"), "CHAOS": str(self.folder)}

    def _command(self, name: str, *words: str) -> str:
        command = [_program(name), *words]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command} failed:\n{done.stderr}")
        return done.stdout


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    main()
