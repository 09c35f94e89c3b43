"""What a server or a connection says, as errors of ours."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from launch_sdk.errors import BackendUnavailableError, Fault, InvalidSpecError, LaunchError

CONFLICT = 409  # what the server answers to parameters that its schema refuses


P = ParamSpec("P")
T = TypeVar("T")


def told(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make what the server or the connection says a LaunchError."""

    @functools.wraps(call)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        import httpx

        try:
            return await call(*args, **kwargs)
        except LaunchError:
            raise
        except httpx.HTTPStatusError as error:
            if error.response.status_code == CONFLICT:
                detail = error.response.json().get("detail", error.response.text)
                raise InvalidSpecError("The run", [Fault("parameters", str(detail))]) from None
            raise BackendUnavailableError(f"The Prefect server refused a request: {error}") from None
        except (httpx.HTTPError, OSError) as error:
            raise BackendUnavailableError(
                f"The Prefect server cannot be reached: {error or type(error).__name__}."
                " Is it running? launch server status"
            ) from None

    return wrapped
