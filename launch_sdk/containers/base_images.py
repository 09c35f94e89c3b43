"""The images that others are built on: looked up, or pulled if they are not there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from launch_sdk.containers.engine_build import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from launch_sdk.containers.registry import Registry


def present(api: Any, name: str) -> Mapping[str, Any] | None:
    """Return what the engine says of an image that it has; None if it has none of that name."""
    from docker.errors import ImageNotFound

    try:
        return api.inspect_image(name)
    except ImageNotFound:
        return None


async def identifier(
    api: Any, name: str, registry: Registry | None, on_lines: Callable[[list[str]], None], *, always: bool = False
) -> str:
    """Return the identifier of an image, which is a digest of what it is; it is pulled if the engine has none.

    Args:
        api: the engine.
        name: of the image.
        registry: who logs in; None for nobody.
        on_lines: told what happens.
        always: pull it in any case.

    Raises:
        RunFailedError: it cannot be pulled.
    """
    found = await asyncio.to_thread(present, api, name)
    if found is None or always:
        on_lines([f"launch: pulling {name}"])
        login = registry.login_for(name) if registry else None
        repository, tag = _split(name)
        failure = f"Image {name} {'is not on the engine, and it ' if found is None else ''}cannot be pulled"
        await follow(
            lambda: api.pull(repository, tag=tag, auth_config=login, stream=True, decode=True), failure, on_lines
        )
        found = await asyncio.to_thread(api.inspect_image, name)
    return str(found["Id"])


def _split(name: str) -> tuple[str, str | None]:
    """Split an image's name from its tag: `latest` if it has neither that nor a digest."""
    if "@" in name:
        return name, None
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")
