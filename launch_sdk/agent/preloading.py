"""The agent's side of preloaded processes: one for each list of modules and environment that it is imported in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.environments import wandb
from launch_sdk.environments.current import program_environment
from launch_sdk.environments.sdk_path import sdk_variables
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.program_order import RUN_ID_ROOM, read_early
from launch_sdk.specs.queue_config import EXPANDED, NEEDED
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST = 4  # processes of an agent; each holds its modules in memory
_STOP_TIMEOUT_S = 5.0
_COMMAND_LINE_ROOM = 2048
_MAIN = Path(__file__).with_name("preloaded_main.py")
_Key = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]


class PreloadedProcess:
    """One process that imports modules and waits for orders; it ends with the agent, its programs do not.

    Attributes:
        place: path of its socket.
        is_ready: it has imported, and listens.
        has_failed: it ended before that.
        process: the process itself.
    """

    def __init__(
        self, modules: Sequence[str], env: Mapping[str, str], place: Path, on_event: Callable[[str], None]
    ) -> None:
        """Start it; call this in the agent's event loop."""
        self.place = place
        self.is_ready = self.has_failed = False
        self._modules = modules
        self._on_event = on_event
        self._received = b""
        place.unlink(missing_ok=True)
        root = Path(__file__).resolve().parents[2]
        plan = {"modules": list(modules), "place": str(place), "root": str(root), "room": " " * _COMMAND_LINE_ROOM}
        self._control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, str(_MAIN), json.dumps(plan)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,  # of modules that print when imported
                env=dict(env),
                cwd="/",
                start_new_session=True,
            )
        self._control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._control, self._hear)

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def _hear(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            if line == b"ready":
                self.is_ready = True
            else:
                self._tell(json.loads(line))
        if not data:
            self._end_of_control()

    def _tell(self, said: dict[str, Any]) -> None:
        for fault in said["faults"]:
            self._on_event(f"Preloading goes on without a module: {fault}.")
        if "seconds" in said and self._modules:
            self._on_event(f"Preloaded {', '.join(self._modules)} in {said['seconds']:.1f} s.")

    def _end_of_control(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control)
        if not self.is_ready:
            self.has_failed = True
            self._on_event(f"Preloading {', '.join(self._modules)} has failed; its messages are above.")
        self.is_ready = False

    def close(self) -> None:
        """Let it end. Programs that it has forked go on."""
        with contextlib.suppress(RuntimeError, ValueError):
            asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        try:
            self.process.wait(0 if not self.is_ready else _STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:  # it imports
            self.process.kill()
            self.process.wait()


class PreloadedProcesses:
    """The preloaded processes of one agent.

    Attributes:
        processes: by what was asked for; what was asked for last comes last.
    """

    def __init__(self, on_event: Callable[[str], None]) -> None:
        """Make none yet.

        Args:
            on_event: is told what happens, a line of text each.
        """
        self._on_event = on_event
        self._folder: Path | None = None
        self.processes: dict[_Key, PreloadedProcess] = {}
        self._count = 0

    def place_for(self, modules: Sequence[str], env: Mapping[str, str]) -> tuple[str | None, str | None]:
        """Say where a program may be forked, and start what is not there yet.

        Args:
            modules: what it wants imported.
            env: the environment of its run.

        Returns:
            The path of a socket, or None and why there is none.
        """
        process = self.ensure(modules, env)
        if process.has_failed:
            return None, "preloading has failed, as the agent's output says"
        if not process.is_ready:
            return None, "the agent has not done with preloading"
        return str(process.place), None

    def ensure(self, modules: Sequence[str], env: Mapping[str, str]) -> PreloadedProcess:
        """Have a process with these modules and this environment, which may still be importing."""
        early = read_early(program_surroundings(env), modules)
        key = (tuple(modules), tuple(sorted(early.items())))
        process = self.processes.pop(key, None)
        if process is not None and not process.is_alive and not process.has_failed:
            process.close()
            process = None
        self.processes[key] = process = process or self._start(modules, env)
        while len(self.processes) > MOST:
            self.processes.pop(next(iter(self.processes))).close()
        return process

    def _start(self, modules: Sequence[str], env: Mapping[str, str]) -> PreloadedProcess:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="launch-preload-"))
        self._count += 1
        return PreloadedProcess(modules, program_surroundings(env), self._folder / str(self._count), self._on_event)

    def close(self) -> None:
        """End them all."""
        for process in self.processes.values():
            process.close()
        self.processes.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def program_surroundings(env: Mapping[str, str]) -> dict[str, str]:
    """Make the environment that a program of such a run has, with a placeholder for the run."""
    inherited = {name: value for name, value in env.items() if name not in {EXPANDED, NEEDED}}
    nowhere = Path("/nonexistent")
    contract = wandb.wandb_environment(inherited, run_dir=nowhere, run_id=None, config={}, files={})
    own = {**contract, **sdk_variables(launch_home()), protocol.RUN_DIR: str(nowhere)}
    return program_environment(own | {protocol.RUN_ID: "0" * RUN_ID_ROOM}, inherited)
