"""Jobs on a Prefect server: each is one deployment of the flow that runs programs, under a flow of the job's name.

The deployment's parameters are the job's RunSpec, its parameter schema is the form of the job's inputs, which the
server enforces, and its version counts the changes of the content. Flow, deployment and runs carry `names.JOB_TAG`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk._prefect.queues import ensure_queue, project_steps
from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.sources.packed import content_of
from launch_sdk.specs.deletions import gathered
from launch_sdk.specs.job import Job, check_name, parse_reference, refuse_version
from launch_sdk.specs.job_form import form_schema
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking.values import decode, encode

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

PAGE = 200


async def list_jobs(client: PrefectClient) -> list[Job]:
    """Return every job, by name."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    wanted = DeploymentFilter(tags=DeploymentFilterTags(all_=[names.JOB_TAG]))
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(deployment_filter=wanted, limit=PAGE, offset=len(found)):
        found += page
        if len(page) < PAGE:
            break
    return sorted((_job(one) for one in found), key=lambda job: job.name)


async def read_job(client: PrefectClient, reference: str) -> Job:
    """Return a job by `name` or `name:alias`.

    Raises:
        NotFoundError: there is none; the message names those there are.
    """
    name, alias = parse_reference(reference)
    job = _job(await _required(client, name))
    refuse_version(job, alias)
    return job


async def save_job(
    client: PrefectClient, name: str, spec: RunSpec, queue: str | None, first_queue: str = names.DEFAULT_QUEUE
) -> Job:
    """Make a job, or give an existing one new content; the same content again changes nothing.

    Args:
        client: of the server.
        name: of the job.
        spec: what a run of it is; its config and files are left out.
        queue: where its runs go; None for where they go already.
        first_queue: where the runs of a new job go, without `queue`.

    Raises:
        ConflictError: a flow of somebody else has this name, or the job is on another queue.
        InvalidSpecError: the name cannot be one.
        NotFoundError: the queue does not exist.
    """
    check_name(name)
    flow_id = await _own_flow(client, name)
    before = await _deployment(client, name)
    present = _job(before) if before is not None else None
    if present is not None and queue not in {None, present.queue}:
        raise ConflictError(
            f"Job {name!r} is on queue {present.queue!r}. Start single runs elsewhere with launch --job {name}"
            f" -q {queue}, or move it: launch job delete {name}, then create it on {queue!r}."
        )
    queue = present.queue if present is not None else queue or first_queue
    await ensure_queue(client, queue)
    content = replace(spec, config={}, files={}, name=None, job=name)
    number = 0
    if present is not None:
        number = present.number if _is_same(present.spec, content) else present.number + 1
    await _write(client, flow_id, Job(name, queue, content, number))
    return _job(await _required(client, name))


def _is_same(one: RunSpec, other: RunSpec) -> bool:
    """Say whether two jobs are the same; the same files may come from another commit or branch."""
    first, second = (replace(spec, source=content_of(spec.source)).to_parameters() for spec in (one, other))
    return first == second


async def job_deployment(client: PrefectClient, job: Job) -> UUID:
    """Return the deployment of a job, brought up to this installation's flows if needed."""
    deployment = await _required(client, job.name)
    if deployment.pull_steps != project_steps() or deployment.entrypoint != names.ENTRYPOINTS[names.RUN_JOB]:
        return await _write(client, deployment.flow_id, job)
    return deployment.id


async def delete_job(client: PrefectClient, reference: str) -> Job:
    """Delete a job; its runs stay. Its flow stays too, because Prefect would delete the runs with it."""
    name, alias = parse_reference(reference)
    deployment = await _required(client, name)
    job = _job(deployment)
    refuse_version(job, alias)
    await client.delete_deployment(deployment.id)
    return job


async def _write(client: PrefectClient, flow_id: UUID, job: Job) -> UUID:
    return await client.create_deployment(
        flow_id,
        job.queue,
        version=job.version,
        description=f"Job {job.name}: {' '.join(job.spec.entry_point)}",
        tags=[names.JOB_TAG],
        entrypoint=names.ENTRYPOINTS[names.RUN_JOB],
        pull_steps=project_steps(),
        work_pool_name=job.queue,
        work_queue_name=names.JOBS,
        parameters=_fixed_parameters(job.spec),
        parameter_openapi_schema=cast("dict[str, Any]", encode(form_schema(job.spec))),
        enforce_parameter_schema=True,
    )


def job_parameters(spec: RunSpec) -> dict[str, Any]:
    """Give the parameters of one run of a job: what its form has, and its name and project."""
    files = {path: gathered(values) for path, values in spec.files.items()}
    given = replace(spec, files=files).to_parameters()
    taken = spec.inputs or {"config": {}, "files": {"any": {}}}
    wanted = {"config": taken["config"] is not None or spec.config, "files": taken["files"] or spec.files}
    return {key: given[key] for key in ("args", "name", "project", *(key for key in wanted if wanted[key]))}


def _fixed_parameters(spec: RunSpec) -> dict[str, Any]:
    """What a run of the job is given by the deployment: config and files are the user's."""
    given = spec.to_parameters()
    return {key: value for key, value in given.items() if key not in {"config", "files", "name"}}


async def _own_flow(client: PrefectClient, name: str) -> UUID:
    """Return the flow of a job's name, made if there is none."""
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    found = await client.read_flows(flow_filter=FlowFilter(name=FlowFilterName(any_=[name])))
    for flow in found:
        if names.JOB_TAG not in flow.tags:
            raise ConflictError(
                f"{name!r} is the name of a flow on this server that is no job. Choose another name with -n."
            )
        return flow.id
    document = {"name": name, "tags": [names.JOB_TAG], "labels": {names.JOB: name}}
    answer = await client.request("POST", "/flows/", json=document)
    from uuid import UUID

    return UUID(answer.json()["id"])


async def _required(client: PrefectClient, name: str) -> DeploymentResponse:
    deployment = await _deployment(client, name)
    if deployment is None:
        known = ", ".join(repr(job.name) for job in await list_jobs(client)) or "none yet"
        raise NotFoundError(
            f"Job {name!r} does not exist on this server; there are {known}. Create it: launch job create --run RUN"
            f" -n {name}. A deployment of somebody else's is named flow/deployment."
        )
    return deployment


async def _deployment(client: PrefectClient, name: str) -> DeploymentResponse | None:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags, FlowFilter, FlowFilterName

    found = await client.read_deployments(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[name])),
        deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[names.JOB_TAG])),
        limit=1,
    )
    return found[0] if found else None


def _job(deployment: DeploymentResponse) -> Job:
    spec = RunSpec.from_dict(cast("dict[str, Any]", decode(deployment.parameters)))
    version = deployment.version or "v0"
    return Job(
        name=spec.job or deployment.name,
        queue=deployment.work_pool_name or names.DEFAULT_QUEUE,
        spec=spec,
        number=int(version[1:]) if version[1:].isdigit() else 0,
        created=deployment.created.timestamp() if deployment.created else None,
    )
