"""A program in a container: made, started, followed, ended, and nothing of it left with the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers.engine import EngineLostError
from launch_sdk.containers.engine_build import engine_message
from launch_sdk.containers.removal import Remembered, remove
from launch_sdk.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from launch_sdk.containers.engine import Engine

LAST_OUTPUT_S: Final = 5.0
KILLED: Final = 128  # what an exit code is above a signal's number, as shells have it
# Those that end a program: a code above 128 that stands for none of them is the program's own.
SIGNALS: Final = frozenset({1, 2, 3, 4, 6, 7, 8, 9, 11, 13, 15, 24, 25, 31})
NO_PROGRAM: Final = 127
_NO_INIT: Final = "docker-init"


@dataclass(frozen=True)
class Making:
    """What the engine is asked for.

    Attributes:
        name: of the container.
        image: what it is made of.
        entry_point: the program; empty for the image's own.
        command: the words after it; None for the image's own.
        user_id: of the program.
        directory: where it starts; None for what the image says.
        environment: its variables, beside those of the image.
        labels: of the container.
        hostname: of it; None for one of the engine's.
        platform: of the image; None for the engine's own.
    """

    name: str
    image: str
    entry_point: tuple[str, ...]
    command: tuple[str, ...] | None
    user_id: int
    directory: str | None
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    hostname: str | None = None
    platform: str | None = None


class ContainerProgram:
    """A program that runs in a container; see `runs.supervise.Program`."""

    def __init__(self, engine: Engine, making: Making, output: Path, remembered: Remembered) -> None:
        self.name = (*making.entry_point, making.image)[0]
        self.note: str | None = None
        self._engine = engine
        self._making = making
        self._output = output
        self._remembered = remembered
        self._is_given_up = False
        self._over = threading.Event()
        self._on_over: list[Callable[[], None]] = []
        self._code: int | None = None
        self._lost: str | None = None
        self._pid: int | None = None
        self._reading: threading.Thread | None = None

    def start(self, host_config: Any, host_config_without_init: Any) -> None:
        """Make the container and start its program; what an earlier attempt has left of it is removed first.

        Raises:
            RunFailedError: the engine refuses, or the program cannot be started.
        """
        api = self._engine.api
        self._remembered.write()
        try:
            remove(api, self._making.name)
            try:
                self._create_and_start(host_config)
            except RunFailedError as error:
                if _NO_INIT not in str(error):
                    raise
                remove(api, self._making.name)  # an engine without an init: then the program gets no passed-on signals
                self._create_and_start(host_config_without_init)
        except BaseException:
            self.give_up()
            raise
        if self._is_given_up:
            self.give_up()

    def _create_and_start(self, host_config: Any) -> None:
        making, api = self._making, self._engine.api
        try:
            api.create_container(
                making.image,
                name=making.name,
                entrypoint=list(making.entry_point) or None,
                command=None if making.command is None else list(making.command),
                user=f"{making.user_id}:{making.user_id}",
                working_dir=making.directory,
                environment=dict(making.environment),
                labels=dict(making.labels),
                hostname=making.hostname,
                platform=making.platform,
                stop_signal="SIGTERM",
                host_config=host_config,
                healthcheck={"test": ["NONE"]},
            )
            stream = api.attach_socket(making.name, params={"stdout": 1, "stderr": 1, "stream": 1, "logs": 0})
            self._reading = threading.Thread(target=self._read, args=(stream,), name="container output", daemon=True)
            self._reading.start()
            waiting = threading.Thread(target=self._wait, name="container end", daemon=True)
            api.start(making.name)
            waiting.start()
            self._pid = int(api.inspect_container(making.name)["State"].get("Pid") or 0) or None
        except Exception as error:  # noqa: BLE001  # of whichever kind: each has its words
            raise _told(self._engine, self.name, making, error) from None

    def _read(self, stream: Any) -> None:
        """Write what the program prints where its supervisor reads it, until the engine has no more of it."""
        from docker.utils import socket as streams

        frames: Any = streams.frames_iter  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # untyped
        try:
            with self._output.open("ab", buffering=0) as output:
                for _, data in frames(stream, tty=False):
                    output.write(data)
        except Exception:  # noqa: BLE001  # the engine is gone, which its other connection tells
            return
        finally:
            _close(stream)

    def _wait(self) -> None:
        try:
            self._code = int(self._engine.api.wait(self._making.name, timeout=None)["StatusCode"])
        except Exception as error:  # noqa: BLE001  # of whichever kind: the engine tells no more of it
            self._lost = engine_message(error)
        self._over.set()
        for tell in list(self._on_over):
            tell()

    def on_over(self, call: Callable[[], None]) -> None:
        """Have something called, in a thread of its own, when the program has ended."""
        self._on_over.append(call)
        if self._over.is_set():
            call()

    @contextlib.contextmanager
    def watch(self) -> Generator[asyncio.Event]:
        """Give an event that is set when the program has ended, or nobody can know any more."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(ended.set)

        self._on_over.append(tell)
        if self._over.is_set():
            ended.set()
        try:
            yield ended
        finally:
            self._on_over.remove(tell)

    def end(self, grace_s: float) -> int:
        """End the program if it runs, take its last output, and remove the container.

        Args:
            grace_s: between SIGTERM and SIGKILL.

        Returns:
            The exit code; minus the signal's number if a signal ended it.

        Raises:
            EngineLostError: the engine went away, and the program with it.
        """
        if not self._over.is_set() and self._engine.is_listening():
            with contextlib.suppress(Exception):  # looked at below
                self._engine.api.stop(self._making.name, timeout=int(grace_s))
        self._over.wait(grace_s + LAST_OUTPUT_S)
        if self._reading is not None:
            self._reading.join(LAST_OUTPUT_S)
        self.note = self._noted()
        self.give_up()
        if self._code is None:
            raise EngineLostError(
                f"The Docker engine at {self._engine.address} went away while {self.name!r} ran in it:"
                f" {self._lost or 'it does not answer'}"
            )
        number = self._code - KILLED
        return -number if number in SIGNALS else self._code

    def _noted(self) -> str | None:
        if not self._engine.is_listening():
            return None
        with contextlib.suppress(Exception):  # the engine does not answer; what follows says so
            found = self._engine.api.inspect_container(self._making.name)
            if found["State"]["OOMKilled"]:
                limit = found["HostConfig"].get("Memory")
                has = f"its container has {limit >> 20} MB" if limit else "its machine has no more"
                how = "-A memory=4g, or ask the owner of the queue if that decides it"
                return f"It was killed because it ran out of memory: {has}. Give it more: {how}."
        if self._code == NO_PROGRAM:
            return f"That is what a program ends with that its image ({self._making.image}) does not have."
        return None

    def give_up(self) -> None:
        """Remove the container, running or not. If the engine does not answer, the program is killed without it."""
        self._is_given_up = True
        try:
            if not self._engine.is_listening():
                raise EngineLostError(self._engine.address)  # noqa: TRY301  # as if it had been asked
            remove(self._engine.api, self._making.name)
        except Exception:  # noqa: BLE001  # it stays remembered, and whoever finds the run removes it
            if self._engine.is_local() and self._pid is not None and _is_of_run(self._pid, self._making):
                with contextlib.suppress(OSError):
                    os.kill(self._pid, signal.SIGKILL)
            return
        self._remembered.forget()


def _close(stream: Any) -> None:
    """Close what the Docker SDK gives for the output of a container: a file, the socket below it, and its request."""
    parts: list[Any] = [stream, getattr(stream, "_sock", None), getattr(stream, "_response", None)]
    for one in parts:
        with contextlib.suppress(Exception):
            one.close()


def _is_of_run(pid: int, making: Making) -> bool:
    """Say whether a process is still the container's: its number may be another's by now."""
    try:
        with open(f"/proc/{pid}/cgroup", "rb") as file:  # noqa: PTH123
            return b"docker" in file.read() and any(
                f"{key}={value}".encode() in _environ(pid)
                for key, value in making.environment.items()
                if key.endswith("RUN_ID")
            )
    except OSError:
        return False


def _environ(pid: int) -> Sequence[bytes]:
    with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
        return file.read().split(b"\0")


def _told(engine: Engine, name: str, making: Making, error: Exception) -> RunFailedError:
    """Say in the user's words why a program cannot be started."""
    from docker.errors import APIError

    said = engine_message(error)
    if not isinstance(error, APIError):
        return EngineLostError(f"The Docker engine at {engine.address} does not answer: {said}")
    found = next((told for words, told in _FAULTS if all(word in said.lower() for word in words)), _OTHER)
    known = {"program": repr(name), "image": making.image, "user": making.user_id, "engine": engine.address}
    return RunFailedError(found.format(**known, machine=engine.machine, said=said))


_OTHER: Final = "The container of image {image} cannot be started. The engine said: {said}"
_FAULTS: Final = (
    (("executable file not found",), "{program} cannot be started in image {image}: it has no such program."),
    (("exec", "no such file or directory"), "{program} cannot be started in image {image}: it has no such program."),
    (("exec", "permission denied"), "{program} cannot be started in image {image}: user {user} may not run it."),
    (("exec format error",), "{program} in image {image} is made for another kind of machine than {machine}."),
    (("no command specified",), "Image {image} starts nothing by itself; name a program, as in -E 'echo hello'."),
    (("no space left",), "The engine at {engine} has no room left: {said}. Free some: docker system prune"),
    (
        ("bind source path does not exist",),
        (
            "The engine at {engine} does not see a folder of this machine: {said}. A run's directory, and the queue's"
            " volumes, must be on the engine's machine under the same path."
        ),
    ),
)
