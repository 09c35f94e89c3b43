"""Deployments of images that start their own runs, on Prefect work pools of other types: Docker, Kubernetes, ECS.

The flow is the product's `run-job`, out of the image; the pool's own worker starts the container and watches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from launch_sdk._prefect import names
from launch_sdk._prefect.queues import load_flow, pool_variables, read_pool
from launch_sdk.containers.launcher import COMMAND, PROJECT
from launch_sdk.errors import ConflictError, Fault, InvalidSpecError
from launch_sdk.specs.job_form import form_schema
from launch_sdk.specs.pool_variables import variable_faults
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import WorkPool

    from launch_sdk.specs.image_deployment import ImageDeployment

LOCAL, PULLED = "Never", "IfNotPresent"
OF_THE_DEPLOYMENT: Final = ("image", "image_pull_policy", "command")


async def deploy_image(client: PrefectClient, wanted: ImageDeployment, *, only_check: bool = False) -> str:
    """Make, or bring up to date, the deployment of an image on a work pool.

    Args:
        client: of the server.
        wanted: the deployment.
        only_check: raise what would be raised, and make none.

    Returns:
        Its name, `run-job/NAME`.

    Raises:
        NotFoundError: the pool does not exist.
        ConflictError: its runs are no containers.
        InvalidSpecError: it has no such variable, or a value reaches out of the container; every fault at once.
    """
    given = job_variables(await read_pool(client, wanted.pool), wanted)
    if only_check:
        return f"{names.RUN_JOB}/{wanted.name}"
    flow = load_flow(names.RUN_JOB)
    # What the image holds is settled: its packages, and that it is a container already.
    settled = {"source": wanted.source, "environment": "current", "lock": None, "job": None, "container": None}
    parameters = replace(wanted.spec, **settled).to_parameters()
    await client.create_deployment(
        await client.create_flow(flow),
        wanted.name,
        description=f"Image {wanted.image} of {' '.join(wanted.spec.entry_point)}. It brings its own launcher along.",
        entrypoint=names.ENTRYPOINTS[names.RUN_JOB],
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": PROJECT}}],
        work_pool_name=wanted.pool,
        parameters={key: value for key, value in parameters.items() if key not in {"config", "files", "name"}},
        parameter_openapi_schema=cast("dict[str, Any]", encode(form_schema(wanted.spec))),
        enforce_parameter_schema=True,
        job_variables=given,
    )
    return f"{names.RUN_JOB}/{wanted.name}"


def job_variables(pool: WorkPool, wanted: ImageDeployment) -> dict[str, Any]:
    """Give the job variables of a deployment of an image.

    Raises:
        ConflictError: the pool's runs are no containers.
        InvalidSpecError: it has no such variable, or a value reaches out of the container; every fault at once.
    """
    known, variables = pool_variables(pool), wanted.variables
    if "image" not in known:
        raise ConflictError(
            f"Work pool {pool.name!r} is of type {pool.type!r}, whose runs are no containers of an image. Make one:"
            " prefect work-pool create NAME --type docker"
        )
    faults = [
        Fault(key, "the deployment itself says this") if key in OF_THE_DEPLOYMENT else Fault(key, _unknown(pool, known))
        for key in variables
        if key in OF_THE_DEPLOYMENT or key not in known
    ]
    faults += variable_faults({key: value for key, value in variables.items() if key not in OF_THE_DEPLOYMENT})
    if faults:
        raise InvalidSpecError(f"The deployment on work pool {pool.name!r}", faults)
    policy = PULLED if wanted.is_pushed else LOCAL
    fixed = {"image": wanted.image, "image_pull_policy": policy, "command": COMMAND}
    return {**variables, **{key: value for key, value in fixed.items() if key in known}}


def _unknown(pool: WorkPool, known: Mapping[str, Any]) -> str:
    return f"work pool {pool.name!r} has no such variable; it has {', '.join(sorted(known))}"
