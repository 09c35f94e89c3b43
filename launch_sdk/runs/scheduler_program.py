"""The program of a custom scheduler: started like a run's, spoken to over a socket that it inherits.

It has the environment of its job and none of the server's address or credentials. It ends when its sweep does: the
block that started it ends its process group, and whatever ends the sweep closes the socket, which ends the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import LaunchError, RunFailedError
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.scheduling.serving import VARIABLE
from launch_sdk.sweeps.report import duration
from launch_sdk.tracking.values import is_object, to_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from launch_sdk.containers.settled import Surroundings
    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.run_spec import RunSpec
    from launch_sdk.sweeps.custom_scheduler import Answerer, Message

MAX_MESSAGE_BYTES = 64 << 20
READ_BYTES = 1 << 16
LEAVE_S = 2.0  # for a program that has been told to exit
_HAS_ENDED = "has ended"


class ProgramTalk:
    """Implements `sweeps.custom_scheduler.Talk` over a socket. Its calls block: make them in a thread.

    Args:
        connection: our end.
        timeout_s: how long the program may take for one answer.

    Attributes:
        ended: how the program ended; None while it goes on.
    """

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self.connection = connection
        self.timeout_s = timeout_s
        self.ended: str | None = None
        self._received = b""

    def ask(self, message: Message, answer: Answerer) -> Message:
        self._send(message)
        deadline = time.monotonic() + self.timeout_s
        while "ask" in (reply := self._receive(message, deadline)):
            self._send(answer(reply))
            deadline = time.monotonic() + self.timeout_s  # the time of our own answer is not the program's
        return reply

    def _send(self, message: Message) -> None:
        try:
            self.connection.settimeout(self.timeout_s)
            self.connection.sendall(to_text(message).encode() + b"\n")
        except OSError:
            raise RunFailedError(self.ended or _HAS_ENDED) from None

    def _receive(self, message: Message, deadline: float) -> Message:
        line = self._line(message, deadline)
        try:
            reply: object = json.loads(line)
        except (ValueError, RecursionError):
            reply = None
        if not is_object(reply):
            raise RunFailedError(f"answered {line[:80]!r}, which is no message; does its file end with main()?")
        return reply

    def _line(self, message: Message, deadline: float) -> bytes:
        while b"\n" not in self._received:
            left = deadline - time.monotonic()
            try:
                self.connection.settimeout(max(left, 0.001))
                data = self.connection.recv(READ_BYTES)
            except TimeoutError:
                limit = f"longer than {duration(self.timeout_s)}, its scheduler.timeout"
                raise RunFailedError(f"took {limit}, for {message.get('do')!r}") from None
            except OSError:
                data = b""
            if not data:
                raise RunFailedError(self.ended or _HAS_ENDED)
            self._received += data
            if len(self._received) > MAX_MESSAGE_BYTES:
                raise RunFailedError(f"sent a message of more than {MAX_MESSAGE_BYTES >> 20} MB")
        line, _, self._received = self._received.partition(b"\n")
        return line


@asynccontextmanager
async def scheduler_program(
    spec: RunSpec,
    run: RunDirectory,
    *,
    store: RunStore,
    timeout_s: float,
    variables: Mapping[str, str],
    on_lines: Callable[[list[str]], None],
    around: Surroundings | None = None,
) -> AsyncGenerator[ProgramTalk]:
    """Run the program of a scheduler for the length of the block.

    Args:
        spec: of its job.
        run: its directory.
        store: where its source is.
        timeout_s: how long it may take for one answer.
        variables: its own, beside those that any program has.
        on_lines: given each batch of new lines of its output.
        around: what the sweep's queue gives to its container, if it is to have one.
    """
    ours, its = socket.socketpair()
    talk = ProgramTalk(ours, timeout_s)
    identity: dict[str, Any] = {**variables, VARIABLE: str(its.fileno())}
    program = asyncio.create_task(
        execute(spec, run, store=store, identity=identity, on_lines=on_lines, pass_fds=(its.fileno(),), around=around)
    )

    def note_end(task: asyncio.Task[Outcome]) -> None:
        talk.ended = _how_it_ended(task)
        its.close()  # so that whoever waits for an answer hears of it

    program.add_done_callback(note_end)
    try:
        yield talk
        ours.shutdown(socket.SHUT_WR)
        await asyncio.wait([program], timeout=LEAVE_S)
    finally:
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for an answer
        ours.close()
        program.cancel()
        await asyncio.wait([program])


def _how_it_ended(task: asyncio.Task[Outcome]) -> str:
    if task.cancelled():
        return "was ended"
    if isinstance(error := task.exception(), LaunchError):
        return f"cannot be started: {error}"
    if error is not None:
        return f"cannot be started: {type(error).__name__}: {error}"
    said = task.result().error
    return f"has ended: {said}" if said else "has ended by itself; its file has to end with main() of its class"
