"""The Prefect worker type `launch`: woken by events, and its runs are forked from a warm process.

Imported by every `prefect` command (entry point `prefect.collections`), so it imports nothing but Prefect's own worker
modules; the rest is imported when a worker starts.

Private parts of Prefect 3.8 that are overridden here: the underscored methods of `BaseWorker` below.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
from prefect.client.schemas.filters import WorkQueueFilter
from prefect.workers.process import ProcessJobConfiguration, ProcessVariables, ProcessWorker, ProcessWorkerResult

from launch_sdk.agent.cached_reads import ask_once_for_each_run, reads_for_a_run
from launch_sdk.agent.channel import connect_only_if
from launch_sdk.agent.devices import devices_of
from launch_sdk.agent.job_configuration import LaunchJobConfiguration
from launch_sdk.agent.slots import UNLIMITED, Lane, Slots
from launch_sdk.specs.resources import described, resources_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import WorkerFlowRunResponse
    from prefect.events import Event

    from launch_sdk.agent.engines import Engines
    from launch_sdk.agent.execution import Execution
    from launch_sdk.agent.wire import Order
    from launch_sdk.specs.queue_config import QueueConfig

_RECONNECT_S = 2.0
_QUEUES_STALE_S = 30.0  # events tell of new ones at once
_PAGE = 200  # how many runs the server gives at most, `PREFECT_SERVER_API_DEFAULT_LIMIT`
_SPARE = (
    2  # runs more than there are places for: some may start a little later, or just have been taken by another agent
)

_STATES_THAT_WAIT = ("Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot", "Resuming")  # names Prefect gives


class LaunchWorker(ProcessWorker):
    """Serves one queue (work pool). An agent has one for each queue; `prefect worker start` starts one alone."""

    type = "launch"
    job_configuration = LaunchJobConfiguration
    job_configuration_variables = ProcessVariables

    _display_name = "Launch"
    _description = "Runs jobs in processes forked from a warm interpreter; serves W&B Launch queues, self-hosted."

    def __init__(
        self,
        *args: Any,
        slots: Slots | None = None,
        execution: Execution | None = None,
        engines: Engines | None = None,
        preload: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make a worker; see Prefect's `BaseWorker` for the arguments not named here.

        Args:
            *args: passed on.
            slots: the places of the agent, shared by its workers; None to make them from `limit`.
            execution: what the agent's workers share, entered already; None to have one of its own.
            engines: says which runs an engine could start; None to try them all.
            preload: what programs of its queue are forked with if the queue does not say; None not to fork them.
            **kwargs: passed on.
        """
        limit = kwargs.pop("limit", None)
        super().__init__(*args, **kwargs)
        self._slots = slots or Slots(max_jobs=UNLIMITED if limit is None else limit, devices=devices_of(None))
        self._execution = execution
        self._engines = engines
        self._preload = preload
        self._own_execution = contextlib.AsyncExitStack()
        self._background: anyio.CancelScope = anyio.CancelScope()
        self._is_watching = False
        self._poll_lock = anyio.Lock()
        self._poll_again = False
        self._queue_names: dict[UUID, str] = {}
        self._queues_read_at = -inf
        self._schedulers_first = False
        self._cut_off: set[Lane] = set()  # whose lines may go on behind what the server has told
        self._unfit: set[UUID] = set()
        self._serves_embedded = False
        self._timed: set[asyncio.Task[None]] = set()
        self._slots.on_free(self._take_turn)
        if engines is not None:
            engines.on_better(self._poll_soon)

    async def __aenter__(self) -> Self:
        from launch_sdk._prefect.embedded import uses_embedded_server

        self._serves_embedded = uses_embedded_server()
        if self._execution is None:
            from launch_sdk.agent.execution import Execution

            self._execution = await self._own_execution.enter_async_context(Execution())
        await super().__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await super().__aexit__(*exc_info)
        finally:
            await self._own_execution.aclose()

    async def _mark_flow_run_as_cancelled(self, flow_run: FlowRun, state_updates: dict[str, Any] | None = None) -> None:
        await super()._mark_flow_run_as_cancelled(flow_run, state_updates)
        self._release_limit_slot(flow_run.id)  # Prefect keeps it, if the run's deployment does not exist any more

    async def _propose_submitting_state(self, flow_run: FlowRun) -> None:
        """A fork takes milliseconds: a state between Pending and Running would only cost the server."""

    async def setup(self) -> None:
        await super().setup()
        ask_once_for_each_run(self.client)

    async def teardown(self, *exc_info: Any) -> None:
        self._background.cancel()  # the base class waits for all tasks of the worker
        await super().teardown(*exc_info)

    async def _initialize_after_sync(self) -> None:
        await super()._initialize_after_sync()
        if self._work_pool is not None and not self._is_watching and self._runs_task_group is not None:
            self._is_watching = True
            self._runs_task_group.start_soon(self._watch_events)

    async def sync_with_backend(self) -> None:
        self.require_same_server()
        await super().sync_with_backend()
        config = self._queue_config()
        if config is not None:
            self._preload_soon(config)
            if self._engines is not None:
                self._engines.know(self._work_pool_name, config)

    def _ensure_worker_channel(self) -> None:
        is_new = self._worker_channel is None
        super()._ensure_worker_channel()
        if is_new:
            connect_only_if(self._worker_channel, self.require_same_server)

    def _preload_soon(self, config: QueueConfig) -> None:
        """Have ready what the queue's runs are forked from, as the queue says by now."""
        if self._execution is not None and (modules := self._modules(config)) is not None:
            from launch_sdk.agent.starter import parent_environment

            self._execution.preloaded.ensure(modules, parent_environment() | config.default_environment())

    def _queue_config(self) -> QueueConfig | None:
        from launch_sdk._prefect.placing import pool_config

        return None if self._work_pool is None else pool_config(self._work_pool)

    def _modules(self, config: QueueConfig) -> Sequence[str] | None:
        return self._preload if config.preload is None else config.preload

    def require_same_server(self) -> None:
        """Refuse another home's server that took the port of ours after it ended: its runs are not for this agent."""
        from launch_sdk._prefect.embedded import require_own_server

        if self._serves_embedded:
            require_own_server()

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Look for work now; calls that come while one is looking are served by one more look."""
        self.require_same_server()
        if self._poll_lock.locked():
            self._poll_again = True
            return []
        async with self._poll_lock:
            while True:
                self._poll_again = False
                submitted = await super().get_and_submit_flow_runs()
                if not self._poll_again:
                    return submitted

    async def look_and_wait(self) -> None:
        """Look for work, and return when that has been done, also if somebody was looking already."""
        await self.get_and_submit_flow_runs()
        async with self._poll_lock:  # whoever held it has looked once more for this call
            pass

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """Ask for what may start now, not for the whole line: the server takes milliseconds for each run in it."""
        names = await self._names_by_lane()
        free = [lane for lane in Lane if names[lane] and self._slots.room(lane)]
        self._cut_off.clear()
        if not free:
            return []
        is_whole_pool = len(free) == len(Lane) and not self._work_queues
        wanted = None if is_whole_pool else [name for lane in free for name in names[lane]]
        limit = int(min(_PAGE, self._slots.room(free[0]) + len(self._submitting_flow_run_ids) + _SPARE))
        if self.work_pool.concurrency_limit is not None:  # the server counts anew for each question
            limit = _PAGE
        found = await self._scheduled(wanted, limit)
        due = await self._due(found)
        if len(found) >= limit:
            self._cut_off.update(free)
            if self._schedulers_first and self._lane_of(found[-1]) is Lane.JOBS:
                self._cut_off.discard(Lane.SCHEDULERS)  # all of them stand before
        return due

    async def _rest_of_line(self) -> list[WorkerFlowRunResponse]:
        """Ask again where the first in line have left places free: they cannot start here, or are of the other lane."""
        names = await self._names_by_lane()
        lanes = [names[lane] for lane in self._cut_off if names[lane] and self._slots.room(lane)]
        return await self._due([entry for queues in lanes for entry in await self._scheduled(queues, _PAGE)])

    async def _scheduled(self, queues: list[str] | None, limit: int) -> list[WorkerFlowRunResponse]:
        """Ask for the first in line of some work queues, or of all; Prefect's own call has no limit."""
        from prefect.client.schemas.responses import WorkerFlowRunResponse

        before = datetime.now(UTC) + timedelta(seconds=self._prefetch_seconds)
        body = {"work_queue_names": queues, "scheduled_before": before.isoformat(), "limit": limit}
        route: Any = "/work_pools/{name}/get_scheduled_flow_runs"
        answer = await self.client.request("POST", route, path_params={"name": self._work_pool_name}, json=body)
        return WorkerFlowRunResponse.model_validate_list(answer.json())

    async def _due(self, found: list[WorkerFlowRunResponse]) -> list[WorkerFlowRunResponse]:
        """Leave out what is to start later: it takes no place yet, as it would with Prefect; look then."""
        now = datetime.now(UTC)
        if any(entry.work_queue_id not in self._queue_names for entry in found):
            self._queues_read_at = -inf
            await self._names_by_lane()
        starts = [(entry.flow_run.next_scheduled_start_time or now).timestamp() - now.timestamp() for entry in found]
        if later := [in_s for in_s in starts if in_s > 0]:
            asyncio.get_running_loop().call_later(min(later), self._poll_in_a_task)
        return [entry for entry, in_s in zip(found, starts, strict=True) if in_s <= 0]

    async def _names_by_lane(self) -> dict[Lane, list[str]]:
        if time.monotonic() - self._queues_read_at > _QUEUES_STALE_S:
            queues = await self.client.read_work_queues(
                work_pool_name=self._work_pool_name, work_queue_filter=WorkQueueFilter(), limit=200, offset=0
            )
            self._queue_names = {queue.id: queue.name for queue in queues}
            first = min(queues, key=lambda queue: queue.priority or 0, default=None)
            self._schedulers_first = first is not None and Lane.of_queue(first.name) is Lane.SCHEDULERS
            self._queues_read_at = time.monotonic()
        names = [name for name in self._queue_names.values() if not self._work_queues or name in self._work_queues]
        return {lane: [name for name in names if Lane.of_queue(name) is lane] for lane in Lane}

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        placed: list[WorkerFlowRunResponse] = []
        try:
            await self._place(flow_run_response, placed)
            await self._place(await self._rest_of_line(), placed)
        finally:  # whoever has a place by now starts, whatever the server says to the second question
            if placed:
                self._slots.served(self._take_turn)
            submitted = await super()._submit_scheduled_flow_runs(placed)
        return submitted

    async def _place(self, found: list[WorkerFlowRunResponse], placed: list[WorkerFlowRunResponse]) -> None:
        """Take a place for each run that can start here and now, and add it to those that have one."""
        for entry in found:
            lane = self._lane_of(entry)
            needs = resources_of(entry.flow_run.parameters)
            if not self._slots.devices.could_hold(needs):
                self._tell_unfit(entry.flow_run, needs)
            elif lane is Lane.JOBS and not await self._can_start(entry.flow_run):
                continue
            elif entry.flow_run.id not in self._submitting_flow_run_ids and self._slots.take(
                entry.flow_run.id, lane, entry.flow_run.name, needs
            ):
                placed.append(entry)

    def _lane_of(self, entry: WorkerFlowRunResponse) -> Lane:
        return Lane.of_queue(self._queue_names.get(entry.work_queue_id, ""))

    async def _can_start(self, flow_run: FlowRun) -> bool:
        return self._engines is None or await self._engines.can_start(self._work_pool_name, flow_run)

    def _tell_unfit(self, flow_run: FlowRun, needs: dict[str, int]) -> None:
        """Say once of a run that it asks for more than this agent has; it waits for another one."""
        if flow_run.id not in self._unfit:
            self._unfit.add(flow_run.id)
            text = f"it asks for {described(needs)}; agent {self.name} has {described(self._slots.devices.total)}"
            self._logger.warning("Flow run '%s' waits for another agent: %s.", flow_run.name, text)

    async def _submit_run(self, flow_run: FlowRun) -> None:
        self._require_execution().expect(flow_run.id)
        reads_for_a_run()
        await super()._submit_run(flow_run)

    def _release_limit_slot(self, flow_run_id: UUID) -> None:
        self._require_execution().forget(flow_run_id)
        self._slots.give_back(flow_run_id)

    def _poll_soon(self) -> None:
        if self.is_setup and self._runs_task_group is not None:
            self._runs_task_group.start_soon(self._poll_quietly)

    def _poll_in_a_task(self) -> None:
        """Do as `_poll_soon` does, for a timer: that calls from outside of any task, which no task group takes."""
        if self.is_setup:
            task = asyncio.get_running_loop().create_task(self._poll_quietly())
            self._timed.add(task)
            task.add_done_callback(self._timed.discard)

    async def _take_turn(self) -> None:
        """Look for work as the next in line, to the end of that."""
        if self.is_setup:
            await self._poll_quietly()

    async def _poll_quietly(self) -> None:
        try:
            await self.look_and_wait()
        except Exception as error:  # noqa: BLE001  # the next regular poll reports what stays wrong
            self._logger.debug("Looking for work failed: %s", error)

    async def _watch_events(self) -> None:
        from prefect.events.clients import get_events_subscriber
        from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

        wanted = EventFilter(
            event=EventNameFilter(name=[f"prefect.flow-run.{state}" for state in _STATES_THAT_WAIT]),
            any_resource=EventAnyResourceFilter(id=[f"prefect.work-pool.{self.work_pool.id}"]),
        )
        with self._background:
            while True:
                try:
                    async with get_events_subscriber(filter=wanted) as events:
                        self._queues_read_at = -inf  # whatever came while nobody listened
                        self._poll_soon()
                        async for event in events:
                            self._notice_new_queue(event)
                            self._poll_soon()
                except Exception as error:  # noqa: BLE001  # polling goes on meanwhile
                    self._logger.debug("The event stream was lost: %s", error)
                await anyio.sleep(_RECONNECT_S)

    def _notice_new_queue(self, event: Event) -> None:
        ids = {
            related.id.removeprefix("prefect.work-queue.") for related in event.related if related.role == "work-queue"
        }
        if not ids <= {str(queue_id) for queue_id in self._queue_names}:
            self._queues_read_at = -inf

    async def run(
        self,
        flow_run: FlowRun,
        configuration: ProcessJobConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> ProcessWorkerResult:
        """Run one flow run in a fork of the warm process, or as Prefect's own worker does if that cannot be."""
        if (
            not isinstance(configuration, LaunchJobConfiguration)
            or configuration.has_command
            or sys.platform != "linux"
        ):
            with self._require_execution().stoppable():
                return await super().run(flow_run, configuration, task_status)
            raise RuntimeError("The agent was told to end.")
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="launch-run-", ignore_cleanup_errors=True) as scratch:
            order = configuration.order_for(flow_run, str(configuration.working_dir or scratch))
            share = self._slots.devices.share_of(flow_run.id)
            order = self._with_fork(replace(order, env=order.env | share.environment, cpus=share.cpus))
            return await self._require_execution().run(flow_run, order, task_status or anyio.TASK_STATUS_IGNORED)

    def _with_fork(self, order: Order) -> Order:
        """Say in an order where its program may be forked, or why not, if the queue wants that at all."""
        from launch_sdk._prefect import names

        config = self._queue_config()
        modules = self._modules(config) if config is not None else None
        if modules is None or order.flow_name != names.RUN_JOB:
            return order
        place, reason = self._require_execution().preloaded.place_for(modules, order.env)
        return replace(order, preloaded=place, no_fork=reason)

    def _require_execution(self) -> Execution:
        if self._execution is None:
            raise RuntimeError("The worker has not been entered; use it as an async context manager.")
        return self._execution
