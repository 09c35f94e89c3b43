"""An image that starts its own run: a job's image with the launcher in it, for work pools of other types.

The launcher and Prefect are in `/opt/launch`; the job's packages are in an environment of their own, and neither sees
the other. From the bottom: the base, what the launcher needs, the job's packages, its code, the launcher itself. So
another source or another version of the launcher is a thin layer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers.build import add_installer, job_image, plan_of
from launch_sdk.containers.context import Context
from launch_sdk.containers.dockerfiles import find_dockerfile
from launch_sdk.containers.generated import (
    IN_STAGE,
    LAUNCHER,
    PROJECT,
    base_for,
    environment_dockerfile,
    launcher_dockerfile,
)
from launch_sdk.containers.images import Recipe, digest_of
from launch_sdk.containers.indexes import indexes_of
from launch_sdk.containers.own_wheel import constraints, own_wheel, requirements
from launch_sdk.environments.steps import Steps
from launch_sdk.errors import Fault, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from launch_sdk.containers.build import BuildRequest
    from launch_sdk.containers.images import Images

COMMAND: Final = f"{LAUNCHER}/bin/prefect flow-run execute"
PACKAGES_IMAGE, RUN_IMAGE = "launch-launcher", "launch-run"
PYTHON: Final = ">=3.11"
LINK: Final = (
    f"import os, launch_sdk; os.symlink(os.path.join(os.path.dirname(launch_sdk.__file__), '_project'), '{PROJECT}')"
)


@dataclass(frozen=True)
class RunImage:
    """An image that starts its own run.

    Attributes:
        reference: what the engine knows it by.
        source_folder: where in it the code lies, in the folder that programs start in.
        made_by: `generated`, or the Dockerfile of the source.
    """

    reference: str
    source_folder: str
    made_by: str


async def run_image(images: Images, request: BuildRequest, project: Path) -> RunImage:
    """Find or build the image of a job that starts its own run.

    Args:
        images: of the engine.
        request: the job.
        project: folder with the flows of this installation.

    Raises:
        LaunchError: it cannot be built; the message says why.
        InvalidSpecError: the source's own Dockerfile does not say where the code lies.
    """
    own = await asyncio.to_thread(
        find_dockerfile, request.start, request.entry_point, request.dockerfile, request.build_context
    )
    if own is None:
        packages = await _packages(images, request.base_image or await asyncio.to_thread(_base, request))
        image = await job_image(images, replace(request, base_image=packages))
        below = image.reference
    else:  # what it is built on is not ours to change
        image = await job_image(images, request)
        below = await _packages(images, image.reference)
    source = await asyncio.to_thread(_working_directory, images, image.reference, image.made_by)
    name, wheel = await asyncio.to_thread(own_wheel, project)
    text = launcher_dockerfile(
        below, wheel=name, user_id=request.user_id, interpreter=image.interpreter or "python3", link=LINK
    )
    digest = digest_of("run", text, await images.base(below), hashlib.sha256(wheel).hexdigest())

    async def make(tag: str) -> None:
        with contextlib.closing(Context()) as context:
            context.add_folder("home")
            context.add(name, wheel)
            what = "The image with the launcher"
            await images.build(context, Recipe(text, tag, what, ("run", below), request.network))

    tag, _ = await images.once(f"{RUN_IMAGE}:{digest}", make, "the job with its launcher")
    return RunImage(tag, source, image.made_by)


def _base(request: BuildRequest) -> str:
    plan = plan_of(request, lambda _lines: None)  # what there is to say is said when the job's image is built
    return base_for(plan.python if plan else None)


def _working_directory(images: Images, reference: str, made_by: str) -> str:
    config: Mapping[str, Any] = images.api.inspect_image(reference).get("Config") or {}
    folder = str(config.get("WorkingDir") or "/")
    if folder == "/":
        told = (
            f"{made_by} has no WORKDIR, so nobody knows where the code lies in its image. Add one, as in WORKDIR /app"
        )
        raise InvalidSpecError("The image", [Fault("dockerfile", told)])
    return folder


async def _packages(images: Images, base: str) -> str:
    """Find or build the image that is a base and what the launcher needs."""
    base_id = await images.base(base)
    stated, limits = requirements(), await asyncio.to_thread(constraints)
    digest = digest_of("launcher", base_id, stated, limits)
    asked = f"{IN_STAGE}/asked"
    files = {
        "requirements.txt": "".join(f"{line}\n" for line in stated),
        "constraints.txt": "".join(f"{line}\n" for line in limits),
    }
    words = ("-c", f"{asked}/constraints.txt", "-r", f"{asked}/requirements.txt")
    install = ("pip", "install", "--python", f"{LAUNCHER}/bin/python", "--compile-bytecode", *words)
    indexes = indexes_of(os.environ)

    async def make(tag: str) -> None:
        await images.require_same_machine()
        build_name = uuid.uuid4().hex
        text = environment_dockerfile(
            base_id,
            Steps(asked, files, None, install),
            python=PYTHON,
            build=build_name,
            variables=indexes.variables,
            target=LAUNCHER,
            is_on_path=False,
        )
        with contextlib.closing(Context()) as context:
            add_installer(context, files, indexes)
            what = f"The launcher, in an image on {base},"
            await images.build(context, Recipe(text, tag, what, (), secret=build_name))

    tag, _ = await images.once(f"{PACKAGES_IMAGE}:{digest}", make, "what the launcher needs")
    return tag
