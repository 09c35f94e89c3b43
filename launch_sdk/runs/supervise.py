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
from typing import TYPE_CHECKING, Any, Protocol

from launch_sdk.errors import RunFailedError
from launch_sdk.runs.forked_program import NotForkedError, fork_program
from launch_sdk.runs.output_limit import bound
from launch_sdk.runs.processes import group_is_alive, terminate_group
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from contextlib import AbstractContextManager
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


class Program(Protocol):
    """A program that was started: a process of this machine, or one in a container.

    `watch` gives an event that is set when it has ended. `end` is called exactly once, whatever happens: it ends
    what is left of the program, and nothing of it outlives the call.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def note(self) -> str | None:
        """What is known of its end beside the exit code, in a sentence; None if nothing is."""
        ...

    def watch(self) -> AbstractContextManager[asyncio.Event]:
        """Tell of its end, without a thread of the caller's and without asking again and again."""
        ...

    def end(self, grace_s: float) -> int:
        """End it if it runs: SIGTERM, up to `grace_s` seconds to leave, SIGKILL.

        Returns:
            The exit code; minus the signal's number if a signal ended it.
        """
        ...


def _nothing(*, at_end: bool) -> None:
    del at_end


@dataclass
class Follower:
    """Reads what a run has written since the last look.

    Attributes:
        run: the run's directory.
        on_lines: called with new whole lines of output, at least one.
        collector: reads metrics that the program does not log itself; None for none.
        summary: last value of each metric so far.
        is_preempting: the program has said that its host takes the machine back.
        before: called at the beginning of each look, with `at_end`: takes over what the program keeps elsewhere.
    """

    run: RunDirectory
    on_lines: Callable[[list[str]], None]
    collector: Collector | None = None
    summary: dict[str, Any] = field(default_factory=dict[str, Any])
    is_preempting: bool = False
    before: Callable[..., None] = field(default=_nothing)
    _output_offset: int = 0
    _records_offset: int = 0

    def look(self, *, at_end: bool = False) -> None:
        """Take in new records and new lines; at the end also a last line without its newline."""
        self.before(at_end=at_end)
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


class ProcessProgram:
    """A program that leads a process group of its own."""

    note = None

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.name = name
        self._process = process

    @contextlib.contextmanager
    def watch(self) -> Generator[asyncio.Event]:
        """Give an event that is set when the process ends."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(self._process.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            yield ended
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def end(self, grace_s: float) -> int:
        """End what is left of the group."""
        if self._process.poll() is None or group_is_alive(self._process.pid):
            terminate_group(self._process.pid, grace_s)
        return self._process.wait()


def start_process(
    argv: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    output: Path,
    pass_fds: Sequence[int] = (),
    fork: ProgramFork | None = None,
) -> Program:
    """Start a program in its own process group.

    Args:
        argv: the argument vector; no shell is involved.
        directory: working directory of the program.
        environment: all of its variables.
        output: the file that what it prints is appended to.
        pass_fds: descriptors that it inherits, under the same numbers.
        fork: where it may be forked if it runs in this interpreter; None to start it as a new process anyway.

    Raises:
        RunFailedError: it cannot be started.
    """
    with output.open("ab") as file:
        if fork is not None:
            try:
                return fork_program(fork, argv, directory=directory, environment=environment, output=file)
            except NotForkedError as reason:
                file.write(f"launch: started anew, not forked from a preloaded process: {reason}\n".encode())
                file.flush()
        try:
            process = subprocess.Popen(
                argv,
                cwd=directory,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except (OSError, ValueError) as error:  # ValueError: a word that the system cannot be told
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise RunFailedError(f"{argv[0]!r} cannot be started in {directory}: {reason}") from None
    return ProcessProgram(process, argv[0])


async def supervise(
    program: Program,
    follower: Follower,
    *,
    on_look: Callable[[], None] = lambda: None,
    timeout_s: float | None = None,
    stop_grace_s: float = STOP_GRACE_S,
) -> int:
    """Follow a program to its end; nothing of it outlives this call.

    Args:
        program: as it was just started.
        follower: told to look every `POLL_S` seconds and once at the end.
        on_look: called after each look.
        timeout_s: how long it may run; None for ever.
        stop_grace_s: how long it may take to leave after SIGTERM, before SIGKILL.

    Returns:
        The exit code; minus the signal's number if a signal ended it.

    Raises:
        TimeIsUpError: it ran longer than it may, and was ended.
    """
    deadline = time.monotonic() + timeout_s if timeout_s is not None else math.inf
    code = 0
    try:
        with program.watch() as ended:
            while not await _within(POLL_S, ended):
                follower.look()
                on_look()
                if time.monotonic() > deadline:
                    raise TimeIsUpError(f"{program.name!r} ran longer than {timeout_s:g} s")
    finally:
        try:
            code = program.end(stop_grace_s)
        finally:
            follower.look(at_end=True)
    return code


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
