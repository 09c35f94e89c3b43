"""The client's gateway to a Prefect server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, cast

from launch_sdk._prefect import embedded, names
from launch_sdk._prefect.children import Children
from launch_sdk._prefect.image_deployments import deploy_image
from launch_sdk._prefect.jobs import delete_job, job_deployment, list_jobs, read_history, read_job, save_job, start_job
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.parents import end_flow_run, find_parent, last_word, sweep_ids, sweep_state
from launch_sdk._prefect.placing import place
from launch_sdk._prefect.queue_life import QueueLife
from launch_sdk._prefect.queue_reading import ACTIVE, WAITING, count_on, queue_has_agent, why_waiting
from launch_sdk._prefect.queues import ensure_deployment, ensure_queue, find_deployment, read_pools
from launch_sdk._prefect.run_reading import RunReader
from launch_sdk._prefect.run_store import run_store
from launch_sdk._prefect.server_errors import told
from launch_sdk._prefect.sweep_life import SweepLife
from launch_sdk._prefect.sweep_submission import submit_sweep
from launch_sdk._prefect.views import run_edits, run_labels, run_page, run_state, ui_url
from launch_sdk.errors import BackendUnavailableError, ConflictError
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.document import Document
from launch_sdk.specs.placement import DEFAULT_QUEUE, Placement
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.prior import PriorRun
from launch_sdk.tracking.values import decode, dumps, encode
from launch_sdk.views import LogLine, RunView, SweepView

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from launch_sdk.edits import Edits
    from launch_sdk.queue_views import AgentView, QueueItem, QueueView
    from launch_sdk.specs.image_deployment import ImageDeployment
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.job_history import JobHistory, SavedJob
    from launch_sdk.specs.queue_config import QueueConfig
    from launch_sdk.specs.run_spec import RunSpec
    from launch_sdk.sweeps.runs import SweepRun

DEFAULT = Placement()


class PrefectGateway:
    """Implements `launch_sdk.client.Gateway`; made by `connect`."""

    def __init__(self, client: PrefectClient, api_url: str) -> None:
        self.client = client
        self.ui = ui_url(api_url)
        self.life = SweepLife(client, self.ui)
        self.children: dict[str, Children] = {}
        self.reader = RunReader(client, self.ui)
        self.queue_life = QueueLife(client, self.ui)

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
        return await count_on(self.client, queue, (*WAITING, *ACTIVE)) > 0

    @told
    async def submit_run(self, spec: RunSpec, queue: str, placement: Placement = DEFAULT) -> str:
        more = await place(self.client, queue, placement)
        deployment = await ensure_deployment(self.client, names.RUN_JOB, queue)
        flow_run = await self.client.create_flow_run_from_deployment(
            deployment, parameters=spec.to_parameters(), name=spec.name, labels={names.GIVEN: True}, **more
        )
        return str(flow_run.id)

    @told
    async def submit_job(
        self, job: str, parameters: Mapping[str, Any], name: str | None, placement: Placement = DEFAULT
    ) -> str:
        deployment = await find_deployment(self.client, job)
        queue = deployment.work_pool_name
        if queue is None and not placement.is_default:
            raise ConflictError(f"Job {job!r} is on no queue, so it has no priority there. Leave that out.")
        more = await place(self.client, queue, placement) if queue is not None else {}
        flow_run = await self.client.create_flow_run_from_deployment(
            deployment.id, parameters=cast("dict[str, Any]", encode(parameters)), name=name, **more
        )
        return str(flow_run.id)

    @told
    async def save_job(
        self,
        name: str,
        spec: RunSpec,
        queue: str | None,
        first_queue: str,
        aliases: Sequence[str] = (),
        *,
        description: str | None = None,
    ) -> SavedJob:
        return await save_job(
            self.client, name, spec, queue, first_queue=first_queue, aliases=aliases, description=description
        )

    @told
    async def deploy_image(self, wanted: ImageDeployment, *, only_check: bool = False) -> str:
        return await deploy_image(self.client, wanted, only_check=only_check)

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
    async def submit_own_job(self, job: Job, spec: RunSpec, queue: str, placement: Placement = DEFAULT) -> str:
        more = await place(self.client, queue, placement)
        elsewhere = ensure_deployment(self.client, names.RUN_JOB, queue) if queue != job.queue else None
        deployment_id = await (elsewhere or job_deployment(self.client, job))
        flow_run = await start_job(self.client, deployment_id, job, spec, name=spec.name, **more)
        return str(flow_run.id)

    @told
    async def edit_run(self, run_id: str, edits: Edits) -> None:
        flow_run = await self.reader.flow_run(run_id)
        together = run_edits(flow_run).then(edits)
        await write_labels(self.client, flow_run.id, {names.EDITS: dumps(together.to_dict())})

    @told
    async def create_queue(self, queue: str, config: QueueConfig | None = None) -> None:
        await self.queue_life.create(queue, config)

    @told
    async def update_queue(self, queue: str, config: QueueConfig) -> None:
        await self.queue_life.update(queue, config)

    @told
    async def list_queues(self) -> list[str]:
        return [pool.name for pool in await read_pools(self.client)]

    @told
    async def queue_views(self) -> list[QueueView]:
        return await self.queue_life.views()

    @told
    async def read_queue(self, queue: str) -> QueueView:
        return await self.queue_life.view(queue)

    @told
    async def queue_items(self, queue: str) -> list[QueueItem]:
        return await self.queue_life.items(queue)

    @told
    async def pause_queue(self, queue: str, *, paused: bool) -> None:
        await self.queue_life.pause(queue, paused=paused)

    @told
    async def delete_queue(self, queue: str) -> int:
        return await self.queue_life.delete(queue)

    @told
    async def delete_queue_item(self, queue: str, run_id: str) -> str:
        flow_run = await self.reader.flow_run(run_id)
        await self.queue_life.delete_item(queue, flow_run)
        return str(flow_run.id)

    @told
    async def why_waiting(self, run_id: str) -> str | None:
        return await why_waiting(self.client, await self.reader.flow_run(run_id))

    @told
    async def list_agents(self) -> list[AgentView]:
        return await self.queue_life.agents()

    @told
    async def stop_agent(self, name: str, *, cancel: bool = False) -> AgentView:
        return await self.queue_life.stop_agent(name, cancel=cancel)

    @told
    async def list_runs(self, limit: int) -> list[RunView]:
        from prefect.client.schemas.sorting import FlowRunSort

        found = await self.client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=limit)
        return [await self.reader.view(flow_run) for flow_run in found]

    @told
    async def list_sweeps(self, limit: int) -> list[SweepView]:
        return [await self.read_sweep(sweep_id) for sweep_id in await sweep_ids(self.client, limit)]

    @told
    async def read_run(self, run_id: str) -> RunView:
        return await self.reader.view(await self.reader.settled(run_id))

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
        await end_flow_run(self.client, await self.reader.flow_run(run_id))

    @told
    async def stop_run(self, run_id: str, reason: str) -> None:
        flow_run = await self.reader.flow_run(run_id)
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
        parent, runs = await self._read_family(sweep_id)
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
            runs=tuple(runs),
            scheduler={
                "run_id": str(parent.id),
                "host": labels.get(names.SCHEDULER_HOST),
                "pid": labels.get(names.SCHEDULER_PID),
            },
            message=parent.state.message if parent.state else None,
            url=run_page(self.ui, parent.id),
            queue=parameters.get("queue", DEFAULT_QUEUE),
            source=parameters.get("source"),
            notices=json.loads(notices) if isinstance(notices, str) else (),
        )

    async def _read_family(self, sweep_id: str) -> tuple[FlowRun, list[SweepRun]]:
        """Read a sweep's parent and its runs; while the parent goes on, both are asked for at once."""
        children = self.children.setdefault(sweep_id, Children(self.client, sweep_id, self.ui))
        if children.parent is not None and sweep_state(children.parent).is_terminal:
            children.parent_id = None  # it may have been resumed on another queue, with another parent
        children.parent = None  # until it is seen again
        runs = await children.read()
        known = children.parent
        parent = await (last_word(self.client, known) if known else find_parent(self.client, sweep_id))
        children.parent_id, children.parent = parent.id, parent
        return parent, runs

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
