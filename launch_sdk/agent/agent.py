"""One agent: one process that serves several queues within common limits, until told to end or out of work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from enum import IntEnum
from typing import TYPE_CHECKING

import anyio
import httpx
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from launch_sdk._prefect.lost_runs import HEARTBEAT_S, LOOK_EVERY_S, LostRuns
from launch_sdk.agent.devices import devices_of
from launch_sdk.agent.execution import Execution
from launch_sdk.agent.slots import UNLIMITED, Slots
from launch_sdk.agent.starter import Project
from launch_sdk.agent.worker import LaunchWorker
from launch_sdk.errors import BackendUnavailableError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from prefect.client.schemas.objects import WorkPool

__all__ = ["Project", "serve"]

_LOOK_S = 0.25  # how often the end is looked for; costs nothing, asks nobody


class Ending(IntEnum):
    """How urgently an agent ends; each signal raises it by one."""

    NONE = 0
    WAIT = 1  # takes nothing new, waits for what runs
    CANCEL = 2  # cancels what runs
    KILL = 3


_SAYING = {
    Ending.WAIT: "Taking nothing new; waiting for what runs. Again to cancel it.",
    Ending.CANCEL: "Cancelling what runs. Again to kill it.",
    Ending.KILL: "Killing what runs.",
}


async def serve(
    queues: Sequence[str],
    *,
    max_jobs: int = 1,
    max_schedulers: int = UNLIMITED,
    name: str | None = None,
    exit_when_idle_s: float | None = None,
    slots: Mapping[str, int] | None = None,
    preemptible: bool = False,
    on_event: Callable[[str], None] = print,
    project: Project | None = None,
) -> None:
    """Serve queues until a signal or idleness ends it.

    The first SIGTERM or SIGINT takes nothing new and waits for what runs, the second cancels that, the third kills it.

    Args:
        queues: names of the queues; all must exist.
        max_jobs: how many jobs may run at once, over all queues together; -1 is unlimited.
        max_schedulers: how many sweeps may be led at once, likewise; they take no place of `max_jobs`.
        name: what the Prefect UI calls the agent; `agent-<host>-<pid>` by default.
        exit_when_idle_s: return when nothing has run or waited for so many seconds; None to stay.
        slots: how many GPUs and CPU cores runs may have for themselves, as `{"gpu": 2, "cpu": 8}`; what is not named is
            all that the machine has.
        preemptible: the first SIGTERM puts what runs back on its queue, at once: the host takes its machine back.
        on_event: is told what happens, a line of text each.
        project: the Prefect project whose flows are imported beforehand; None for none.

    Raises:
        NotFoundError: a queue does not exist; the message names those that do.
        ConflictError: a queue is a work pool of another type.
        InvalidSpecError: `slots` gives more than there is.
        BackendUnavailableError: the server cannot be reached.
    """
    devices = devices_of(slots)
    await _require_queues(queues)
    label = name or f"agent-{socket.gethostname()}-{os.getpid()}"
    places = Slots(max_jobs=max_jobs, max_schedulers=max_schedulers, devices=devices)
    heartbeat_s = min(HEARTBEAT_S, get_current_settings().worker.heartbeat_seconds)
    ending = _Signals(on_event)
    async with ending, Execution(project) as execution, contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(get_client())
        lost = LostRuns(client, list(dict.fromkeys(queues)), label, places.holds, 3 * heartbeat_s)
        workers = [
            await stack.enter_async_context(
                LaunchWorker(
                    work_pool_name=queue,
                    name=label,
                    create_pool_if_not_found=False,
                    heartbeat_interval_seconds=heartbeat_s,
                    slots=places,
                    execution=execution,
                )
            )
            for queue in dict.fromkeys(queues)
        ]
        on_event(f"Agent {label} serves {', '.join(dict.fromkeys(queues))}.")
        async with anyio.create_task_group() as loops:
            for worker in workers:
                loops.start_soon(
                    _keep, worker.get_and_submit_flow_runs, get_current_settings().worker.query_seconds, on_event
                )
                loops.start_soon(_keep, worker.sync_with_backend, worker.heartbeat_interval_seconds, on_event)
            loops.start_soon(
                _keep, lambda: _recover(lost, workers[0], on_event), min(LOOK_EVERY_S, heartbeat_s), on_event
            )
            await _until_end(places, ending, workers, exit_when_idle_s)
            places.close()
            if preemptible and ending.is_of_host:
                await execution.preempt_all()
            await _finish(places, ending, execution)
            loops.cancel_scope.cancel()
    on_event(f"Agent {label} has ended.")


async def _recover(lost: LostRuns, worker: LaunchWorker, on_event: Callable[[str], None]) -> None:
    worker.require_same_server()
    for line in await lost.look():
        on_event(line)


async def _require_queues(queues: Sequence[str]) -> None:
    pools = {pool.name: pool for pool in await _read_pools()}
    known = (
        ", ".join(f"'{name}'" for name, pool in sorted(pools.items()) if pool.type == LaunchWorker.type) or "none yet"
    )
    for queue in queues:
        if queue not in pools:
            raise NotFoundError(
                f"Queue '{queue}' does not exist; there are {known}. Create it: launch queue create {queue}"
            )
        if pools[queue].type != LaunchWorker.type:
            raise ConflictError(
                f"'{queue}' is a work pool of type '{pools[queue].type}'; agents serve type 'launch': {known}."
            )


async def _read_pools() -> list[WorkPool]:
    try:
        async with get_client() as client:
            found: list[WorkPool] = []
            while page := await client.read_work_pools(limit=200, offset=len(found)):
                found += page
            return found
    except httpx.TransportError as error:
        url = get_current_settings().api.url
        raise BackendUnavailableError(
            f"The server at {url} cannot be reached ({error}). Start it: launch server start"
        ) from error


async def _keep(action: Callable[[], Awaitable[object]], interval_s: float, on_event: Callable[[str], None]) -> None:
    """Do `action` every `interval_s` seconds; say once when it begins to fail, and once when it works again."""
    fails = False
    while True:
        try:
            await action()
        except Exception as error:  # noqa: BLE001  # an agent outlives every outage of its server
            if not fails:
                on_event(f"The server does not answer as it should, trying on: {error!r}")
            fails = True
        else:
            if fails:
                on_event("The server answers again.")
            fails = False
        await anyio.sleep(interval_s)


async def _until_end(
    slots: Slots, ending: _Signals, workers: Sequence[LaunchWorker], exit_when_idle_s: float | None
) -> None:
    last_busy = time.monotonic()
    while ending.level is Ending.NONE:
        with anyio.move_on_after(_LOOK_S):
            await ending.changed.wait()
        if slots.held:
            last_busy = time.monotonic()
        if exit_when_idle_s is None or time.monotonic() - last_busy < exit_when_idle_s:
            continue
        for worker in workers:  # a run may have come without an event
            with contextlib.suppress(Exception):
                await worker.get_and_submit_flow_runs()
        if not slots.held and not any(worker.is_looking for worker in workers):
            return


async def _finish(slots: Slots, ending: _Signals, execution: Execution) -> None:
    """Wait for what runs, pressing as the signals say; again and again, for a run may only now get its process."""
    async with anyio.create_task_group() as pressing:
        while slots.held:
            if ending.level >= Ending.KILL:
                pressing.start_soon(execution.kill_all)
            elif ending.level >= Ending.CANCEL:
                pressing.start_soon(execution.cancel_all, "The agent was told to end.")
            with anyio.move_on_after(_LOOK_S):
                await ending.changed.wait()
        pressing.cancel_scope.cancel()


class _Signals:
    """SIGTERM and SIGINT, counted."""

    def __init__(self, on_event: Callable[[str], None]) -> None:
        self.level = Ending.NONE
        self.is_of_host = False  # SIGTERM: not somebody at the terminal
        self.changed = anyio.Event()
        self._on_event = on_event

    async def __aenter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._raise, number)

    async def __aexit__(self, *exc_info: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _raise(self, number: int) -> None:
        self.is_of_host |= number == signal.SIGTERM
        self.level = Ending(min(self.level + 1, Ending.KILL))
        self._on_event(_SAYING[self.level])
        self.changed.set()
        self.changed = anyio.Event()
