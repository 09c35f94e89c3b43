"""An agent's presence on the server: what it takes and has taken is written there, what is asked of it is read."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

import anyio
from prefect.client.orchestration import get_client

from launch_sdk._prefect.agent_records import AgentRecord, forget_agent, read_records, wanted_of, write_record
from launch_sdk.agent.slots import Lane
from launch_sdk.queue_views import HeldRun
from launch_sdk.runs.processes import is_dead, process_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prefect.client.orchestration import PrefectClient

    from launch_sdk.agent.engines import Engines
    from launch_sdk.agent.slots import Slots

WRITE_EVERY_S = 5.0  # at most; one write costs the server 37 ms
LOOK_EVERY_S = 1.0
LISTEN_EVERY_S = 5.0
LEAVE_TIMEOUT_S = 3.0
_TOLD = 400  # characters: the record has room for 5,000


class Presence:
    """Tells the server about one agent.

    Args:
        name: of its workers.
        queues: that it polls.
        slots: its places.
        on_wanted: is told `stop` or `cancel` once a user asks for it.
        engines: of its queues.
    """

    def __init__(  # all that an agent is
        self,
        name: str,
        queues: Sequence[str],
        slots: Slots,
        on_wanted: Callable[[str], None],
        engines: Engines | None = None,
    ) -> None:
        self._slots = slots
        self._engines = engines
        self._on_wanted = on_wanted
        self._written: AgentRecord | None = None
        self._heard: str | None = None
        self._about: dict[str, Any] = {
            "name": name,
            "process": process_identifier(os.getpid()),
            "queues": tuple(dict.fromkeys(queues)),
            "max_jobs": slots.limit(Lane.JOBS),
            "max_schedulers": slots.limit(Lane.SCHEDULERS),
        }
        self._written_at = -inf
        self._heard_at = -inf

    @property
    def record(self) -> AgentRecord:
        """What the agent is and does now."""
        held = [
            HeldRun(str(run), self._slots.name_of(run), is_sweep=lane is Lane.SCHEDULERS)
            for run, lane in self._slots.holders()
        ]
        trouble = {queue: text[:_TOLD] for queue, text in (self._engines.trouble if self._engines else {}).items()}
        devices = self._slots.devices
        return AgentRecord.holding(held, **self._about, trouble=trouble, devices=devices.total, free=devices.free)

    async def keep(self, require_same_server: Callable[[], None]) -> None:
        """Write what changes and listen, for ever; a server that does not answer is asked again later.

        Args:
            require_same_server: raises where another server has the address of the agent's own by now.
        """
        async with get_client() as client:
            with suppress(Exception):  # the next agent does it
                require_same_server()
                await self._forget_dead(client)
            while True:
                with suppress(Exception):  # the workers say that the server does not answer
                    require_same_server()
                    await self._write(client)
                    await self._listen(client)
                await anyio.sleep(LOOK_EVERY_S)

    async def _write(self, client: PrefectClient) -> None:
        record, now = self.record, time.monotonic()
        if record != self._written and now - self._written_at >= WRITE_EVERY_S:
            self._written_at = now
            await write_record(client, record)
            self._written = record

    async def _listen(self, client: PrefectClient) -> None:
        now = time.monotonic()
        if now - self._heard_at >= LISTEN_EVERY_S:
            self._heard_at = now
            wanted = await wanted_of(client, self.record)
            if wanted is not None and wanted != self._heard:
                self._heard = wanted
                self._on_wanted(wanted)

    async def leave(self, require_same_server: Callable[[], None]) -> None:
        """Take everything back, if the server answers; else the record is known by its dead process."""
        with anyio.move_on_after(LEAVE_TIMEOUT_S), suppress(Exception):
            require_same_server()
            async with get_client() as client:
                await forget_agent(client, self.record)

    @staticmethod
    async def _forget_dead(client: PrefectClient) -> None:
        """Take away what agents of this machine have left that were killed."""
        records, _ = await read_records(client)
        for record in records:
            if is_dead(record.process):
                await forget_agent(client, record)
