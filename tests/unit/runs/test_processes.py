"""What a run has left is ended, on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from launch_sdk.runs.processes import end_processes, has_processes
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from pathlib import Path

DAEMON = """
import os, signal, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
if sys.argv[2] == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""


def start(tmp_path: Path, run_id: str, how: str) -> None:
    """Have a daemon, of no group or session that anybody knows; it has ended what it is to end by then."""
    told = tmp_path / run_id
    environment = os.environ | {protocol.RUN_ID: run_id}
    subprocess.run([sys.executable, "-c", DAEMON, str(told), how], env=environment, check=True, timeout=30)
    while not (told.exists() and told.read_text()):
        time.sleep(0.01)


@pytest.mark.parametrize(("how", "grace_s"), [("willing", 60.0), ("deaf", 0.2)])
def test_a_daemon_of_a_run_is_ended_and_no_other(tmp_path: Path, how: str, grace_s: float) -> None:
    run_id, other = f"run-{os.getpid()}-{how}", f"run-{os.getpid()}-{how}-2"
    start(tmp_path, run_id, how)
    start(tmp_path, other, "willing")
    try:
        assert has_processes(run_id)
        end_processes(run_id, grace_s)
        assert not has_processes(run_id)
        assert has_processes(other)
    finally:
        end_processes(other, 0.0)
    assert not has_processes(other)
