"""The stream by which Prefect's worker tells its server that it lives, and hears of its queue.

Private part of Prefect 3.8 that is used here: what its worker's channel connects by; where that is missing, it connects
as it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable


def connect_only_if(channel: Any, require_same_server: Callable[[], None]) -> None:
    """Have a channel ask first, whenever it connects: it comes back by itself, whoever has the port by then.

    Args:
        channel: of a worker.
        require_same_server: raises `BackendUnavailableError` if the server is another one.
    """
    transport = getattr(channel, "_transport", None)
    connect = getattr(transport, "_connect_factory", None)
    if connect is None:
        return

    def ask_and_connect(*args: Any, **kwargs: Any) -> Any:
        try:
            require_same_server()
        except BackendUnavailableError as error:
            raise ConnectionError(str(error)) from None  # which the channel tries again after
        return connect(*args, **kwargs)

    vars(transport)["_connect_factory"] = ask_and_connect
