"""Jobs on a Prefect server: each is one deployment of the flow that runs programs, under a flow of the job's name.

The deployment is the newest version: its parameters are the RunSpec, its parameter schema is the form of the inputs,
which the server enforces. All versions are in `job_versions`. Flow, deployment and runs carry `names.JOB_TAG`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk._prefect.job_versions import (
    Kept,
    describe_version,
    forget_alias,
    forget_job,
    forget_version,
    read_all_kept,
    read_kept,
    set_alias,
    take_number,
)
from launch_sdk._prefect.queues import ensure_queue, project_steps
from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.specs.job import (
    Job,
    check_name,
    content,
    content_digest,
    is_unchanged,
    parse_reference,
    version_name,
    version_number,
)
from launch_sdk.specs.job_form import form_schema
from launch_sdk.specs.job_history import JobHistory, JobVersion, SavedJob, described, refuse_deletion
from launch_sdk.specs.placement import DEFAULT_QUEUE
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse

MOST_TRIES = 200  # to take a number that others take too
PAGE = 200


async def list_jobs(client: PrefectClient) -> list[JobHistory]:
    """Return every job with its versions, by name."""
    found, kept = await asyncio.gather(_deployments(client), read_all_kept(client))
    histories = [_history(one, kept) for one in found]
    return sorted(histories, key=lambda history: history.name)


async def read_history(client: PrefectClient, name: str) -> JobHistory:
    """Return a job with its versions.

    Raises:
        NotFoundError: there is none; the message names those there are.
    """
    deployment, kept = await asyncio.gather(_deployment(client, name), read_kept(client, name))
    if deployment is None:
        known = ", ".join(sorted(repr(_name(one)) for one in await _deployments(client))) or "none yet"
        raise NotFoundError(
            f"Job {name!r} does not exist on this server; there are {known}. Create it: launch job create --run RUN"
            f" -n {name}. A deployment of somebody else's is named flow/deployment."
        )
    return _history(deployment, {name: kept})


async def read_job(client: PrefectClient, reference: str) -> Job:
    """Return a version of a job by `name`, which is its newest, or `name:alias`.

    Raises:
        NotFoundError: there is none; the message names those there are.
    """
    name, alias = parse_reference(reference)
    return (await read_history(client, name)).find(alias)


async def save_job(
    client: PrefectClient,
    name: str,
    spec: RunSpec,
    queue: str | None,
    *,
    first_queue: str = DEFAULT_QUEUE,
    aliases: Sequence[str] = (),
    based_on: str | None = None,
    description: str | None = None,
) -> SavedJob:
    """Make a job, or the next version of one; the content of the newest version again makes none.

    Args:
        client: of the server.
        name: of the job.
        spec: what a run of it is; its config and files are left out.
        queue: where its runs go; None for where they go already.
        first_queue: where the runs of a new job go, without `queue`.
        aliases: names for the version, taken from other versions of the job that have them.
        based_on: the digest that the newest version must have for a next one to be made; None for any.
        description: what people read of the version; None for what they read of the one before.

    Raises:
        ConflictError: a flow of somebody else has this name, or the job is on another queue.
        InvalidSpecError: the name or an alias cannot be one; every fault at once.
        NotFoundError: the queue does not exist.
    """
    check_name(name, aliases)
    flow_id = await _own_flow(client, name)
    before, saved = None, False
    for _ in range(MOST_TRIES):
        deployment, kept = await asyncio.gather(_deployment(client, name), read_kept(client, name))
        before = _newest(deployment, kept)
        there = _queue(deployment, kept)
        _refuse_other_queue(name, there, queue)
        there = there or queue or first_queue
        await ensure_queue(client, there)
        wanted = content(spec, name)
        said = description or (before.description if before is not None else None)
        if saved := await _numbered(client, kept, before, wanted, queue=there, based_on=based_on, description=said):
            break
    else:
        raise ConflictError(f"Job {name!r} is changed by others all the time. Create it again in a moment.")
    number, is_new = saved
    if description and before is not None and not is_new and before.description != description:
        await describe_version(client, await read_kept(client, name), number, description)
    history = await _publish(client, flow_id, name)
    moved = await _name_version(client, name, number, aliases)
    if moved:
        history = await _publish(client, flow_id, name)
    previous = before.spec and Job(name, history.queue, before.spec, before.number) if before is not None else None
    return SavedJob(history.find(version_name(number)), is_new, previous, moved)


async def _numbered(
    client: PrefectClient,
    kept: Kept,
    before: JobVersion | None,
    wanted: RunSpec,
    *,
    queue: str,
    based_on: str | None,
    description: str | None,
) -> tuple[int, bool] | None:
    """Try to give the content a number: that of the newest version if it has the content, else the next.

    Returns:
        The number, and whether it is new; None if somebody else was faster.
    """
    if before is not None and before.spec is not None:
        if before.number not in kept.versions:  # made before versions were kept
            await take_number(client, kept, before.number, before.spec, queue=queue, created=before.created)
        is_based_on_another = based_on is not None and content_digest(before.spec) != based_on
        if is_based_on_another or is_unchanged(before.spec, wanted):
            return before.number, False
    number = max([*kept.versions, -1 if before is None else before.number]) + 1
    is_mine = await take_number(client, kept, number, wanted, queue=queue, description=description)
    return (number, True) if is_mine else None


async def _name_version(client: PrefectClient, name: str, number: int, aliases: Sequence[str]) -> dict[str, int | None]:
    if not aliases:
        return {}
    kept = await read_kept(client, name)
    moved = {alias: kept.aliases.get(alias) for alias in aliases if kept.aliases.get(alias) != number}
    for alias in moved:
        await set_alias(client, kept, alias, number)
    return moved


async def job_deployment(client: PrefectClient, job: Job) -> UUID:
    """Return the deployment of a job, brought up to its newest version and to this installation's flows if needed."""
    deployment = await _deployment(client, job.name)
    is_behind = deployment is not None and job.is_latest and deployment.version != job.version
    if deployment is None or is_behind or not _is_ours(deployment):
        flow_id = deployment.flow_id if deployment is not None else await _own_flow(client, job.name)
        await _publish(client, flow_id, job.name)
        deployment = await _deployment(client, job.name)
    if deployment is None:
        raise NotFoundError(f"Job {job.name!r} was deleted just now.")
    return deployment.id


async def start_job(client: PrefectClient, deployment_id: UUID, job: Job, spec: RunSpec, **more: Any) -> FlowRun:
    """Start a run of a version of a job under the job's one deployment.

    The run is given everything that its version is, so that whatever the deployment says by now does not matter. So the
    form of the newest version cannot judge it; `spec` has been checked by its own inputs.

    Args:
        client: of the server.
        deployment_id: of the job.
        job: the version.
        spec: of the run, as `Job.spec_with` gives it.
        **more: fields of Prefect's `DeploymentFlowRunCreate`.
    """
    from prefect.client.schemas.actions import DeploymentFlowRunCreate
    from prefect.client.schemas.objects import FlowRun
    from prefect.states import Scheduled, to_state_create

    labels = {names.GIVEN: True, names.VERSION: job.version, **more.pop("labels", {})}
    wanted = DeploymentFlowRunCreate(
        parameters=spec.to_parameters(),
        enforce_parameter_schema=False,
        state=to_state_create(Scheduled()),
        labels=labels,
        **more,
    )
    answer = await client.request(
        "POST",
        "/deployments/{id}/create_flow_run",
        path_params={"id": deployment_id},
        json=wanted.model_dump(mode="json", exclude_unset=True),
    )
    return FlowRun.model_validate(answer.json())


async def delete_job(client: PrefectClient, reference: str) -> Job:
    """Delete a job, one version of it, or an alias; runs stay, and so does the flow, which they hang on.

    Args:
        client: of the server.
        reference: `name` for the whole job, `name:v3` for a version with its aliases, `name:alias` for the alias alone.

    Returns:
        The newest version of the job that was deleted; or the version that was deleted, or had the alias, as it was.

    Raises:
        ConflictError: `latest` is meant, or the only version.
        NotFoundError: there is no such job, version or alias.
    """
    name, alias = parse_reference(reference)
    if ":" not in reference:
        return await _delete_whole(client, name)
    history = await read_history(client, name)
    job = history.find(alias)
    refuse_deletion(history, job, alias)
    kept = await read_kept(client, name)
    if alias in history.own_aliases:
        await forget_alias(client, kept, alias)
    else:
        await forget_version(client, kept, job.number)
    await _publish(client, await _own_flow(client, name), name)
    return job


async def _delete_whole(client: PrefectClient, name: str) -> Job:
    """Delete a job; also what is left of one whose deployment somebody has deleted."""
    deployment, kept = await asyncio.gather(_deployment(client, name), read_kept(client, name))
    newest = _newest(deployment, kept)
    if newest is None or newest.spec is None:
        return (await read_history(client, name)).latest
    for one in await _deployments(client, name):
        await client.delete_deployment(one.id)
    await forget_job(client, name)
    return Job(name, _queue(deployment, kept) or DEFAULT_QUEUE, newest.spec, newest.number, newest.created)


async def _publish(client: PrefectClient, flow_id: UUID, name: str) -> JobHistory:
    """Let the deployment of a job be its newest version; whoever comes last sees to it that it is."""
    while True:
        deployment, kept = await asyncio.gather(_deployment(client, name), read_kept(client, name))
        newest = _newest(deployment, kept)
        if newest is None or newest.spec is None:
            raise ConflictError(f"Job {name!r} was deleted while it was written.")
        history = JobHistory(name, _queue(deployment, kept) or DEFAULT_QUEUE, *_known(deployment, kept))
        await _write(client, flow_id, history)
        again = await read_kept(client, name)
        if (again.versions.keys(), again.aliases) == (kept.versions.keys(), kept.aliases):
            return history


async def _write(client: PrefectClient, flow_id: UUID, history: JobHistory) -> UUID:
    job = history.latest
    return await client.create_deployment(
        flow_id,
        job.queue,
        version=job.version,
        description=described(history),
        tags=[names.JOB_TAG],
        entrypoint=names.ENTRYPOINTS[names.RUN_JOB],
        pull_steps=project_steps(),
        work_pool_name=job.queue,
        work_queue_name=names.JOBS,
        parameters=_fixed_parameters(job.spec),
        parameter_openapi_schema=cast("dict[str, Any]", encode(form_schema(job.spec))),
        enforce_parameter_schema=True,
    )


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


async def _deployment(client: PrefectClient, name: str) -> DeploymentResponse | None:
    found = await _deployments(client, name)
    return found[0] if found else None


async def _deployments(client: PrefectClient, name: str | None = None) -> list[DeploymentResponse]:
    """Return the deployments that are jobs, or those of one job, of which there is one."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags, FlowFilter, FlowFilterName

    wanted = DeploymentFilter(tags=DeploymentFilterTags(all_=[names.JOB_TAG]))
    flow = FlowFilter(name=FlowFilterName(any_=[name])) if name is not None else None
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(
        flow_filter=flow, deployment_filter=wanted, limit=PAGE, offset=len(found)
    ):
        found += page
        if len(page) < PAGE:
            break
    return found


def _is_ours(deployment: DeploymentResponse) -> bool:
    """Say whether a deployment starts this installation's flow."""
    return deployment.pull_steps == project_steps() and deployment.entrypoint == names.ENTRYPOINTS[names.RUN_JOB]


def _history(deployment: DeploymentResponse, kept: Mapping[str, Kept]) -> JobHistory:
    name = _name(deployment)
    of_job = kept.get(name) or Kept(name)
    return JobHistory(name, _queue(deployment, of_job) or DEFAULT_QUEUE, *_known(deployment, of_job))


def _known(deployment: DeploymentResponse | None, kept: Kept) -> tuple[list[JobVersion], dict[str, int]]:
    """Put together the versions that are kept and the one that the deployment has, if it was made without."""
    versions = dict(kept.versions)
    if deployment is not None:
        own = _version_of(deployment)
        if own.number not in versions:
            versions[own.number] = own
    return list(versions.values()), kept.aliases


def _newest(deployment: DeploymentResponse | None, kept: Kept) -> JobVersion | None:
    versions, _ = _known(deployment, kept)
    there = [one for one in versions if one.spec is not None]
    return max(there, key=lambda one: one.number) if there else None


def _queue(deployment: DeploymentResponse | None, kept: Kept) -> str | None:
    return (deployment.work_pool_name if deployment is not None else None) or kept.queue


def _version_of(deployment: DeploymentResponse) -> JobVersion:
    number = version_number(deployment.version or "") or 0
    spec = RunSpec.from_dict(cast("dict[str, Any]", decode(deployment.parameters)))
    made = deployment.updated or deployment.created
    return JobVersion(number, spec, made.timestamp() if made else None)


def _name(deployment: DeploymentResponse) -> str:
    return str(deployment.parameters.get("job") or deployment.name)


def _refuse_other_queue(name: str, present: str | None, wanted: str | None) -> None:
    if present is not None and wanted not in {None, present}:
        raise ConflictError(
            f"Job {name!r} is on queue {present!r}. Start single runs elsewhere with launch --job {name}"
            f" -q {wanted}, or move it: launch job delete {name}, then create it on {wanted!r}."
        )
