"""Programs and disks that behave badly, with real processes and a real disk that is full."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from launch_sdk.errors import RunFailedError
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.runs.output_limit import bound
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.run_policy import Ending
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 1 << 20


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """The run directories on a file system of 1 MB."""
    runs = home / "runs"
    runs.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(runs)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield runs
    subprocess.run(["umount", "-l", str(runs)], check=True)


def _run(
    tmp_path: Path, code: str, lines: list[str] | None = None, attempt: int = 1, **policy: object
) -> tuple[Outcome, RunDirectory]:
    folder = tmp_path / "code"
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(code)
    spec = RunSpec(str(folder), policy=policy)
    run = RunDirectory.of("one")
    take = (lines if lines is not None else []).extend
    return asyncio.run(
        execute(
            spec,
            run,
            store=RunStore.local(),
            identity={protocol.RUN_ID: "one", protocol.ATTEMPT: str(attempt)},
            on_lines=take,
        )
    ), run


def test_a_program_that_fills_the_disk_fails_and_what_it_said_is_told(small_disk: Path, tmp_path: Path) -> None:
    del small_disk
    code = "print('begun', flush=True)\nopen('big', 'wb').write(b'x' * (4 << 20))"
    outcome, _ = _run(tmp_path, code)
    assert outcome.error
    assert "begun" in outcome.error
    assert outcome.ending is Ending.FAILED


def test_a_disk_that_is_full_before_the_program_starts_is_named(small_disk: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="space"):
        (small_disk / "ballast").write_bytes(b"x" * 2 * MB)
    with pytest.raises(RunFailedError, match="cannot be written: No space left on device"):
        _run(tmp_path, "print('never')")


def test_a_program_that_logs_on_a_full_disk_goes_on_to_its_end(small_disk: Path, tmp_path: Path) -> None:
    del small_disk
    code = (
        "import launch_sdk as launch\n"
        "with launch.init() as run:\n"
        "    run.log({'x': 1})\n"
        "    try:\n        open('big', 'wb').write(b'x' * (4 << 20))\n    except OSError: pass\n"
        "    for i in range(200): run.log({'x': i, 'pad': 'p' * 500})\n"
    )
    outcome, _ = _run(tmp_path, code)
    assert outcome.succeeded
    assert outcome.summary["x"] >= 1


def test_a_huge_output_keeps_its_beginning_and_its_end_and_gives_the_rest_back(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    with path.open("wb") as file:
        file.write(b"first\n")
        for _ in range(40):
            file.write(b"x" * MB)
        file.write(b"\nlast\n")
    bound(path, 41 * MB, head=2 * MB, tail=2 * MB, step=MB)
    data = path.read_bytes()
    assert (data[:6], data[-5:], len(data)) == (b"first\n", b"last\n", 40 * MB + 12)
    assert path.stat().st_blocks * 512 < 6 * MB
    assert data[20 * MB] == 0


def test_what_nobody_has_read_yet_is_not_given_back(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(b"x" * (20 * MB))
    bound(path, 0, head=MB, tail=MB, step=MB)
    assert b"\0" not in path.read_bytes()


def test_a_program_that_prints_without_end_is_still_ended_in_time(home: Path, tmp_path: Path) -> None:
    del home
    code = "import sys\nwhile True: sys.stdout.write('y' * 100 + chr(10))"
    lines: list[str] = []
    outcome, run = _run(tmp_path, code, lines, run_timeout_s=1.0)
    assert outcome.has_timed_out
    assert lines[0] == "y" * 100
    assert run.output.stat().st_blocks * 512 < 400 * MB


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.close(1); os.close(2)",
        "import os; os.write(1, bytes(range(256)) * 4000)",
        "pass",
    ],
    ids=["closes its output", "prints binary", "logs nothing"],
)
def test_a_program_that_says_nothing_useful_succeeds_all_the_same(home: Path, tmp_path: Path, code: str) -> None:
    del home
    outcome, _ = _run(tmp_path, code)
    assert (outcome.succeeded, outcome.summary) == (True, {})


def test_a_start_that_takes_too_long_is_given_up(home: Path, tmp_path: Path) -> None:
    del home
    with pytest.raises(RunFailedError, match=r"did not start within 0\.0001 s"):
        _run(tmp_path, "pass", start_timeout_s=0.0001)


def test_the_next_attempt_finds_the_checkpoints_and_goes_on_with_its_history(home: Path, tmp_path: Path) -> None:
    del home
    code = (
        "import os, sys, launch_sdk as launch\n"
        "with launch.init() as run:\n"
        "    path = os.path.join(run.checkpoint_dir, 'step')\n"
        "    run.log({'loss': 1.0})\n"
        "    if os.path.exists(path): sys.exit(0)\n"
        "    open(path, 'w').close(); print('first'); run.mark_preempting(); sys.exit(1)\n"
    )
    outcome, run = _run(tmp_path, code)
    assert outcome.ending is Ending.PREEMPTED
    outcome, run = _run(tmp_path, code)
    assert outcome.succeeded
    assert [row["_step"] for row in run.history()] == [0, 1]
    assert (run.path / "output-1.log").read_text() == "first\n"


def test_a_program_that_leaves_no_checkpoint_begins_its_history_anew(home: Path, tmp_path: Path) -> None:
    del home
    code = "import launch_sdk as launch\nwith launch.init() as run: run.log({'loss': 1.0})"
    _run(tmp_path, code)
    _, run = _run(tmp_path, code)
    assert [row["_step"] for row in run.history()] == [0]


def test_a_script_of_wandb_that_marks_itself_as_preempting_is_preempted(home: Path, tmp_path: Path) -> None:
    del home
    code = "import sys, wandb\nrun = wandb.init(project='x')\nrun.log({'a': 1})\nrun.mark_preempting()\nsys.exit(1)\n"
    outcome, _ = _run(tmp_path, code)
    assert (outcome.ending, outcome.summary["a"]) == (Ending.PREEMPTED, 1)


def test_a_program_that_had_finished_when_its_run_was_lost_is_not_run_again(home: Path, tmp_path: Path) -> None:
    del home
    code = "import launch_sdk as launch\nwith launch.init() as run: run.log({'attempt': run.attempt})"
    _run(tmp_path, code)
    again, run = _run(tmp_path, code, attempt=2)
    assert (again.succeeded, again.summary, len(run.history())) == (True, {"attempt": 1}, 1)
    anew, _ = _run(tmp_path, code)
    assert anew.succeeded
