"""The program of the embedded server: `python -m launch_sdk._prefect.server --listening FD`.

Prefect's own API server and UI in one process on loopback, with a few differences. Every SQLite transaction begins
IMMEDIATE, in turns. Prefect begins them DEFERRED, and a read that becomes a write then fails at once with "database is
locked" whenever two clients write (50 creations at once: 35.6 s; so: 1.8 s). PREFECT_HOME says where its data is.

It also does less for each run: the schema of a queue is checked once, and memory is collected rarely.

And its pages tell the browser to fetch nothing from elsewhere. Prefect's UI calls an analytics service when
it loads, whatever the settings say, and a run's text could name a picture on any host.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socket
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

# How often the server looks for what is rare on one machine; every 5 s, as by default, costs an idle one a fifth.
INTERVALS_S = {
    "SCHEDULER_RECENT_DEPLOYMENTS_LOOP": 15,
    "LATE_RUNS_LOOP": 15,
    "PAUSE_EXPIRATIONS_LOOP": 15,
    "CLEANUP_RECONCILER_LOOP": 30,
}

# A collection of all that the server is made of takes 0.4 s, in which nobody is answered. As Python does by itself it
# came every hundred runs, and collections were a seventh of the processor time.
COLLECT_AFTER = (10_000, 10, 20)


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


def check_a_schema_once() -> None:
    """Check once that the schema of a queue's variables is one: Prefect does so twice for each run that is created."""
    from prefect.utilities.schema_tools import validation

    validator: Any = getattr(validation, "_VALIDATOR", None)
    if validator is None:  # of another Prefect, which checks as often as it likes
        return
    check = validator.check_schema

    @lru_cache(maxsize=256)
    def check_text(text: str, **how: Any) -> None:
        check(json.loads(text), **how)

    def check_schema(schema: Any, **how: Any) -> None:
        check_text(json.dumps(schema), **how)

    validator.check_schema = check_schema


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
        **{f"PREFECT_SERVER_SERVICES_{name}_SECONDS": str(interval_s) for name, interval_s in INTERVALS_S.items()},
    }
    os.environ.pop("PREFECT_API_URL", None)

    import uvicorn
    from prefect.server.api.server import create_app

    write_in_turns()
    check_a_schema_once()
    app = keep_pages_local(create_app(final=True), url)
    gc.set_threshold(*COLLECT_AFTER)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
