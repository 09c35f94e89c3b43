"""Runs that start again under their own id: after failures, preemptions, and the death of what ran them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Home, eventually

PROGRAM = """
import os, signal, sys, time
import launch_sdk as launch

with launch.init(config={"codes": [], "seconds": 0.0, "marks": False}) as run:
    path = os.path.join(run.checkpoint_dir, "steps")
    done = len(open(path).read()) if os.path.exists(path) else 0
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{run.id} {os.getpid()}\\n")
    open(path, "a").write("x")
    run.log({"attempt": run.attempt, "done": done})
    codes = list(run.config.codes)
    code = codes[run.attempt - 1] if run.attempt <= len(codes) else 0
    if run.config.marks and code:
        launch.mark_preempting()
    if run.attempt == 1:
        time.sleep(run.config.seconds)
    if code < 0:
        os.kill(os.getpid(), -code)
        time.sleep(60)
    sys.exit(code)
"""


@dataclass
class Lab:
    """A queue with agents of its own, and a program that notes each start."""

    home: Home
    queue: str
    folder: Path
    agents: list[subprocess.Popen[str]]

    def agent(self, *words: str, host: str = "", **more: str) -> subprocess.Popen[str]:
        """Start an agent; with `host` on a machine that calls itself so, of which this one knows heartbeats only."""
        log = self.folder / f"agent-{len(self.agents)}.log"
        named = ["unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$@"', "sh"] if host else []
        command = [*named, str(Path(sys.executable).with_name("launch-agent")), "--queues", self.queue, *words]
        environment = self.home.environment | {
            "NOTES": str(self.folder / "notes"),
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "2",
        }
        with log.open("w") as output:
            process = subprocess.Popen(
                command, env=environment | more, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True
            )
        self.agents.append(process)
        eventually(lambda: "serves" in log.read_text() or process.poll() is not None, "the agent should start")
        assert process.poll() is None, log.read_text()
        return process

    def launch(self, *words: str) -> str:
        code = str(self.folder / "code")
        return self.home.json("launch", "-q", self.queue, code, "--detach", *words)["run_id"]

    def show(self, run_id: str) -> Any:
        return self.home.json("launch", "run", "show", run_id)

    def ends(self, run_id: str) -> Any:
        done = {"finished", "failed", "lost", "cancelled", "stopped"}
        eventually(lambda: self.state(run_id) not in {"SCHEDULED", "PENDING", "RUNNING"}, f"{run_id} should end", 90)
        view = self.show(run_id)
        assert view["state"] in done
        return view

    def flow_run(self, run_id: str) -> Any:
        return httpx.get(f"{self.home.api_url}/flow_runs/{run_id}").raise_for_status().json()

    def state(self, run_id: str) -> str:
        return self.flow_run(run_id)["state"]["type"]

    def starts(self, run_id: str) -> list[int]:
        notes = self.folder / "notes"
        lines = notes.read_text().split("\n") if notes.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith(run_id)]

    def runs(self, run_id: str, attempt: int = 1) -> int:
        """Wait until the program of an attempt runs; its process id."""
        eventually(lambda: len(self.starts(run_id)) >= attempt, f"attempt {attempt} of {run_id} should run")
        return self.starts(run_id)[attempt - 1]


@pytest.fixture
def lab(home: Home, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(PROGRAM)
    queue = re.sub(r"\W+", "-", request.node.name)[-40:].strip("-_")
    created = home.run("launch", "queue", "create", queue)
    assert created.returncode == 0, created.stderr
    lab = Lab(home, queue, tmp_path, [])
    yield lab
    for agent in lab.agents:
        if agent.poll() is None:
            agent.send_signal(signal.SIGINT)
    for agent in lab.agents:
        try:
            agent.wait(20)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()


def endings(view: Any) -> list[str]:
    return [attempt["ending"] for attempt in view["attempts"]]


def test_a_failed_run_starts_again_as_often_and_after_what_its_retries_say(lab: Lab) -> None:
    lab.agent("--max-jobs", "3")
    again = lab.launch("--retries", "2", "--retry-delay", "3", "--retry-on", "3,4", "-s", "codes=[3, 4]")
    other = lab.launch("--retries", "2", "--retry-on", "3", "-s", "codes=[5, 5]")
    late = lab.launch("--retries", "1", "--run-timeout", "2", "-s", "seconds=60")
    view = lab.ends(again)
    assert view["state"] == "finished"
    assert [(one["ending"], one["exit_code"]) for one in view["attempts"]] == [("failed", 3), ("failed", 4)]
    first, second = (one["ended"] for one in view["attempts"])
    assert second - first >= 3
    assert view["summary"] == {"attempt": 3, "done": 2}  # it went on from its checkpoint
    view = lab.ends(other)
    assert (view["state"], view["attempts"], len(lab.starts(other))) == ("failed", [], 1)
    view = lab.ends(late)
    assert (view["state"], endings(view)) == ("finished", ["failed"])
    assert "ran longer than 2 s" in view["attempts"][0]["message"]


def test_the_runs_of_a_killed_agent_start_again_on_another_one_exactly_once(lab: Lab) -> None:
    first = lab.agent("--max-jobs", "2")
    again = lab.launch("-s", "seconds=300")
    not_again = lab.launch("-s", "seconds=300", "--on-agent-loss", "fail")
    programs = [lab.runs(again), lab.runs(not_again)]
    first.kill()
    lab.agent()
    lab.agent()
    view = lab.ends(again)
    assert (view["state"], endings(view), len(lab.starts(again))) == ("finished", ["lost"], 2)
    assert view["summary"] == {"attempt": 2, "done": 1}
    assert lab.ends(not_again)["state"] == "lost"
    assert len(lab.starts(not_again)) == 1
    assert not [pid for pid in programs if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("victim", ["flow", "all", "another machine"])
def test_a_run_whose_process_was_killed_starts_again(lab: Lab, victim: str) -> None:
    if victim == "another machine" and subprocess.run(["unshare", "--uts", "true"], check=False).returncode:
        pytest.skip("only root can give a process another host name")
    agent = lab.agent(host="elsewhere" if victim == "another machine" else "")
    run = lab.launch("-s", "seconds=300")
    program = lab.runs(run)
    flow = int(eventually(lambda: lab.flow_run(run)["infrastructure_pid"], "its process is known").split(":")[1])
    if victim != "flow":  # as by a machine that goes down: nobody is left to tell
        guard = int(Path(f"/proc/{flow}/stat").read_text().rpartition(")")[2].split()[1])
        agent.kill()
        for pid in (guard, flow, program):
            os.kill(pid, signal.SIGKILL)
        found = lab.show(run)["state"]  # a client finds it too, if it was on this machine
        assert found == ("running" if victim == "another machine" else "queued")
        lab.agent()
    else:
        os.kill(flow, signal.SIGKILL)
    view = lab.ends(run)
    assert (view["state"], endings(view), len(lab.starts(run))) == ("finished", ["lost"], 2)


def test_a_preempted_run_is_put_back_with_its_checkpoints_up_to_five_times(lab: Lab) -> None:
    lab.agent("--max-jobs", "2")
    marked = lab.launch("-s", "marks=true", "-s", "codes=[1, 2, 1]")
    told = lab.launch("-s", f"codes={[-signal.SIGTERM.value] * 6}")
    view = lab.ends(marked)
    assert (view["state"], endings(view)) == ("finished", ["preempted"] * 3)
    assert view["summary"] == {"attempt": 4, "done": 3}
    view = lab.ends(told)
    assert (view["state"], endings(view)) == ("failed", ["preempted"] * 5)


def test_an_agent_that_its_host_ends_puts_its_runs_back_at_once(lab: Lab) -> None:
    first = lab.agent("--preemptible")
    run = lab.launch("-s", "seconds=300")
    lab.runs(run)
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    assert (lab.show(run)["state"], endings(lab.show(run))) == ("queued", ["preempted"])
    lab.agent()
    assert lab.ends(run)["state"] == "finished"


def test_a_run_that_is_cancelled_by_itself_or_with_its_agent_does_not_start_again(lab: Lab) -> None:
    agent = lab.agent("--name", "to-be-cancelled")
    for words in (("run", "cancel"), ("agent", "stop", "to-be-cancelled", "--cancel")):
        run = lab.launch("-s", "seconds=300", "--retries", "5")
        lab.runs(run)
        assert lab.home.run("launch", *words, *([run] if words[0] == "run" else [])).returncode == 0
        view = lab.ends(run)
        assert (view["state"], view["attempts"]) == ("cancelled", [])
    assert agent.wait(30) == 0


def test_runs_share_the_slots_of_an_agent_and_one_that_asks_for_more_says_so(lab: Lab) -> None:
    (lab.folder / "code" / "main.py").write_text(
        "import os, sys, time\nprint(os.environ['CUDA_VISIBLE_DEVICES'], len(os.sched_getaffinity(0)), flush=True)\n"
        "open(os.environ['NOTES'], 'a').write(f\"{os.environ['LAUNCH_RUN_ID']} {os.getpid()}\\n\")\n"
        "while os.path.exists(os.environ['NOTES'] + '.hold'): time.sleep(0.05)\n"
    )
    hold = lab.folder / "notes.hold"
    hold.touch()
    lab.agent("--max-jobs", "-1", "--slots", "gpu=2,cpu=2", CUDA_VISIBLE_DEVICES="7,8,9")
    runs = [lab.launch("--resources", words) for words in ("gpu=1,cpu=1", "gpu=1,cpu=1", "gpu=2", "gpu=0")]
    too_large = lab.launch("--resources", "gpu=3")
    lacks = "has gpu=0 free, and it asks for gpu=2."
    eventually(lambda: lacks in (lab.show(runs[2])["waits"] or ""), "it should say that it waits for GPUs")
    items = {item["run_id"]: item["waits"] for item in lab.home.json("launch", "queue", "items", lab.queue)}
    assert lacks in items[runs[2]]
    assert "has gpu=2 in all, and it asks for gpu=3." in items[too_large]
    hold.unlink()
    for run in runs:
        assert lab.ends(run)["state"] == "finished"
    output = [(lab.home.path / "runs" / run / "output.log").read_text().split() for run in runs]
    assert sorted(output[:2]) == [["7", "1"], ["8", "1"]]
    assert output[2][0] == "7,8"
    assert len(output[3]) == 1, "a run that asks for no GPU sees none"
    assert "it asks for gpu=3." in lab.show(too_large)["waits"]
    assert lab.home.run("launch", "run", "cancel", too_large).returncode == 0


def test_a_run_outlives_its_queue(lab: Lab) -> None:
    lab.agent()
    run = lab.launch("-s", "seconds=4")
    lab.runs(run)
    httpx.delete(f"{lab.home.api_url}/work_pools/{lab.queue}").raise_for_status()
    assert lab.ends(run)["state"] == "finished"
