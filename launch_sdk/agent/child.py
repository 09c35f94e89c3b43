"""Inside the flow's process: become what `python -m prefect.engine` would be, without its start and its imports.

Private parts of Prefect 3.8 that are used here: `prefect._internal.control_listener`, `prefect._internal.metrics`,
`prefect.engine._drive_run_flow_result`, `prefect.runner._hook_runner`. They are imported late, because the warm process
decides what is imported when.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import random
import signal
import sys
import traceback
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast
from uuid import UUID

from launch_sdk.runs.program_fork import ProgramFork

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from logging import Logger

    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun

    from launch_sdk.agent.warm import Preloaded
    from launch_sdk.agent.wire import Order

_DRAIN_TIMEOUT_S = 10.0
_LAST_CALL_S = 6.0


def become_flow(order: Order, preloaded: Preloaded, lifeline: int | None = None) -> NoReturn:
    """Carry out an order in this process and end it.

    Args:
        order: what is to be run.
        preloaded: what is imported already.
        lifeline: what goes with the order of a program that is forked elsewhere; None if none may be.
    """
    code = 1
    try:
        code = _run_order(order, preloaded, lifeline)
    except BaseException:  # noqa: BLE001  # nothing may unwind into the guard's frames, which this process inherited
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run_order(order: Order, preloaded: Preloaded, lifeline: int | None) -> int:
    _settle(order)
    if order.preloaded is not None or order.no_fork is not None:
        os.environ.update(ProgramFork(order.preloaded, order.no_fork or "", lifeline).as_variable())
    flow: Flow[..., Any] | None = preloaded.flows.get(order.entrypoint or "")
    if flow is not None and flow.name != order.flow_name:
        flow = None  # another project's file of the same name
    if flow is None:
        _forget_project(preloaded.project)
        sys.path.insert(0, "")
    _apply_settings(preloaded.settings_env)
    try:
        if order.hook_state is not None:
            return _run_hooks(UUID(order.flow_run_id), flow, order.hook_state)
        _know_related(order)
        return _run_flow(UUID(order.flow_run_id), flow)
    finally:
        _drain()


def _settle(order: Order) -> None:
    """Take on the order's environment, and drop what was inherited from the warm process."""
    os.environ.clear()
    os.environ.update(order.env)
    os.chdir(order.cwd)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["prefect.engine"]
    for entry in reversed(order.env.get("PYTHONPATH", "").split(os.pathsep)):
        if entry and entry not in sys.path:
            sys.path.insert(0, entry)
    if order.cpus:
        os.sched_setaffinity(0, order.cpus)
    if order.quiet:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        os.close(devnull)
    random.seed()  # else all runs would draw the same numbers
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()


def _forget_project(project: str | None) -> None:
    """Make room for the user's own `flows` and `blocks`."""
    if project is not None:
        sys.path[:] = [entry for entry in sys.path if entry != project]
    for name in list(sys.modules):
        if name.partition(".")[0] in {"flows", "blocks"}:
            del sys.modules[name]


def _know_related(order: Order) -> None:
    """Fill Prefect's cache of what events are about: a heartbeat asks the server for nothing then."""
    from prefect.events.related import RESOURCE_CACHE

    cache: dict[str, Any] = RESOURCE_CACHE
    for one in order.related:
        known: Any = SimpleNamespace(id=one["id"], name=one["name"], tags=one["tags"])
        cache[f"{one['kind']}.{one['key']}"] = ({"kind": one["kind"], "object": known}, datetime.now(UTC))


def _apply_settings(settings_env: dict[str, str]) -> None:
    """Re-read Prefect's settings, if this run's differ from those Prefect was imported with (costs 50 ms)."""
    from launch_sdk.agent.warm import settings_of

    if settings_of(dict(os.environ)) == settings_env:
        return
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    refresh_global_settings_context()
    setup_logging()


def _run_flow(flow_run_id: UUID, preloaded_flow: Flow[..., Any] | None) -> int:
    """Do what `prefect.engine.__main__` does, with a flow that is loaded already if there is one."""
    from prefect._internal.control_listener import configure_from_env, get_intent
    from prefect.engine import (
        _drive_run_flow_result,  # pyright: ignore[reportPrivateUsage]  # the engine's main part is not importable
        handle_engine_signals,
    )
    from prefect.exceptions import TerminationSignal
    from prefect.flow_engine import load_flow, load_flow_run, run_flow
    from prefect.logging.loggers import flow_run_logger

    configure_from_env()
    try:
        with handle_engine_signals(flow_run_id):
            flow_run = load_flow_run(flow_run_id)
            logger = cast("Logger", flow_run_logger(flow_run))  # an adapter, which Prefect's annotations do not foresee
            try:
                flow = preloaded_flow or load_flow(flow_run)
            except Exception:
                logger.exception("Unexpected exception encountered when trying to load flow")
                raise
            try:
                with _metrics(flow_run, flow):
                    _drive_run_flow_result(flow, run_flow(flow, flow_run=flow_run, error_logger=logger))
            except TerminationSignal:
                if get_intent() is None and asyncio.run(_make_room(flow_run_id)):
                    return 0  # told to end by nobody of us, and put back, if the flow has not done so itself
                raise
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    return 0


async def _make_room(flow_run_id: UUID) -> bool:
    from prefect.client.orchestration import get_client

    from launch_sdk._prefect.recovery import recover_terminated

    with contextlib.suppress(Exception):  # who finds the run when the server is back puts it back
        async with asyncio.timeout(_LAST_CALL_S), get_client() as client:
            return await recover_terminated(client, flow_run_id)
    return False


def _metrics(flow_run: FlowRun, flow: Flow[..., Any]) -> AbstractContextManager[None]:
    from prefect._internal import metrics

    return cast("AbstractContextManager[None]", metrics.RunMetrics(flow_run, flow))  # pyright: ignore[reportUnknownMemberType]  # Prefect leaves a type open


def _run_hooks(flow_run_id: UUID, preloaded_flow: Flow[..., Any] | None, state_json: str) -> int:
    from prefect.client.schemas.objects import State
    from prefect.flow_engine import load_flow, load_flow_run
    from prefect.runner._hook_runner import HookRunner

    async def resolve(flow_run: FlowRun) -> Flow[..., Any]:
        return preloaded_flow or await asyncio.to_thread(load_flow, flow_run)

    state: State[Any] = State[Any].model_validate_json(state_json)
    flow_run = load_flow_run(flow_run_id)
    runner = HookRunner(resolve_flow=resolve)
    hooks = runner.run_crashed_hooks if state.is_crashed() else runner.run_cancellation_hooks
    asyncio.run(hooks(flow_run, state))
    return 0


def _drain() -> None:
    """Do what the interpreter's end would: logs and events leave, exit hooks run."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        with contextlib.suppress(Exception):
            worker.drain_all(timeout=_DRAIN_TIMEOUT_S)
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # multiprocessing's children do the same
