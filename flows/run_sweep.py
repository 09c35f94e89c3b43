"""The flow that drives a sweep: observe its runs, plan, carry out, wait."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow, get_client, get_run_logger
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run as current
from prefect.states import Completed, Failed

from launch_sdk._prefect import names
from launch_sdk._prefect.jobs import read_job
from launch_sdk._prefect.project import NO_RESULTS
from launch_sdk._prefect.run_store import store_holding
from launch_sdk._prefect.scheduler_job import scheduler_job
from launch_sdk._prefect.sweep_identity import identify
from launch_sdk._prefect.sweep_report import SweepReport
from launch_sdk._prefect.sweep_runs import SweepIdentity, SweepRuns
from launch_sdk._prefect.views import ui_url
from launch_sdk._prefect.wake import Wake
from launch_sdk.errors import LaunchError
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.specs.document import Document
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.deciding import Decider
from launch_sdk.sweeps.early_stop import EarlyStop, make_early_stop
from launch_sdk.sweeps.planning import Action, Finish, Launch, Stop, settle
from launch_sdk.sweeps.prior import observations
from launch_sdk.sweeps.samplers import sampler_of
from launch_sdk.sweeps.samplers.optuna_source import OptunaSource, load_optuna_source
from launch_sdk.tracking.values import decode

CREATIONS_AT_ONCE = 4  # more only wait for one another in the server's database


@flow(
    name="run-sweep",
    description="Search over the inputs of a program or of any deployment.",
    persist_result=False,
    result_storage=NO_RESULTS,
)
async def run_sweep(
    sweep: dict[str, Any], sweep_id: str = "", source: str | None = None, queue: str = ""
) -> State[Any]:
    """Drive a sweep to its end. The words below stand in the form of the Prefect UI.

    Args:
        sweep: The sweep file: method, metric, parameters, program or job.
        sweep_id: Its id; empty makes one up.
        source: Directory of the program, as the agent sees it, or the name of a packed one.
        queue: Queue of its runs; empty takes the sweep's own.
    """
    logger = get_run_logger()
    try:
        spec = parse_sweep(Document(decode(sweep), "The sweep"))
        async with get_client() as client:
            parent_id = uuid.UUID(str(current.id))
            identity = await identify(client, parent_id, spec, sweep_id=sweep_id, source=source, queue=queue)
            finish = await _drive(client, spec, identity, decode(sweep), logger)
    except LaunchError as error:
        logger.error("%s", error)  # noqa: TRY400  # a user's mistake needs no traceback
        return Failed(message=str(error))
    logger.info("The sweep has ended: %s", finish.reason)
    if finish.outcome == "failed":
        return Failed(message=finish.reason)
    if finish.outcome == "stopped":
        return Completed(message=finish.reason, name=names.STOPPED)
    return Completed(message=finish.reason)


async def _drive(
    client: PrefectClient,
    spec: SweepSpec,
    identity: SweepIdentity,
    document: Mapping[str, Any],
    logger: logging.Logger | logging.LoggerAdapter[Any],
) -> Finish:
    runs = SweepRuns(client, spec, identity, ui_url(str(client.api_url)))
    report = SweepReport(client, spec, identity, logger)
    code = await _code(client, spec, identity)
    source = await asyncio.to_thread(load_optuna_source, spec, code)
    sampler = None if spec.method == "custom" else sampler_of(spec, source)
    early_stop = _early_stop(spec, code, source)
    try:
        async with Wake(runs.children.tag) as wake, scheduler_job(client, spec, identity, sampler, logger) as job:
            seen = await runs.open()
            opened = time.time()
            scheduler = await job.open(document, seen, runs.prior) if job else None
            decider = Decider(spec, sampler, early_stop, scheduler, observations(runs.prior))
            while True:
                actions = await asyncio.to_thread(decider.actions, seen, wish=runs.wish, now=time.time())
                finish = await _carry_out(runs, actions)
                if job:
                    await job.settle(report.add_notice)
                if finish:
                    if job:
                        await job.close(seen)
                    await report.close(seen, finish)
                    return finish
                await report.show(runs.known)
                await wake.wait()
                seen, given_up = settle(await runs.read(), opened, time.time())
                await runs.acknowledge(given_up)
    except BaseException:
        await _break_off(identity, spec, logger)
        raise


async def _code(client: PrefectClient, spec: SweepSpec, identity: SweepIdentity) -> Path | None:
    """Lay out a copy of the sweep's code, if a function in it has a say in the sweep; None if none has."""
    if not spec.has_functions:
        return None
    source = identity.source
    if spec.own_job is not None:
        source = (await read_job(client, spec.own_job)).spec.source
    if not source:
        return None
    copy = RunDirectory.of(str(identity.parent_id)).work
    store = await store_holding(client, source)
    return await asyncio.to_thread(store.lay_out, source, copy)


def _early_stop(spec: SweepSpec, code: Path | None, source: OptunaSource | None) -> EarlyStop | None:
    """Make what ends runs early; functions of the user's come from the copy of the sweep's code."""
    goal = spec.metric.goal if spec.metric else "minimize"
    pruner = source.pruner if source is not None else None
    return make_early_stop(spec.early_stop, goal=goal, directory=code, pruner=pruner)


async def _carry_out(runs: SweepRuns, actions: list[Action]) -> Finish | None:
    """Do what was decided; give back that the sweep is to end, if it is."""
    slots = asyncio.Semaphore(CREATIONS_AT_ONCE)

    async def one(action: Launch | Stop) -> None:
        async with slots:
            if isinstance(action, Launch):
                await runs.launch(action)
            else:
                await runs.stop(action.run_id, action.reason)

    await asyncio.gather(*(one(action) for action in actions if not isinstance(action, Finish)))
    return next((action for action in actions if isinstance(action, Finish)), None)


async def _break_off(
    identity: SweepIdentity, spec: SweepSpec, logger: logging.Logger | logging.LoggerAdapter[Any]
) -> None:
    """Stop what runs, over a connection of its own: the signal that ended us may have broken the other one."""
    async with get_client() as client:
        runs = SweepRuns(client, spec, identity, ui_url(str(client.api_url)))
        await runs.stop_all()
        await SweepReport(client, spec, identity, logger).break_off(runs.known, "stopped; it can be resumed")
