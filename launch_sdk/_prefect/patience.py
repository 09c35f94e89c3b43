"""Waiting for a server that is away: what a run has recorded is on disk, and can be sent when it is back."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0


async def patiently(action: Callable[[], Awaitable[T]], on_wait: Callable[[str], None] = lambda _: None) -> T:
    """Do an action on the server, again and again for as long as the server is away.

    Args:
        action: asks the server; it is called anew each time, so it makes a client of its own.
        on_wait: told once, when the server is found to be away.

    Raises:
        Exception: what `action` raises for another reason than the server's absence.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return await action()
        except Exception as error:
            if not is_away(error):
                raise
            if wait_s == FIRST_WAIT_S:
                on_wait(f"The server is away; what the run has recorded is kept, and sent when it is back. {error!r}")
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def is_away(error: Exception) -> bool:
    """Say whether an error means that the server cannot be reached, or not now."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    if isinstance(error, PrefectHTTPStatusError):
        status = error.response.status_code
        return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.BAD_GATEWAY
    return isinstance(error, httpx.TransportError)
