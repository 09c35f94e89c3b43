"""A container as the place of a run: its image had or built, its folders made, its program started by the engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from launch_sdk.containers import inside as places
from launch_sdk.containers.arguments import build_limits, host_config, share_of
from launch_sdk.containers.bridge import NAME as SOCKET_NAME
from launch_sdk.containers.bridge import Bridge
from launch_sdk.containers.engine import connect
from launch_sdk.containers.inside import Inside
from launch_sdk.containers.program import ContainerProgram, Making
from launch_sdk.containers.pulling import named_image
from launch_sdk.containers.removal import Remembered, container_name
from launch_sdk.containers.settled import SettledContainer, Surroundings, settle
from launch_sdk.containers.taking_over import TakenRecords, take_over
from launch_sdk.environments.current import PYTHON_OF_IMAGES
from launch_sdk.environments.sdk_path import VARIABLE as SDK_PATH
from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.places import ARGS_JSON
from launch_sdk.runs.processes import process_identifier
from launch_sdk.scheduling import serving
from launch_sdk.specs.container import ContainerSpec, image_of_source
from launch_sdk.specs.container_arguments import words_of
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from launch_sdk.containers.engine import Engine
    from launch_sdk.runs.places import PreparedRun
    from launch_sdk.specs.run_spec import RunSpec

LABEL = "launch."
LABELS_OF = {"run_id": protocol.RUN_ID, "sweep_id": protocol.SWEEP_ID, "attempt": protocol.ATTEMPT}


@dataclass(frozen=True)
class FoundImage:
    """The image of a run.

    Attributes:
        reference: what the engine knows it by.
        config: what the image says of itself: variables, command, entry point.
        interpreter: what `python` and `.py` files are started with.
        code: where the container has the run's copy of the source; None for nowhere.
        files: of that copy, that lie over the image's own.
    """

    reference: str
    config: Mapping[str, Any]
    interpreter: str
    code: str | None
    files: tuple[places.Mount, ...] = ()

    def variable(self, name: str) -> str | None:
        """Give the value that the image itself gives to a variable."""
        words: list[object] = self.config.get("Env") or []
        pairs = (str(word).partition("=") for word in words)
        return next((value for key, _, value in pairs if key == name), None)

    def command(self, args: Sequence[str], command: object) -> tuple[str, ...] | None:
        """Give the words after the image's own entry point; None for its own words.

        As with `docker run`, they take the place of those that an entry point has as a default. Where the image has
        no entry point they stand behind its command.
        """
        own = words_of(str(command)) if command is not None else None
        if own is None and not args:
            return None
        if own is None:
            own = [] if self.config.get("Entrypoint") else list(self.config.get("Cmd") or [])
        return (*own, *args)


class ContainerPlace:
    """A container that is about to be made."""

    is_confined = True

    def __init__(
        self, prepared: PreparedRun, engine: Engine, settled: SettledContainer, image: FoundImage, around: Surroundings
    ) -> None:
        self._prepared = prepared
        self._engine = engine
        self._settled = settled
        self._image = image
        self._around = around
        self._inside = Inside(prepared.run.path, prepared.run.work, image.code, image.files)
        self._records = TakenRecords(self._inside.folder, prepared.run.records)

    @property
    def folder(self) -> Path:
        return self._inside.folder

    def take_over(self, *, at_end: bool) -> None:
        """Take over what the program has recorded, and at the end what else it has left."""
        self._records.look(at_end=at_end)
        if at_end:
            take_over(self._inside.folder, self._prepared.run.path)

    async def start_program(self) -> ContainerProgram:
        """Make the container and start its program."""
        one, settled = self._prepared, self._settled
        making = self._making()
        await asyncio.to_thread(self._inside.make, settled.user_id, (protocol.OVERRIDES, protocol.RECORDS, ARGS_JSON))
        bridge = Bridge(self._inside.folder, one.pass_fds[0]) if one.pass_fds else None
        process = process_identifier(os.getpid())
        noted = Remembered.of(launch_home(), self._id, self._around.engine, process)
        program = ContainerProgram(self._engine, making, one.run.output, noted)
        share = share_of(one.spec.resources, os.environ)
        configs = [
            host_config(self._engine.api, settled, self._inside.mounts(), has_init=has_init, share=share)
            for has_init in (True, False)
        ]
        try:
            await asyncio.to_thread(program.start, *configs)
        except BaseException:
            program.give_up()
            if bridge is not None:
                bridge.close()
            raise
        if bridge is not None:
            program.on_over(bridge.close)
        return program

    @property
    def _id(self) -> str:
        """What the container is called after: its run, or the sweep whose scheduler it holds."""
        return _identifier(self._prepared)

    def _making(self) -> Making:
        spec, settled = self._prepared.spec, self._settled
        started = self._inside.start(self._prepared.start)
        words, command = self._words(spec)
        hostname = settled.args.get("name")
        return Making(
            name=container_name(self._id),
            image=self._image.reference,
            entry_point=words[:1],
            command=words[1:] if words else command,
            user_id=settled.user_id,
            directory=settled.args.get("workdir") or started,
            environment=self._variables(),
            labels={**self._around.labels, **self._labels()},
            hostname=None if hostname is None else str(hostname).replace("_", "-"),
            platform=settled.args.get("platform"),
        )

    def _words(self, spec: RunSpec) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
        if spec.entry_point:
            args_file = f"{places.RUN}/{ARGS_JSON}"
            return tuple(self._prepared.arguments(self._image.interpreter, args_file)), None
        return (), self._image.command(spec.args, self._settled.args.get("command"))

    def _labels(self) -> dict[str, str]:
        identity = self._prepared.identity
        said = {f"{LABEL}{name}": identity[key] for name, key in LABELS_OF.items() if key in identity}
        queue = {f"{LABEL}queue": self._around.queue} if self._around.queue else {}
        return {**said, **queue, f"{LABEL}process": process_identifier(os.getpid())}

    def _variables(self) -> dict[str, str]:
        """Give the variables of the program, beside those of its image: nothing of the agent's is among them."""
        given = dict(self._settled.env)
        path = places.pythonpath(given.get("PYTHONPATH"), self._image.variable("PYTHONPATH"))
        return {
            **given,
            "PYTHONUNBUFFERED": "1",
            **self._prepared.wandb_variables(given, places.RUN),
            "PYTHONPATH": path,
            SDK_PATH: places.SDK,
            protocol.RUN_DIR: places.RUN,
            protocol.CHECKPOINT_DIR: places.CHECKPOINTS,
            **{name: value for name, value in self._prepared.identity.items() if name != serving.VARIABLE},
            **({serving.SOCKET: f"{places.RUN}/{SOCKET_NAME}"} if self._prepared.pass_fds else {}),
        }


@asynccontextmanager
async def container_place(prepared: PreparedRun, around: Surroundings) -> AsyncGenerator[ContainerPlace]:
    """Make ready a container for a run.

    Raises:
        LaunchError: it cannot be had; the message says why.
    """
    settled = settle(ContainerSpec.from_dict(prepared.spec.container or {}), around, prepared.tell)
    engine = await asyncio.to_thread(connect, around.engine)
    try:
        image = await _image(prepared, engine, settled, around)
        yield ContainerPlace(prepared, engine, settled, image, around)
    finally:
        engine.close()


async def _image(prepared: PreparedRun, engine: Engine, settled: SettledContainer, around: Surroundings) -> FoundImage:
    spec = settled.spec
    name = spec.image or spec.base_image
    if name is None:
        return await _built(prepared, engine, settled, around)
    if prepared.spec.environment != "current":
        prepared.tell([f"launch: {name} has the packages; environment {prepared.spec.environment!r} is not made."])
    platform = settled.args.get("platform")
    found = await named_image(engine, name, settled.own.pull, around.registry, platform, prepared.tell)
    code = None if image_of_source(prepared.spec.source) is not None else places.CODE
    return FoundImage(name, found.get("Config") or {}, PYTHON_OF_IMAGES, code)


async def _built(prepared: PreparedRun, engine: Engine, settled: SettledContainer, around: Surroundings) -> FoundImage:
    """Find or build the image of a run's code."""
    from launch_sdk.containers.build import BuildRequest, job_image
    from launch_sdk.containers.images import LOCKS, Images
    from launch_sdk.containers.left_builds import BuildNotes

    registry = around.registry
    if settled.own.push is not None:
        from launch_sdk.containers.registry import Registry

        registry = replace(registry or Registry(), repository=settled.own.push)
    home = launch_home()
    notes = BuildNotes(home, _identifier(prepared), around.engine, process_identifier(os.getpid()))
    images = Images(engine.api, home / LOCKS, prepared.tell, registry, notes)
    async with _clean_source(prepared) as (folder, start):
        request = BuildRequest(
            source=prepared.spec.source,
            folder=folder,
            start=start,
            entry_point=prepared.spec.entry_point,
            environment=prepared.spec.environment,
            lock=prepared.spec.lock,
            dockerfile=settled.spec.dockerfile,
            build_context=settled.spec.build_context,
            base_image=settled.own.build_base,
            is_accelerator=settled.own.is_accelerator,
            user_id=settled.user_id,
            network=settled.own.network,
            limits=build_limits(settled.args),
        )
        built = await job_image(images, request)
    found = await asyncio.to_thread(engine.api.inspect_image, built.reference)
    config: Mapping[str, Any] = found.get("Config") or {}
    files = _files_in(prepared, config, built.made_by) if built.source_folder is None else ()
    return FoundImage(built.reference, config, built.interpreter or PYTHON_OF_IMAGES, built.source_folder, files)


def _identifier(prepared: PreparedRun) -> str:
    return prepared.identity.get(protocol.RUN_ID) or "-".join(prepared.run.path.parts[-2:])


def _files_in(prepared: PreparedRun, config: Mapping[str, Any], made_by: str) -> tuple[places.Mount, ...]:
    """Lay the config files that a run writes over those of an image whose own Dockerfile has put the code somewhere.

    Raises:
        InvalidSpecError: it does not say where.
    """
    folder = str(config.get("WorkingDir") or "/")
    if prepared.spec.files and folder == "/":
        told = f"{made_by} has no WORKDIR, so nobody knows where its image has them. Add one, as in WORKDIR /app"
        raise InvalidSpecError("The run", [Fault("files", told)])
    names = [PurePosixPath(path) for path in prepared.spec.files]
    return tuple(places.Mount(prepared.start / name, f"{folder}/{name}") for name in names)


@asynccontextmanager
async def _clean_source(prepared: PreparedRun) -> AsyncGenerator[tuple[Path, Path]]:
    """Give the source as it was packed: values that a run gives to config files must be in no image."""
    if not prepared.spec.files:
        yield prepared.run.work, prepared.start
        return
    folder = prepared.run.path / "packed"
    try:
        start = await asyncio.to_thread(prepared.store.lay_out, prepared.spec.source, folder)
        yield folder, start
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
