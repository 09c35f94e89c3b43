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

    from launch_sdk.specs.run_spec import RunSpec

LOCAL, PULLED = "Never", "IfNotPresent"
OF_THE_DEPLOYMENT: Final = ("image", "image_pull_policy", "command")


async def deploy_image(
    client: PrefectClient,
    name: str,
    spec: RunSpec,
    *,
    image: str,
    source: str,
    pool: str,
    is_pushed: bool,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """Make, or bring up to date, the deployment of an image on a work pool.

    Args:
        client: of the server.
        name: of the deployment; its flow is `run-job`.
        spec: what the image was built of.
        image: what the pool's engine, or cluster, knows the image by.
        source: folder of the code in the image, in which programs start.
        pool: an existing work pool, whose runs are containers.
        is_pushed: whether the image is in a registry; else it is where it was built alone.
        variables: values for the pool's own variables.

    Returns:
        Its name, `run-job/NAME`.

    Raises:
        NotFoundError: the pool does not exist.
        ConflictError: its runs are no containers.
        InvalidSpecError: it has no such variable, or a value reaches out of the container; every fault at once.
    """
    found = await read_pool(client, pool)
    given = job_variables(found, image, is_pushed=is_pushed, variables=variables or {})
    flow = load_flow(names.RUN_JOB)
    inside = replace(spec, source=source, environment="current", lock=None, job=None, name=None)
    parameters = {key: value for key, value in inside.to_parameters().items() if key not in {"config", "files", "name"}}
    await client.create_deployment(
        await client.create_flow(flow),
        name,
        description=f"Image {image} of {' '.join(spec.entry_point)}. It brings its own launcher along.",
        entrypoint=names.ENTRYPOINTS[names.RUN_JOB],
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": PROJECT}}],
        work_pool_name=pool,
        parameters=parameters,
        parameter_openapi_schema=cast("dict[str, Any]", encode(form_schema(spec))),
        enforce_parameter_schema=True,
        job_variables=given,
    )
    return f"{names.RUN_JOB}/{name}"


def job_variables(pool: WorkPool, image: str, *, is_pushed: bool, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Give the job variables of a deployment of an image.

    Raises:
        ConflictError: the pool's runs are no containers.
        InvalidSpecError: it has no such variable, or a value reaches out of the container; every fault at once.
    """
    known = pool_variables(pool)
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
    fixed = {"image": image, "image_pull_policy": PULLED if is_pushed else LOCAL, "command": COMMAND}
    return {**variables, **{key: value for key, value in fixed.items() if key in known}}


def _unknown(pool: WorkPool, known: Mapping[str, Any]) -> str:
    return f"work pool {pool.name!r} has no such variable; it has {', '.join(sorted(known))}"
