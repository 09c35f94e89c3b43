"""A Docker registry on loopback, which lets in who logs in. Without the program its tests are skipped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

PROGRAM = "docker-registry"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
UNPACKED = CACHE / "launch-tests" / "registry" / "usr" / "bin"  # `scripts/engine up` puts it there
USER, PASSWORD = "launcher", "of-the-registry"
# A password is kept as `htpasswd -B` would: bcrypt, here with a salt that is always the same.
SALT = "$2b$05$abcdefghijklmnopqrstuu"


@dataclass(frozen=True)
class LocalRegistry:
    """A registry that runs.

    Attributes:
        host: its address, as in the names of its images.
    """

    host: str


@contextmanager
def registry(folder: Path) -> Generator[LocalRegistry]:
    """Run a registry that keeps its images in a folder."""
    program = shutil.which(PROGRAM) or shutil.which(UNPACKED / PROGRAM)
    if program is None:
        pytest.skip("NO DOCKER REGISTRY: scripts/engine up PIDFILE, which unpacks Debian's docker-registry")
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "users").write_text(f"{USER}:{_bcrypt(PASSWORD)}\n")
    (folder / "config.yml").write_text(
        f"""version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder / "images"}}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: tests, path: {folder / "users"}}}}}
"""
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        _wait(port)
        yield LocalRegistry(f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


def _bcrypt(password: str) -> str:
    """Hash a password with the C library, which perl reaches everywhere."""
    program = "print crypt($ARGV[0], $ARGV[1])"
    done = subprocess.run(["perl", "-e", program, password, SALT], capture_output=True, text=True, check=True)
    if not done.stdout.startswith("$2b$"):
        pytest.skip("NO BCRYPT in this machine's C library, which the registry's users need")
    return done.stdout


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=1)
        except urllib.error.HTTPError as answer:
            if answer.code == HTTPStatus.UNAUTHORIZED:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the registry does not answer")
