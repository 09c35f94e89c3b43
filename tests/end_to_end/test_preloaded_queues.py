"""Queues that name modules to preload: their programs are forked, end with their runs, and never run twice at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.conftest import Home, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import fcntl, os, signal, sys, time

print("there already:", "colorsys" in sys.modules)
import launch_sdk as launch

with launch.init(config={"seconds": 0.0, "stubborn": False}) as run:
    lock = open(os.path.join(os.environ["NOTES"], run.id + ".lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an attempt beside another one fails
    if run.config.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    run.log({"attempt": run.attempt, "threads": int(os.environ.get("OMP_NUM_THREADS", 0))})
    open(os.path.join(os.environ["NOTES"], f"{run.id}-{run.attempt}"), "w").write(str(os.getpid()))
    if run.attempt == 1:
        time.sleep(run.config.seconds)
"""
QUEUE = "preloaded"


@pytest.fixture(scope="module")
def notes(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    notes = tmp_path_factory.mktemp("preloaded")
    (notes / "main.py").write_text(PROGRAM)
    variables = '{"threads": {"type": "integer", "default": 1}}'
    config = f"""{{"preload": ["colorsys", "no_such_module"], "template_variables": {variables},
                   "resource_args": {{"env": {{"OMP_NUM_THREADS": "{{{{threads}}}}"}}}}}}"""
    created = home.run("launch", "queue", "create", QUEUE, "-c", config)
    assert created.returncode == 0, created.stderr
    return notes


@pytest.fixture
def agent(home: Home, notes: Path) -> Iterator[subprocess.Popen[str]]:
    log = notes / "agent.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("launch-agent")), "--queues", QUEUE, "--max-jobs", "3"],
            env=home.environment | {"NOTES": str(notes)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
        )
    eventually(lambda: "Preloaded colorsys" in log.read_text() or process.poll() is not None, "the agent should start")
    assert process.poll() is None, log.read_text()
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def submit(home: Home, notes: Path, *words: str) -> str:
    return home.json("launch", "-q", QUEUE, str(notes), "--detach", *words)["run_id"]


def end_of(home: Home, run: str) -> Any:
    def view() -> Any:
        seen = home.json("launch", "run", "show", run)
        return seen if seen["state"] not in {"queued", "starting", "running"} else None

    return eventually(view, f"{run} should end", 60)


def runs(notes: Path, run: str, attempt: int = 1) -> int:
    path = notes / f"{run}-{attempt}"
    return int(eventually(lambda: path.exists() and path.read_text(), f"attempt {attempt} should run"))


def output_of(home: Home, run: str) -> str:
    return next(home.path.rglob(f"*{run}*/output.log")).read_text()


@pytest.mark.usefixtures("agent")
def test_programs_are_forked_with_the_modules_unless_their_environment_is_another(home: Home, notes: Path) -> None:
    assert "no_such_module cannot be imported" in (notes / "agent.log").read_text()
    forked = submit(home, notes)
    threads = submit(home, notes, "--set-var", "threads=2")  # for these, another process preloads meanwhile
    other = submit(home, notes, "-E", "/bin/sh -c 'echo shell'")
    views = [end_of(home, run) for run in (forked, threads, other)]
    assert [view["state"] for view in views] == ["finished"] * 3
    assert views[0]["summary"] == {"attempt": 1, "threads": 1}
    assert views[1]["summary"] == {"attempt": 1, "threads": 2}
    assert output_of(home, forked) == "there already: True\n"
    assert "the agent has not done with preloading\nthere already: False\n" in output_of(home, threads)
    assert re.search("started anew.* '/bin/sh' is not the agent's interpreter\nshell", output_of(home, other))


def test_a_forked_program_ends_with_its_flow_and_its_agent_and_its_run_starts_again_after_it(
    home: Home, notes: Path, agent: subprocess.Popen[str]
) -> None:
    run, stopped = (submit(home, notes, "-s", "seconds=300", "-s", f"stubborn={one}") for one in ("true", "false"))
    program, other = runs(notes, run), runs(notes, stopped)
    assert f"LAUNCH_RUN_ID={run}" in Path(f"/proc/{program}/environ").read_text()
    os.kill(_flow_of(home, run), signal.SIGKILL)
    view = end_of(home, run)
    assert (view["state"], view["summary"]["attempt"]) == ("finished", 2)  # it had the lock: the first one was gone
    assert not Path(f"/proc/{program}").exists()
    agent.kill()
    eventually(lambda: not Path(f"/proc/{other}").exists(), "a program should end with its agent", 20)
    home.run("launch", "run", "cancel", stopped)


def _flow_of(home: Home, run: str) -> int:
    answer = httpx.get(f"{home.api_url}/flow_runs/{run}").raise_for_status().json()
    return int(answer["infrastructure_pid"].split(":")[1])
