"""One agent: one process that serves several queues within common limits, until told to end or out of work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from dataclasses import replace
from enum import IntEnum
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from launch_sdk._prefect.agent_records import CANCEL
from launch_sdk._prefect.lost_runs import HEARTBEAT_S, LOOK_EVERY_S, LostRuns
from launch_sdk._prefect.placing import pool_config
from launch_sdk.agent.devices import devices_of
from launch_sdk.agent.engines import Engines
from launch_sdk.agent.execution import Execution
from launch_sdk.agent.presence import Presence
from launch_sdk.agent.slots import UNLIMITED, Lane, Slots
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


# What a flow's process imports for a container; 0.3 s, which the warm process has spent already.
CONTAINER_MODULES = ("docker", "docker.types", "docker.utils.socket", "launch_sdk.runs.container_place")
_ASKED = {CANCEL: Ending.CANCEL}  # by a user, on the server; anything else is Ending.WAIT
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
    status_every_s: float | None = None,
    preload: Sequence[str] | None = None,
) -> None:
    """Serve queues until a signal, a user's word on the server, or idleness ends it.

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
        status_every_s: tell what runs so often; None never.
        preload: modules to import beforehand for the programs of queues that name none, which are forked then; None
            to fork no program of such a queue.

    Raises:
        NotFoundError: a queue does not exist; the message names those that do.
        ConflictError: a queue is a work pool of another type.
        InvalidSpecError: `slots` gives more than there is.
        BackendUnavailableError: the server cannot be reached.
    """
    devices = devices_of(slots)
    has_containers = await _require_queues(queues)
    if has_containers:
        project = replace(project or Project(), modules=CONTAINER_MODULES)
    label = name or f"agent-{socket.gethostname()}-{os.getpid()}"
    places = Slots(max_jobs=max_jobs, max_schedulers=max_schedulers, devices=devices)
    heartbeat_s = min(HEARTBEAT_S, get_current_settings().worker.heartbeat_seconds)
    ending = _Signals(on_event)
    engines = Engines(on_event)
    presence = Presence(label, queues, places, lambda wanted: ending.ask(_ASKED.get(wanted, Ending.WAIT)), engines)
    async with ending, Execution(project, on_event) as execution, contextlib.AsyncExitStack() as stack:
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
                    engines=engines,
                    preload=preload,
                )
            )
            for queue in dict.fromkeys(queues)
        ]
        on_event(f"Agent {label} serves {', '.join(dict.fromkeys(queues))}.")
        async with anyio.create_task_group() as loops:
            for queue, worker in zip(dict.fromkeys(queues), workers, strict=True):
                told = _Trouble(queue, on_event)
                poll_s = get_current_settings().worker.query_seconds
                loops.start_soon(_keep, worker.get_and_submit_flow_runs, poll_s, told)
                loops.start_soon(_keep, worker.sync_with_backend, worker.heartbeat_interval_seconds, told)
            recover = partial(_recover, lost, workers[0], on_event)
            loops.start_soon(_keep, recover, min(LOOK_EVERY_S, heartbeat_s), _Trouble(queues[0], on_event))
            loops.start_soon(engines.keep, client)
            loops.start_soon(presence.keep, workers[0].require_same_server)
            if status_every_s is not None:
                loops.start_soon(_tell_status, label, places, status_every_s, on_event)
            await _until_end(places, ending, workers, exit_when_idle_s)
            places.close()
            if preemptible and ending.is_of_host:
                await execution.preempt_all()
            await _finish(places, ending, execution)
            loops.cancel_scope.cancel()
    await presence.leave(workers[0].require_same_server)
    on_event(f"Agent {label} has ended.")


async def _recover(lost: LostRuns, worker: LaunchWorker, on_event: Callable[[str], None]) -> None:
    worker.require_same_server()
    for line in await lost.look():
        on_event(line)


async def _tell_status(label: str, slots: Slots, every_s: float, on_event: Callable[[str], None]) -> None:
    while True:
        await anyio.sleep(every_s)
        names = [slots.name_of(run) for run, lane in slots.holders() if lane is Lane.JOBS]
        limit = slots.limit(Lane.JOBS)
        most = "" if limit == UNLIMITED else f" out of a maximum of {limit}"
        sweeps = slots.held - len(names)
        led = f", {sweeps} sweeps led" if sweeps else ""
        on_event(f"Agent {label} runs {len(names)}{most}{led}" + (f": {', '.join(names)}" if names else "."))


async def _require_queues(queues: Sequence[str]) -> bool:
    """Check that all queues can be served; whether runs of any are containers."""
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
    return any(pool_config(pools[queue]).container is not None for queue in queues)


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


class _Trouble:
    """Says once when it begins that a queue cannot be served, and once when it can be again."""

    def __init__(self, queue: str, on_event: Callable[[str], None]) -> None:
        self._queue = queue
        self._on_event = on_event
        self._failing: set[object] = set()

    def begins(self, what: object, error: Exception) -> None:
        if not self._failing:
            self._on_event(self._told(error))
        self._failing.add(what)

    def ends(self, what: object) -> None:
        was_failing = bool(self._failing)
        self._failing.discard(what)
        if was_failing and not self._failing:
            self._on_event("The server answers again.")

    def _told(self, error: Exception) -> str:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, ObjectNotFound) or status == HTTPStatus.NOT_FOUND:
            return (
                f"Queue {self._queue!r} is gone; what runs goes on. If it is made again, it is served again."
                " To end the agent: Ctrl-C."
            )
        return f"The server does not answer as it should, trying on: {error!r}"


async def _keep(action: Callable[[], Awaitable[object]], interval_s: float, trouble: _Trouble) -> None:
    """Do `action` every `interval_s` seconds, whatever happens."""
    while True:
        try:
            await action()
        except Exception as error:  # noqa: BLE001  # an agent outlives every outage of its server
            trouble.begins(action, error)
        else:
            trouble.ends(action)
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
                await worker.look_and_wait()
        if not slots.held:
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
        self._set(Ending(min(self.level + 1, Ending.KILL)))

    def ask(self, level: Ending) -> None:
        """End as urgently as this, if not more so already."""
        if level > self.level:
            self._set(level)

    def _set(self, level: Ending) -> None:
        self.level = level
        self._on_event(_SAYING[self.level])
        self.changed.set()
        self.changed = anyio.Event()
