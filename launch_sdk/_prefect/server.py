"""The program of the embedded server: `python -m launch_sdk._prefect.server --listening FD`.

Prefect's own API server and UI in one process on loopback, with a few differences. Every SQLite transaction begins
IMMEDIATE, in turns. Prefect begins them DEFERRED, and a read that becomes a write then fails at once with "database is
locked" whenever two clients write (50 creations at once: 35.6 s; so: 1.8 s). PREFECT_HOME says where its data is.

It also does less (`server_costs.py`).

And its pages tell the browser to fetch nothing from elsewhere. Prefect's UI calls an analytics service when
it loads, whatever the settings say, and a run's text could name a picture on any host.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from launch_sdk._prefect.server_costs import set_intervals, spare

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]


def write_in_turns() -> None:
    """Make each SQLite transaction of this process take its write lock when it begins, first come, first served.

    SQLite lets those who wait try again now and then, and whoever is lucky goes first: of 30 clients that created runs
    at once one waited 8.6 s; in turns, 0.7 s. A transaction inside another of the same task begins as Prefect
    begins it, so that it can still read.
    """
    from prefect.server.database import configurations

    turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
    writing: ContextVar[AsyncSession | None] = ContextVar("writing", default=None)
    begin_deferred = configurations.AioSqliteConfiguration.begin_transaction

    @asynccontextmanager
    async def begin_transaction(
        self: configurations.AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        outer = writing.get()
        if outer is not None and outer.in_transaction():
            async with begin_deferred(self, session, with_for_update) as transaction:
                yield transaction
            return
        async with turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            token = writing.set(session)
            try:
                async with begin_deferred(self, session, with_for_update=True) as transaction:
                    yield transaction
            finally:
                writing.reset(token)

    configurations.AioSqliteConfiguration.begin_transaction = begin_transaction


def content_policy(url: str) -> str:
    """Give the Content-Security-Policy of the pages: only from this server, whichever of its names was typed.

    The timeline compiles shaders (`unsafe-eval`) in workers made from `blob:`; styles are set inline; pictures of a
    sweep are `data:`.
    """
    api = f"{url} {url.replace('http', 'ws', 1)}"
    rules = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "connect-src": f"'self' {api} data: blob:",
        "frame-src": "'self' data: blob:",
    }
    return "; ".join(f"{rule} {sources}" for rule, sources in rules.items())


def keep_pages_local(app: App, url: str) -> App:
    """Add the content policy to every response of an ASGI application."""
    header = (b"content-security-policy", content_policy(url).encode())

    async def local(scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await app(scope, receive, send_with_policy)

    return local


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m launch_sdk._prefect.server")
    parser.add_argument("--listening", type=int, required=True, help="descriptor of a socket that listens")
    listening = socket.socket(fileno=parser.parse_args().listening)
    host, port = listening.getsockname()
    url = f"http://{host}:{port}"
    os.environ |= {
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "DO_NOT_TRACK": "1",
    }
    os.environ.pop("PREFECT_API_URL", None)
    set_intervals()

    import uvicorn
    from prefect.server.api.server import create_app

    write_in_turns()
    spare()
    app = keep_pages_local(create_app(final=True), url)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
