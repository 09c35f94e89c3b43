"""A program forked from a preloaded process of the agent's, instead of started in a new interpreter.

The flow's process asks for it, see `program_order`; the program's parent is a guard of its own, which is told to end it
by whatever ends the flow (`agent/guard.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

from launch_sdk.errors import RunFailedError
from launch_sdk.runs.processes import group_is_alive, terminate_group
from launch_sdk.runs.program_order import GO, READY, REFUSED, ProgramOrder
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from launch_sdk.runs.program_fork import ProgramFork

ANSWER_S = 5.0
_UNBUFFERED = "-u"  # what PYTHONUNBUFFERED says of every program anyway


class NotForkedError(Exception):
    """The program cannot be forked; a new interpreter is to run it. The message says what was in the way."""


class ForkedProgram:
    """Implements `supervise.Program`: a program that is another process's child, and leads its own process group."""

    note = None

    def __init__(self, pid: int, name: str, connection: socket.socket, received: bytes) -> None:
        """Take what its guard has said.

        Args:
            pid: of the program.
            name: what people call it.
            connection: to its guard.
            received: what came after the pid.
        """
        self.name = name
        self._pid = pid
        self._code: int | None = None
        self._connection = connection
        self._received = received
        self._take()

    @contextlib.contextmanager
    def watch(self) -> Generator[asyncio.Event]:
        """Give an event that is set when the program has ended, or its guard has."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        if self._code is not None:
            ended.set()
        loop.add_reader(self._connection, ended.set)
        try:
            yield ended
        finally:
            loop.remove_reader(self._connection)

    def end(self, grace_s: float) -> int:
        """End what is left of its group. Its guard ends what has left that, and the guard of this process waits."""
        while self._code is None and select.select([self._connection], [], [], 0)[0]:
            self._read()
        if self._code is None or group_is_alive(self._pid):
            terminate_group(self._pid, grace_s)
        while self._code is None:
            self._read()
        self._connection.close()
        return self._code

    def _read(self) -> None:
        try:
            data = self._connection.recv(4096)
        except OSError:
            data = b""
        self._received += data
        self._take()
        if not data and self._code is None:  # its guard was killed, and nobody knows how it ends
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            self._code = -signal.SIGKILL

    def _take(self) -> None:
        for line in self._received.splitlines():
            if line.startswith(b"exit ") and self._received.endswith(b"\n"):
                self._code = int(line.split()[1])


def fork_program(
    fork: ProgramFork, argv: Sequence[str], *, directory: Path, environment: Mapping[str, str], output: BinaryIO
) -> ForkedProgram:
    """Have a program of the current interpreter's forked.

    Args:
        fork: where.
        argv: the argument vector that would start it, the interpreter first.
        directory: its working directory.
        environment: all of its variables.
        output: where its standard output and standard error go.

    Raises:
        NotForkedError: something is in the way, and nothing has been started.
        RunFailedError: the preloaded process died while it started the program.
    """
    if fork.socket is None or fork.lifeline is None:
        raise NotForkedError(fork.reason)
    order = _order(argv, directory, environment)
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        connection.settimeout(ANSWER_S)
        try:
            connection.connect(fork.socket)
            _send(connection, order.encode(), [output.fileno(), fork.lifeline])
            answer = _line(connection)
        except OSError as error:
            raise NotForkedError(f"the preloaded process does not answer ({error})") from None
        if answer != READY:
            told = answer.removeprefix(REFUSED).decode(errors="replace").strip()
            raise NotForkedError(told or "the preloaded process has ended")
        program = _started(connection, argv[0])
        stack.pop_all()
        return program


def _order(argv: Sequence[str], directory: Path, environment: Mapping[str, str]) -> ProgramOrder:
    if argv[0] != sys.executable:
        raise NotForkedError(f"{argv[0]!r} is not the agent's interpreter")
    words = list(argv[1:])
    while words[:1] == [_UNBUFFERED]:
        del words[0]
    first = words[0] if words else ""
    common: dict[str, Any] = {
        "argv": tuple(argv),
        "env": dict(environment),
        "cwd": str(directory),
        "cpus": tuple(sorted(os.sched_getaffinity(0))),
        "run_id": environment.get(protocol.RUN_ID, ""),
    }
    if first == "-m" and len(words) > 1:
        return ProgramOrder(script=None, module=words[1], args=tuple(words[2:]), **common)
    if first.startswith("-") or not first.endswith(".py"):
        raise NotForkedError(f"only 'FILE.py' and '-m MODULE' can be forked, not {first!r}")
    if not (directory / first).is_file():
        raise NotForkedError(f"{first} is no file")
    return ProgramOrder(script=first, module=None, args=tuple(words[1:]), **common)


def _send(connection: socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    sent = socket.send_fds(connection, [data], list(descriptors))
    if rest := data[sent:]:  # even to send nothing fails if the other end has refused, and gone, by now
        connection.sendall(rest)


def _line(connection: socket.socket) -> bytes:
    """Read one answer, of which only one is under way; the end of the stream is an empty one."""
    received = b""
    while not received.endswith(b"\n") and (data := connection.recv(4096)):
        received += data
    return received


def _started(connection: socket.socket, name: str) -> ForkedProgram:
    """Say the word after which there is no way back: from here on the program may be running."""
    try:
        connection.settimeout(None)
        connection.sendall(GO)
        answer = _line(connection)
    except OSError:
        answer = b""
    if not answer.startswith(b"pid "):
        raise RunFailedError("The preloaded process died while it started the program. Launch the run again.")
    first, _, rest = answer.partition(b"\n")
    return ForkedProgram(int(first.split()[1]), name, connection, rest)
