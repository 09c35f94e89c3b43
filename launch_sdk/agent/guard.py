"""The guard of one run: parent of the flow's process, and heir of everything that this leaves behind.

The kernel hands it every orphan of the flow (it is their subreaper), so nothing that a run started outlives the run:
not after a kill -9 of the flow, and not after one of the agent, which the guard notices as the end of its socket.
It waits in `select` alone and shares the warm process's memory: an idle guard costs nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from launch_sdk.agent.child import run_order
from launch_sdk.agent.wire import KILL, TERMINATE, Order

if TYPE_CHECKING:
    import socket

    from launch_sdk.agent.warm import Preloaded

GRACE_S = 10.0  # between SIGTERM and SIGKILL: a flow stops its program, a program writes its checkpoint
REMOVAL_TIMEOUT_S = 30.0
_SWEEP_INTERVAL_S = 0.02
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class _Agent:
    """The agent, at the other end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.is_gone = False

    @property
    def descriptors(self) -> list[int]:
        """What to wait on for its words."""
        return [] if self.is_gone else [self._connection.fileno()]

    def read_order(self) -> Order | None:
        """Read the first line; None if the agent has gone before it was whole."""
        with self._connection.makefile("rb", buffering=0) as stream:
            line = stream.readline()
        return Order.decode(line) if line.endswith(b"\n") else None

    def hear(self) -> bytes:
        try:
            message = self._connection.recv(1024)
        except OSError:
            message = b""
        self.is_gone = not message
        return message

    def tell(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            self._connection.sendall(message)

    def close(self) -> None:
        self._connection.close()


def guard(connection: socket.socket, preloaded: Preloaded) -> int:
    """Run the order that comes over `connection`; return when nothing of it is left."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    agent = _Agent(connection)
    order = agent.read_order()
    if order is None:
        return 0
    guard_pid = os.getpid()
    pid = os.fork()
    if pid == 0:
        agent.close()
        _become_flow(order, preloaded, guard_pid)
    agent.tell(b"pid %d\n" % pid)
    agent.tell(b"exit %d\n" % _watch(agent, pid))
    _sweep(agent)
    _remove_container(order)
    return 0


def _remove_container(order: Order) -> None:
    """Remove the container that the flow has left, if it was killed and had one."""
    from launch_sdk.containers.removal import FOLDER
    from launch_sdk.runs.home import launch_home

    home = launch_home()
    if (home / FOLDER / f"{order.flow_run_id}.json").exists():
        with contextlib.suppress(OSError, subprocess.SubprocessError):  # whoever finds the note does it
            subprocess.run(
                [sys.executable, "-P", "-m", "launch_sdk.containers.removal", str(home), order.flow_run_id],
                env=order.env,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=REMOVAL_TIMEOUT_S,
                check=False,
            )


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


def _watch(agent: _Agent, pid: int) -> int:
    """Wait for the flow's process, passing on what the agent says; its exit code, negative for a signal."""
    process = os.pidfd_open(pid)
    kill_at: float | None = None
    while True:
        timeout_s = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        ready, _, _ = select.select([process, *agent.descriptors], [], [], timeout_s)
        if process in ready:
            os.close(process)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if not ready:
            _kill_descendants()
            kill_at = None
            continue
        message = agent.hear()
        if KILL in message:
            _kill_descendants()
        elif TERMINATE in message or agent.is_gone:
            _signal_group(pid, signal.SIGTERM)
        if agent.is_gone:  # nobody else will ever stop this run
            kill_at = time.monotonic() + GRACE_S


def _sweep(agent: _Agent) -> None:
    """End what the flow's process has left: SIGTERM once, SIGKILL after the grace or at the agent's word."""
    deadline = time.monotonic() + GRACE_S
    asked: set[int] = set()
    while _reap():
        left = _descendants()
        for pid in left - asked:
            _signal(pid, signal.SIGTERM)
        asked |= left
        if time.monotonic() > deadline:
            _kill_descendants()
        ready, _, _ = select.select(agent.descriptors, [], [], _SWEEP_INTERVAL_S)
        if ready and KILL in agent.hear():
            deadline = 0.0


def _reap() -> bool:
    """Collect the children that have ended; whether any is left."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _kill_descendants() -> None:
    for pid in _descendants():
        _signal(pid, signal.SIGKILL)


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
