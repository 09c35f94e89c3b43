"""Waiting for something to happen to the runs of a sweep: server events wake, a timer is the net below them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

POLL_S = 2.0
POLL_WITHOUT_EVENTS_S = 0.5
RECONNECT_S = 2.0
ENDINGS = ("Completed", "Failed", "Crashed", "Cancelled")

_log = logging.getLogger("launch_sdk.sweeps")


class Wake:
    """`async with Wake(tag) as wake: await wake.wait()` returns soon after a flow run with this tag has ended.

    Events are lossy by design of the server, so what they say is not used: the caller reads again.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.rung = asyncio.Event()
        self.connected = False
        self.listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.listener:
            self.listener.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.listener

    async def wait(self) -> None:
        """Return when a run has ended, or after a while."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.rung.wait(), POLL_S if self.connected else POLL_WITHOUT_EVENTS_S)
        self.rung.clear()

    async def _listen(self) -> None:
        from prefect.events.clients import get_events_subscriber
        from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

        wanted = EventFilter(
            event=EventNameFilter(name=[f"prefect.flow-run.{ending}" for ending in ENDINGS]),
            any_resource=EventAnyResourceFilter(id=[f"prefect.tag.{self.tag}"]),
        )
        while True:
            try:
                async with get_events_subscriber(filter=wanted) as subscriber:
                    self.connected = True
                    self.rung.set()  # what happened before the connection stood is read now
                    async for _ in subscriber:
                        self.rung.set()
            except Exception as error:  # noqa: BLE001  # without events the timer does
                _log.debug("the event stream was lost: %s", error)
            self.connected = False
            await asyncio.sleep(RECONNECT_S)
