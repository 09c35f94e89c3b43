"""The engine that runs containers: the connection to it, what it is, and why it cannot be used."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from launch_sdk.containers.engine_build import MACHINES, engine_message
from launch_sdk.errors import NotFoundError, RunFailedError

DEFAULT_ADDRESS: Final = "unix:///var/run/docker.sock"
TIMEOUT_S: Final = 60
ASK_TIMEOUT_S: Final = 3
MIN_FREE_BYTES: Final = 256 << 20
EXTRA: Final = 'pip install "launch-sdk[prefect,docker]"'


class EngineLostError(RunFailedError):
    """The engine cannot be reached, or went away: whatever it ran is over. It is no fault of the program's."""


@dataclass(frozen=True)
class Engine:
    """A connection to an engine.

    Attributes:
        api: of the Docker SDK.
        address: of the engine, for people.
    """

    api: Any = field(repr=False)
    address: str

    @cached_property
    def machine(self) -> str:
        """What images must be made for, as images say it: `amd64`."""
        named = str(self.api.version().get("Arch", ""))
        return MACHINES.get(named, named)

    def is_local(self) -> bool:
        """Say whether it is on this machine: then it sees this machine's files and processes."""
        return self.address.startswith("unix://")

    def is_listening(self) -> bool:
        """Say whether it can be asked at all: False only if it is known to be gone."""
        return quick_fault(self.address) is None

    def close(self) -> None:
        self.api.close()


def connect(address: str | None = None, *, timeout_s: int = TIMEOUT_S) -> Engine:
    """Connect to an engine.

    Args:
        address: `unix:///path`, `tcp://host:port` or `ssh://user@host`; None for what DOCKER_HOST, DOCKER_TLS_VERIFY
            and DOCKER_CERT_PATH say, or the socket of this machine.
        timeout_s: how long one answer may take.

    Raises:
        EngineLostError: it does not answer.
        NotFoundError: the Docker SDK is not installed.
    """
    try:
        from docker import APIClient
        from docker.errors import DockerException
        from docker.utils import kwargs_from_env
    except ImportError:
        raise NotFoundError(f"Containers need the Docker SDK, which is not installed here: {EXTRA}") from None
    given: dict[str, Any] = {"base_url": address} if address else dict(kwargs_from_env())
    named = address or os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS
    if fault := quick_fault(named):  # before the Docker SDK is asked, which would leave its sockets open
        raise EngineLostError(fault)
    try:
        api: Any = APIClient(**given, version="auto", timeout=timeout_s)
    except (DockerException, OSError, ValueError) as error:
        raise EngineLostError(f"The Docker engine at {named} {_why(named, error)}") from None
    return Engine(api, named)


def engine_fault(address: str | None = None) -> str | None:
    """Say in one line why an engine cannot run anything; None if it can."""
    try:
        engine = connect(address, timeout_s=ASK_TIMEOUT_S)
    except (EngineLostError, NotFoundError) as error:
        return str(error)
    try:
        engine.api.ping()
        return _disk_fault(engine)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the engine's
        return f"The Docker engine at {engine.address} does not answer: {engine_message(error)}"
    finally:
        engine.close()


def quick_fault(address: str | None = None) -> str | None:
    """Say in one line that an engine of this machine does not listen; it costs a fraction of a millisecond.

    Of an engine elsewhere nothing is said.
    """
    named = address or os.environ.get("DOCKER_HOST") or DEFAULT_ADDRESS
    if not named.startswith("unix://") or not _refuses(named.removeprefix("unix://")):
        return None
    return f"The Docker engine at {named} {_why(named, OSError('it does not listen'))}"


def _disk_fault(engine: Engine) -> str | None:
    if not engine.is_local():
        return None
    root = Path(str(engine.api.info().get("DockerRootDir") or "/var/lib/docker"))
    try:
        free = shutil.disk_usage(root).free
    except OSError:
        return None
    if free >= MIN_FREE_BYTES:
        return None
    return (
        f"The Docker engine at {engine.address} has {free >> 20} MB left for its images and containers in {root}."
        " Make room: docker system prune"
    )


def _why(address: str, error: Exception) -> str:
    if address.startswith("unix://"):
        path = address.removeprefix("unix://")
        if not Path(path).exists():
            return f"is not there: no {path}. Install and start Docker (apt install docker.io), or set DOCKER_HOST"
        if not os.access(path, os.W_OK):
            return f"may not be used by this user. Add it to the group of {path}: usermod -aG docker USER"
        if _refuses(path):
            return "is stopped. Start it: systemctl start docker"
    return f"does not answer: {engine_message(error)}. Start it, or set DOCKER_HOST to one that runs"


def _refuses(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return True
    return False
