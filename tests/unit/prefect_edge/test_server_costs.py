"""What the embedded server spares itself, and that it does what it did: on Prefect's and pydocket's real classes."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from docket import Docket
from prefect.server.api import background_workers
from prefect.utilities.schema_tools import validation

from launch_sdk._prefect import server_costs
from launch_sdk._prefect.server_costs import COLLECT_AFTER, spare

if TYPE_CHECKING:
    from collections.abc import Iterator

VALIDATOR: Any = vars(validation)["_VALIDATOR"]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Spare, with the checks that really happen counted by what they check, and undone afterwards."""
    counted: Counter[str] = Counter()
    check = VALIDATOR.check_schema

    def counting(schema: Any, **how: Any) -> None:
        counted[str(schema)] += 1
        check(schema, **how)

    monkeypatch.setattr(VALIDATOR, "check_schema", counting)
    monkeypatch.setattr(background_workers, "Worker", background_workers.Worker)  # pyright: ignore[reportPrivateImportUsage]
    thresholds = gc.get_threshold()
    spare()
    yield counted
    gc.set_threshold(*thresholds)


def test_a_schema_is_checked_once_and_values_are_checked_each_time(checks: Counter[str]) -> None:
    schema: Any = {"type": "object", "properties": {"threads": {"type": "integer"}}}
    for _ in range(3):
        validation.is_valid_schema(schema, preprocess=False)
    assert checks == {str(schema): 1}
    for threads in ("many", "more"):
        with pytest.raises(Exception, match=f"'{threads}' is not of type 'integer'"):
            validation.validate({"threads": threads}, schema, raise_on_error=True, preprocess=False)


def test_a_schema_that_is_none_is_refused_each_time(checks: Counter[str]) -> None:
    schema: Any = {"type": "objekt"}
    for _ in range(2):
        with pytest.raises(ValueError, match="objekt"):
            validation.is_valid_schema(schema, preprocess=False)
    assert checks[str(schema)] == 2


def test_memory_is_collected_rarely(checks: Counter[str]) -> None:
    assert gc.get_threshold() == COLLECT_AFTER
    assert not checks


@pytest.mark.parametrize(("ask_every_s", "due_in_s"), [(60.0, 0.0), (0.5, 0.7)], ids=["at once", "later"])
def test_services_do_what_is_due(
    checks: Counter[str], monkeypatch: pytest.MonkeyPatch, ask_every_s: float, due_in_s: float
) -> None:
    assert not checks
    monkeypatch.setattr(server_costs, "SERVICES_ASK_EVERY", timedelta(seconds=ask_every_s))
    done: list[float] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(time.time())

    async def main() -> float:
        async with Docket(name="costs", url="memory://") as docket:
            docket.register(work)
            async with background_workers.Worker(docket) as worker:  # pyright: ignore[reportPrivateImportUsage]
                serving = asyncio.create_task(worker.run_forever())
                await asyncio.sleep(0.5)  # by now it waits for work
                due = time.time() + due_in_s
                await docket.add(work, when=datetime.fromtimestamp(due, UTC) if due_in_s else None)()
                async with asyncio.timeout(20):
                    while not done:  # noqa: ASYNC110  # another task's work, seen as a client would
                        await asyncio.sleep(0.01)
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
        return due

    due = asyncio.run(main())
    assert done[0] >= due
