"""Facts about processes of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

from launch_sdk.tracking import protocol

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
    mark = f"{protocol.RUN_ID}={run_id}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # another user's, or gone
            if mark in environ.read_bytes().split(b"\0"):
                return True
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
