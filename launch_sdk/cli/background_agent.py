"""An agent that a command starts for its own sweep, where nobody else serves the queue."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from launch_sdk.runs.home import launch_home
from launch_sdk.tracking.protocol import OF_A_RUN

IDLE_S = 60.0
STOP_TIMEOUT_S = 20.0


class BackgroundAgent:
    """A `launch-agent` process in a session of its own: a signal of the terminal does not reach it.

    It ends with the command that started it, or, should that be killed, a minute after its last run.
    """

    def __init__(self, queue: str, max_jobs: int) -> None:
        folder = launch_home() / "agents"
        folder.mkdir(mode=0o700, exist_ok=True)
        self.log = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "launch_sdk.cli.launch_agent"),
                    *("--queues", queue, "--max-jobs", str(max_jobs), "--exit-when-idle", str(IDLE_S)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith(OF_A_RUN)},
                cwd=Path.home() if Path.home().is_dir() else "/",
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def leave_running(self) -> None:
        """Let it outlive this command."""
        self.process.returncode = 0

    def stop(self) -> None:
        """End it: it has nothing to do any more, or what it does was asked to end."""
        for step in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(step)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_TIMEOUT_S / 2)
                return
