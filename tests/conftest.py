"""What tests share: one real embedded server in a home of its own, and commands run as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Give this process a home and Prefect settings of its own, before anything imports Prefect."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # children must not inherit that it is ignored
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "LAUNCH_"))]:
        del os.environ[name]
    os.environ["LAUNCH_DISABLE_CODE"] = "true"  # scripts started by hand keep nothing below the home of who tests
    os.environ |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "HYPOTHESIS_NO_NPM": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that at the end no worker waits for one of them."""
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, -sizes[item.path]))


def eventually(condition: Callable[[], T], message: str, timeout_s: float = 60.0) -> T:
    """Poll until `condition` gives something true, or fail with the message."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{message} (waited {timeout_s:g} s)")
        time.sleep(0.1)


@dataclass(frozen=True)
class Home:
    """A LAUNCH_HOME with its embedded server running.

    Attributes:
        path: LAUNCH_HOME.
        api_url: of the server, for PREFECT_API_URL.
    """

    path: Path
    api_url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell has: the embedded server is found through LAUNCH_HOME."""
        return {**os.environ, "LAUNCH_HOME": str(self.path), "PYTHONUNBUFFERED": "1"}

    @property
    def ui_url(self) -> str:
        return self.api_url.removesuffix("/api")

    def start(self, *words: str, cwd: Path = REPOSITORY, **more: str) -> subprocess.Popen[str]:
        """Start a command of ours; `words[0]` is its name."""
        return self._start(words, cwd, more, subprocess.PIPE)

    def start_writing(self, log: Path, *words: str) -> subprocess.Popen[str]:
        """Start a command of ours whose output goes to a file."""
        with log.open("w") as output:
            return self._start(words, REPOSITORY, {}, output)

    def _start(self, words: Sequence[str], cwd: Path, more: dict[str, str], output: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / words[0]), *words[1:]],
            cwd=cwd,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
        )

    def run(
        self, *words: str, cwd: Path = REPOSITORY, timeout_s: float = 120.0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        process = self.start(*words, cwd=cwd, **more)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"{words} did not end within {timeout_s:g} s.\nstdout:\n{out}\nstderr:\n{err}")
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def json(self, *words: str, **options: Any) -> Any:
        """Run a command with `--json` and read its one document."""
        done = self.run(*words, "--json", **options)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One embedded server for the whole session, stopped by its own process id."""
    path = tmp_path_factory.mktemp("launch-home")
    environment = {**os.environ, "LAUNCH_HOME": str(path)}
    launch = str(Path(sys.executable).parent / "launch")
    started = subprocess.run(
        [launch, "server", "start", "--json"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert started.returncode == 0, started.stderr
    yield Home(path, json.loads(started.stdout)["api_url"])
    subprocess.run([launch, "server", "stop"], env=environment, capture_output=True, check=True, timeout=60)


@pytest.fixture(scope="session")
def prefect_server(home: Home) -> str:
    """Address of the session's server, as PREFECT_API_URL wants it."""
    return home.api_url
