"""Images with one engine: each is looked for under its tag, and made once for all who ask for it at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.containers import engine_build
from launch_sdk.containers.base_images import identifier, present
from launch_sdk.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from launch_sdk.containers.context import Context
    from launch_sdk.containers.registry import Registry

FORMAT: Final = 1  # counted up when the same things would be built in another way
DIGITS: Final = 32
LOCKS: Final = "images"  # folder of LAUNCH_HOME for `Images.locks`
_POLL_S = 0.05


@dataclass(frozen=True)
class Images:
    """The images of one engine.

    Attributes:
        api: the engine.
        locks: folder of the locks by which several that want the same image wait for one.
        on_lines: given what happens, in batches.
        registry: where images are kept for other machines; None if nowhere.
    """

    api: Any
    locks: Path
    on_lines: Callable[[list[str]], None]
    registry: Registry | None = None

    async def build(self, context: Context, tag: str, dockerfile: str, what: str, network: str | None) -> None:
        """Have the engine build a context, whose Dockerfile is in it; say what was left out of it."""
        if context.left_out:
            self.on_lines([f"launch: {notice}" for notice in context.notices()])
        file = await asyncio.to_thread(context.file)
        await engine_build.build(
            self.api, file, tag=tag, dockerfile=dockerfile, what=what, on_lines=self.on_lines, network=network
        )

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
