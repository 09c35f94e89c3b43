"""What the flow of a sweep does on the server: open it, start its runs, stop them, read their results.

The truth of a sweep is here alone: its runs, with their parameters, states and summaries. Each run carries the
idempotency key `sweep id/index/attempt`, so a crash between creating one and remembering it starts nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast, get_args

from launch_sdk._prefect import names
from launch_sdk._prefect.attempts import process_is_gone
from launch_sdk._prefect.children import Children
from launch_sdk._prefect.flow_job import returned_summary
from launch_sdk._prefect.jobs import job_deployment, read_job, start_job
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.placing import place, pool_config
from launch_sdk._prefect.queues import ensure_deployment, find_deployment, pool_variables, read_pool
from launch_sdk._prefect.views import run_labels
from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.job_making import check_sweep, job_arguments
from launch_sdk.runs.processes import process_start_time
from launch_sdk.specs.command import render_command
from launch_sdk.specs.document import Document
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_inputs import split_parameters
from launch_sdk.sweeps.planning import Wish
from launch_sdk.sweeps.prior import PriorRun, read_prior
from launch_sdk.sweeps.report import flat_parameters, short, short_names
from launch_sdk.tracking.values import dumps, encode

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.exceptions import PrefectHTTPStatusError

    from launch_sdk.specs.job import Job
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.planning import Launch
    from launch_sdk.sweeps.runs import SweepRun

NAME_LENGTH = 90
STUCK_PENDING = timedelta(seconds=30)
STOP_TIMEOUT_S = 25.0
ASK_AGAIN_S = 1.0
SETTLED_S = 1.0


@dataclass(frozen=True)
class SweepIdentity:
    """Which sweep this is: its id, the flow run that is its parent, its queue and its code."""

    sweep_id: str
    parent_id: UUID
    queue: str
    source: str | None


class SweepRuns:
    """The runs of one sweep, seen from its parent flow.

    Life: `open`, then `read`/`launch`/`stop` in a loop; `stop_all` when the parent is told to end.
    """

    def __init__(self, client: PrefectClient, spec: SweepSpec, identity: SweepIdentity, ui: str) -> None:
        self.client = client
        self.spec = spec
        self.identity = identity
        self.children = Children(client, identity.sweep_id, ui, identity.parent_id)
        self.reread: object = None
        self.parent_task_run: UUID | None = None
        self.deployment: DeploymentResponse | None = None
        self.job: Job | None = None
        self.container: Mapping[str, Any] | None = None  # that its runs want
        self.place: dict[str, Any] = {}  # where its runs stand on their queue, as Prefect's call is given it

    async def open(self) -> list[SweepRun]:
        """Say who schedules, find what to run, and take up the runs of an earlier parent."""
        await write_labels(
            self.client,
            self.identity.parent_id,
            {
                names.SCHEDULER_HOST: socket.gethostname(),
                names.SCHEDULER_PID: os.getpid(),
                names.SCHEDULER_STARTED: process_start_time(os.getpid()) or 0.0,
            },
        )
        self.parent_task_run = await self._ensure_parent_task_run()
        await self._find_target()
        await self.children.read()
        for flow_run in list(self.children.flow_runs.values()):
            await self._mend(flow_run)
        return await self.read()

    async def read(self) -> list[SweepRun]:
        """Return every attempt of every index; a finished flow's return value is kept as its summary."""
        returns_values = self.spec.job is not None and self.spec.own_job is None
        known = self.children.known.items() if returns_values else ()
        before = {run_id for run_id, run in known if run.state.is_terminal}
        await self.children.read()
        if (token := self._label(names.REREAD)) != self.reread:
            self.reread = token
            await self.children.read_all()
        for run_id, run in list(self.children.known.items()) if returns_values else ():
            if run_id not in before and run.state.has_result and not run.summary:
                await self._keep_result(run_id)
        return list(self.children.known.values())

    @property
    def prior(self) -> list[PriorRun]:
        """The runs from before the sweep that its sampler is told."""
        text = self._label(names.PRIOR)
        return read_prior(text) if isinstance(text, str) else []

    @property
    def wish(self) -> Wish | None:
        """What the sweep's user wants of it, as of the last `read`."""
        wanted = self._label(names.CONTROL)
        return cast("Wish", wanted) if wanted in get_args(Wish) else None

    def _label(self, name: str) -> object:
        parent = self.children.parent
        return None if parent is None else run_labels(parent).get(name)

    @property
    def known(self) -> list[SweepRun]:
        """What the last `read` and the launches since say."""
        return list(self.children.known.values())

    async def launch(self, action: Launch) -> SweepRun:
        """Start one run.

        Raises:
            InvalidSpecError: the job does not take these parameters.
        """
        from prefect.exceptions import PrefectHTTPStatusError

        identity = self.identity
        try:
            flow_run = await self._start(
                action,
                name=run_name(action.index, action.parameters),
                tags=[self.children.tag],
                idempotency_key=f"{identity.sweep_id}/{action.index}/{action.attempt}",
                parent_task_run_id=self.parent_task_run,
                labels={
                    names.SWEEP: identity.sweep_id,
                    names.INDEX: action.index,
                    names.ATTEMPT: action.attempt,
                    names.PARAMETERS: dumps(action.parameters),
                    **({names.METRIC: self.spec.metric.name} if self.spec.metric else {}),
                    **self._followed,
                },
                **self.place,
            )
        except PrefectHTTPStatusError as error:
            raise self._refused(action, error) from error
        self.children.note(flow_run)
        return self.children.known[str(flow_run.id)]

    @property
    def _followed(self) -> dict[str, str]:
        """Have the run tell every value of the metric, if anybody wants them."""
        metric = self.spec.metric
        return {names.FOLLOWED: metric.name} if metric and self.spec.needs_values else {}

    async def _start(self, action: Launch, **more: Any) -> FlowRun:
        if self.deployment is None:
            raise RuntimeError("open() comes first")
        if self.job is not None:
            return await start_job(self.client, self.deployment.id, self.job, self._job_spec(action, self.job), **more)
        parameters = self._parameters(action)
        return await self.client.create_flow_run_from_deployment(self.deployment.id, parameters=parameters, **more)

    def _refused(self, action: Launch, error: PrefectHTTPStatusError) -> Exception:
        """Say which parameters a deployment takes, if it was these that the server has refused."""
        if error.response.status_code != HTTPStatus.CONFLICT or self.deployment is None:
            return error
        schema: Mapping[str, Any] = self.deployment.parameter_openapi_schema or {}
        takes, given = ", ".join(schema.get("properties", {})), ", ".join(action.parameters)
        told = f"{self.spec.job or names.RUN_JOB} takes {takes}; the sweep gives {given}"
        return InvalidSpecError(
            "The sweep", [Fault("parameters", f"{told}. {error.response.json().get('detail', '')}")]
        )

    async def stop(self, run_id: str, reason: str) -> None:
        """Ask one run to end and keep what it has as its result."""
        await write_labels(self.client, run_id, {names.STOP_REASON: reason})
        await self._cancel(run_id)

    async def acknowledge(self, runs: Sequence[SweepRun]) -> None:
        """Note that these runs were cut short while the sweep looked on, so that a resume leaves them be."""
        for run in runs:
            await write_labels(self.client, run.run_id, {names.ACKNOWLEDGED: True})
            self.children.note(await self.client.read_flow_run(uuid.UUID(run.run_id)))

    async def stop_all(self) -> None:
        """Cancel every active run and wait until all are over, so that none outlives its sweep.

        A run that an agent is just starting can overwrite what it was told, so each is asked again until it is over,
        and that all are over is believed once it has held for `SETTLED_S`.
        """
        clock = asyncio.get_running_loop().time
        deadline, quiet_since = clock() + STOP_TIMEOUT_S, clock()
        asked: dict[str, float] = {}
        while clock() < deadline and clock() - quiet_since < SETTLED_S:
            self.children = Children(self.client, self.identity.sweep_id, self.children.ui)  # all are read afresh
            active = [run for run in await self.children.read() if run.is_active]
            if active:
                quiet_since = clock()
            for run in active:
                if clock() - asked.get(run.run_id, -ASK_AGAIN_S) >= ASK_AGAIN_S:
                    asked[run.run_id] = clock()
                    await self._cancel(run.run_id)
            await asyncio.sleep(0.2)

    async def _cancel(self, run_id: str) -> None:
        from prefect.states import Cancelled, Cancelling

        waits = self.children.known[run_id].state is RunState.QUEUED
        state = Cancelled(message="Cancelled before it started.") if waits else Cancelling()
        await self.client.set_flow_run_state(uuid.UUID(run_id), state)

    async def _ensure_parent_task_run(self) -> UUID:
        """All runs hang below one task run of the parent: so the UI lists them under it, at the cost of one call."""
        from prefect import Task
        from prefect.states import Running

        task_run = await self.client.create_task_run(
            task=Task(fn=_runs, name="runs"),
            flow_run_id=self.identity.parent_id,
            dynamic_key="runs-0",
            name="runs",
            state=Running(),
        )
        return task_run.id

    async def _find_target(self) -> None:
        if self.spec.image is not None:  # launch-sweep makes the job; from the form of the UI nobody has
            made = f"launch job create image {self.spec.image.name}"
            told = f"make a job of it: {made}; then write job: {self.spec.image.job} in its place"
            raise InvalidSpecError("The sweep", [Fault("image_uri", told)])
        if self.spec.own_job is not None:
            await self._find_job(self.spec.own_job)
            return
        if self.spec.job is None:
            self.container = await self._container(None)
            self.place = await place(self.client, self.identity.queue, self.spec.placement, by_person=False)
            deployment_id = await ensure_deployment(self.client, names.RUN_JOB, self.identity.queue)
            self.deployment = await self.client.read_deployment(deployment_id)
            return
        self.deployment = cast("DeploymentResponse", await find_deployment(self.client, self.spec.job))
        if pool_name := self.deployment.work_pool_name:
            self.place = await place(self.client, pool_name, self.spec.placement, by_person=False)
            variables = pool_variables(await self.client.read_work_pool(pool_name))
            if "env" in variables:  # so that the return value of an unchanged flow can be read
                env = self.place.get("job_variables", {}).get("env", {})
                self.place["job_variables"] = {"env": {**env, "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true"}}

    async def _find_job(self, reference: str) -> None:
        """Find a job: its own deployment, or `run-job` where the sweep is on another queue than it is."""
        self.job = job = await read_job(self.client, reference)
        check_sweep(job, self.spec, Document({}, "The sweep"))
        self.place = await place(self.client, self.identity.queue, self.spec.placement, by_person=False)
        self.container = await self._container(job.spec.container)
        is_elsewhere = self.identity.queue != job.queue
        ours = ensure_deployment(self.client, names.RUN_JOB, self.identity.queue) if is_elsewhere else None
        deployment_id = await (ours or job_deployment(self.client, job))
        self.deployment = await self.client.read_deployment(deployment_id)

    async def _container(self, of_job: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Say which container the runs want; what their queue is decides whether some words ask for one."""
        pool = await read_pool(self.client, self.identity.queue)
        is_contained = pool.type == names.QUEUE_TYPE and pool_config(pool).container is not None
        return self.spec.container.over(of_job, is_contained=is_contained)

    def _job_spec(self, action: Launch, job: Job) -> RunSpec:
        varied, files = split_parameters(action.parameters)
        args = job_arguments(job, self.spec, varied)
        wanted: dict[str, Any] = {"resources": self.spec.container.resources, "container": self.container}
        return job.spec_with({**self.spec.overrides, **varied}, files, args, project=self.spec.project, **wanted)

    def _parameters(self, action: Launch) -> dict[str, Any]:
        varied, files = split_parameters(action.parameters)
        config = {**self.spec.overrides, **varied}
        if self.spec.program is None:
            return cast("dict[str, Any]", encode(action.parameters))
        words = render_command(self.spec.command, self.spec.program, varied)
        spec = RunSpec(
            source=self.identity.source or "",
            entry_point=tuple(words),
            args=self.spec.args,
            config=config,
            files=files,
            project=self.spec.project,
            metric_sources=self.spec.metric_sources,
            environment=self.spec.environment,
            resources=self.spec.container.resources,
            container=self.container,
        )
        return spec.to_parameters()

    async def _mend(self, flow_run: Any) -> None:
        """Settle a run that an earlier parent left behind and that nobody can be working on any more."""
        from prefect.states import Crashed, Scheduled

        state = flow_run.state
        if state is None or state.is_final():
            return
        if not state.is_scheduled() and process_is_gone(flow_run):
            gone = Crashed(message="Its process is gone; the sweep starts it again.")
            await self.client.set_flow_run_state(flow_run.id, gone, force=True)
        elif (
            state.is_pending()
            and not flow_run.infrastructure_pid
            and datetime.now(UTC) - state.timestamp > STUCK_PENDING
        ):
            await self.client.set_flow_run_state(flow_run.id, Scheduled(), force=True)

    async def _keep_result(self, run_id: str) -> None:
        """Read what a flow returned, and keep it as the run's summary on the server."""
        if self.spec.metric is None:
            return
        flow_run = await self.client.read_flow_run(uuid.UUID(run_id))
        if flow_run.state is None:
            return
        with contextlib.suppress(Exception):  # a result that cannot be read is a metric that was not logged
            result: object = await flow_run.state.aresult(raise_on_failure=False)
            summary = returned_summary(result, self.spec.metric.name)
            if summary:
                await write_labels(self.client, run_id, {names.SUMMARY: dumps(summary)})
                self.children.note(await self.client.read_flow_run(flow_run.id))


def run_name(index: int, parameters: Mapping[str, Any]) -> str:
    """Name a run after its index and its parameters, as far as they fit."""
    flat = flat_parameters(parameters)
    words = [f"{key}={short(value)}" for key, value in zip(short_names(list(flat)), flat.values(), strict=True)]
    name = " ".join([f"{index:03d}", *words])
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def _runs() -> None:
    """The task that stands for the runs of a sweep; it is never called."""
