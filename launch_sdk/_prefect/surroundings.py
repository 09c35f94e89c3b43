"""What a run's queue gives to its container, read from the server when the run starts: its work pool, and blocks.

The definition is read from the pool, so nothing that a submitter sends along can stand for it. Of the submitter there
are the values of template variables alone, and they are checked again here.

The forms of the blocks are `prefect-docker`'s: `docker-host` and `docker-registry-credentials`.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from launch_sdk._prefect import names
from launch_sdk._prefect.placing import pool_config
from launch_sdk.containers.registry import Registry
from launch_sdk.containers.settled import Surroundings
from launch_sdk.errors import NotFoundError
from launch_sdk.specs.queue_config import CHOSEN, QueueConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

ENGINE_BLOCK, REGISTRY_BLOCK = "docker-host", "docker-registry-credentials"
DOCKER_HUB = ("index.docker.io", "registry-1.docker.io", "hub.docker.com", "docker.io")


def queue_of(flow_run: FlowRun) -> str | None:
    """Name the queue that a worker took a flow run from; the flow run itself forgets one that is deleted."""
    return cast("str | None", flow_run.labels.get(names.POOL)) or flow_run.work_pool_name


async def surroundings_of(client: PrefectClient, queue: str | None, macros: Mapping[str, str]) -> Surroundings:
    """Return what a queue gives to the container of a run, in the process of the run.

    Args:
        client: of the server.
        queue: its name; None of a run that is on none.
        macros: value of each macro.

    Raises:
        InvalidSpecError: a value that was chosen for a template variable makes no sense.
        NotFoundError: the queue, or a block that it names, does not exist.
    """
    from prefect.exceptions import ObjectNotFound

    if queue is None:
        return Surroundings()
    try:
        config = pool_config(await client.read_work_pool(queue))
    except ObjectNotFound:  # its containers are not known any more: nothing is started without them
        raise NotFoundError(
            f"Queue {queue!r} was deleted before this run started. Make it again, or launch the run on another queue."
        ) from None
    env = {name: os.environ[name] for name in config.env if name in os.environ}
    chosen = _chosen(config, queue)
    containers = config.containers(chosen)
    if containers is None:
        return Surroundings(queue, None, env, macros)
    engine = await _engine(client, containers.engine)
    registry = await _registry(client, containers.registry)
    return Surroundings(queue, containers, env, macros, engine, registry)


async def engine_of(client: PrefectClient, config: QueueConfig) -> str | None:
    """Return the address of a queue's engine; None for what the agent's machine has."""
    return await _engine(client, (config.container or {}).get("engine"))


def _chosen(config: QueueConfig, queue: str) -> dict[str, Any]:
    text = os.environ.pop(CHOSEN, "")
    given: Any = json.loads(text) if text else {}
    known = {name: value for name, value in given.items() if name in config.variables}
    config.require_values(queue, known)
    return known


async def _engine(client: PrefectClient, block: str | None) -> str | None:
    if block is None:
        return None
    return (await _read(client, block, ENGINE_BLOCK)).get("base_url")


async def _registry(client: PrefectClient, block: str | None) -> Registry | None:
    if block is None:
        return None
    data = await _read(client, block, REGISTRY_BLOCK)
    return Registry(None, _host(str(data["registry_url"])), str(data["username"]), str(data["password"]))


async def _read(client: PrefectClient, name: str, kind: str) -> Mapping[str, Any]:
    from prefect.exceptions import ObjectNotFound

    try:
        return (await client.read_block_document_by_name(name, kind, include_secrets=True)).data
    except ObjectNotFound:
        raise NotFoundError(
            f"The queue names a block {kind}/{name}, which the server does not have. Make it in the Prefect UI"
            " (Blocks), after: prefect block register -m prefect_docker"
        ) from None


def _host(address: str) -> str:
    """Give the host of a registry's address, as names of images have it."""
    named = urlsplit(address if "://" in address else f"//{address}").netloc
    return "docker.io" if named in DOCKER_HUB else named
