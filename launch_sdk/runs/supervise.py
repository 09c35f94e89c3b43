"""Run a program to its end: start it, follow what it logs and prints, stop it when asked.

The program writes into files and owns them; the supervisor only reads. So neither a slow supervisor nor a dead one
blocks the program or loses a line of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from launch_sdk.errors import RunFailedError
from launch_sdk.runs.forked_program import ForkedProgram, NotForkedError, fork_program
from launch_sdk.runs.output_limit import bound
from launch_sdk.runs.processes import group_is_alive, terminate_group
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from launch_sdk.metrics.collector import Collector
    from launch_sdk.runs.program_fork import ProgramFork
    from launch_sdk.runs.run_directory import RunDirectory

POLL_S = 0.1
STOP_GRACE_S = 10.0
MAX_READ_BYTES = 1 << 20
READS_A_LOOK = 16  # a program that prints without end must not keep its supervisor from everything else


class TimeIsUpError(RunFailedError):
    """A program ran longer than it may, and was ended."""


@dataclass
class Follower:
    """Reads what a run has written since the last look.

    Attributes:
        run: the run's directory.
        on_lines: called with new whole lines of output, at least one.
        collector: reads metrics that the program does not log itself; None for none.
        summary: last value of each metric so far.
        is_preempting: the program has said that its host takes the machine back.
    """

    run: RunDirectory
    on_lines: Callable[[list[str]], None]
    collector: Collector | None = None
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    is_preempting: bool = False
    _output_offset: int = 0
    _records_offset: int = 0

    def look(self, *, at_end: bool = False) -> None:
        """Take in new records and new lines; at the end also a last line without its newline."""
        if self.collector:
            self.collector.look(at_end=at_end)
        self._read_records()
        reads = 0
        while (at_end or reads < READS_A_LOOK) and (lines := self._new_lines(at_end=at_end)):
            reads += 1
            self.on_lines(lines)
        bound(self.run.output, self._output_offset)

    def _read_records(self) -> None:
        if self.run.records.exists():
            records, self._records_offset = protocol.read_records(self.run.records, self._records_offset)
            for record in records:
                protocol.summary_update(self.summary, record)
                self.is_preempting |= record.get(protocol.PREEMPTING) is True

    def skip(self) -> None:
        """Pass over the output that is there, and what an earlier attempt has recorded; what comes after it is new."""
        self._read_records()
        self.is_preempting = False
        with contextlib.suppress(FileNotFoundError):
            self._output_offset = self.run.output.stat().st_size

    def _new_lines(self, *, at_end: bool) -> list[str]:
        try:
            with self.run.output.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._output_offset:
                    self._output_offset = 0  # the run has started again, and so has its output
                file.seek(self._output_offset)
                data = file.read(MAX_READ_BYTES)
        except FileNotFoundError:  # the program owns its run directory and may have deleted it
            return []
        is_full = len(data) == MAX_READ_BYTES
        if is_full or not at_end:
            end = data.rfind(b"\n") + 1
            data = data[:end] if end or not is_full else data  # only a line longer than all of that is cut
        self._output_offset += len(data)
        lines = data.decode(errors="replace").removesuffix("\n").split("\n") if data else []
        return [_as_shown(line) for line in lines]


def _as_shown(line: str) -> str:
    """Keep of a line what a terminal shows of it in the end: progress bars write over themselves."""
    return line.rstrip("\r").rpartition("\r")[2].replace("\0", "\ufffd")  # no database keeps it in a text


async def run_program(
    argv: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    follower: Follower,
    on_look: Callable[[], None] = lambda: None,
    timeout_s: float | None = None,
    stop_grace_s: float = STOP_GRACE_S,
    pass_fds: Sequence[int] = (),
    fork: ProgramFork | None = None,
) -> int:
    """Run a program in its own process group until it ends; no process of the group outlives this call.

    Args:
        argv: the argument vector; no shell is involved.
        directory: working directory of the program.
        environment: all of its variables.
        follower: told to look every `POLL_S` seconds and once at the end.
        on_look: called after each look.
        timeout_s: how long it may run; None for ever.
        stop_grace_s: how long the group may take to leave after SIGTERM, before SIGKILL.
        pass_fds: descriptors that it inherits, under the same numbers.
        fork: where it may be forked if it runs in this interpreter; None to start it as a new process anyway.

    Returns:
        The exit code; minus the signal's number if a signal ended it.

    Raises:
        RunFailedError: it cannot be started.
        TimeIsUpError: it ran longer than it may, and was ended.
    """
    with follower.run.output.open("ab") as output:
        process = _forked(fork, argv, directory, environment, output) if fork else None
        process = process or _started(argv, directory, environment, output, pass_fds)
    deadline = time.monotonic() + timeout_s if timeout_s is not None else math.inf
    try:
        with _watch(process) as ended:
            while not await _within(POLL_S, ended):
                follower.look()
                on_look()
                if time.monotonic() > deadline:
                    raise TimeIsUpError(f"{argv[0]!r} ran longer than {timeout_s:g} s")
    finally:
        if process.poll() is None or group_is_alive(process.pid):
            terminate_group(process.pid, stop_grace_s)
        process.wait()
        follower.look(at_end=True)
    return process.returncode or 0


def _started(
    argv: Sequence[str], directory: Path, environment: Mapping[str, str], output: BinaryIO, pass_fds: Sequence[int]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except (OSError, ValueError) as error:  # ValueError: a word that the system cannot be told
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise RunFailedError(f"{argv[0]!r} cannot be started in {directory}: {reason}") from None


def _forked(
    fork: ProgramFork, argv: Sequence[str], directory: Path, environment: Mapping[str, str], output: BinaryIO
) -> ForkedProgram | None:
    """Have the program forked; None, and a line that says why, if that cannot be."""
    try:
        return fork_program(fork, argv, directory=directory, environment=environment, output=output)
    except NotForkedError as reason:
        output.write(f"launch: not forked from a preloaded process, but started anew: {reason}\n".encode())
        output.flush()
        return None


@contextlib.contextmanager
def _watch(process: subprocess.Popen[bytes] | ForkedProgram) -> Generator[asyncio.Event]:
    """Give an event that is set when the process ends, without a thread and without asking again and again."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        if isinstance(process, ForkedProgram):
            descriptor = process.fileno()
        else:
            descriptor = os.pidfd_open(process.pid)
            stack.callback(os.close, descriptor)
        loop.add_reader(descriptor, ended.set)
        stack.callback(loop.remove_reader, descriptor)
        yield ended


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
