"""How many runs an agent takes: two limits, for all of its queues together."""

from __future__ import annotations

import asyncio
from enum import Enum
from math import inf
from typing import TYPE_CHECKING

from launch_sdk.agent.devices import Devices

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

UNLIMITED = -1


class Lane(Enum):
    """What a run counts against."""

    JOBS = "jobs"
    SCHEDULERS = "schedulers"  # a sweep's parent: cheap, and must never take the slot that its children need

    @classmethod
    def of_queue(cls, work_queue: str) -> Lane:
        """The lane of a work queue inside a pool: every one but `schedulers` holds jobs."""
        return cls.SCHEDULERS if work_queue == cls.SCHEDULERS.value else cls.JOBS


class Slots:
    """The places of one agent, and who holds them."""

    def __init__(
        self, *, max_jobs: int = UNLIMITED, max_schedulers: int = UNLIMITED, devices: Devices | None = None
    ) -> None:
        """Make `max_jobs` and `max_schedulers` places, -1 is unlimited; runs share `devices`, None for none."""
        self.devices = devices or Devices()
        self._limits = {Lane.JOBS: max_jobs, Lane.SCHEDULERS: max_schedulers}
        self._held: dict[UUID, Lane] = {}
        self._names: dict[UUID, str] = {}
        self._line: list[Callable[[], Awaitable[object]]] = []
        self._has_freed = False
        self._asking: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def held(self) -> int:
        """How many runs hold a place."""
        return len(self._held)

    def holds(self, run: UUID) -> bool:
        """Whether a run has a place."""
        return run in self._held

    def limit(self, lane: Lane) -> int:
        """How many places a lane has; -1 is unlimited."""
        return self._limits[lane]

    def holders(self) -> list[tuple[UUID, Lane]]:
        """Who holds a place."""
        return list(self._held.items())

    def name_of(self, run: UUID) -> str:
        """What people call a run that holds a place."""
        return self._names.get(run) or str(run)

    def room(self, lane: Lane) -> float:
        """How many places of a lane are free; infinitely many if it has no limit."""
        if self._closed:
            return 0
        limit = self._limits[lane]
        return inf if limit == UNLIMITED else max(0, limit - sum(held is lane for held in self._held.values()))

    def take(self, run: UUID, lane: Lane, name: str = "", needs: Mapping[str, int] | None = None) -> bool:
        """Take a place for `run`, which people call `name`, with the devices that it needs.

        Returns:
            False if there is none, or if it has one already.
        """
        if run in self._held or not self.room(lane) or not self.devices.take(run, needs or {}):
            return False
        self._held[run] = lane
        self._names[run] = name
        return True

    def give_back(self, run: UUID) -> None:
        """Give back the place of `run`, if it has one, and ask whoever waits for places, in turns."""
        if self._held.pop(run, None) is None:
            return
        self.devices.give_back(run)
        self._names.pop(run, None)
        self._has_freed = True
        if self._line and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask_in_turns())

    def on_free(self, look: Callable[[], Awaitable[object]]) -> None:
        """Have somebody look for work, and take places for it, whenever a place has been given back."""
        self._line.append(look)

    def served(self, look: Callable[[], Awaitable[object]]) -> None:
        """Let whoever has taken a place wait for all others, so that no queue starves another."""
        if look in self._line:
            self._line.remove(look)
            self._line.append(look)

    async def _ask_in_turns(self) -> None:
        """Ask one after the other: of two that ask the server at once, the one that is answered first would win."""
        while self._has_freed:
            self._has_freed = False
            for look in list(self._line):
                await look()

    def close(self) -> None:
        """Give no place any more."""
        self._closed = True
