"""Which server to use, and the life of the embedded one.

`PREFECT_API_URL` (from the environment or the active Prefect profile), if set, is the server. Otherwise the embedded
one is started: Prefect's own server on SQLite below LAUNCH_HOME, on loopback only. It outlives the command that
started it, so that its pages can be looked at; `launch server stop` ends it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.errors import BackendUnavailableError, ConflictError
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.processes import process_start_time
from launch_sdk.tracking.protocol import OF_A_RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

PREFERRED_PORT = 4242
BACKLOG = 2048
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 15.0
HEALTH_TIMEOUT_S = 3.0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # whoever waits is told why


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server process of ours: its id, the kernel's start time of it (ids are reused), and its port."""

    pid: int
    pid_started: float
    port: int

    @property
    def url(self) -> str:
        """Address of the UI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """Address of the API, as PREFECT_API_URL wants it."""
        return f"{self.url}/api"

    def is_alive(self) -> bool:
        return process_start_time(self.pid) == self.pid_started


def server_folder() -> Path:
    folder = launch_home() / "server"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def configured_api_url() -> str | None:
    """Return the server that the user has set, from the environment or the active Prefect profile."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url
    prefect_home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH") or prefect_home / "profiles.toml")
    try:
        document = tomllib.loads(profiles.read_text(encoding="utf-8"))
        active = os.environ.get("PREFECT_PROFILE") or document.get("active")
        url = document["profiles"][active].get("PREFECT_API_URL")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return url if isinstance(url, str) and url else None


def connect(*, start: bool = True) -> str | None:
    """Find the server (starting the embedded one if none is set) and point this process's Prefect at it.

    Must be called before Prefect is imported. Children inherit the settings through the environment.

    Args:
        start: whether to start the embedded server if it is not running.

    Returns:
        The API's URL; None if none is set, none is running, and `start` is false.

    Raises:
        BackendUnavailableError: the server does not answer, or the embedded one does not start.
    """
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    if url := configured_api_url():
        _require_answer(url)
        os.environ["PREFECT_API_URL"] = url
        return url
    server = start_server() if start else running_server()
    if server is None:
        return None
    os.environ |= {
        "PREFECT_API_URL": server.api_url,
        "PREFECT_HOME": str(server_folder()),
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",  # it asks for no token: two requests less in every process
    }
    os.environ.pop("PREFECT_API_KEY", None)
    return server.api_url


def uses_embedded_server() -> bool:
    """Say whether this process talks to the embedded server."""
    server = running_server()
    return server is not None and os.environ.get("PREFECT_API_URL") == server.api_url


def require_own_server() -> None:
    """Make sure that the server this process was pointed at is still the embedded one.

    Raises:
        BackendUnavailableError: it has ended or has moved; another program may have its port by now.
    """
    server = running_server()
    if server is None:
        raise BackendUnavailableError("The embedded server has ended. Start it: launch server start")
    if os.environ.get("PREFECT_API_URL") != server.api_url:
        raise BackendUnavailableError(f"The embedded server has moved to {server.url}. Start this command again.")


def running_server() -> EmbeddedServer | None:
    """Return the embedded server if its process is alive."""
    try:
        server = EmbeddedServer(**json.loads((server_folder() / "server.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return server if server.is_alive() else None


def start_server(port: int | None = None, on_start: Callable[[str], None] = _say) -> EmbeddedServer:
    """Start the embedded server and wait until it answers; return the running one if there is one.

    Args:
        port: the port to listen on; None takes the one it had before, or any free one.
        on_start: told when one has to be started, which takes seconds.

    Raises:
        ConflictError: `port` is taken, or a server is running on another port.
        BackendUnavailableError: it did not start; the message holds the end of its log.
    """
    with _start_lock():
        if server := running_server():
            if port not in {None, server.port}:
                raise ConflictError(
                    f"The embedded server is running already at {server.url} (process {server.pid}),"
                    f" not on port {port}. Stop it first: launch server stop"
                )
            _wait_until_ready(server)
            return server
        with listen(port) as listening:
            on_start(f"Starting the embedded server on port {listening.getsockname()[1]} ...")
            server = _spawn(listening)
        _wait_until_ready(server)
        return server


def stop_server() -> EmbeddedServer | None:
    """Stop the embedded server by its own process id; return it, or None if none was running."""
    with _start_lock():
        server = running_server()
        if server is None:
            return None
        os.kill(server.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while server.is_alive():
            if time.monotonic() > deadline:
                os.kill(server.pid, signal.SIGKILL)
                deadline += STOP_TIMEOUT_S
            time.sleep(0.05)
        return server


@contextmanager
def _start_lock() -> Generator[None]:
    """Let one process at a time start or stop the server."""
    with (server_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def listen(port: int | None) -> socket.socket:
    """Take a port for the server before it starts: two that start at once cannot take each other for themselves."""
    if port is not None:
        if (listening := _listening(port)) is None:
            raise ConflictError(
                f"Port {port} is in use by another program. Choose another: launch server start --port N,"
                " or leave --port out to take any free one."
            )
        return listening
    try:
        previous = int(json.loads((server_folder() / "server.json").read_text())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        previous = PREFERRED_PORT
    for candidate in (previous, PREFERRED_PORT, 0):
        if listening := _listening(candidate):
            return listening
    raise BackendUnavailableError("No port of 127.0.0.1 is free for the embedded server.")


def _listening(port: int) -> socket.socket | None:
    """Listen on a port, 0 for any; None if another program does."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError):
        listening.close()
        return None
    return listening


def _spawn(listening: socket.socket) -> EmbeddedServer:
    port = int(listening.getsockname()[1])
    folder = server_folder()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", *OF_A_RUN))}
    environment |= {"PREFECT_HOME": str(folder), "PREFECT_UI_STATIC_DIRECTORY": str(folder / "ui")}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "launch_sdk._prefect.server", "--listening", str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    server = EmbeddedServer(process.pid, process_start_time(process.pid) or 0.0, port)
    temporary = folder / f"server.json.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(server)))
    temporary.replace(folder / "server.json")
    process.returncode = 0  # it is meant to outlive us: say nothing about that when we end
    return server


def _wait_until_ready(server: EmbeddedServer) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(server.api_url):
        if not server.is_alive() or time.monotonic() > deadline:
            log = server_folder() / "server.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise BackendUnavailableError(
                f"The embedded server did not start on port {server.port}. {log} ends:\n{tail}"
            )
        time.sleep(0.05)


def _require_answer(api_url: str) -> None:
    if "@" in api_url.partition("://")[2].partition("/")[0]:
        raise BackendUnavailableError(
            "PREFECT_API_URL holds a user name or a password."
            " Take them out of it, and set PREFECT_API_AUTH_STRING=user:password instead."
        )
    if not api_url.startswith(("http://", "https://")):
        raise BackendUnavailableError(f"PREFECT_API_URL is {api_url!r}; it must begin with http:// or https://.")
    try:
        with urllib.request.urlopen(f"{api_url.rstrip('/')}/health", timeout=HEALTH_TIMEOUT_S):  # noqa: S310  # checked above
            return
    except urllib.error.HTTPError:
        return  # it answers; what it refuses, the client will say better
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise BackendUnavailableError(
            f"The Prefect server at {api_url} cannot be reached: {reason}."
            " Start it, correct PREFECT_API_URL, or unset PREFECT_API_URL to use the embedded server."
        ) from None


def _answers(api_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=HEALTH_TIMEOUT_S):  # noqa: S310  # loopback
            return True
    except OSError:
        return False
