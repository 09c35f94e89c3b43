"""The program of a scheduler as a process of its own: what it is given, and what it may do wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.runs.processes import group_is_alive
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.scheduler_program import scheduler_program
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.document import Document
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.custom_scheduler import CustomScheduler
from launch_sdk.sweeps.deciding import Decider
from launch_sdk.sweeps.planning import Finish, Launch
from launch_sdk.sweeps.samplers import make_sampler

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "import json, os, signal, sys, time\nimport launch_sdk as launch\nclass Mine(launch.Scheduler):\n"
TAIL = "\nif __name__ == '__main__':\n    Mine.main()\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_API_KEY", "secret-of-the-server")
    return tmp_path


def cycle(
    folder: Path, body: str, *, timeout_s: float = 20.0, whole: str | None = None
) -> tuple[list[Any], CustomScheduler, list[str]]:
    """Start a class of which this is the body, and let a sweep have some cycles with it."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "mine.py").write_text(HEAD + body + TAIL if whole is None else whole)
    document = {
        "program": "t.py",
        "method": "grid",
        "parameters": {"x": {"values": [1, 2]}},
        "scheduler": {"job": "mine", "num_workers": 1, "settings": {"a": 1}},
    }
    spec = parse_sweep(Document(document))
    sampler = make_sampler("grid", goal="minimize", seed=0)
    lines: list[str] = []

    async def go() -> tuple[list[Any], CustomScheduler]:
        async with scheduler_program(
            RunSpec(source=str(source), entry_point=("mine.py",)),
            RunDirectory(folder / "run"),
            store=RunStore.local(),
            timeout_s=timeout_s,
            variables={"OWN": "mine"},
            on_lines=lines.extend,
        ) as talk:
            scheduler = CustomScheduler(talk, "mine:v0", spec, sampler)
            await asyncio.to_thread(scheduler.open, "s1", document, [])
            decider = Decider(spec, sampler, None, scheduler)
            actions = await asyncio.to_thread(decider.actions, [])
            await asyncio.to_thread(scheduler.close, [])
            return actions, scheduler

    actions, scheduler = asyncio.run(go())
    return actions, scheduler, lines


def test_a_program_of_its_own_schedules_and_holds_no_secret_of_the_server(home: Path) -> None:
    body = """
    def _poll(self):
        print("settings", self.settings, os.environ["OWN"], flush=True)
        print("server", [name for name in os.environ if name.startswith("PREFECT")], flush=True)
    def _exit(self):
        print("left", flush=True)
"""
    actions, _, lines = cycle(home, body)
    assert actions == [Launch(0, {"x": 1})]
    assert lines == ["settings {'a': 1} mine", "server []", "left"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    def _poll(self):\n        time.sleep(60)\n", "took longer than 1.0 s, its scheduler.timeout, for 'poll'"),
        ("    def _poll(self):\n        os._exit(3)\n", "exited with code 3"),
        ("    def _poll(self):\n        os.kill(os.getpid(), signal.SIGKILL)\n", "was ended by signal 9"),
        ("    def _poll(self):\n        sys.exit('enough')\n", "enough"),
        ("    def _poll(self):\n        raise KeyError('x')\n", "failed in _poll: KeyError: 'x'"),
    ],
    ids=["hangs", "exits", "is killed", "gives up", "raises"],
)
def test_a_program_that_fails_ends_its_sweep_in_words(home: Path, body: str, said: str) -> None:
    limit = 1.0 if "sleep" in body else 20.0
    start: Callable[..., Any] = cycle
    (finish,), scheduler, _ = start(home, body, timeout_s=limit)
    assert isinstance(finish, Finish)
    assert finish.outcome == "failed"
    assert finish.reason.startswith("The scheduler mine:v0 ")
    assert said in finish.reason
    assert scheduler.notice == finish.reason


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ("print('nothing here')\n", "its file has to end with main() of its class"),
        ("import no_such_module\n", "No module named 'no_such_module'"),
        (
            "import os\nos.write(int(os.environ['LAUNCH_SCHEDULER_FD']), b'hello\\n')\nimport time; time.sleep(9)\n",
            "answered b'hello', which is no message",
        ),
    ],
)
def test_a_file_that_is_no_scheduler_is_told(home: Path, whole: str, said: str) -> None:
    (finish,), _, _ = cycle(home, "", whole=whole)
    assert said in finish.reason


def test_no_process_of_a_scheduler_outlives_its_sweep(home: Path) -> None:
    body = """
    def _poll(self):
        import subprocess
        subprocess.Popen(["sleep", "60"])
        print("leader", os.getpid(), flush=True)
"""
    _, _, lines = cycle(home, body)
    leader = int(lines[0].split()[1])
    assert not group_is_alive(leader)
