"""The engines that an agent's runs need: looked at all the time, so that no run is taken that could not start.

It also removes the containers, and the layers of builds, of runs whose process is gone: those that were left when a
whole machine was killed, or an agent with all that it had forked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio

from launch_sdk._prefect.surroundings import engine_of
from launch_sdk.containers.engine import engine_fault, quick_fault
from launch_sdk.containers.left_builds import remove_lost_builds
from launch_sdk.containers.removal import remove_lost
from launch_sdk.errors import LaunchError
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.processes import is_dead

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from launch_sdk.specs.queue_config import QueueConfig

LOOK_EVERY_S = 5.0


class Engines:
    """What is wrong with the engines of an agent's queues.

    Attributes:
        trouble: by queue, in one line, why none of its runs can start now.
    """

    def __init__(self, on_event: Callable[[str], None]) -> None:
        """Know of no queue and no trouble yet.

        Args:
            on_event: told when trouble begins and ends.
        """
        self.trouble: dict[str, str] = {}
        self._configs: dict[str, QueueConfig] = {}
        self._on_event = on_event
        self._addresses: dict[str, str | None] = {}  # of the queues of containers
        self._on_better: list[Callable[[], None]] = []

    def know(self, queue: str, config: QueueConfig) -> None:
        """Be told what the owner of a queue decided by now."""
        self._configs[queue] = config

    def on_better(self, call: Callable[[], None]) -> None:
        """Have something called when a queue's engine can be used again."""
        self._on_better.append(call)

    async def can_start(self, queue: str, flow_run: FlowRun) -> bool:
        """Say whether a run could start: if it needs an engine, that must answer."""
        wants = queue in self._addresses or (flow_run.parameters or {}).get("container") is not None
        if not wants:
            return True
        if queue in self.trouble:
            return False
        fault = await asyncio.to_thread(quick_fault, self._addresses.get(queue))
        if fault:
            self._note(queue, fault)
        return fault is None

    async def keep(self, client: PrefectClient) -> None:
        """Look again and again, for ever."""
        while True:
            for queue, config in list(self._configs.items()):
                await self._look(client, queue, config)
            for name in await asyncio.to_thread(remove_lost, launch_home(), is_dead):
                self._on_event(f"Removed container {name}: the process of its run is gone.")
            if layers := await asyncio.to_thread(remove_lost_builds, launch_home(), is_dead):
                self._on_event(f"Removed {len(layers)} layers of an interrupted build.")
            await anyio.sleep(LOOK_EVERY_S)

    async def _look(self, client: PrefectClient, queue: str, config: QueueConfig) -> None:
        if config.container is None:
            self._addresses.pop(queue, None)
            if queue in self.trouble:  # one of its runs wanted a container all the same
                self._note(queue, await asyncio.to_thread(engine_fault, None))
            return
        try:
            address = await engine_of(client, config)
        except LaunchError as error:
            self._note(queue, str(error))
            return
        except Exception:  # noqa: BLE001  # the server is away, and the workers say so
            return
        self._addresses[queue] = address
        self._note(queue, await asyncio.to_thread(engine_fault, address))

    def _note(self, queue: str, fault: str | None) -> None:
        before = self.trouble.pop(queue, None)
        if fault is not None:
            self.trouble[queue] = fault
        if fault == before:
            return
        self._on_event(f"Queue {queue!r}: {fault}" if fault else f"Queue {queue!r}: its engine can be used again.")
        if fault is None:
            for call in self._on_better:
                call()
