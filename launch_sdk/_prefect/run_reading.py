"""Reading single runs from a Prefect server, by id or by name, as the library's own values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from launch_sdk._prefect import names
from launch_sdk._prefect.attempts import attempts_of
from launch_sdk._prefect.parents import is_lost, is_parent, seen_state
from launch_sdk._prefect.recovery import SURE_S, recover_gone
from launch_sdk._prefect.views import (
    declared_inputs,
    is_program,
    job_version,
    recorded_config,
    run_code,
    run_error,
    run_lock,
    run_page,
    run_provenance,
    run_summary,
)
from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.tracking.protocol import LAUNCH_LAYER, SWEEP_LAYER
from launch_sdk.tracking.values import decode
from launch_sdk.views import RunView

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

MAX_NAMESAKES = 5


class RunReader:
    """Reads runs; remembers the names of their deployments."""

    def __init__(self, client: PrefectClient, ui: str) -> None:
        self.client = client
        self.ui = ui
        self.jobs: dict[UUID, str] = {}

    async def view(self, flow_run: FlowRun) -> RunView:
        """Give what is known of a flow run."""
        parameters = cast("Mapping[str, Any]", decode(flow_run.parameters))
        job = await self._job_of(flow_run)
        is_ours = is_program(flow_run, job)
        given = cast("Mapping[str, Any]", parameters.get("config") or {}) if is_ours else parameters
        return RunView(
            run_id=str(flow_run.id),
            name=flow_run.name,
            state=seen_state(flow_run),
            job=(parameters.get("job") if is_ours else None) or job,
            queue=flow_run.work_pool_name,
            parameters=parameters,
            summary=run_summary(flow_run),
            created=flow_run.created.timestamp() if flow_run.created else None,
            started=flow_run.start_time.timestamp() if flow_run.start_time else None,
            ended=flow_run.end_time.timestamp() if flow_run.end_time else None,
            error=run_error(flow_run),
            url=run_page(self.ui, flow_run.id),
            recorded=recorded_config(flow_run, given),
            inputs=declared_inputs(flow_run),
            provenance=run_provenance(flow_run),
            layer=SWEEP_LAYER if names.sweep_of(flow_run.tags) else LAUNCH_LAYER,
            code=run_code(flow_run),
            lock=run_lock(flow_run),
            is_program=is_ours,
            version=job_version(flow_run),
            attempts=tuple(asdict(one) for one in attempts_of(flow_run)),
        )

    async def settled(self, run_id: str) -> FlowRun:
        """Return a flow run as `flow_run` does; if its process is gone, after what was to become of it then."""
        flow_run = await self.flow_run(run_id)
        if is_parent(flow_run) or not is_lost(flow_run):
            return flow_run
        await asyncio.sleep(SURE_S)
        await recover_gone(self.client, flow_run)
        return await self.client.read_flow_run(flow_run.id)

    async def flow_run(self, run_id: str) -> FlowRun:
        """Return a flow run by its id, or by its name if no other has it.

        Raises:
            ConflictError: more than one has the name; the message gives their ids.
            NotFoundError: there is none.
        """
        from prefect.exceptions import ObjectNotFound

        try:
            return await self.client.read_flow_run(UUID(run_id))
        except (ValueError, ObjectNotFound):
            found = await self._runs_called(run_id)
        if not found:
            raise NotFoundError(f"{run_id!r} is neither a directory nor a run of this server. See {self.ui}/runs")
        if len(found) > 1:
            ids = ", ".join(str(flow_run.id) for flow_run in found)
            raise ConflictError(f"More than one run is called {run_id!r}. Name one by its id, newest first: {ids}")
        return found[0]

    async def _runs_called(self, name: str) -> list[FlowRun]:
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
        from prefect.client.schemas.sorting import FlowRunSort

        wanted = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
        latest_first = FlowRunSort.EXPECTED_START_TIME_DESC
        return await self.client.read_flow_runs(flow_run_filter=wanted, sort=latest_first, limit=MAX_NAMESAKES)

    async def _job_of(self, flow_run: FlowRun) -> str | None:
        from prefect.exceptions import ObjectNotFound

        if flow_run.deployment_id is None:
            return None
        if flow_run.deployment_id not in self.jobs:
            try:
                deployment = await self.client.read_deployment(flow_run.deployment_id)
                flow = await self.client.read_flow(deployment.flow_id)
            except ObjectNotFound:
                return None
            self.jobs[flow_run.deployment_id] = f"{flow.name}/{deployment.name}"
        return self.jobs[flow_run.deployment_id]
