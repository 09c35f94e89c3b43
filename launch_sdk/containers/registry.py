"""A registry: where images are kept for other machines, and who logs in there.

A login travels to the engine in a header of its own, never as an argument, in an image or in a line of a log.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from launch_sdk.containers.engine_build import follow
from launch_sdk.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Registry:
    """Where built images are pushed to, and what pulling needs.

    Attributes:
        repository: host, and name there, of the images that are pushed: `registry.example.com/team/jobs`; None for a
            registry that is only pulled from.
        host: the registry's address; None for that of `repository`.
        username, password: who logs in; empty for nobody.
    """

    repository: str | None = None
    host: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def login_for(self, image: str) -> Mapping[str, str] | None:
        """Return the login for an image of this registry; None for one of another."""
        if not self.username or host_of(image) != (self.host or host_of(self.repository or "")):
            return None
        return {"username": self.username, "password": self.password or ""}

    async def fetch(self, api: Any, tag: str, on_lines: Callable[[list[str]], None]) -> bool:
        """Pull an image that somebody else has pushed; whether it was there."""
        repository, _, version = tag.rpartition(":")
        login = self.login_for(tag)
        try:
            await follow(
                lambda: api.pull(repository, tag=version, auth_config=login, stream=True, decode=True), "", _unheard
            )
        except RunFailedError:  # not there, or not to be had: then it is built
            return False
        on_lines([f"launch: pulled {tag}"])
        return await asyncio.to_thread(_has, api, tag)

    async def publish(self, api: Any, tag: str, on_lines: Callable[[list[str]], None]) -> None:
        """Push an image.

        Raises:
            RunFailedError: it cannot be pushed.
        """
        repository, _, version = tag.rpartition(":")
        login = self.login_for(tag)
        failure = f"Image {tag} was built, but it could not be pushed"
        await follow(
            lambda: api.push(repository, tag=version, auth_config=login, stream=True, decode=True), failure, _unheard
        )
        on_lines([f"launch: pushed {tag}"])


def host_of(image: str) -> str:
    """Return the host of an image's name; Docker's own if it names none."""
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def _unheard(_lines: list[str]) -> None:
    """Progress of layers is nothing for a log."""


def _has(api: Any, tag: str) -> bool:
    return bool(api.images(name=tag))
