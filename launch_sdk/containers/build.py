"""An image of a run's code: found under the digest of everything that goes in, or built, once for all who ask.

A generated image stands on one with the environment, which many sources share; so another source is one more layer.
A Dockerfile that the source brings is built as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers.context import Context
from launch_sdk.containers.dockerfiles import OwnDockerfile, find_dockerfile
from launch_sdk.containers.generated import (
    ENVIRONMENT,
    IN_STAGE,
    WORKSPACE,
    base_for,
    code_dockerfile,
    environment_dockerfile,
)
from launch_sdk.containers.images import Recipe, digest_of
from launch_sdk.containers.indexes import indexes_of
from launch_sdk.environments.installer import find_uv
from launch_sdk.environments.plan import plan_environment
from launch_sdk.environments.requirements import without_password
from launch_sdk.environments.sdk_path import program_path
from launch_sdk.environments.steps import steps_of
from launch_sdk.errors import NotFoundError
from launch_sdk.sources.packed import content_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from launch_sdk.containers.images import Images
    from launch_sdk.containers.indexes import Indexes
    from launch_sdk.environments.plan import Plan

JOB_IMAGE, ENVIRONMENT_IMAGE = "launch-job", "launch-environment"
OWN_NAME: Final = "Dockerfile.of-launch"  # in the context
IGNORE_FILE: Final = ".dockerignore"


@dataclass(frozen=True)
class BuildRequest:
    """What an image is to be made of.

    Attributes:
        source: name of the packed code; what it is built for is known by it.
        folder: that code, laid out as it was packed.
        start: the folder in it that programs start in.
        entry_point: of the program.
        environment: as in a RunSpec; `current` is `auto` here, for the packages of an agent are in no image.
        lock: what the run that is repeated had recorded of its environment.
        dockerfile: one of the source's that somebody wants; None to look for one.
        build_context: folder below `start` that the Dockerfile may copy from.
        base_image: what to build on; None for the official image of the Python that the code asks for.
        is_accelerator: the base holds drivers and no Python.
        user_id: who the program runs as.
        network: of the commands of the build; None for the engine's default.
        limits: of these commands, as `arguments.build_limits` gives them.
    """

    source: str
    folder: Path
    start: Path
    entry_point: Sequence[str]
    environment: str = "auto"
    lock: Mapping[str, Any] | None = None
    dockerfile: str | None = None
    build_context: str | None = None
    base_image: str | None = None
    is_accelerator: bool = False
    user_id: int = 1000
    network: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class JobImage:
    """An image of a run's code.

    Attributes:
        reference: what the engine knows it by.
        made_by: `generated`, or the Dockerfile of the source.
        source_folder: where in it the code lies, as it does in the source; None if its Dockerfile has decided that.
        interpreter: what `python` and `.py` files are started with; None for the one that the image's own PATH has.
        base: the image that it was built on; None for a Dockerfile of the source's own.
        was_built: this call has built it.
    """

    reference: str
    made_by: str
    source_folder: str | None = None
    interpreter: str | None = None
    base: str | None = None
    was_built: bool = False


async def job_image(images: Images, request: BuildRequest) -> JobImage:
    """Find or build the image of a run's code.

    Raises:
        LaunchError: it cannot be built; the message says why.
    """
    own = await asyncio.to_thread(
        find_dockerfile, request.start, request.entry_point, request.dockerfile, request.build_context
    )
    return await (_generated(images, request) if own is None else _own(images, request, own))


async def _own(images: Images, request: BuildRequest, own: OwnDockerfile) -> JobImage:
    bases = [await images.base(name) for name in own.bases]
    within = own.context.relative_to(request.folder.resolve()).as_posix() if own.context != request.start else "."
    digest = digest_of("own", own.text, bases, content_of(request.source), within)

    async def make(tag: str) -> None:
        keep = await asyncio.to_thread(_docker_ignore, own.context)
        with contextlib.closing(Context()) as context:
            await asyncio.to_thread(context.add_tree, own.context, keep=keep)
            name = _free_name(own.context)
            context.add(IGNORE_FILE, _ignoring(own.context, name))
            what = f"The image of {own.name}"
            limits, known_by = request.limits, ("own", own.name, *bases)
            await images.build(context, Recipe(own.text, tag, what, known_by, request.network, limits, dockerfile=name))

    tag, was_built = await images.once(job_tag(images, digest), make, own.name)
    return JobImage(tag, own.name, was_built=was_built)


async def _generated(images: Images, request: BuildRequest) -> JobImage:
    plan = await asyncio.to_thread(plan_of, request, images.on_lines)
    python = plan.python if plan else None
    base = request.base_image or base_for(python)
    base_id = await images.base(base)
    packages = base_id if plan is None else await environment_image(images, request, plan, base, base_id)
    directory = request.start.resolve().relative_to(request.folder.resolve()).as_posix()
    folders = program_path(request.folder, plan.requirements.folders) if plan else []
    path = [folder.replace(str(request.folder), WORKSPACE, 1) for folder in folders]
    text = code_dockerfile(packages, directory=directory, user_id=request.user_id, python_path=path)
    digest = digest_of("generated", text, base_id, content_of(request.source))

    async def make(tag: str) -> None:
        with contextlib.closing(Context()) as context:
            await asyncio.to_thread(context.add_tree, request.folder, "source/")
            context.add_folder("source")
            context.add_folder("home")
            what = "The image of the code"
            await images.build(context, Recipe(text, tag, what, ("code", text), request.network, request.limits))

    tag, was_built = await images.once(job_tag(images, digest), make, "the code")
    interpreter = None if plan is None else f"{ENVIRONMENT}/bin/python"
    return JobImage(tag, "generated", WORKSPACE, interpreter, base, was_built)


async def environment_image(images: Images, request: BuildRequest, plan: Plan, base: str, base_id: str) -> str:
    """Find or build the image that holds a base and the packages of a plan; return its tag."""
    indexes = indexes_of(os.environ)
    steps = steps_of(plan, source=f"{IN_STAGE}/source", target=ENVIRONMENT, scratch=f"{IN_STAGE}/asked")
    shown = {name: without_password(text) for name, text in steps.files.items()}
    told = [plan.kind, plan.python, sorted(shown.items()), steps.resolve, steps.install]
    digest = digest_of("environment", base_id, told, sorted(plan.requirements.digests.items()), request.is_accelerator)

    async def make(tag: str) -> None:
        await images.require_same_machine()
        name = uuid.uuid4().hex
        text = environment_dockerfile(
            base_id,
            steps,
            python=plan.python,
            build=name,
            variables=indexes.variables,
            fetches_python=request.is_accelerator,
        )
        with contextlib.closing(Context()) as context:
            if plan.kind != "exact" and (plan.kind != "requirements" or plan.requirements.digests or steps.resolve):
                await asyncio.to_thread(context.add_tree, request.folder, "source/")
            add_installer(context, steps.files, indexes)
            what = f"The environment of {plan.origin}, in an image on {base},"
            await images.build(context, Recipe(text, tag, what, (), request.network, request.limits, secret=name))

    tag, _ = await images.once(f"{ENVIRONMENT_IMAGE}:{digest}", make, f"the environment of {plan.origin}")
    return tag


def add_installer(context: Context, files: Mapping[str, str], indexes: Indexes) -> None:
    """Give a build what installs packages in it: uv, what it is asked for, and the passwords of package indexes."""
    for file, content in files.items():
        context.add(f"asked/{file}", content.encode())
    context.add("netrc", indexes.netrc.encode(), 0o600)
    context.add("uv", Path(find_uv()), 0o755)


def job_tag(images: Images, digest: str) -> str:
    """Name the image of a job: in the repository that it is to be pushed to, if there is one."""
    return f"{images.registry.repository if images.registry and images.registry.repository else JOB_IMAGE}:{digest}"


def plan_of(request: BuildRequest, on_lines: Callable[[list[str]], None]) -> Plan | None:
    """Plan the environment; None if nothing says which packages there should be."""
    wanted = "auto" if request.environment == "current" else request.environment
    try:
        plan = plan_environment(wanted, request.folder, request.lock, request.start)
    except NotFoundError as error:
        if wanted != "auto":
            raise
        reason = str(error).partition(", so no environment")[0]
        on_lines([f"launch: {reason}; the image holds the code and no packages besides its base's."])
        return None
    if plan.notices:
        on_lines([f"launch: {notice}" for notice in plan.notices])
    return plan


def _docker_ignore(context: Path) -> Callable[[str], bool]:
    """Say of names which `.dockerignore` of a context lets in."""
    path = context / IGNORE_FILE
    if path.is_symlink() or not path.is_file():
        return lambda name: name != IGNORE_FILE
    from docker.utils.build import PatternMatcher

    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    matcher: Any = PatternMatcher(patterns)
    return lambda name: name != IGNORE_FILE and not matcher.matches(name)  # that file is written by `_ignoring`


def _free_name(context: Path) -> str:
    """Name our copy of the Dockerfile as no file of the source is named."""
    names = itertools.chain([OWN_NAME], (f"{OWN_NAME}-{number}" for number in itertools.count(1)))
    return next(name for name in names if not os.path.lexists(context / name))


def _ignoring(context: Path, name: str) -> bytes:
    """Write the ignore file that takes our Dockerfile away before anything is copied, as `docker build -f` does.

    Where the source has none, it takes itself away too; the source's own gets one line more.
    """
    path = context / IGNORE_FILE
    has_own = path.is_file() and not path.is_symlink()
    return path.read_bytes() + f"\n{name}\n".encode() if has_own else f"{name}\n{IGNORE_FILE}\n".encode()
