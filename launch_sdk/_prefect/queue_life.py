"""What people do with queues and agents: make, change, pause and delete them, take a run off, end an agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from launch_sdk._prefect import names
from launch_sdk._prefect.agent_records import CANCEL, STOP, ask, read_records
from launch_sdk._prefect.placing import ensure_priorities, pool_config, template_with
from launch_sdk._prefect.queue_reading import (
    WAITING,
    flow_runs_on,
    queue_view,
    read_agents,
    read_items,
    read_queue,
)
from launch_sdk._prefect.queues import create_queue, ensure_queues, read_pool, read_pools
from launch_sdk._prefect.views import run_state
from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.runs.processes import is_dead
from launch_sdk.specs.placement import DEFAULT_QUEUE
from launch_sdk.specs.queue_config import QueueConfig, check_queue_name, submitter
from launch_sdk.specs.run_state import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, WorkPool

    from launch_sdk.queue_views import AgentView, QueueItem, QueueView

AT_ONCE = 4


class QueueLife:
    """Carries out what people want of queues and agents on the server."""

    def __init__(self, client: PrefectClient, ui: str) -> None:
        self.client = client
        self.ui = ui

    async def create(self, name: str, config: QueueConfig | None) -> None:
        """Make a queue.

        Raises:
            ConflictError: there is one of this name.
            InvalidSpecError: no queue may be called so.
        """
        if any(pool.name == name for pool in await read_pools(self.client)):
            raise ConflictError(f"Queue {name!r} exists already. Change it: launch queue update {name} -c FILE")
        check_queue_name(name)
        await create_queue(self.client, name)
        if config is not None:
            await self.update(name, config)
        await ensure_priorities(self.client, name)
        await ensure_queues([name])

    async def update(self, name: str, config: QueueConfig) -> None:
        """Replace what the owner of a queue decided; what waits keeps what it was given.

        Raises:
            ConflictError: it is a work pool of another type.
            InvalidSpecError: it is somebody else's private one.
            NotFoundError: there is none; the message names those there are.
        """
        from prefect.client.schemas.actions import WorkPoolUpdate

        pool = await self._own_pool(name)
        changed = WorkPoolUpdate(
            description=config.description or "", base_job_template=template_with(pool.base_job_template, config)
        )
        await self.client.update_work_pool(name, changed)

    async def views(self) -> list[QueueView]:
        """Return every queue, by name."""
        pools = sorted(await read_pools(self.client), key=lambda pool: pool.name)
        agents = await read_agents(self.client, [pool.name for pool in pools])
        return [await queue_view(self.client, pool, agents, self.ui) for pool in pools]

    async def view(self, name: str) -> QueueView:
        return await read_queue(self.client, name, self.ui)

    async def items(self, name: str) -> list[QueueItem]:
        return await read_items(self.client, name, self.ui)

    async def pause(self, name: str, *, paused: bool) -> None:
        """Give agents nothing of a queue, or again; what runs goes on.

        Raises:
            NotFoundError: there is none; the message names those there are.
        """
        from prefect.client.schemas.actions import WorkPoolUpdate

        await self._own_pool(name)
        await self.client.update_work_pool(name, WorkPoolUpdate(is_paused=paused))

    async def delete(self, name: str) -> int:
        """Delete a queue. What waits on it ends as cancelled, what runs goes on.

        Returns:
            How many waited.

        Raises:
            ConflictError: it is the default one, or a sweep on it goes on, which could start no more runs.
            NotFoundError: there is none; the message names those there are.
        """
        if name == DEFAULT_QUEUE:
            raise ConflictError(
                f"The {name!r} queue cannot be deleted. Take what waits off it: launch queue items {name}"
            )
        pool = await self._own_pool(name)
        active = await flow_runs_on(self.client, name, ("PENDING", "RUNNING", "CANCELLING"))
        if sweeps := [
            names.sweep_of(run.tags) or run.name for run in active if run.work_queue_name == names.SCHEDULERS
        ]:
            ids = ", ".join(sweeps)
            raise ConflictError(
                f"Queue {name!r} has a sweep that goes on and needs it for its runs: {ids}."
                f" End it first: launch sweep stop {sweeps[0]}"
            )
        await self.pause(pool.name, paused=True)  # no agent takes what is about to end
        waiting = await flow_runs_on(self.client, name, WAITING)
        await self._cancel(waiting, f"Queue {name!r} was deleted.")
        await self.client.delete_work_pool(name)
        return len(waiting)

    async def delete_item(self, name: str, flow_run: FlowRun) -> None:
        """Take a run off a queue on which it waits.

        Raises:
            ConflictError: it waits no more.
            NotFoundError: it is not on this queue.
        """
        if flow_run.work_pool_name != name:
            where = f"is on queue {flow_run.work_pool_name!r}" if flow_run.work_pool_name else "is on no queue"
            raise NotFoundError(f"Run {flow_run.name!r} ({flow_run.id}) {where}, not on {name!r}.")
        state = run_state(flow_run)
        if state is not RunState.QUEUED:
            end_it = "" if state.is_terminal else f" End it: launch run cancel {flow_run.id}"
            raise ConflictError(f"Run {flow_run.name!r} ({flow_run.id}) waits no more, it is {state.value}.{end_it}")
        await self._cancel([flow_run], f"Taken off queue {name!r}.")

    async def agents(self) -> list[AgentView]:
        """Return every agent, by name."""
        return await read_agents(self.client)

    async def stop_agent(self, name: str, *, cancel: bool) -> AgentView:
        """Ask an agent to take nothing new and to end when nothing of it runs any more.

        Args:
            name: of the agent, as `launch agent list` gives it.
            cancel: whether what it runs is cancelled.

        Raises:
            ConflictError: more than one has this name, or it is another kind of worker, which the server cannot reach.
            NotFoundError: there is none, or it is gone; the message names those there are.
        """
        agents = await self.agents()
        online = [agent for agent in agents if agent.is_online]
        found = [agent for agent in online if agent.name == name]
        if not found:
            known = ", ".join(repr(agent.name) for agent in online) or "none"
            raise NotFoundError(f"No agent called {name!r} is running; there are {known}.")
        records, _ = await read_records(self.client)
        reached = [one for one in records if one.name == name and not is_dead(one.process)]
        if not reached:
            raise ConflictError(
                f"{name!r} is a worker of Prefect's own, which no server can end. End its process where it runs."
            )
        if len(reached) > 1:
            where = ", ".join(f"process {one.pid} on {one.host}" for one in reached)
            raise ConflictError(f"{len(reached)} agents are called {name!r}: {where}. End one where it runs.")
        await ask(self.client, reached[0], CANCEL if cancel else STOP)
        return found[0]

    async def _own_pool(self, name: str) -> WorkPool:
        pool = await read_pool(self.client, name)
        if pool.type != names.QUEUE_TYPE:
            raise ConflictError(
                f"{name!r} is a work pool of type {pool.type!r}, which is not a queue of ours. Change it with Prefect."
            )
        pool_config(pool).require_access(name, submitter())
        return pool

    async def _cancel(self, flow_runs: Sequence[FlowRun], message: str) -> None:
        from prefect.states import Cancelled

        turns = asyncio.Semaphore(AT_ONCE)

        async def one(flow_run_id: UUID) -> None:
            async with turns:
                await self.client.set_flow_run_state(flow_run_id, Cancelled(message=message))

        await asyncio.gather(*(one(flow_run.id) for flow_run in flow_runs))
