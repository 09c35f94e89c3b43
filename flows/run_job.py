"""The flow that runs one program: what `launch`, the Prefect UI and every run of a sweep start."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Mapping
from typing import Any

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, Pause
from prefect.runtime import flow_run as current
from prefect.states import Completed, Failed

from launch_sdk._prefect import names
from launch_sdk._prefect.attempts import attempts_of, put_back
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.patience import patiently
from launch_sdk._prefect.project import NO_RESULTS
from launch_sdk._prefect.recovery import recover_terminated
from launch_sdk._prefect.run_ending import register, write_end
from launch_sdk._prefect.run_store import store_holding
from launch_sdk._prefect.surroundings import queue_of, surroundings_of
from launch_sdk.containers.engine import EngineLostError
from launch_sdk.containers.settled import Surroundings
from launch_sdk.errors import LaunchError, RunFailedError
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.runs.metric_history import MetricHistory
from launch_sdk.runs.processes import process_identifier
from launch_sdk.runs.program_fork import ProgramFork
from launch_sdk.runs.queue_environment import settle_environment
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.job_form import touched
from launch_sdk.specs.placement import DEFAULT_QUEUE
from launch_sdk.specs.queue_templates import MACROS
from launch_sdk.specs.run_policy import Ending
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking import protocol
from launch_sdk.tracking.values import decode, dumps

Logger = logging.Logger | logging.LoggerAdapter[Any]

SUMMARY_EVERY_S = 2.0
LAST_WRITE_TIMEOUT_S = 4.0
MAX_LOGGED_LINES = 5_000
MAX_LOGGED_CHARACTERS = 4_000_000
MAX_LINE = 20_000
NO_JOB = "No job was made of this run. %s"


@flow(
    name="run-job",
    description="Run one program: its source, with these arguments and this config.",
    persist_result=False,
    result_storage=NO_RESULTS,
)
async def run_job(  # noqa: PLR0917  # each is a field of the form in the Prefect UI
    source: str,
    entry_point: list[str] = ["main.py"],  # noqa: B006  # Prefect copies it
    args: list[str] = [],  # noqa: B006
    config: dict[str, Any] = {},  # noqa: B006
    files: dict[str, Any] = {},  # noqa: B006
    environment: str = "current",
    name: str | None = None,
    project: str | None = None,
    job: str | None = None,
    inputs: dict[str, Any] | None = None,
    metric_sources: list[dict[str, Any]] = [],  # noqa: B006
    lock: dict[str, Any] | None = None,
    policy: dict[str, Any] = {},  # noqa: B006
    resources: dict[str, int] = {},  # noqa: B006
    container: dict[str, Any] | None = None,
) -> State[Any]:
    """Run one program to its end. The words below stand in the form of the Prefect UI.

    Args:
        source: Directory of the program, as the agent sees it, or the name of a packed one.
        entry_point: Program to start, and its own arguments.
        args: Arguments added after the entry point.
        config: Values laid over the program's run config.
        files: Values written into config files of the run's copy of the source, by path.
        environment: What it runs in; 'current' is the agent's interpreter, 'auto' is what requirements.txt says.
        name: What to call the run.
        project: What the run belongs to.
        job: Job that it is a run of.
        inputs: What config and files may set, as JSON Schemas; empty allows anything.
        metric_sources: Where metrics come from if the program does not log them itself.
        lock: Packages of the run that is repeated, for the environments 'lock' and 'auto'.
        policy: When it starts again and how long it may take, as in {"retries": 2, "run_timeout_s": 3600}.
        resources: What it has for itself of the agent's machine, as in {"gpu": 1, "cpu": 4}.
        container: Container that it runs in, as in {"image": "python:3.12"}; empty lets the queue decide.
    """
    logger = get_run_logger()
    run_id = str(current.id)
    progress = SummaryLabel(run_id, _followed(run_id))
    values = {
        "source": source,
        "entry_point": entry_point,
        "args": args,
        "config": decode(config),
        "files": decode(files),
        "environment": environment,
        "name": name,
        "project": project,
        "job": job,
        "inputs": decode(inputs),
        "metric_sources": [decode(one) for one in metric_sources],
        "lock": decode(lock),
        "policy": policy,
        "resources": resources,
        "container": decode(container),
    }
    try:
        return await _to_its_end(run_id, values, progress, logger)
    except (Abort, Pause):
        raise
    except BaseException as error:  # told to end, or at fault: what the program has logged by now is its result
        if await _makes_room(run_id, progress, is_told=not isinstance(error, Exception)):
            raise Abort("The run makes room; it is on its queue again, or whoever finds it puts it there.") from None
        raise


async def _to_its_end(run_id: str, values: dict[str, Any], progress: SummaryLabel, logger: Logger) -> State[Any]:
    try:
        spec = _as_meant(values)
        macros = _macros(run_id, spec)
        settle_environment(os.environ, macros)
        store, around = await patiently(lambda: _surroundings(spec, macros), logger.warning)
        fork = ProgramFork.taken(os.environ)
        outcome = await execute(
            spec,
            RunDirectory.of(run_id),
            store=store,
            identity=_identity(run_id, spec),
            on_lines=OutputLog(logger),
            on_summary=progress.show,
            fork=fork,
            around=around,
        )
    except LaunchError as error:
        logger.error("%s", error)  # noqa: TRY400  # a user's mistake needs no traceback
        if isinstance(error, RunFailedError):  # another time it might start
            ending = Ending.LOST if isinstance(error, EngineLostError) else Ending.FAILED
            await _start_again(run_id, ending, str(error), None, logger)
        return Failed(message=str(error))
    await progress.settle()
    await patiently(lambda: _keep(run_id, spec, outcome, store, logger), logger.warning)
    if outcome.error is not None:
        code = None if outcome.has_timed_out else outcome.exit_code
        await _start_again(run_id, outcome.ending, outcome.error, code, logger)
    return _final_state(outcome)


async def _start_again(run_id: str, ending: Ending, message: str, exit_code: int | None, logger: Logger) -> None:
    """Leave the run on its queue, and this process, if it starts again; nobody who wants it to end is overruled."""

    async def ask() -> State[Any] | None:
        async with get_client() as client:
            flow_run = await client.read_flow_run(uuid.UUID(run_id))
            if flow_run.state is None or not flow_run.state.is_running():
                return None
            return await put_back(client, flow_run, ending, message, exit_code=exit_code, process=_this_process())

    if state := await patiently(ask, logger.warning):
        logger.warning("%s", state.message)
        raise Pause(state=state)


def _this_process() -> str:
    return process_identifier(os.getpid())


def _as_meant(values: dict[str, Any]) -> RunSpec:
    """Read the spec; values that a form has sent along as they were are no overrides."""
    spec = RunSpec.from_dict(values)
    labels = _flow_run().labels
    return spec if names.GIVEN in labels or names.SWEEP in labels else touched(spec)


def _flow_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("run_job runs as a flow run of a Prefect server only")
    return context.flow_run


def _is_of_sweep() -> bool:
    return names.sweep_of(current.tags) is not None


def _followed(run_id: str) -> MetricHistory | None:
    """Follow the metric that the sweep of this run decides by, if there is one."""
    metric = _flow_run().labels.get(names.FOLLOWED)
    return MetricHistory(RunDirectory.of(run_id).records, str(metric)) if metric else None


async def _makes_room(run_id: str, progress: SummaryLabel, *, is_told: bool) -> bool:
    """Leave; whether the run is to start again. A server that does not answer must not keep it from ending."""
    try:
        return await asyncio.wait_for(_leave(run_id, progress, is_told=is_told), LAST_WRITE_TIMEOUT_S)
    except Exception:  # noqa: BLE001  # the server says Running of it, and its process is gone: so it will be found
        return is_told


async def _leave(run_id: str, progress: SummaryLabel, *, is_told: bool) -> bool:
    """Leave on the server what a run has recorded that is told to end; whether it goes back on its queue.

    It does if nobody has asked for its end: its agent has died, or its host takes the machine back. The runs of a sweep
    end with their agent, for the sweep starts them again.
    """
    await progress.settle()
    async with get_client() as client:
        await write_end(client, run_id, RunDirectory.of(run_id), progress.summary, is_of_sweep=_is_of_sweep())
        return is_told and await recover_terminated(client, uuid.UUID(run_id))


async def _keep(
    run_id: str,
    spec: RunSpec,
    outcome: Outcome,
    store: RunStore,
    logger: logging.Logger | logging.LoggerAdapter[Any],
) -> None:
    """Leave on the server what the run has recorded, and a job if it is to be one."""
    run = RunDirectory.of(run_id)
    async with get_client() as client:
        for name in await write_end(client, run_id, run, outcome.summary, is_of_sweep=_is_of_sweep()):
            logger.warning("%s is too large to be kept on the server; it is in %s.", name, run.path)
        if not outcome.succeeded or _is_of_sweep():
            return
        try:
            job = await register(client, run, spec, _flow_run().work_pool_name or DEFAULT_QUEUE, store)
        except LaunchError as error:
            told = "Job %s still takes anything: this run could not say what it takes. %s" if spec.job else NO_JOB
            logger.warning(told, *([spec.job] if spec.job else []), error)
        else:
            if job is not None:
                logger.info("This run is job %s:%s. Start it: launch --job %s", job.name, job.version, job.name)


class OutputLog:
    """Passes the program's output on to the flow run's log, up to a limit: a log line costs the server 0.3 ms."""

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self.logger = logger
        self.count = self.characters = 0
        self.is_full = False

    def __call__(self, lines: list[str]) -> None:
        for line in lines:
            if self.is_full:
                return
            self.count += 1
            self.characters += min(len(line), MAX_LINE)
            self.is_full = self.count > MAX_LOGGED_LINES or self.characters > MAX_LOGGED_CHARACTERS
            if not self.is_full:
                self.logger.info("%s", line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} ... (cut)")
            else:
                self.logger.warning(
                    "More than %d lines or %d characters: the rest is in the run directory only.",
                    MAX_LOGGED_LINES,
                    MAX_LOGGED_CHARACTERS,
                )


class SummaryLabel:
    """Keeps the flow run's labels near the truth while the program runs, without waiting for the server.

    They are the summary and, if the sweep wants it, the history of its metric; both go in one call.
    """

    def __init__(self, run_id: str, history: MetricHistory | None = None) -> None:
        self.run_id = run_id
        self.history = history
        self.summary: Mapping[str, Any] = {}
        self.text = ""
        self.next_write = time.monotonic() + SUMMARY_EVERY_S
        self.writing: asyncio.Task[None] | None = None

    def show(self, summary: Mapping[str, Any]) -> None:
        self.summary = summary  # the same mapping each time, and up to date when the program has ended
        if time.monotonic() < self.next_write or (self.writing and not self.writing.done()):
            return
        self.next_write = time.monotonic() + SUMMARY_EVERY_S
        curve = self.history.news() if self.history else None
        text = dumps(summary)
        if curve or text != self.text:
            self.text = text
            curves = {names.HISTORY: curve} if curve else {}
            self.writing = asyncio.create_task(self._send({names.SUMMARY: text, **curves}))

    async def settle(self) -> None:
        """Wait until nothing is being written any more; write the end of the history."""
        if self.writing:
            await asyncio.wait([self.writing])
        if self.history and (curve := self.history.news()):
            await self._send({names.HISTORY: curve})

    async def _send(self, labels: Mapping[str, str]) -> None:
        async with get_client() as client:
            await write_labels(client, self.run_id, labels)


async def _surroundings(spec: RunSpec, macros: Mapping[str, str]) -> tuple[RunStore, Surroundings]:
    """Read where the source is, and what the queue gives to a container."""
    queue = queue_of(_flow_run())
    async with get_client() as client:
        return await store_holding(client, spec.source), await surroundings_of(client, queue, macros)


def _macros(run_id: str, spec: RunSpec) -> dict[str, str]:
    """Give what the owner of a queue may have put into its variables: all of `specs.queue_templates.MACROS`."""
    queue = queue_of(_flow_run()) or ""
    values = (run_id, current.name, spec.project or "", queue)
    return {name: value or "" for name, value in zip(MACROS, values, strict=True)}


def _identity(run_id: str, spec: RunSpec) -> dict[str, str]:
    given = {
        protocol.RUN_ID: run_id,
        protocol.RUN_NAME: current.name,
        protocol.PROJECT: spec.project,
        protocol.SWEEP_ID: names.sweep_of(current.tags),
        protocol.ATTEMPT: str(len(attempts_of(_flow_run())) + 1),
    }
    return {variable: value for variable, value in given.items() if value}


def _final_state(outcome: Outcome) -> State[Any]:
    if outcome.succeeded:
        return Completed(message=_headline(outcome.summary))
    return Failed(message=outcome.error)


def _headline(summary: Mapping[str, Any]) -> str:
    shown = [f"{key}={value:.6g}" for key, value in summary.items() if isinstance(value, int | float)]
    return ", ".join(shown[:6]) or "done"
