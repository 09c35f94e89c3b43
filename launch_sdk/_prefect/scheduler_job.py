"""A custom scheduler in the parent of its sweep: its job's program beside it, and its state on the server."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from launch_sdk._prefect import names
from launch_sdk._prefect.jobs import read_job
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.run_store import store_holding
from launch_sdk._prefect.surroundings import queue_of, surroundings_of
from launch_sdk._prefect.views import run_labels
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.scheduler_program import scheduler_program
from launch_sdk.specs.container import merged_containers
from launch_sdk.sweeps.custom_scheduler import CustomScheduler
from launch_sdk.tracking.values import dumps, loads

if TYPE_CHECKING:
    import logging
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from prefect.client.orchestration import PrefectClient

    from launch_sdk._prefect.sweep_identity import SweepIdentity
    from launch_sdk.specs.scheduler_spec import SchedulerSpec
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.prior import PriorRun
    from launch_sdk.sweeps.runs import SweepRun
    from launch_sdk.sweeps.samplers import Sampler

MAX_STATE = 256_000  # characters of its JSON text
MAX_LOGGED_LINES = 5_000
NO_STATE = "null"


class SchedulerJob:
    """A scheduler that runs beside its sweep.

    Life: `open`, then `settle` after each cycle; `close` when the sweep has ended.
    """

    def __init__(
        self,
        client: PrefectClient,
        identity: SweepIdentity,
        scheduler: CustomScheduler,
        logger: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self.client = client
        self.identity = identity
        self.scheduler = scheduler
        self.logger = logger
        self.text = NO_STATE

    async def open(
        self, document: Mapping[str, Any], runs: Sequence[SweepRun], prior: Sequence[PriorRun]
    ) -> CustomScheduler:
        """Tell it the sweep, the runs so far and the state that it left."""
        parent = await self.client.read_flow_run(self.identity.parent_id)
        kept = run_labels(parent).get(names.SCHEDULER_STATE)
        self.text = kept if isinstance(kept, str) else NO_STATE
        opening = partial(self.scheduler.open, prior=prior, state=loads(self.text))
        await asyncio.to_thread(opening, self.identity.sweep_id, document, runs)
        return self.scheduler

    async def settle(self, tell: Callable[[str], None]) -> None:
        """Say what went wrong with it, and keep its state if that is new."""
        if self.scheduler.notice:
            tell(self.scheduler.notice)
        text = dumps(self.scheduler.state)
        if text == self.text:
            return
        self.text = text
        if len(text) > MAX_STATE:
            tell(f"_save_state of the scheduler gave {len(text)} characters; at most {MAX_STATE} are kept.")
        else:
            await write_labels(self.client, self.identity.parent_id, {names.SCHEDULER_STATE: text})

    async def close(self, runs: Sequence[SweepRun]) -> None:
        """Have it clean up."""
        await asyncio.to_thread(self.scheduler.close, runs)
        await self.settle(self.logger.warning)


class SchedulerLog:
    """Passes a scheduler's output on to the log of its sweep, up to a limit: a line costs the server 0.3 ms."""

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self.logger = logger
        self.count = 0

    def __call__(self, lines: list[str]) -> None:
        for line in lines:
            self.count += 1
            if self.count <= MAX_LOGGED_LINES:
                self.logger.info("scheduler: %s", line)
            elif self.count == MAX_LOGGED_LINES + 1:
                self.logger.warning("scheduler: more than %d lines; the rest is in its directory.", MAX_LOGGED_LINES)


@asynccontextmanager
async def scheduler_job(
    client: PrefectClient,
    spec: SweepSpec,
    identity: SweepIdentity,
    sampler: Sampler | None,
    logger: logging.Logger | logging.LoggerAdapter[Any],
) -> AsyncGenerator[SchedulerJob | None]:
    """Run the program of a sweep's scheduler job for the length of the block; None if the sweep has none."""
    if spec.scheduler.job is None:
        yield None
        return
    job = await read_job(client, spec.scheduler.job)
    store = await store_holding(client, job.spec.source)

    container = spec.scheduler.container
    queue = queue_of(await client.read_flow_run(identity.parent_id))
    around = await surroundings_of(client, queue, {"queue_name": queue or ""})
    is_contained = container is not None or around.containers is not None

    async with scheduler_program(
        replace(job.spec, container=_wanted(spec.scheduler) if is_contained else None),
        RunDirectory(RunDirectory.of(str(identity.parent_id)).path / "scheduler"),
        store=store,
        timeout_s=spec.scheduler.timeout_s,
        variables={} if is_contained else _variables(spec.scheduler),
        around=around,
        on_lines=SchedulerLog(logger),
    ) as talk:
        yield SchedulerJob(client, identity, CustomScheduler(talk, job.reference, spec, sampler), logger)


def _wanted(spec: SchedulerSpec) -> Mapping[str, Any]:
    """Give the container of its program; variables that it names are asked for like any run's."""
    words = [name if value is None else f"{name}={value}" for name, value in spec.environment.items()]
    wanted = {"args": {"env": words}} if words else {}
    return merged_containers(spec.container or {}, wanted) or {}


def _variables(spec: SchedulerSpec) -> Mapping[str, str]:
    given = {name: os.environ.get(name) if value is None else value for name, value in spec.environment.items()}
    return {name: value for name, value in given.items() if value is not None}
