"""What a worker need not ask its server twice: Prefect's own asks again for each step of a run's start."""

from __future__ import annotations

import time
from contextvars import ContextVar
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient

_FLOWS_STALE_S = 60.0  # a flow's name never changes; its tags, which events of its runs show, may

_read_for_run: ContextVar[dict[UUID, Any] | None] = ContextVar("read_for_run", default=None)


def reads_for_a_run() -> None:
    """Begin the start of a run, in a task of its own: what is read for it from here on is read once."""
    _read_for_run.set({})


def ask_once_for_each_run(client: PrefectClient) -> None:
    """Read a run's deployment once: Prefect reads it to see that it is there, and again for what it says."""
    read_deployment, read_flow = client.read_deployment, client.read_flow
    flows: dict[UUID, tuple[float, Any]] = {}

    async def deployment_of_run(deployment_id: UUID) -> Any:
        known = _read_for_run.get()
        if known is None:
            return await read_deployment(deployment_id)
        if deployment_id not in known:
            known[deployment_id] = await read_deployment(deployment_id)
        return known[deployment_id]

    async def flow_of_run(flow_id: UUID) -> Any:
        read_at, flow = flows.get(flow_id, (-inf, None))
        if time.monotonic() - read_at > _FLOWS_STALE_S:
            flow = await read_flow(flow_id)
            flows[flow_id] = (time.monotonic(), flow)
        return flow

    vars(client).update(read_deployment=deployment_of_run, read_flow=flow_of_run)
