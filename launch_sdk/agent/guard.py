"""A guard: parent of one process, and heir of everything that this leaves behind.

The kernel hands it every orphan of that process (it is their subreaper), so nothing outlives the run that started it:
not after a kill -9 of the process, and not after one of the agent, which the guard notices as the end of its socket.
It waits in `select` alone and shares the memory of the process that it was forked from: an idle guard costs nothing.

The process is a flow's, or a program that was forked from a preloaded process. The flow of such a program does not
have it below it, so the guard of the flow has a guard of the program beside it, at the other end of a pair of sockets.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

KILL = b"kill\n"
TERMINATE = b"terminate\n"
GRACE_S = 10.0  # between SIGTERM and SIGKILL: a flow stops its program, a program writes its checkpoint
_SWEEP_INTERVAL_S = 0.02
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Overseers:
    """Those whose word ends the process, and whose death does: each at the other end of a socket.

    Attributes:
        is_one_gone: whether any of them has died.
    """

    def __init__(self, *connections: socket.socket) -> None:
        """Take the sockets; the first one's overseer is told how the process ends."""
        self._first = connections[0]
        self._connections = list(connections)
        self._all = connections
        self.is_one_gone = False

    @property
    def descriptors(self) -> list[int]:
        """What to wait on for their words."""
        return [one.fileno() for one in self._connections]

    def hear(self) -> bytes:
        """Read what has been said."""
        ready, _, _ = select.select(self._connections, [], [], 0)
        return b"".join(self._heard(one) for one in ready)

    def _heard(self, connection: socket.socket) -> bytes:
        try:
            message = connection.recv(1024)
        except OSError:
            message = b""
        if not message:
            self._connections.remove(connection)
            self.is_one_gone = True
        return message

    def tell(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self._first.sendall(message)

    def close(self) -> None:
        for one in self._all:
            one.close()


class Beside:
    """The guard of a program that the process has had forked elsewhere; there may be none yet, or none any more."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        """Take a pair of sockets; the process inherits `theirs`, and hands it on."""
        self._ours, self._theirs = ours, theirs
        self.lifeline = theirs.fileno()

    def watch(self) -> None:
        """Keep our end alone: once the other end is closed, nothing of the program is left."""
        self._theirs.close()
        self._ours.setblocking(False)

    def is_there(self) -> bool:
        try:
            return bool(self._ours.recv(1))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._ours.sendall(KILL)

    def forget(self) -> None:
        """In the process itself: our end is its guard's."""
        self._ours.close()


def settle() -> None:
    """Make this process one that can be a guard: in a session of its own, heir of all orphans below it."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def guard(overseers: Overseers, become: Callable[[], NoReturn], beside: Beside | None = None) -> None:
    """Fork a process; return when nothing of it is left.

    Args:
        overseers: who may end it.
        become: what that process does; in a session of its own, and told to end should this one die.
        beside: the guard of a program that it may have forked elsewhere.
    """
    guard_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        overseers.close()
        if beside is not None:
            beside.forget()
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != guard_pid:
            os._exit(1)
        become()
    if beside is not None:
        beside.watch()
    overseers.tell(b"pid %d\n" % pid)
    overseers.tell(b"exit %d\n" % _watch(overseers, pid, beside))
    _sweep(overseers, beside)


def _watch(overseers: Overseers, pid: int, beside: Beside | None) -> int:
    """Wait for the process, doing as the overseers say; its exit code, negative for a signal."""
    process = os.pidfd_open(pid)
    kill_at: float | None = None
    while True:
        timeout_s = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        ready, _, _ = select.select([process, *overseers.descriptors], [], [], timeout_s)
        if process in ready:
            os.close(process)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not ready:
            _kill(beside)
            kill_at = None
            continue
        message = overseers.hear()
        if KILL in message:
            _kill(beside)
        elif TERMINATE in message or overseers.is_one_gone:
            _signal_group(pid, signal.SIGTERM)
        if overseers.is_one_gone and kill_at is None:  # nobody else will ever stop this run
            kill_at = time.monotonic() + GRACE_S


def _sweep(overseers: Overseers, beside: Beside | None) -> None:
    """End what the process has left: SIGTERM once, SIGKILL after the grace or at an overseer's word."""
    deadline = time.monotonic() + GRACE_S
    asked: set[int] = set()
    while _reap() or (beside is not None and beside.is_there()):
        left = _descendants()
        for pid in left - asked:
            _signal(pid, signal.SIGTERM)
        asked |= left
        if time.monotonic() > deadline:
            _kill(beside)
        ready, _, _ = select.select(overseers.descriptors, [], [], _SWEEP_INTERVAL_S)
        if ready and KILL in overseers.hear():
            deadline = 0.0


def _kill(beside: Beside | None) -> None:
    if beside is not None:
        beside.kill()
    for pid in _descendants():
        _signal(pid, signal.SIGKILL)


def _reap() -> bool:
    """Collect the children that have ended; whether any is left."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _descendants() -> set[int]:
    """Find all processes below this one."""
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text(errors="replace").rpartition(")")[2].split()[1]  # a name may hold anything
            children.setdefault(int(parent), set()).add(int(stat.parent.name))
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), set())
        found |= below
        waiting += below
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
