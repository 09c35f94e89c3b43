"""Facts about processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT_PROCESS = "LAUNCH_AGENT"  # variable of a flow's process: the process of the agent that has it


def process_start_time(pid: int) -> float | None:
    """Return when the kernel started process `pid`, in clock ticks since boot; None if it is not running.

    A process id is used again after its process has ended; the pair of id and start time is not. Zombies count as
    ended. Source: proc(5), fields 3 and 22 of /proc/[pid]/stat.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else float(fields[19])


def process_identifier(pid: int) -> str:
    """Name a process of this machine so that its life can be checked later: `host:pid:kernel start time`."""
    return f"{socket.gethostname()}:{pid}:{process_start_time(pid) or 0:.0f}"


def is_dead(identifier: str | None) -> bool:
    """Say whether a process that `process_identifier` named is known to be gone.

    False for a process of another machine and for an identifier of another form: then nothing is known.
    """
    host, _, rest = (identifier or "").partition(":")
    pid, _, started = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or not started.isdigit() or int(pid) == os.getpid():
        return False
    return process_start_time(int(pid)) != float(started)


def is_alive(identifier: str) -> bool:
    """Say whether a process that `process_identifier` named is known to live; False if nothing is known."""
    host, _, rest = identifier.partition(":")
    pid, _, started = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or not started.isdigit():
        return False
    return process_start_time(int(pid)) == float(started)


def has_processes(run_id: str) -> bool:
    """Say whether a program of a run is left on this machine: any process that was started with the run's id."""
    return next(_pids_of(run_id), None) is not None


def end_processes(run_id: str, grace_s: float) -> None:
    """End what a run has left, also what has left its group and session, as a daemon does: SIGTERM, later SIGKILL.

    Whatever interrupts the wait, such as a second Ctrl-C, cuts it short.
    """
    try:
        for step, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            asked = set[int]()
            deadline = time.monotonic() + wait_s
            while time.monotonic() < deadline:
                left = set(_pids_of(run_id))
                if not left:
                    return
                for pid in left - asked:
                    _signal_of_run(run_id, pid, step)
                asked |= left
                time.sleep(0.02)
    except BaseException:
        for pid in _pids_of(run_id):
            _signal_of_run(run_id, pid, signal.SIGKILL)
        raise


def _signal_of_run(run_id: str, pid: int, number: signal.Signals) -> None:
    """Signal a process if it still is one of the run: its id may be another's by now."""
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            if _is_of_run(Path(f"/proc/{pid}"), run_id):
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def _pids_of(run_id: str) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        if _is_of_run(entry, run_id):
            yield int(entry.name)


def _is_of_run(entry: Path, run_id: str) -> bool:
    mark = f"{protocol.RUN_ID}={run_id}".encode()
    try:
        return mark in (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # another user's, or gone
        return False


def group_is_alive(group: int) -> bool:
    """Say whether any process of the group is left, but for zombies that nobody has reaped."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return any(_belongs(entry, group) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _belongs(entry: Path, group: int) -> bool:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[2]) == group and fields[0] not in {"Z", "X"}


def terminate_group(group: int, grace_s: float) -> None:
    """End a process group: SIGTERM, up to `grace_s` seconds to leave, then SIGKILL.

    Whatever interrupts the wait, such as a second Ctrl-C, cuts it short: the group is killed at once.
    """
    try:
        _end_group(group, grace_s)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        raise


def _end_group(group: int, grace_s: float) -> None:
    for step, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(group, step)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if not group_is_alive(group):
                return
            time.sleep(0.02)
