"""The port of the embedded server: taken before the server is started, so that no two can meet on it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from launch_sdk._prefect import embedded
from launch_sdk.errors import ConflictError
from tests.conftest import eventually

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path))
    return tmp_path


def remember(port: int) -> None:
    (embedded.server_folder() / "server.json").write_text(json.dumps({"pid": 1, "pid_started": 0.0, "port": port}))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def test_those_who_start_at_once_take_different_ports_though_all_want_the_same() -> None:
    remember(wanted := free_port())
    with ThreadPoolExecutor(16) as threads:
        taken = list(threads.map(embedded.listen, [None] * 16))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    assert len(set(ports)) == 16
    assert wanted in ports


def test_a_port_that_is_taken_is_refused_if_it_was_asked_for_and_passed_over_if_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConflictError, match=f"Port {port} is in use"):
            embedded.listen(port)
        remember(port)
        with embedded.listen(None) as listening:
            assert listening.getsockname()[1] != port


def test_whoever_asks_before_the_server_is_there_waits_and_is_answered_by_it() -> None:
    """The port belongs to the server from the moment it is written down: nobody else can answer on it."""
    answer = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); c, _ = s.accept(); c.recv(9999); "
    answer += "c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + str(__import__('os').getpid()).encode())"
    with embedded.listen(None) as listening:
        port = listening.getsockname()[1]
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=20).read())
            with pytest.raises(ConflictError):
                embedded.listen(port)
            number = str(listening.fileno())
            process = subprocess.Popen([sys.executable, "-c", answer, number], pass_fds=[listening.fileno()])
            assert asked.result(20) == str(process.pid).encode()
    eventually(lambda: process.poll() is not None, "it ends")
