"""Processes killed at random under load, by `benchmarks/chaos.py`: every run ends, and none runs twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.timeout(300)  # SETTLE_S of the benchmark is 240
def test_whatever_is_killed_every_run_ends_and_none_runs_twice_at_once(tmp_path: Path) -> None:
    chaos = REPOSITORY / "benchmarks" / "chaos.py"
    figures = tmp_path / "figures.json"
    options = ["--seconds", "9", "--runs", "8", "--seed", "5", "--preload", "--json", str(figures)]
    process = subprocess.Popen(
        [sys.executable, str(chaos), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=270)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)  # it ends what it has started
        output, _ = process.communicate()
    assert process.returncode == 0, output
    seen = json.loads(figures.read_text())
    assert (seen["runs"], seen["stuck"], seen["doubled"], seen["completed_without_an_end"]) == (8, {}, 0, 0)
    assert sum(seen["states"].values()) == 8
    assert sum(seen["kills"].values()) > 0
