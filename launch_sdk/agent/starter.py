"""The agent's side of the warm process: keep one alive, and have it start runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from launch_sdk.agent.guard import KILL, TERMINATE
from launch_sdk.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from launch_sdk.agent.wire import Order

_ATTEMPTS = 3
_STOP_TIMEOUT_S = 5.0
_FULL_S = 0.05


@dataclass(frozen=True)
class Project:
    """The Prefect project whose flows the warm process imports beforehand.

    Attributes:
        folder: the folder that holds `flows/`.
        flows: where to import each deployment's flow, by entry point: `flows/a.py:a` -> `flows.a:a`.
        modules: what else to import; one that is not installed is left out.
    """

    folder: Path | None = None
    flows: Mapping[str, str] = field(default_factory=dict[str, str])

    modules: tuple[str, ...] = ()

    def as_argument(self) -> str:
        folder = str(self.folder) if self.folder else None
        return json.dumps({"project": folder, "flows": dict(self.flows), "modules": self.modules})


class RunProcess:
    """A flow's process, as its guard reports it. What a guard does to end a run is said in `guard.py`."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.exited = asyncio.Event()  # the flow's process has ended
        self.gone = asyncio.Event()  # and nothing that it started is left
        self._exit_code: int | None = None
        self._stop_requested = False
        self._writer = writer
        self._watching = asyncio.create_task(self._watch(reader))

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal, None while it runs; 0 if it was told to end, however it did."""
        return 0 if self._stop_requested and self._exit_code is not None else self._exit_code

    def terminate(self) -> None:
        """Ask the flow to end."""
        self._say(TERMINATE)

    def kill(self) -> None:
        """End the flow and all that it started, now."""
        self._say(KILL)

    def _say(self, message: bytes) -> None:
        if self.gone.is_set():
            raise ProcessLookupError(self.pid)
        self._stop_requested = True
        self._writer.write(message)

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        try:
            line = await reader.readline()
            self._exit_code = int(line.split()[1]) if line else -signal.SIGKILL  # a guard ends silently only by force
            self.exited.set()
            await reader.read()
        except OSError:
            self._exit_code = -signal.SIGKILL if self._exit_code is None else self._exit_code
        finally:
            self.exited.set()
            self.gone.set()
            self._writer.close()


class WarmProcess:
    """Owner of the one warm process of an agent; starts it at the first run, and again should it die."""

    def __init__(self, project: Project, env: Mapping[str, str]) -> None:
        self._project = project
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def ensure(self) -> subprocess.Popen[bytes]:
        """Have a warm process, which may still be importing: runs handed to it wait for that."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # a session of its own: Ctrl-C is for the agent to handle
                [sys.executable, "-P", "-m", "launch_sdk.agent.warm", self._project.as_argument()],
                stdin=theirs.fileno(),
                env=self._env,
                start_new_session=True,
            )
        ours.setblocking(False)
        self._control = ours
        return self._process

    async def start(self, order: Order) -> RunProcess:
        """Have a run started.

        Raises:
            BackendUnavailableError: the warm process died repeatedly before it started the run.
        """
        for _ in range(_ATTEMPTS):
            process = self.ensure()
            with contextlib.suppress(OSError):
                reader, writer = await self._hand_over()
                writer.write(order.encode())
                line = await reader.readline()
                if line.startswith(b"pid "):
                    return RunProcess(int(line.split()[1]), reader, writer)
                writer.close()
            await _ended(process)
        raise BackendUnavailableError(
            "The agent's warm process cannot start; its messages are above, in the agent's output."
        )

    async def _hand_over(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._control is None:
            raise OSError("closed")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                while not _sent(self._control, theirs):  # noqa: ASYNC110  # nothing tells when there is room
                    await asyncio.sleep(_FULL_S)
            except BaseException:
                ours.close()
                raise
        return await asyncio.open_unix_connection(sock=ours)

    def close(self) -> None:
        """Let the warm process end (at once: it only waits). Running runs are their guards' matter."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _sent(control: socket.socket, connection: socket.socket) -> bool:
    """Send a run's socket to the warm process; False if so many wait there that there is no room yet."""
    try:
        socket.send_fds(control, [b"run"], [connection.fileno()])
    except BlockingIOError:
        return False
    return True


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Give a process that seems to be dying the time to be seen dead."""
    for _ in range(20):
        if process.poll() is not None:
            return
        await asyncio.sleep(0.05)


def parent_environment() -> dict[str, str]:
    """Make the environment of the warm process: the agent's own, with Prefect's present settings.

    The agent has compared the server's version with its own already; no run asks again.
    """
    from prefect.settings import get_current_settings

    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    return {**os.environ, **settings, "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"}
