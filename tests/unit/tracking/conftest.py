"""Real runs for the tests: a directory of their own, in this process or in a child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from launch_sdk.tracking import current, protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

settings.register_profile("no deadline", deadline=None)  # the machine may be busy
settings.load_profile("no deadline")

PROJECT_ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 30.0


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start each test without a run, without a supervisor, in an empty directory; leave no hook behind."""
    for name in [name for name in os.environ if name.startswith("LAUNCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LAUNCH_DISABLE_CODE", "true")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "exit", sys.exit)
    yield
    current.finish()
    current._current.staged = None  # pyright: ignore[reportPrivateUsage]  # what one test staged is not for the next
    current._current.staged_inputs = None  # pyright: ignore[reportPrivateUsage]  # the same


class Script:
    """A training script as a real process.

    Attributes:
        run_dir: the directory that its supervisor gave it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run_dir = directory / "the-run"
        self.run_dir.mkdir()

    def start(self, code: str, *, supervised: bool = True, flags: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        path = self.directory / "train.py"
        path.write_text(textwrap.dedent(code))
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_ROOT), "LAUNCH_DISABLE_CODE": "1"}
        if supervised:
            environment[protocol.RUN_DIR] = str(self.run_dir)
        return subprocess.Popen(
            [sys.executable, *flags, str(path)],
            cwd=self.directory,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(
        self, code: str, *, supervised: bool = True, flags: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(code, supervised=supervised, flags=flags)
        output, errors = process.communicate(timeout=DEADLINE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def records(self) -> protocol.Records:
        return protocol.read_records(self.run_dir / protocol.RECORDS)[0]

    def snapshot(self) -> protocol.Snapshot:
        return protocol.read_snapshot(self.run_dir)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool], str], None]:
    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not happen within {DEADLINE_S} s")
            time.sleep(0.01)

    return wait
