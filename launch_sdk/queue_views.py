"""What a client sees of queues, of what waits on them, and of agents; and why a run waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.placement import Priority
from launch_sdk.specs.resources import described

if TYPE_CHECKING:
    from launch_sdk.specs.queue_config import QueueConfig
    from launch_sdk.specs.run_state import RunState

SHOWN_RUNS = 4
UNLIMITED = -1


@dataclass(frozen=True)
class HeldRun:
    """A run that an agent has taken.

    Attributes:
        run_id, name: which it is.
        is_sweep: whether it leads a sweep; those are counted apart.
    """

    run_id: str
    name: str
    is_sweep: bool = False


@dataclass(frozen=True)
class AgentView:
    """What the server knows of one agent, or of another Prefect worker that polls a queue.

    Attributes:
        name: as the Prefect UI shows it.
        queues: those that it polls.
        is_online: whether it has been heard of lately, and is not known to be gone.
        last_seen: its last heartbeat, unix seconds; None if there was none.
        host, pid: where its process is; None of a worker that is no agent of ours.
        max_jobs, max_schedulers: how many runs and sweeps it takes at once, -1 for no limit; None if unknown.
        runs: what it has taken, as it last said, or the first of it.
        more_runs, more_sweeps: how many it has taken beside these.
        wanted: what a user asked of it: `stop` or `cancel`; None for nothing.
        trouble: by queue, why it can start none of its runs now.
        devices, free: how many GPUs and cores it gives to runs, and how many of them nobody has; empty if unknown.
    """

    name: str
    queues: tuple[str, ...]
    is_online: bool
    last_seen: float | None = None
    host: str | None = None
    pid: int | None = None
    max_jobs: int | None = None
    max_schedulers: int | None = None
    runs: tuple[HeldRun, ...] = ()
    more_runs: int = 0
    more_sweeps: int = 0
    wanted: str | None = None
    trouble: Mapping[str, str] = field(default_factory=dict[str, str])
    devices: Mapping[str, int] = field(default_factory=dict[str, int])
    free: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def state(self) -> str:
        if not self.is_online:
            return "lost"
        if self.wanted is not None:
            return "stopping"
        return "running" if self.runs else "idle"

    def held(self, *, sweeps: bool) -> tuple[HeldRun, ...]:
        return tuple(run for run in self.runs if run.is_sweep is sweeps)

    def count(self, *, sweeps: bool) -> int:
        """How many it has taken."""
        return len(self.held(sweeps=sweeps)) + (self.more_sweeps if sweeps else self.more_runs)

    def limit(self, *, sweeps: bool) -> int | None:
        return self.max_schedulers if sweeps else self.max_jobs

    def is_full(self, *, sweeps: bool) -> bool:
        limit = self.limit(sweeps=sweeps)
        return limit is not None and limit != UNLIMITED and self.count(sweeps=sweeps) >= limit

    def lacks(self, needs: Mapping[str, int]) -> str:
        """Say what it has too little of for a run now; nothing if it has enough, or if that is not known."""
        for has, how in ((self.devices, "in all"), (self.free, "free")):
            if has and any(count > has.get(kind, 0) for kind, count in needs.items()):
                there = described({kind: has.get(kind, 0) for kind in needs})
                return f"agent {self.name} has {there} {how}, and it asks for {described(needs)}"
        return ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "queues": list(self.queues),
            "host": self.host,
            "pid": self.pid,
            "max_jobs": self.max_jobs,
            "max_schedulers": self.max_schedulers,
            "runs": [{"run_id": run.run_id, "name": run.name, "is_sweep": run.is_sweep} for run in self.runs],
            "more_runs": self.more_runs + self.more_sweeps,
            "last_seen": self.last_seen,
            "trouble": dict(self.trouble),
            "devices": dict(self.devices),
            "free": dict(self.free),
        }


@dataclass(frozen=True)
class QueueView:
    """What the server knows of one queue.

    Attributes:
        name, url: which it is, and its page in the Prefect UI.
        config: what its owner decided.
        is_paused: whether agents are given nothing of it.
        agents: the names of those that poll it.
        waiting, running: how many runs do, parents of sweeps included.
        concurrency_limit: of the work pool, as set in the Prefect UI; None for none.
        kind: the type of the work pool; `launch` for a queue of ours.
        trouble: by the name of an agent, why that can start none of its runs now.
    """

    name: str
    url: str
    config: QueueConfig
    is_paused: bool = False
    agents: tuple[str, ...] = ()
    waiting: int = 0
    running: int = 0
    concurrency_limit: int | None = None
    kind: str = "launch"
    trouble: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def state(self) -> str:
        return "paused" if self.is_paused else "served" if self.agents else "no agent"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "has_agent": bool(self.agents),
            "is_paused": self.is_paused,
            "agents": list(self.agents),
            "waiting": self.waiting,
            "running": self.running,
            "concurrency_limit": self.concurrency_limit,
            "trouble": dict(self.trouble),
            **self.config.to_json(),
            "url": self.url,
        }


@dataclass(frozen=True)
class QueueItem:
    """A run that is on a queue and has not ended.

    Attributes:
        run_id, name, url: which it is.
        state: `queued` of those that wait.
        priority: which of those that wait it is taken before; None of the parent of a sweep.
        submitted: unix seconds.
        waits: why it waits; None of one that does not.
        sweep: the sweep that it is a run of, or leads.
    """

    run_id: str
    name: str
    url: str
    state: RunState
    priority: Priority | None
    submitted: float | None
    waits: str | None = None
    sweep: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "name": self.name,
            "state": self.state.value,
            "priority": self.priority.label if self.priority is not None else None,
            "submitted": self.submitted,
            "waits": self.waits,
            "sweep": self.sweep,
            "url": self.url,
        }


@dataclass(frozen=True)
class Waiting:
    """A run that waits, and all that decides when it starts.

    Attributes:
        queue: name of its queue; None if that is gone.
        now: unix seconds.
        starts: when it is to start, unix seconds; None for as soon as possible.
        state_name: what Prefect calls its state.
        is_sweep: whether it leads a sweep.
        is_paused: whether its queue is.
        paused_priority: its priority, if the work queue of that alone is paused in the Prefect UI.
        limit: how many runs a concurrency limit set in the Prefect UI lets go on at once, and the runs that do.
        agents: those that poll its queue.
        before: how many runs are taken before it.
        needs: how many GPUs and cores it asks for.
    """

    queue: str | None
    now: float
    starts: float | None = None
    state_name: str = "Scheduled"
    is_sweep: bool = False
    is_paused: bool = False
    paused_priority: str | None = None
    limit: tuple[int, Sequence[str]] | None = None
    agents: Sequence[AgentView] = field(default_factory=tuple)
    before: int = 0
    needs: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def reason(self) -> str:
        """Why it waits, in words."""
        return self._by_itself or self._by_queue or self._by_agents or self._by_others

    @property
    def _by_itself(self) -> str | None:
        if self.queue is None:
            return "Its queue was deleted. Submit it again on another one."
        if self.state_name == "AwaitingConcurrencySlot":  # it is looked at again every 30 s
            return "Its deployment has a concurrency limit, and as many of its runs go on."
        if self.starts is not None and self.starts > self.now + 1:
            at = datetime.fromtimestamp(self.starts, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            again = "It is to be tried again" if self.state_name == "AwaitingRetry" else "It is to start"
            return f"{again} at {at}, in {_span(self.starts - self.now)}."
        return None

    @property
    def _by_queue(self) -> str | None:
        if self.is_paused:
            return f"Queue {self.queue!r} is paused. Go on: launch queue resume {self.queue}"
        if self.paused_priority is not None:
            return f"Priority {self.paused_priority} of queue {self.queue!r} is paused in the Prefect UI."
        if not any(agent.is_online for agent in self.agents):
            return f"No agent polls queue {self.queue!r}. Start one: launch-agent --queues {self.queue}"
        if self.limit is not None and len(self.limit[1]) >= self.limit[0]:
            holding = _listed(self.limit[1], len(self.limit[1]))
            return f"Queue {self.queue!r} has a concurrency limit of {self.limit[0]} in the Prefect UI: {holding}."
        return None

    @property
    def _by_agents(self) -> str | None:
        online = [agent for agent in self.agents if agent.is_online]
        taking = [agent for agent in online if agent.wanted is None]
        if not taking:
            names = ", ".join(agent.name for agent in online)
            return f"{names} takes nothing new, as it was asked to stop. Start one: launch-agent --queues {self.queue}"
        if self.queue is not None and not self.is_sweep and all(self.queue in agent.trouble for agent in taking):
            return "; ".join(f"agent {agent.name}: {agent.trouble[self.queue]}" for agent in taking)
        blocked = [self._full(agent) or agent.lacks(self.needs) for agent in taking]
        if not all(blocked):
            return None
        told = "; ".join(blocked)
        return f"{told[0].upper()}{told[1:]}.{self._in_line}"

    def _full(self, agent: AgentView) -> str:
        if not agent.is_full(sweeps=self.is_sweep):
            return ""
        names = [run.name for run in agent.held(sweeps=self.is_sweep)]
        limit, count = agent.limit(sweeps=self.is_sweep), agent.count(sweeps=self.is_sweep)
        return f"agent {agent.name} is full ({limit} at once): {_listed(names, count)}"

    @property
    def _by_others(self) -> str:
        return f"An agent is about to take it.{self._in_line}"

    @property
    def _in_line(self) -> str:
        return f" Taken before it: {self.before}." if self.before else ""


def _listed(names: Sequence[str], count: int) -> str:
    shown = names[:SHOWN_RUNS]
    return ", ".join(shown) + (f" and {count - len(shown)} more" if count > len(shown) else "") or "nothing"


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
