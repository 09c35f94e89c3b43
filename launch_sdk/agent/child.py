"""Inside the flow's process: become what `python -m prefect.engine` would be, without the interpreter's start and the imports."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from launch_sdk.agent.warm import Preloaded
    from launch_sdk.agent.wire import Order

_DRAIN_TIMEOUT_S = 10.0


def run_order(order: Order, preloaded: Preloaded) -> int:
    """Carry out an order in this process; its exit code."""
    _settle(order)
    flow = preloaded.flows.get(order.entrypoint or "")
    if flow is not None and flow.name != order.flow_name:
        flow = None  # another project's file of the same name
    if flow is None:
        _forget_project(preloaded.project)
        sys.path.insert(0, "")
    _apply_settings(preloaded.settings_env)
    try:
        return _run(UUID(order.flow_run_id), flow)
    finally:
        _drain()


def _settle(order: Order) -> None:
    """Take on the order's environment, and drop what was inherited from the warm process."""
    os.environ.clear()
    os.environ.update(order.env)
    os.chdir(order.cwd)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["prefect.engine"]
    for entry in reversed(order.env.get("PYTHONPATH", "").split(os.pathsep)):
        if entry and entry not in sys.path:
            sys.path.insert(0, entry)
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


def _apply_settings(settings_env: dict[str, str]) -> None:
    """Re-read Prefect's settings, if this run's differ from those Prefect was imported with (costs 50 ms)."""
    from launch_sdk.agent.warm import settings_of

    if settings_of(dict(os.environ)) == settings_env:
        return
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    refresh_global_settings_context()
    setup_logging()


def _run(flow_run_id: UUID, preloaded_flow: Any) -> int:
    from prefect._internal.control_listener import configure_from_env
    from prefect._internal.metrics import RunMetrics
    from prefect.engine import _drive_run_flow_result, handle_engine_signals
    from prefect.flow_engine import flow_run_logger, load_flow, load_flow_run, run_flow

    configure_from_env()
    try:
        with handle_engine_signals(flow_run_id):
            flow_run = load_flow_run(flow_run_id)
            logger = flow_run_logger(flow_run)
            try:
                flow = preloaded_flow or load_flow(flow_run)
            except Exception:
                logger.exception("Unexpected exception encountered when trying to load flow")
                raise
            with RunMetrics(flow_run, flow):
                _drive_run_flow_result(flow, run_flow(flow, flow_run=flow_run, error_logger=logger))
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _drain() -> None:
    """Do what the interpreter's end would: logs and events leave, exit hooks run."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        with contextlib.suppress(Exception):
            worker.drain_all(timeout=_DRAIN_TIMEOUT_S)
    atexit._run_exitfuncs()
