"""Images with one engine: each is looked for under its tag, and made once for all who ask for it at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers import engine_build
from launch_sdk.containers.base_images import identifier, present
from launch_sdk.containers.dockerfiles import labelled
from launch_sdk.containers.generated import LAYERS_LABEL
from launch_sdk.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from launch_sdk.containers.context import Context
    from launch_sdk.containers.left_builds import BuildNotes, NotedBuild
    from launch_sdk.containers.registry import Registry

FORMAT: Final = 1  # counted up when the same things would be built in another way
DIGITS: Final = 32
LOCKS: Final = "images"  # folder of LAUNCH_HOME for `Images.locks`
_POLL_S = 0.05


@dataclass(frozen=True)
class Recipe:
    """How one image is built.

    Attributes:
        text: of the Dockerfile.
        tag: what to call the image.
        what: the image, for people.
        known_by: what the image has in common with the next one that may use its layers.
        network: of the commands of the build; None for the engine's default.
        limits: of its commands, as `arguments.build_limits` gives them.
        secret: a word that marks a stage that may know a password; None if there is none.
        dockerfile: name of the Dockerfile in the context.
    """

    text: str
    tag: str
    what: str
    known_by: tuple[object, ...]
    network: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    secret: str | None = None
    dockerfile: str = "Dockerfile"


@dataclass(frozen=True)
class Images:
    """The images of one engine.

    Attributes:
        api: the engine.
        locks: folder of the locks by which several that want the same image wait for one.
        on_lines: given what happens, in batches.
        registry: where images are kept for other machines; None if nowhere.
        notes: where is noted what is being built; None if nobody would look for what is left.
    """

    api: Any
    locks: Path
    on_lines: Callable[[list[str]], None]
    registry: Registry | None = None
    notes: BuildNotes | None = None

    async def build(self, context: Context, recipe: Recipe) -> None:
        """Have the engine build a context; say what was left out of it.

        Whoever is interrupted here leaves a note, by which what the engine has made is removed when he is gone.
        """
        if context.left_out:
            self.on_lines([f"launch: {notice}" for notice in context.notices()])
        label = recipe.secret or digest_of("layers", *recipe.known_by)
        context.add(recipe.dockerfile, labelled(recipe.text, f"{LAYERS_LABEL}={label}").encode())
        file = await asyncio.to_thread(context.file)
        noted = await asyncio.to_thread(self.notes.write, self.api, label) if self.notes else None
        try:
            await engine_build.build(
                self.api,
                file,
                tag=recipe.tag,
                dockerfile=recipe.dockerfile,
                what=recipe.what,
                on_lines=self.on_lines,
                network=recipe.network,
                limits=recipe.limits,
            )
        except RunFailedError:
            await self._forget(recipe, noted)
            raise
        await self._forget(recipe, noted)

    async def _forget(self, recipe: Recipe, noted: NotedBuild | None) -> None:
        if recipe.secret is not None:
            await asyncio.to_thread(engine_build.forget_stage, self.api, recipe.secret)
        if noted is not None:
            noted.forget()

    async def require_same_machine(self) -> None:
        """Raise RunFailedError if the engine cannot run this machine's uv."""
        version = await asyncio.to_thread(self.api.version)
        if fault := engine_build.machine_fault(str(version.get("Arch", "")), platform.machine()):
            raise RunFailedError(fault)

    async def base(self, name: str) -> str:
        """Return the identifier of an image to build on, which is pulled if the engine has none."""
        return await identifier(self.api, name, self.registry, self.on_lines)

    async def once(self, tag: str, make: Callable[[str], Any], what: str) -> tuple[str, bool]:
        """Give an image by its tag, made if neither the engine nor the registry has it; one of several makes it."""
        if await self._is_there(tag):
            return tag, False
        async with self._lock(tag, what):
            if await self._is_there(tag):
                return tag, False
            registry = self._registry_of(tag)
            if registry is not None and await registry.fetch(self.api, tag, self.on_lines):
                return tag, False
            self.on_lines([f"launch: building the image of {what}: {tag}"])
            await make(tag)
            if registry is not None:
                await registry.publish(self.api, tag, self.on_lines)
            return tag, True

    async def _is_there(self, tag: str) -> bool:
        """Say whether the engine has an image, and the registry, too, if it is to be there."""
        found = await asyncio.to_thread(present, self.api, tag)
        if found is None or self._registry_of(tag) is None:
            return found is not None
        return any(one.startswith(f"{tag.rpartition(':')[0]}@") for one in found.get("RepoDigests") or ())

    def _registry_of(self, tag: str) -> Registry | None:
        """Return the registry that an image is to be in, too; None if it stays with the engine."""
        repository = tag.rpartition(":")[0]
        return self.registry if self.registry is not None and self.registry.repository == repository else None

    @contextlib.asynccontextmanager
    async def _lock(self, tag: str, what: str) -> AsyncGenerator[None]:
        self.locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.locks / f"{tag.rpartition(':')[2]}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        has_told = False
        try:
            while not _try_lock(descriptor):
                if not has_told:
                    self.on_lines([f"launch: another run is building the image of {what}; waiting for it"])
                has_told = True
                await asyncio.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)


def digest_of(*parts: object) -> str:
    """Name an image by everything that goes in."""
    return hashlib.sha256(json.dumps([FORMAT, *parts]).encode()).hexdigest()[:DIGITS]


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
