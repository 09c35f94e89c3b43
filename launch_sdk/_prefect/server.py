"""The program of the embedded server: `python -m launch_sdk._prefect.server --port N`.

Prefect's own API server and UI in one process on loopback, with one difference: every SQLite transaction begins
IMMEDIATE. Prefect begins them DEFERRED, and a read that becomes a write then fails at once with "database is locked"
whenever two clients write (50 creations at once: 35.6 s; so: 1.8 s). PREFECT_HOME says where its data is.
"""

from __future__ import annotations

import argparse
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


def begin_sqlite_transactions_immediate() -> None:
    """Make each SQLite transaction of this process take its write lock when it begins."""
    from prefect.server.database import configurations

    @asynccontextmanager
    async def begin_transaction(
        self: configurations.AioSqliteConfiguration,  # noqa: ARG001  # the signature is Prefect's
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: ARG001  # IMMEDIATE serves both
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        token = configurations.SQLITE_BEGIN_MODE.set("IMMEDIATE")
        try:
            async with session.begin() as transaction:
                yield transaction
        finally:
            configurations.SQLITE_BEGIN_MODE.reset(token)

    configurations.AioSqliteConfiguration.begin_transaction = begin_transaction


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m launch_sdk._prefect.server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    url = f"http://{arguments.host}:{arguments.port}"
    os.environ |= {
        "PREFECT_SERVER_API_HOST": arguments.host,
        "PREFECT_SERVER_API_PORT": str(arguments.port),
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    os.environ.pop("PREFECT_API_URL", None)

    import uvicorn
    from prefect.server.api.server import create_app

    begin_sqlite_transactions_immediate()
    uvicorn.run(create_app(final=True), host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
