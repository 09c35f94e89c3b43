"""The image that a run names: on the engine, or pulled; and of the engine's kind of machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from launch_sdk.containers.base_images import identifier, present
from launch_sdk.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from launch_sdk.containers.engine import Engine
    from launch_sdk.containers.registry import Registry


async def named_image(  # noqa: PLR0917  # what a queue says of pulling
    engine: Engine,
    name: str,
    pull: str,
    registry: Registry | None,
    platform: str | None,
    on_lines: Callable[[list[str]], None],
) -> Mapping[str, Any]:
    """Have an image on the engine, and return what that says of it.

    Args:
        engine: of the container.
        name: of the image.
        pull: `if-not-present`, `always` (which is tolerated to fail if the engine has the image) or `never`.
        registry: who logs in.
        platform: that somebody asks for, as in `linux/arm64`; None for the engine's own.
        on_lines: told what happens.

    Raises:
        RunFailedError: it cannot be had, or is made for another kind of machine.
    """
    found = await asyncio.to_thread(present, engine.api, name)
    if found is None and pull == "never":
        raise RunFailedError(f"Image {name} is not on the engine at {engine.address}, and its queue pulls none.")
    if found is None or pull == "always":
        found = await _pulled(engine, name, found, registry, on_lines)
    made_for = str(found.get("Architecture") or engine.machine)
    if platform is None and made_for != engine.machine:
        raise RunFailedError(
            f"Image {name} is made for {made_for}, and the engine at {engine.address} runs {engine.machine}. Name an"
            f" image for {engine.machine}, or, where the engine emulates the other, say platform: linux/{made_for}"
        )
    return found


async def _pulled(
    engine: Engine,
    name: str,
    found: Mapping[str, Any] | None,
    registry: Registry | None,
    on_lines: Callable[[list[str]], None],
) -> Mapping[str, Any]:
    try:
        await identifier(engine.api, name, registry, on_lines, always=True)
    except RunFailedError as error:
        if found is None:
            raise RunFailedError(f"{error}\n{_advice(name, registry)}") from None
        on_lines([f"launch: {name} could not be pulled; the engine has one of this name, and that is run."])
        return found
    return await asyncio.to_thread(engine.api.inspect_image, name)


def _advice(name: str, registry: Registry | None) -> str:
    login = registry.login_for(name) if registry else None
    who = f"as {login['username']!r}" if login else "as nobody: the queue names no registry for it"
    return f"Check the name, and who may pull it (it was asked for {who})."
