"""A preloaded process: imports what a queue names, then forks a guard and a program for every run that asks for one.

It imports no Prefect, and nothing of ours stays in `sys.modules`: a program finds what it would find in an interpreter
of its own, and the preloaded modules. What cannot be made so in a fork (variables that are read before the first line)
is compared, and the program refused if it differs: its run starts it in a new interpreter then.

It must stay single-threaded, as the warm process must: a module that starts a thread is left out. (Threads that a
library starts below Python's, as OpenBLAS does, are that library's to handle; those of NumPy and PyTorch do.)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from launch_sdk.agent.becoming import ProgramStart
from launch_sdk.agent.guard import Overseers, guard, settle
from launch_sdk.runs.program_order import GO, READY, REFUSED, RUN_ID_ROOM, ProgramOrder, differing, read_early

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN_ID_MARK = b"LAUNCH_RUN_ID="
_ORDER_S = 10.0
_BACKLOG = 64


class _Become(BaseException):
    """Unwinds a program's process out of the frames of its guard, to where it starts its program."""

    def __init__(self, order: ProgramOrder, output: int) -> None:
        self.order, self.output = order, output


@dataclass(frozen=True)
class _Plan:
    """What the agent wants.

    Attributes:
        modules: to import, in this order.
        place: path of the socket to listen on.
        root: folder of `launch_sdk`.
        room: nothing; it makes room for the command line that a program shows.
    """

    modules: list[str]
    place: str
    root: str
    room: str = ""


def serve(plan_text: str) -> ProgramStart:
    """Fork programs until the agent is gone; return in each program's process."""
    plan = _Plan(**json.loads(plan_text))
    control = socket.socket(fileno=os.dup(0))
    _discard_input()
    early = read_early(os.environ, plan.modules)
    control.sendall(json.dumps(_preload(plan, control)).encode() + b"\n")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel may reap guards
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(plan.place)
    listening.listen(_BACKLOG)
    control.sendall(b"ready\n")
    gc.collect()
    gc.freeze()  # keep the shared pages shared
    try:
        _serve(control, listening, early, bool(plan.modules))
    except _Become as become:
        return ProgramStart(become.order, become.output)
    _remove(plan.place)
    sys.exit()


def _remove(place: str) -> None:
    """Leave nothing on the disk, though the agent was killed: the last one of an agent takes their folder along."""
    with contextlib.suppress(OSError):
        os.unlink(place)  # noqa: PTH108  # no pathlib needed for it
        os.rmdir(os.path.dirname(place))  # noqa: PTH106, PTH120


def _discard_input() -> None:
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)


def _preload(plan: _Plan, control: socket.socket) -> dict[str, object]:
    """Import the modules; say how long that took and what could not be, each with why."""
    began = time.monotonic()
    faults: list[str] = []
    for name in plan.modules:
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  # whatever it raises, a program that imports it gets to see it
            faults.append(f"{name} cannot be imported: {error!r}")
        threads = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
        if threads:
            control.sendall(json.dumps({"faults": [f"{name} starts threads ({', '.join(threads)})"]}).encode() + b"\n")
            _start_again_without(plan, name, control)
    return {"seconds": time.monotonic() - began, "faults": faults}


def _start_again_without(plan: _Plan, name: str, control: socket.socket) -> NoReturn:
    os.dup2(control.fileno(), 0)
    rest = {**plan.__dict__, "modules": [one for one in plan.modules if one != name]}
    program = [sys.executable, sys.orig_argv[1], json.dumps(rest)]
    os.execv(sys.executable, program)  # noqa: S606  # the same program again


def _serve(control: socket.socket, listening: socket.socket, early: dict[str, str], has_modules: bool) -> None:
    while True:
        ready, _, _ = select.select([control, listening], [], [])
        if control in ready:  # it says nothing, so this is its end
            return
        connection, _ = listening.accept()
        if os.fork() == 0:
            control.close()
            listening.close()
            _become_guard(connection, early, has_modules)
        connection.close()


def _become_guard(connection: socket.socket, early: dict[str, str], has_modules: bool) -> NoReturn:
    code = 1
    try:
        _guard(connection, early, has_modules)
        code = 0
    except _Become:
        raise  # the program's process, on its way
    except BaseException:  # noqa: BLE001  # nothing may unwind into the frames of the preloaded process
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def _guard(connection: socket.socket, early: dict[str, str], has_modules: bool) -> None:
    settle()
    connection.settimeout(_ORDER_S)
    order, descriptors = _receive(connection)
    if order is None:
        return
    now = read_early(order.env, ["any"] if has_modules else [])
    if names := differing(early, now):
        connection.sendall(REFUSED + f"{', '.join(names)} would come too late: set where the agent is\n".encode())
        return
    connection.sendall(READY)
    if connection.recv(len(GO), socket.MSG_WAITALL) != GO:
        return
    connection.settimeout(None)
    output, lifeline = descriptors
    _show(order)
    overseers = Overseers(connection, socket.socket(fileno=lifeline))

    def become() -> NoReturn:
        raise _Become(order, output)

    guard(overseers, become)


def _receive(connection: socket.socket) -> tuple[ProgramOrder | None, Sequence[int]]:
    """Read an order and its two descriptors; None if whoever sends it is gone before it is whole."""
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 2)
    while data and not data.endswith(b"\n"):
        more = connection.recv(1 << 16)
        if not more:
            return None, ()
        data += more
    return (ProgramOrder.decode(data) if data and len(descriptors) == 2 else None), descriptors  # noqa: PLR2004


def _show(order: ProgramOrder) -> None:
    """Have /proc and `ps` show the program's command line, and the id of its run in its environment.

    The kernel shows the memory in which it left both when it started this process: fields 48 to 51 of proc(5).
    """
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # no pathlib needed for it
        fields = file.read().rpartition(")")[2].split()
    arg_start, arg_end, env_start, env_end = (int(field) for field in fields[45:49])
    if not arg_start or not env_start:
        return
    room = arg_end - arg_start
    words = b"\0".join(os.fsencode(word) for word in order.argv)[: room - 1]
    ctypes.memmove(arg_start, words.ljust(room, b"\0"), room)
    at = ctypes.string_at(env_start, env_end - env_start).find(RUN_ID_MARK)
    value = os.fsencode(order.run_id)[:RUN_ID_ROOM].ljust(RUN_ID_ROOM, b"\0")
    if at >= 0:
        ctypes.memmove(env_start + at + len(RUN_ID_MARK), value, RUN_ID_ROOM)
