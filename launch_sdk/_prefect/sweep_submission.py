"""Putting a sweep on its queue."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk._prefect.jobs import read_job
from launch_sdk._prefect.placing import place
from launch_sdk._prefect.queues import ensure_deployment, find_deployment
from launch_sdk.specs.command import expand_variables
from launch_sdk.sweeps.prior import PriorRun, prior_text
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefect.client.orchestration import PrefectClient

    from launch_sdk.specs.sweep_spec import SweepSpec

ID_BYTES = 4


async def submit_sweep(  # noqa: PLR0917  # as the gateway's own method
    client: PrefectClient,
    document: Mapping[str, Any],
    spec: SweepSpec,
    source: str | None,
    queue: str,
    prior: Sequence[PriorRun] = (),
) -> str:
    """Create the parent of a sweep; its jobs stay of the versions that they have now.

    Returns:
        The sweep's id.

    Raises:
        NotFoundError: its job, its deployment or its scheduler's job does not exist.
        InvalidSpecError: the queue does not take its values for variables.
    """
    sweep = await _pinned(client, cast("dict[str, Any]", encode(document)), spec)
    await place(client, queue, spec.placement)
    deployment = await ensure_deployment(client, names.RUN_SWEEP, queue)
    sweep_id = secrets.token_hex(ID_BYTES)
    if spec.command is not None:
        sweep["command"] = expand_variables(spec.command, os.environ)
    await client.create_flow_run_from_deployment(
        deployment,
        parameters={"sweep": sweep, "sweep_id": sweep_id, "source": source, "queue": queue},
        name=f"{spec.name or 'sweep'}-{sweep_id}",
        tags=[names.PARENT_TAG, names.sweep_tag(sweep_id)],
        idempotency_key=f"sweep-{sweep_id}",
        labels={names.PRIOR: prior_text(prior)} if prior else None,
    )
    return sweep_id


async def _pinned(client: PrefectClient, sweep: dict[str, Any], spec: SweepSpec) -> dict[str, Any]:
    """Name the versions of jobs: all runs of a sweep are of one, whatever happens to the job meanwhile."""
    if spec.own_job:
        sweep = {**sweep, "job": (await read_job(client, spec.own_job)).reference}
    elif spec.job:
        await find_deployment(client, spec.job)
    if spec.scheduler.job:
        scheduler = {**sweep["scheduler"], "job": (await read_job(client, spec.scheduler.job)).reference}
        sweep = {**sweep, "scheduler": scheduler}
    return sweep
