"""The client's gateway to a Prefect server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import UUID

from launch_sdk._prefect import embedded, names
from launch_sdk._prefect.children import Children
from launch_sdk._prefect.jobs import delete_job, job_deployment, list_jobs, read_history, read_job, save_job, start_job
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.parents import end_flow_run, find_parent, seen_state, sweep_ids, sweep_state
from launch_sdk._prefect.queues import (
    create_queue,
    ensure_deployment,
    ensure_queue,
    ensure_queues,
    find_deployment,
    queue_has_agent,
)
from launch_sdk._prefect.run_store import run_store
from launch_sdk._prefect.server_errors import told
from launch_sdk._prefect.sweep_life import SweepLife
from launch_sdk._prefect.sweep_submission import submit_sweep
from launch_sdk._prefect.views import (
    declared_inputs,
    is_program,
    job_version,
    recorded_config,
    run_code,
    run_edits,
    run_error,
    run_labels,
    run_lock,
    run_page,
    run_provenance,
    run_state,
    run_summary,
    ui_url,
)
from launch_sdk.errors import BackendUnavailableError, ConflictError, NotFoundError
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.document import Document
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.prior import PriorRun
from launch_sdk.tracking.protocol import LAUNCH_LAYER, SWEEP_LAYER
from launch_sdk.tracking.values import decode, dumps, encode
from launch_sdk.views import LogLine, RunView, SweepView

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from launch_sdk.edits import Edits
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.job_history import JobHistory, SavedJob
    from launch_sdk.specs.run_spec import RunSpec

MAX_NAMESAKES = 5


class PrefectGateway:
    """Implements `launch_sdk.client.Gateway`; made by `connect`."""

    def __init__(self, client: PrefectClient, api_url: str) -> None:
        self.client = client
        self.ui = ui_url(api_url)
        self.life = SweepLife(client, self.ui)
        self.children: dict[str, Children] = {}
        self.jobs: dict[UUID, str] = {}

    @classmethod
    async def connect(cls) -> Self:
        """Connect to the server; the embedded one is started if none is set.

        Raises:
            BackendUnavailableError: it does not answer.
        """
        api_url = cast("str", embedded.connect())
        from prefect.client.orchestration import get_client
        from prefect.context import refresh_global_settings_context
        from prefect.settings import get_current_settings

        if get_current_settings().api.url != api_url:  # Prefect was imported before the server was known
            refresh_global_settings_context()
        client = get_client()
        await client.__aenter__()
        if error := await client.api_healthcheck():
            raise BackendUnavailableError(f"The Prefect server at {api_url} refuses this client: {error}")
        return cls(client, api_url)

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)

    @told
    async def run_store(self) -> RunStore:
        return await run_store(self.client)

    @told
    async def ensure_queue(self, queue: str) -> None:
        await ensure_queue(self.client, queue)

    @told
    async def queue_has_agent(self, queue: str) -> bool:
        return await queue_has_agent(self.client, queue)

    @told
    async def queue_has_work(self, queue: str) -> bool:
        from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter

        wanted = FlowRunFilter.model_validate(
            {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]}}}
        )
        pool = WorkPoolFilter.model_validate({"name": {"any_": [queue]}})
        return await self.client.count_flow_runs(flow_run_filter=wanted, work_pool_filter=pool) > 0

    @told
    async def submit_run(self, spec: RunSpec, queue: str) -> str:
        deployment = await ensure_deployment(self.client, names.RUN_JOB, queue)
        flow_run = await self.client.create_flow_run_from_deployment(
            deployment, parameters=spec.to_parameters(), name=spec.name, labels={names.GIVEN: True}
        )
        return str(flow_run.id)

    @told
    async def submit_job(self, job: str, parameters: Mapping[str, Any], name: str | None) -> str:
        deployment = await find_deployment(self.client, job)
        flow_run = await self.client.create_flow_run_from_deployment(
            deployment.id, parameters=cast("dict[str, Any]", encode(parameters)), name=name
        )
        return str(flow_run.id)

    @told
    async def save_job(
        self, name: str, spec: RunSpec, queue: str | None, first_queue: str, aliases: Sequence[str] = ()
    ) -> SavedJob:
        return await save_job(self.client, name, spec, queue, first_queue=first_queue, aliases=aliases)

    @told
    async def read_job(self, reference: str) -> Job:
        return await read_job(self.client, reference)

    @told
    async def job_history(self, name: str) -> JobHistory:
        return await read_history(self.client, name)

    @told
    async def list_jobs(self) -> list[JobHistory]:
        return await list_jobs(self.client)

    @told
    async def delete_job(self, reference: str) -> Job:
        return await delete_job(self.client, reference)

    @told
    async def submit_own_job(self, job: Job, spec: RunSpec, queue: str) -> str:
        elsewhere = ensure_deployment(self.client, names.RUN_JOB, queue) if queue != job.queue else None
        deployment_id = await (elsewhere or job_deployment(self.client, job))
        flow_run = await start_job(self.client, deployment_id, job, spec, name=spec.name)
        return str(flow_run.id)

    @told
    async def edit_run(self, run_id: str, edits: Edits) -> None:
        flow_run = await self._flow_run(run_id)
        together = run_edits(flow_run).then(edits)
        await write_labels(self.client, flow_run.id, {names.EDITS: dumps(together.to_dict())})

    @told
    async def create_queue(self, queue: str) -> None:
        if any(pool.name == queue for pool in await self.client.read_work_pools(limit=200)):
            raise ConflictError(f"Queue {queue!r} exists already.")
        await create_queue(self.client, queue)
        await ensure_queues([queue])

    @told
    async def list_queues(self) -> list[str]:
        return [pool.name for pool in await self.client.read_work_pools(limit=200)]

    @told
    async def list_runs(self, limit: int) -> list[RunView]:
        from prefect.client.schemas.sorting import FlowRunSort

        found = await self.client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=limit)
        return [await self._view(flow_run) for flow_run in found]

    @told
    async def list_sweeps(self, limit: int) -> list[SweepView]:
        return [await self.read_sweep(sweep_id) for sweep_id in await sweep_ids(self.client, limit)]

    @told
    async def read_run(self, run_id: str) -> RunView:
        return await self._view(await self._flow_run(run_id))

    async def _view(self, flow_run: FlowRun) -> RunView:
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
        )

    @told
    async def read_logs(self, run_id: str, since: float = 0.0) -> list[LogLine]:
        from prefect.client.schemas.filters import LogFilter

        after = datetime.fromtimestamp(since, UTC).isoformat()
        wanted = LogFilter.model_validate({"flow_run_id": {"any_": [run_id]}, "timestamp": {"after_": after}})
        lines: list[LogLine] = []
        while page := await self.client.read_logs(log_filter=wanted, offset=len(lines), limit=200):
            lines += [
                LogLine(str(log.id), log.timestamp.timestamp(), log.message, log.name == names.AGENT_LOGGER)
                for log in page
            ]
        return lines

    @told
    async def cancel_run(self, run_id: str) -> None:
        await end_flow_run(self.client, await self._flow_run(run_id))

    @told
    async def stop_run(self, run_id: str, reason: str) -> None:
        flow_run = await self._flow_run(run_id)
        if not run_state(flow_run).is_terminal:
            await write_labels(self.client, flow_run.id, {names.STOP_REASON: reason})
            await end_flow_run(self.client, flow_run)

    @told
    async def submit_sweep(
        self,
        document: Mapping[str, Any],
        spec: SweepSpec,
        source: str | None,
        queue: str,
        prior: Sequence[PriorRun] = (),
    ) -> str:
        return await submit_sweep(self.client, document, spec, source, queue, prior)

    @told
    async def read_sweep(self, sweep_id: str) -> SweepView:
        parent = await find_parent(self.client, sweep_id)
        children = self.children.setdefault(sweep_id, Children(self.client, sweep_id, self.ui))
        labels = run_labels(parent)
        notices = labels.get(names.NOTICES)
        parameters = parent.parameters
        document: Any = decode(parameters["sweep"])
        return SweepView(
            sweep_id=sweep_id,
            name=parent.name,
            state=sweep_state(parent),
            spec=parse_sweep(Document(document, f"Sweep {sweep_id}")),
            document=document,
            runs=tuple(await children.read()),
            scheduler={
                "run_id": str(parent.id),
                "host": labels.get(names.SCHEDULER_HOST),
                "pid": labels.get(names.SCHEDULER_PID),
            },
            message=parent.state.message if parent.state else None,
            url=run_page(self.ui, parent.id),
            queue=parameters.get("queue", names.DEFAULT_QUEUE),
            source=parameters.get("source"),
            notices=json.loads(notices) if isinstance(notices, str) else (),
        )

    @told
    async def stop_sweep(self, sweep_id: str) -> None:
        await self.life.stop(sweep_id)

    @told
    async def cancel_sweep(self, sweep_id: str) -> None:
        await self.life.cancel(sweep_id)

    @told
    async def pause_sweep(self, sweep_id: str) -> None:
        await self.life.pause(sweep_id)

    @told
    async def resume_sweep(
        self, sweep_id: str, document: Mapping[str, Any] | None = None, queue: str | None = None
    ) -> None:
        await self.life.resume(sweep_id, document, queue)

    @told
    async def rerun_failed(self, sweep_id: str) -> int:
        return await self.life.rerun_failed(sweep_id)

    @told
    async def delete_sweep(self, sweep_id: str) -> None:
        await self.life.delete(sweep_id)
        self.children.pop(sweep_id, None)

    async def _flow_run(self, run_id: str) -> FlowRun:
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
