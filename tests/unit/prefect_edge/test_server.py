"""How the embedded server writes to SQLite: in turns, on Prefect's real database classes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration

from launch_sdk._prefect.server import write_in_turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

BODY = "insert into t values (:n)"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AioSqliteConfiguration:
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", AioSqliteConfiguration.begin_transaction)
    write_in_turns()
    return AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{tmp_path}/turns.db", timeout=5.0)


def run(database: AioSqliteConfiguration, body: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        engine = await database.engine()
        try:
            async with engine.begin() as connection:
                await connection.execute(sa.text("create table t (n integer)"))
            await body(engine)
        finally:
            await engine.dispose()

    asyncio.run(main())


def test_transactions_write_in_the_order_in_which_they_came(database: AioSqliteConfiguration) -> None:
    order: list[int] = []

    async def write(engine: Any, number: int) -> None:
        session = await database.session(engine)
        async with session, database.begin_transaction(session):
            await session.execute(sa.text(BODY), {"n": number})
            await asyncio.sleep(0.01)
            order.append(number)

    async def body(engine: Any) -> None:
        tasks: list[asyncio.Task[None]] = []
        for number in range(20):
            tasks.append(asyncio.create_task(write(engine, number)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    run(database, body)
    assert order == list(range(20))


def test_a_transaction_inside_another_of_the_same_task_can_read(database: AioSqliteConfiguration) -> None:
    seen: list[int] = []

    async def body(engine: Any) -> None:
        outer, inner = await database.session(engine), await database.session(engine)
        async with outer, database.begin_transaction(outer):
            await outer.execute(sa.text(BODY), {"n": 1})
            async with inner, database.begin_transaction(inner):
                seen.append((await inner.execute(sa.text("select count(*) from t"))).scalar_one())

    run(database, body)
    assert seen == [0]  # what is not committed is not seen


def test_a_task_started_inside_a_transaction_takes_its_turn_after_it(database: AioSqliteConfiguration) -> None:
    order: list[str] = []

    async def later(engine: Any, ended: asyncio.Event) -> None:
        await ended.wait()
        session = await database.session(engine)
        async with session, database.begin_transaction(session):
            await session.execute(sa.text(BODY), {"n": 2})
            order.append("later")

    async def body(engine: Any) -> None:
        ended = asyncio.Event()
        first, second = await database.session(engine), await database.session(engine)
        async with first, database.begin_transaction(first):
            task = asyncio.create_task(later(engine, ended))
            await first.execute(sa.text(BODY), {"n": 1})
        async with second, database.begin_transaction(second):
            ended.set()
            await asyncio.sleep(0.05)
            await second.execute(sa.text(BODY), {"n": 3})
            order.append("second")
        await task

    run(database, body)
    assert order == ["second", "later"]


def test_a_cancelled_waiter_holds_nobody_up(database: AioSqliteConfiguration) -> None:
    done: list[int] = []

    async def write(engine: Any, number: int, seconds: float) -> None:
        session = await database.session(engine)
        async with session, database.begin_transaction(session):
            await session.execute(sa.text(BODY), {"n": number})
            await asyncio.sleep(seconds)
        done.append(number)

    async def body(engine: Any) -> None:
        tasks = [asyncio.create_task(write(engine, number, 0.05)) for number in range(3)]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(database, body)
    assert done == [2]
