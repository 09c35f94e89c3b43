"""Reading queues, what waits on them and why, and the agents that poll them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from launch_sdk._prefect import names
from launch_sdk._prefect.agent_records import AgentRecord, read_records
from launch_sdk._prefect.parents import seen_state
from launch_sdk._prefect.placing import pool_config, priority_of, read_work_queues
from launch_sdk._prefect.queues import AGENT_SILENT_S, is_dead_agent, read_pool, read_pools
from launch_sdk._prefect.views import run_page
from launch_sdk.queue_views import AgentView, QueueItem, QueueView, Waiting
from launch_sdk.runs.processes import is_dead
from launch_sdk.specs.resources import resources_of
from launch_sdk.specs.run_state import RunState

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, WorkPool, WorkQueue

PAGE = 200
WAITING = ("SCHEDULED",)
ACTIVE = ("PENDING", "RUNNING", "CANCELLING")


async def flow_runs_on(client: PrefectClient, queue: str, states: Sequence[str]) -> list[FlowRun]:
    """Return the flow runs of a queue in these states, those first that are to start first."""
    from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": list(states)}}})
    pool = WorkPoolFilter.model_validate({"name": {"any_": [queue]}})
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            flow_run_filter=wanted,
            work_pool_filter=pool,
            sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC,
            limit=PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < PAGE:
            return found


async def count_on(client: PrefectClient, queue: str, states: Sequence[str]) -> int:
    """Count the flow runs of a queue in these states."""
    from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter

    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": list(states)}}})
    pool = WorkPoolFilter.model_validate({"name": {"any_": [queue]}})
    return await client.count_flow_runs(flow_run_filter=wanted, work_pool_filter=pool)


async def read_agents(client: PrefectClient, pools: Iterable[str] | None = None) -> list[AgentView]:
    """Return the agents that poll these queues, all if None: ours by their records, others as Prefect's workers."""
    known = [pool.name for pool in await read_pools(client)] if pools is None else list(pools)
    records, wanted = await read_records(client)
    heard = {pool: await client.read_workers_for_work_pool(pool, limit=PAGE, offset=0) for pool in known}
    ours = [record for record in records if pools is None or set(record.queues) & set(known)]
    views = [_of_record(record, heard, wanted.get(record.key)) for record in ours]
    recorded = {(record.name, queue) for record in ours for queue in record.queues}
    others: dict[str, list[tuple[str, Any]]] = {}
    for pool, workers in heard.items():
        for worker in workers:
            if (worker.name, pool) not in recorded:
                others.setdefault(worker.name, []).append((pool, worker))
    views += [view for name, seen in others.items() if (view := _of_workers(name, seen)).is_online]
    return sorted(views, key=lambda view: view.name)


def _of_record(record: AgentRecord, heard: dict[str, list[Any]], wanted: str | None) -> AgentView:
    workers = [worker for queue in record.queues for worker in heard.get(queue, []) if worker.name == record.name]
    return AgentView(
        name=record.name,
        queues=record.queues,
        is_online=not is_dead(record.process) and any(_is_fresh(worker) for worker in workers),
        last_seen=_last_seen(workers),
        host=record.host,
        pid=record.pid,
        max_jobs=record.max_jobs,
        max_schedulers=record.max_schedulers,
        runs=record.runs,
        more_runs=record.more_runs,
        more_sweeps=record.more_sweeps,
        wanted=wanted,
        trouble=record.trouble,
        devices=record.devices,
        free=record.free,
    )


def _of_workers(name: str, seen: Sequence[tuple[str, Any]]) -> AgentView:
    workers = [worker for _, worker in seen]
    online = any(_is_fresh(worker) for worker in workers) and not is_dead_agent(name)
    return AgentView(name, tuple(pool for pool, _ in seen), online, _last_seen(workers))


def _is_fresh(worker: Any) -> bool:
    beat = worker.last_heartbeat_time
    return beat is not None and worker.status == "ONLINE" and time.time() - beat.timestamp() < AGENT_SILENT_S


def _last_seen(workers: Sequence[Any]) -> float | None:
    beats = [worker.last_heartbeat_time.timestamp() for worker in workers if worker.last_heartbeat_time is not None]
    return max(beats, default=None)


async def queue_has_agent(client: PrefectClient, name: str) -> bool:
    """Say whether any worker polls the queue, ours or Prefect's own.

    The server believes in a worker for three heartbeats after its last; an agent of this machine whose process is gone
    is not believed in.
    """
    return any(agent.is_online for agent in await read_agents(client, [name]))


async def read_queue(client: PrefectClient, name: str, ui: str) -> QueueView:
    """Return a queue.

    Raises:
        NotFoundError: there is none; the message names those there are.
    """
    return await queue_view(client, await read_pool(client, name), await read_agents(client, [name]), ui)


async def queue_view(client: PrefectClient, pool: WorkPool, agents: Sequence[AgentView], ui: str) -> QueueView:
    """Give what is known of a queue.

    Args:
        client: of the server.
        pool: its work pool.
        agents: all that poll it, and perhaps others.
        ui: address of the UI.
    """
    return QueueView(
        name=pool.name,
        url=f"{ui}/work-pools/work-pool/{pool.name}",
        config=pool_config(pool),
        is_paused=pool.is_paused,
        agents=tuple(agent.name for agent in agents if agent.is_online and pool.name in agent.queues),
        waiting=await count_on(client, pool.name, WAITING),
        running=await count_on(client, pool.name, ACTIVE),
        concurrency_limit=pool.concurrency_limit,
        kind=pool.type,
        trouble={one.name: one.trouble[pool.name] for one in agents if one.is_online and pool.name in one.trouble},
    )


@dataclass
class Line:
    """All that decides when the runs of one queue start, as of now.

    Attributes:
        pool, work_queues: of the queue, the latter in the order in which the server empties them.
        agents: those that poll it.
        waiting, active: its flow runs; the former in the order in which they are taken.
        now: unix seconds.
    """

    pool: WorkPool
    work_queues: list[WorkQueue]
    agents: list[AgentView]
    waiting: list[FlowRun]
    active: list[FlowRun]
    now: float

    @classmethod
    async def read(cls, client: PrefectClient, name: str) -> Line:
        """Read a queue's line.

        Raises:
            NotFoundError: there is none; the message names those there are.
        """
        pool = await read_pool(client, name)
        work_queues = await read_work_queues(client, name)
        waiting = await flow_runs_on(client, name, WAITING)
        rank = {one.name: position for position, one in enumerate(work_queues)}
        waiting.sort(key=lambda run: (rank.get(run.work_queue_name or "", len(rank)), _starts(run)))
        return cls(
            pool,
            work_queues,
            await read_agents(client, [name]),
            waiting,
            await flow_runs_on(client, name, ACTIVE),
            datetime.now(UTC).timestamp(),
        )

    def why(self, flow_run: FlowRun) -> str:
        """Say why one of its flow runs waits."""
        state = flow_run.state
        is_sweep = flow_run.work_queue_name == names.SCHEDULERS
        paused = {one.name for one in self.work_queues if one.is_paused}
        priority = priority_of(flow_run.work_queue_name)
        is_paused = flow_run.work_queue_name in paused
        return Waiting(
            queue=self.pool.name,
            now=self.now,
            starts=_starts(flow_run),
            state_name=(state.name if state is not None else None) or "Scheduled",
            is_sweep=is_sweep,
            is_paused=self.pool.is_paused,
            paused_priority=(priority.label if priority is not None else "of sweeps") if is_paused else None,
            limit=self._limit(flow_run),
            agents=self.agents,
            before=self._before(flow_run, is_sweep=is_sweep),
            needs=resources_of(flow_run.parameters or {}),
        ).reason

    def _limit(self, flow_run: FlowRun) -> tuple[int, list[str]] | None:
        """Return the limit that is nearest to being reached: that of the pool, or of the run's work queue."""
        own = next((one for one in self.work_queues if one.name == flow_run.work_queue_name), None)
        holding = [run for run in self.active if run.state is not None and run.state.type.value != "CANCELLING"]
        same = [run.name for run in holding if run.work_queue_name == flow_run.work_queue_name]
        limits = [(self.pool.concurrency_limit, [run.name for run in holding])]
        limits.append((own.concurrency_limit if own is not None else None, same))
        set_ones = [(limit, runs) for limit, runs in limits if limit is not None]
        return min(set_ones, key=lambda one: one[0] - len(one[1]), default=None)

    def _before(self, flow_run: FlowRun, *, is_sweep: bool) -> int:
        lane = [run for run in self.waiting if (run.work_queue_name == names.SCHEDULERS) is is_sweep]
        ids = [run.id for run in lane if _starts(run) <= self.now or run.id == flow_run.id]
        return ids.index(flow_run.id) if flow_run.id in ids else 0


def _starts(flow_run: FlowRun) -> float:
    at = flow_run.next_scheduled_start_time or flow_run.expected_start_time
    return at.timestamp() if at is not None else 0.0


async def why_waiting(client: PrefectClient, flow_run: FlowRun) -> str | None:
    """Say why a flow run waits; None if it does not."""
    if seen_state(flow_run) is not RunState.QUEUED:
        return None
    if flow_run.work_pool_name is None:
        return Waiting(None, time.time()).reason if flow_run.deployment_id is not None else None
    return (await Line.read(client, flow_run.work_pool_name)).why(flow_run)


async def read_items(client: PrefectClient, name: str, ui: str) -> list[QueueItem]:
    """Return what is on a queue and has not ended: those that wait, in the order of their turn, then the others.

    Raises:
        NotFoundError: there is no such queue; the message names those there are.
    """
    line = await Line.read(client, name)
    waiting = [_item(run, ui, line.why(run)) for run in line.waiting]
    return [*waiting, *(_item(run, ui, None) for run in line.active)]


def _item(flow_run: FlowRun, ui: str, waits: str | None) -> QueueItem:
    return QueueItem(
        run_id=str(flow_run.id),
        name=flow_run.name,
        url=run_page(ui, flow_run.id),
        state=seen_state(flow_run),
        priority=priority_of(flow_run.work_queue_name),
        submitted=flow_run.created.timestamp() if flow_run.created is not None else None,
        waits=waits,
        sweep=names.sweep_of(flow_run.tags),
    )
