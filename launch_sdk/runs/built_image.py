"""The image of a run whose queue runs containers and whose submitter names none: built of the run's own code."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.containers.build import BuildRequest, JobImage, job_image
from launch_sdk.containers.images import Images
from launch_sdk.containers.registry import Registry
from launch_sdk.runs.home import launch_home

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from typing import Any

    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.container import ContainerSpec
    from launch_sdk.specs.queue_containers import QueueContainers
    from launch_sdk.specs.run_spec import RunSpec

LOCKS = "images"  # folder of LAUNCH_HOME


async def built_image(
    api: Any,
    spec: RunSpec,
    run: RunDirectory,
    store: RunStore,
    *,
    start: Path,
    container: ContainerSpec,
    own: QueueContainers,
    user_id: int,
    registry: Registry | None,
    on_lines: Callable[[list[str]], None],
) -> JobImage:
    """Find or build the image of a run.

    Args:
        api: the engine.
        spec: the run.
        run: its directory, with its copy of the source.
        store: where the source is.
        start: the folder of that copy that its program starts in.
        container: which container it wants.
        own: what its queue says.
        user_id: who its program runs as.
        registry: who logs in to pull and push.
        on_lines: given the output of the build.

    Raises:
        LaunchError: it cannot be built; the message says why.
    """
    if own.push is not None:
        registry = replace(registry or Registry(), repository=own.push)
    images = Images(api, launch_home() / LOCKS, on_lines, registry)
    async with _as_packed(spec, run, store, start) as (folder, begin):
        request = BuildRequest(
            source=spec.source,
            folder=folder,
            start=begin,
            entry_point=spec.entry_point,
            environment=spec.environment,
            lock=spec.lock,
            dockerfile=container.dockerfile,
            build_context=container.build_context,
            base_image=own.build_base,
            is_accelerator=own.is_accelerator,
            user_id=user_id,
            network=own.network,
        )
        return await job_image(images, request)


@asynccontextmanager
async def _as_packed(
    spec: RunSpec, run: RunDirectory, store: RunStore, start: Path
) -> AsyncGenerator[tuple[Path, Path]]:
    """Give the code as others have it too: values that this run writes into config files belong in no shared image."""
    if not spec.files:
        yield run.work, start
        return
    folder = Path(tempfile.mkdtemp(dir=run.path, prefix=".code-"))
    try:
        yield folder / "work", await asyncio.to_thread(store.lay_out, spec.source, folder / "work")
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
