"""The queues and agents of a server in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeVar

from launch_sdk.errors import BackendUnavailableError, ConflictError, NotFoundError
from launch_sdk.queue_views import AgentView, QueueItem, QueueView, Waiting
from launch_sdk.specs.placement import DEFAULT_QUEUE, Placement
from launch_sdk.specs.queue_config import QueueConfig, check_queue_name
from launch_sdk.specs.run_state import RunState
from launch_sdk.views import RunView

T = TypeVar("T")
USER = "somebody"


@dataclass
class FakeQueues:
    """What `FakeGateway` has of queues.

    Attributes:
        runs: every run, by its id.
        queues: the queues that exist, each with whether an agent polls it.
        queue_configs: what their owners decided, of those that decided anything.
        paused: the queues that are.
        placements: how each run stands on its queue, by its id.
        is_up: whether the server answers.
        clock: unix seconds; each thing that happens takes one.
    """

    runs: dict[str, RunView] = field(default_factory=dict[str, RunView])
    queues: dict[str, bool] = field(default_factory=dict[str, bool])
    queue_configs: dict[str, QueueConfig] = field(default_factory=dict[str, QueueConfig])
    paused: set[str] = field(default_factory=set[str])
    placements: dict[str, Placement] = field(default_factory=dict[str, Placement])
    is_up: bool = True
    clock: float = 0.0

    def attend(self, queue: str) -> None:
        """Let an agent poll an existing queue."""
        self._known(self.queues, queue, "Queue")
        self.queues[queue] = True

    async def ensure_queue(self, queue: str) -> None:
        self._answer()
        if queue == DEFAULT_QUEUE:
            self.queues.setdefault(queue, False)
        self._known(self.queues, queue, "Queue")

    async def create_queue(self, queue: str, config: QueueConfig | None = None) -> None:
        self._answer()
        if queue in self.queues:
            raise ConflictError(f"Queue {queue!r} exists already.")
        check_queue_name(queue)
        self.queues[queue] = False
        self.queue_configs[queue] = config or QueueConfig()

    async def update_queue(self, queue: str, config: QueueConfig) -> None:
        self._own(queue)
        self.queue_configs[queue] = config

    async def list_queues(self) -> list[str]:
        self._answer()
        return list(self.queues)

    async def queue_views(self) -> list[QueueView]:
        self._answer()
        return [await self.read_queue(queue) for queue in sorted(self.queues)]

    async def read_queue(self, queue: str) -> QueueView:
        self._answer()
        self._known(self.queues, queue, "Queue")
        config = self.queue_configs.get(queue, QueueConfig())
        agents = tuple(agent.name for agent in self._agents_of(queue))
        going_on = [run for run in self.runs.values() if run.queue == queue and not run.state.is_terminal]
        waiting = len(self._waiting(queue))
        return QueueView(
            queue, f"memory:/queues/{queue}", config, queue in self.paused, agents, waiting, len(going_on) - waiting
        )

    async def queue_items(self, queue: str) -> list[QueueItem]:
        self._answer()
        self._known(self.queues, queue, "Queue")
        going_on = [run for run in self.runs.values() if run.queue == queue and not run.state.is_terminal]
        running = [run for run in going_on if run.state is not RunState.QUEUED]
        return [self._item(run) for run in [*self._waiting(queue), *running]]

    async def pause_queue(self, queue: str, *, paused: bool) -> None:
        self._own(queue)
        self.paused = self.paused | {queue} if paused else self.paused - {queue}

    async def delete_queue(self, queue: str) -> int:
        self._own(queue)
        if queue == DEFAULT_QUEUE:
            raise ConflictError(f"The {queue!r} queue cannot be deleted.")
        waiting = self._waiting(queue)
        for run in waiting:
            self._take_off(run)
        del self.queues[queue]
        return len(waiting)

    async def delete_queue_item(self, queue: str, run_id: str) -> str:
        self._own(queue)
        run = self._known(self.runs, run_id, "Run")
        if run.queue != queue:
            raise NotFoundError(f"Run {run_id} is not on queue {queue!r}.")
        if run.state is not RunState.QUEUED:
            raise ConflictError(f"Run {run_id} waits no more, it is {run.state.value}.")
        self._take_off(run)
        return run_id

    async def why_waiting(self, run_id: str) -> str | None:
        self._answer()
        return self._item(self._known(self.runs, run_id, "Run")).waits

    async def list_agents(self) -> list[AgentView]:
        self._answer()
        return [agent for queue in self.queues for agent in self._agents_of(queue)]

    async def stop_agent(self, name: str, *, cancel: bool = False) -> AgentView:
        del cancel
        agents = {agent.name: agent for agent in await self.list_agents()}
        agent = self._known(agents, name, "Agent")
        self.queues[agent.queues[0]] = False
        return agent

    async def queue_has_agent(self, queue: str) -> bool:
        self._answer()
        return self._known(self.queues, queue, "Queue")

    async def queue_has_work(self, queue: str) -> bool:
        await self.queue_has_agent(queue)
        return any(run.queue == queue and not run.state.is_terminal for run in self.runs.values())

    def _place(self, queue: str, placement: Placement) -> None:
        """Refuse what a queue does not take."""
        config = self.queue_configs.get(queue, QueueConfig())
        config.require_access(queue, USER)
        config.environment(queue, placement.variables)

    def _own(self, queue: str) -> None:
        self._answer()
        self._known(self.queues, queue, "Queue")
        self.queue_configs.get(queue, QueueConfig()).require_access(queue, USER)

    def _agents_of(self, queue: str) -> list[AgentView]:
        return [AgentView(f"agent-of-{queue}", (queue,), is_online=True, max_jobs=1)] if self.queues[queue] else []

    def _waiting(self, queue: str) -> list[RunView]:
        waiting = [run for run in self.runs.values() if run.queue == queue and run.state is RunState.QUEUED]
        return sorted(waiting, key=lambda run: self.placements.get(run.run_id, Placement()).priority)

    def _item(self, run: RunView) -> QueueItem:
        priority = self.placements.get(run.run_id, Placement()).priority
        waits = None
        if run.state is RunState.QUEUED:
            queue = run.queue if run.queue in self.queues else None
            line = [one.run_id for one in self._waiting(queue)] if queue else [run.run_id]
            agents = self._agents_of(queue) if queue else []
            before = line.index(run.run_id)
            waits = Waiting(queue, self.clock, is_paused=queue in self.paused, agents=agents, before=before).reason
        return QueueItem(run.run_id, run.name, run.url or "", run.state, priority, run.created, waits)

    def _take_off(self, run: RunView) -> None:
        self.runs[run.run_id] = replace(run, state=RunState.CANCELLED, ended=self._tick())

    def _tick(self) -> float:
        self.clock += 1.0
        return self.clock

    def _answer(self) -> None:
        if not self.is_up:
            raise BackendUnavailableError("The server in memory was told not to answer. Set is_up.")

    def _known(self, values: Mapping[str, T], name: str, kind: str) -> T:
        return values[name] if name in values else self._refuse(values, name, kind)

    def _refuse(self, values: Iterable[str], name: str, kind: str) -> NoReturn:
        raise NotFoundError(f"{kind} {name!r} does not exist; there are {', '.join(values) or 'none yet'}.")
