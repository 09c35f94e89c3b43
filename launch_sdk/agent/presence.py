"""An agent's presence on the server: what it takes and has taken is written there, what is asked of it is read."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import anyio
from prefect.client.orchestration import get_client

from launch_sdk._prefect.agent_records import AgentRecord, forget_agent, read_records, wanted_of, write_record
from launch_sdk.agent.slots import Lane
from launch_sdk.queue_views import HeldRun
from launch_sdk.runs.processes import is_dead, process_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from launch_sdk.agent.slots import Slots

WRITE_EVERY_S = 5.0  # at most; one write costs the server 37 ms
LOOK_EVERY_S = 1.0
LISTEN_EVERY_S = 3.0
LEAVE_TIMEOUT_S = 3.0


class Presence:
    """Tells the server about one agent.

    Args:
        name: of its workers.
        queues: that it polls.
        slots: its places.
        on_wanted: is told `stop` or `cancel` once a user asks for it.
    """

    def __init__(self, name: str, queues: Sequence[str], slots: Slots, on_wanted: Callable[[str], None]) -> None:
        self._slots = slots
        self._on_wanted = on_wanted
        self._written: AgentRecord | None = None
        self._heard: str | None = None
        self._limits = (slots.limit(Lane.JOBS), slots.limit(Lane.SCHEDULERS))
        self._about = (name, process_identifier(os.getpid()), tuple(dict.fromkeys(queues)))

    @property
    def record(self) -> AgentRecord:
        """What the agent is and does now."""
        held = tuple(
            HeldRun(str(run), self._slots.name_of(run), is_sweep=lane is Lane.SCHEDULERS)
            for run, lane in self._slots.holders()
        )
        return AgentRecord(*self._about, *self._limits, held)

    async def keep(self) -> None:
        """Write what changes and listen, for ever; a server that does not answer is asked again later."""
        written_at, heard_at = 0.0, 0.0
        await self._forget_dead()
        while True:
            now = time.monotonic()
            try:
                async with get_client() as client:
                    if self.record != self._written and now - written_at >= WRITE_EVERY_S:
                        record, written_at = self.record, now
                        await write_record(client, record)
                        self._written = record
                    if now - heard_at >= LISTEN_EVERY_S:
                        heard_at = now
                        self._hear(await wanted_of(client, self.record))
            except Exception:  # noqa: BLE001, S110  # the workers say that the server does not answer
                pass
            await anyio.sleep(LOOK_EVERY_S)

    async def leave(self) -> None:
        """Take everything back, if the server answers."""
        with anyio.move_on_after(LEAVE_TIMEOUT_S):
            try:
                async with get_client() as client:
                    await forget_agent(client, self.record)
            except Exception:  # noqa: BLE001, S110  # then the record is known by its dead process
                pass

    def _hear(self, wanted: str | None) -> None:
        if wanted is not None and wanted != self._heard:
            self._heard = wanted
            self._on_wanted(wanted)

    async def _forget_dead(self) -> None:
        """Take away what agents of this machine have left that were killed."""
        try:
            async with get_client() as client:
                records, _ = await read_records(client)
                for record in records:
                    if is_dead(record.process):
                        await forget_agent(client, record)
        except Exception:  # noqa: BLE001, S110  # the next agent does it
            pass
