"""The guard of one run: parent of the flow's process, and heir of everything that this leaves behind.

The kernel hands it every orphan of the flow (it is their subreaper), so nothing that a run started outlives the run: not after
a kill -9 of the flow, and not after a kill -9 of the agent, which the guard notices as the end of its socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from launch_sdk.agent.child import run_order
from launch_sdk.agent.wire import KILL, TERMINATE, Order

if TYPE_CHECKING:
    from launch_sdk.agent.warm import Preloaded

GRACE_S = 10.0  # between SIGTERM and SIGKILL: a flow stops its program, a program writes its checkpoint
_SWEEP_INTERVAL_S = 0.02
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def guard(connection: socket.socket, preloaded: Preloaded) -> int:
    """Run the order that comes over `connection`; return when nothing of it is left."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    with connection.makefile("rb", buffering=0) as stream:
        line = stream.readline()
    if not line.endswith(b"\n"):
        return 0
    order = Order.decode(line)
    guard_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become_flow(order, preloaded, guard_pid)
    _say(connection, b"pid %d\n" % pid)
    code = _watch(connection, pid)
    _say(connection, b"exit %d\n" % code)
    _sweep()
    return 0


def _become_flow(order: Order, preloaded: Preloaded, guard_pid: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == guard_pid:
            code = run_order(order, preloaded)
    except BaseException:  # noqa: BLE001  # nothing may unwind into the guard's frames, which this process inherited
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _watch(connection: socket.socket, pid: int) -> int:
    """Wait for the flow's process, passing on what the agent says; its exit code, negative for a signal."""
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(connection, select.POLLIN)
    kill_at: float | None = None
    while True:
        timeout_ms = None if kill_at is None else max(0.0, kill_at - time.monotonic()) * 1000
        ready = {descriptor for descriptor, _ in poll.poll(timeout_ms)}
        if process in ready:
            os.close(process)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not ready:
            _kill_tree(pid)
            kill_at = None
        elif connection.fileno() in ready:
            message = _hear(connection)
            if KILL in message:
                _kill_tree(pid)
            elif TERMINATE in message:
                _signal_group(pid, signal.SIGTERM)
            elif not message:  # the agent is gone: nobody else will ever stop this run
                poll.unregister(connection)
                _signal_group(pid, signal.SIGTERM)
                kill_at = time.monotonic() + GRACE_S


def _sweep() -> None:
    """End what the flow's process has left: SIGTERM once, SIGKILL after the grace."""
    deadline = time.monotonic() + GRACE_S
    warned: set[int] = set()
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = _children(os.getpid())
        if not left:
            return
        late = time.monotonic() > deadline
        for pid in left:
            if late:
                _kill_tree(pid)
            elif pid not in warned:
                _signal(pid, signal.SIGTERM)
        warned |= left
        time.sleep(_SWEEP_INTERVAL_S)


def _kill_tree(pid: int) -> None:
    """SIGKILL a process and all of its descendants; stopped first, so that none can fork away meanwhile."""
    _signal(pid, signal.SIGSTOP)
    for child in _children(pid):
        _kill_tree(child)
    _signal(pid, signal.SIGKILL)


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found.update(map(int, (task / "children").read_text().split()))
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _say(connection: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(message)


def _hear(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1024)
    except OSError:
        return b""


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
