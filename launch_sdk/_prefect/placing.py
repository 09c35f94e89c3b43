"""Where a run stands on its queue: a work queue of the pool for each priority, job variables from the queue's config.

Prefect's server gives a worker the runs of the work queue with the lowest number first, and of one work queue the one
that has waited longest. So priorities hold for every worker that polls the pool, Prefect's own too.
"""

from __future__ import annotations

import contextlib
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk._prefect.queues import ensure_queue
from launch_sdk.errors import ConflictError
from launch_sdk.specs.placement import Placement, Priority
from launch_sdk.specs.queue_config import QueueConfig, submitter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import WorkPool, WorkQueue

MAX_WORK_QUEUES = 200


async def place(client: PrefectClient, queue: str, placement: Placement, *, by_person: bool = True) -> dict[str, Any]:
    """Check that a run may be put on a queue like this, and return what Prefect's call that creates it is given.

    Args:
        client: of the server.
        queue: its name.
        placement: how the run is to stand there.
        by_person: whether the user of this process submits; if not, as for the runs of a sweep, it has been checked.

    Raises:
        ConflictError: the queue is a work pool of another type, which has no priorities.
        InvalidSpecError: the queue is somebody's own, or a value for it is wrong; every fault at once.
        NotFoundError: the queue does not exist.
    """
    pool = await ensure_queue(client, queue)
    if pool.type != names.QUEUE_TYPE:
        return _of_foreign(pool, placement)
    config = pool_config(pool)
    if by_person:
        config.require_access(queue, submitter())
    env = config.environment(queue, placement.variables)
    more: dict[str, Any] = {"job_variables": {"env": env}} if env else {}
    if placement.priority is not Priority.MEDIUM:
        await ensure_priorities(client, queue)
        more["work_queue_name"] = names.PRIORITIES[placement.priority]
    return more


def _of_foreign(pool: WorkPool, placement: Placement) -> dict[str, Any]:
    if not placement.is_default:
        raise ConflictError(
            f"{pool.name!r} is a work pool of type {pool.type!r}; priorities and template variables go with queues,"
            f" which are of type {names.QUEUE_TYPE!r}. Leave them out, or make a queue: launch queue create NAME"
        )
    return {}


def pool_config(pool: WorkPool) -> QueueConfig:
    """Return what the owner of a queue decided."""
    template = cast("Mapping[str, Any]", pool.base_job_template)
    variables = cast("Mapping[str, Any]", template.get("variables") or {})
    kept = cast("Mapping[str, Any]", variables.get(names.POOL_CONFIG) or {})
    return QueueConfig.from_dict({"description": pool.description, **kept})


def template_with(template: Mapping[str, Any], config: QueueConfig) -> dict[str, Any]:
    """Return the job template of a pool with the config of its queue in it.

    The defaults stand in the template's own `env`, so that a run that the Prefect UI starts has them too.
    """
    changed = deepcopy(dict(template))
    variables = changed.setdefault("variables", {})
    variables[names.POOL_CONFIG] = config.to_dict()
    env = variables.setdefault("properties", {}).setdefault("env", {"type": "object"})
    env["default"] = config.default_environment()
    return changed


async def read_work_queues(client: PrefectClient, queue: str) -> list[WorkQueue]:
    """Return the work queues of a pool, in the order in which the server empties them."""
    from prefect.client.schemas.filters import WorkQueueFilter

    found = await client.read_work_queues(
        work_pool_name=queue, work_queue_filter=WorkQueueFilter(), limit=MAX_WORK_QUEUES, offset=0
    )
    return sorted(found, key=lambda one: one.priority or 0)


async def ensure_priorities(client: PrefectClient, queue: str) -> None:
    """Make the work queues of the priorities that a pool lacks, and number them."""
    from prefect.exceptions import ObjectAlreadyExists

    wanted = [names.SCHEDULERS, *names.PRIORITIES.values()]  # sweeps first: a long line of runs hides none of them
    there = await read_work_queues(client, queue)
    missing = [name for name in wanted if name not in {one.name for one in there}]
    for name in missing:
        with contextlib.suppress(ObjectAlreadyExists):
            await client.create_work_queue(name, work_pool_name=queue)
    if missing:
        there = await read_work_queues(client, queue)
    if [one.name for one in there if one.name in wanted] == wanted:
        return
    # From the last to the first, each is put at the head: the server moves the others up.
    for name in reversed(wanted):
        route = {"work_pool_name": queue, "name": name}
        await client.request(
            "PATCH", "/work_pools/{work_pool_name}/queues/{name}", path_params=route, json={"priority": 1}
        )


def priority_of(work_queue: str | None) -> Priority | None:
    """Return the priority that a work queue stands for; None for the parents of sweeps."""
    if work_queue == names.SCHEDULERS:
        return None
    return next((one for one, name in names.PRIORITIES.items() if name == work_queue), Priority.MEDIUM)
