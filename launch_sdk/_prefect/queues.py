"""Queues as work pools: making them, and the deployments of the product's flows on each."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk._prefect.project import project_folder, project_version
from launch_sdk.errors import NotFoundError
from launch_sdk.runs.processes import process_start_time
from launch_sdk.specs.placement import DEFAULT_QUEUE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from prefect import Flow
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import WorkPool

AGENT_SILENT_S = 90.0  # three heartbeats


PAGE = 200
_IN_NO_NAME = frozenset("/\\%&<>?#")  # the server takes none of these, and an address could lead elsewhere by them


async def ensure_queue(client: PrefectClient, name: str) -> WorkPool:
    """Return the work pool of a queue; the default queue is made on first use.

    Raises:
        NotFoundError: no queue has this name; the message names those there are.
    """
    try:
        return await read_pool(client, name)
    except NotFoundError:
        if name != DEFAULT_QUEUE:
            raise
    return await create_queue(client, name)


async def read_pool(client: PrefectClient, name: str) -> WorkPool:
    """Return the work pool of a queue.

    Raises:
        NotFoundError: no queue has this name; the message names those there are.
    """
    from prefect.exceptions import ObjectNotFound

    is_name = name not in {"", ".", ".."} and not set(name) & _IN_NO_NAME
    try:
        pool = await client.read_work_pool(name) if is_name else None
    except ObjectNotFound:
        pool = None
    if pool is None:
        known = ", ".join(repr(pool.name) for pool in await read_pools(client)) or "none yet"
        raise NotFoundError(f"Queue {name!r} does not exist; there are {known}. Create it: launch queue create {name}")
    return pool


async def read_pools(client: PrefectClient) -> list[WorkPool]:
    """Return every work pool."""
    found: list[WorkPool] = []
    while page := await client.read_work_pools(limit=PAGE, offset=len(found)):
        found += page
        if len(page) < PAGE:
            break
    return found


async def create_queue(client: PrefectClient, name: str) -> WorkPool:
    """Make a queue: a work pool of our type with a work queue for the parents of sweeps beside that for runs."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()  # so that Prefect's own worker serves the queue too
    wanted = WorkPoolCreate(name=name, type=names.QUEUE_TYPE, base_job_template=template)
    try:
        pool = await client.create_work_pool(wanted)
    except ObjectAlreadyExists:
        pool = await client.read_work_pool(name)
    with contextlib.suppress(ObjectAlreadyExists):
        await client.create_work_queue(names.SCHEDULERS, work_pool_name=name, priority=1)
    return pool


def is_dead_agent(worker: str) -> bool:
    """Say whether a worker's name is that of an agent of this machine whose process is gone."""
    prefix = f"agent-{socket.gethostname()}-"
    pid = worker.removeprefix(prefix)
    return worker.startswith(prefix) and pid.isdigit() and process_start_time(int(pid)) is None


async def ensure_deployment(client: PrefectClient, flow_name: str, queue: str) -> UUID:
    """Return the deployment of one of our flows on a queue, made or brought up to this version if needed.

    Args:
        client: of the server.
        flow_name: `run-job` or `run-sweep`.
        queue: an existing queue.
    """
    from prefect.exceptions import ObjectNotFound

    try:
        deployment = await client.read_deployment_by_name(f"{flow_name}/{queue}")
    except ObjectNotFound:
        deployment = None
    steps = project_steps()
    entrypoint = names.ENTRYPOINTS[flow_name]
    is_current = (
        deployment is not None
        and deployment.version == project_version()
        and deployment.entrypoint == entrypoint
        and deployment.pull_steps == steps
        and deployment.work_pool_name == queue
    )
    if deployment is not None and is_current:
        return deployment.id
    flow = load_flow(flow_name)
    return await client.create_deployment(
        await client.create_flow(flow),
        queue,
        version=project_version(),
        description=flow.description,
        entrypoint=entrypoint,
        pull_steps=steps,
        work_pool_name=queue,
        work_queue_name=names.WORK_QUEUES[flow_name],
        parameter_openapi_schema=flow.parameters.model_dump(),
        enforce_parameter_schema=True,
    )


def project_steps() -> list[dict[str, Any]]:
    """Return the pull steps of a deployment of the product's own flows."""
    return [{"prefect.deployments.steps.set_working_directory": {"directory": str(project_folder())}}]


async def find_deployment(client: PrefectClient, name: str) -> Any:
    """Return any deployment by `flow/deployment`; a job of ours has a name alone, see `jobs.read_job`.

    Raises:
        NotFoundError: there is none; the message names those there are.
    """
    from prefect.exceptions import ObjectNotFound

    try:
        return await client.read_deployment_by_name(name)
    except ObjectNotFound:
        flows = {flow.id: flow.name for flow in await client.read_flows()}
        deployments = await client.read_deployments()
        known = sorted(f"{flows.get(d.flow_id, '?')}/{d.name}" for d in deployments)
        listed = ", ".join(known[:10]) or "none"
        raise NotFoundError(
            f"Job {name!r} does not exist on this server; there are {listed}. Register it: prefect deploy"
        ) from None


@cache
def load_flow(flow_name: str) -> Flow[..., Any]:
    """Load one of our flows from the project folder, under a name that no user's module can have."""
    path, _, attribute = names.ENTRYPOINTS[flow_name].partition(":")
    return cast("Flow[..., Any]", load_project_attribute(project_folder() / path, attribute))


def load_project_attribute(path: Path, attribute: str) -> object:
    """Import one file of the project folder and return one of its names."""
    spec = importlib.util.spec_from_file_location(f"_launch_project_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise NotFoundError(f"{path} is missing: the installation of launch-sdk is not whole. Install it again.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, attribute)


def pool_variables(pool: WorkPool) -> Mapping[str, Any]:
    """Return the variables that runs on this pool may set, by name."""
    template: Mapping[str, Any] = pool.base_job_template
    return cast("Mapping[str, Any]", template.get("variables", {}).get("properties", {}))


async def ensure_queues(queues: Sequence[str]) -> None:
    """Make sure that these queues exist, and that the product's flows can be started on each from the Prefect UI."""
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        for queue in queues:
            await ensure_queue(client, queue)
            for flow_name in names.ENTRYPOINTS:
                await ensure_deployment(client, flow_name, queue)
