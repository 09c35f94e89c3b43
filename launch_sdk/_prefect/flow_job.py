"""`@launch.job`: a user's own Prefect flow as a job.

While the flow runs there is a run, as after `launch.init()`: its config is the flow's parameters, and what it logs is
kept as the flow run's label `launch.summary`, where sweeps and the Prefect UI find it. Prefect sees the user's own
function: same signature, same file, same version.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event, Thread
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from launch_sdk._prefect import names
from launch_sdk.runs.metric_history import MetricHistory
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.tracking import current, protocol
from launch_sdk.tracking.exits import exit_code_of
from launch_sdk.tracking.values import dumps, plain

if TYPE_CHECKING:
    from collections.abc import Generator
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from launch_sdk._prefect.labels import LabelValue
    from launch_sdk.tracking.run import Run

F = TypeVar("F", bound=Callable[..., Any])

UNNAMED = "result"  # the name of such a number outside a sweep
SUMMARY_EVERY_S = 2.0
LAST_WRITE_TIMEOUT_S = 10.0

_log = logging.getLogger("launch_sdk.jobs")


@overload
def job(function: F, /, *, project: str | None = None) -> F: ...
@overload
def job(*, project: str | None = None) -> Callable[[F], F]: ...
def job(function: F | None = None, /, *, project: str | None = None) -> F | Callable[[F], F]:
    """Make a Prefect flow a job, with a decorator above or below `@flow`; bare, or with arguments.

        @launch.job
        @flow
        def train(lr: float = 0.1) -> float:
            launch.log({"loss": 0.5})
            return 0.5

    Inside, `launch.log`, `launch.config` (the parameters) and `launch.run` work. The last logged values become the
    run's summary, every 2 s and at the end, also when the flow fails. What the flow returns is added: the numbers of
    a dict by their keys, a lone number under the name of the sweep's metric (`result` outside a sweep).

    The run directory is `LAUNCH_HOME/runs/<flow run id>`. Without a server, or without `@flow`, it is
    `launch/run-<time>-<id>` below the working directory, as for a script. A job that is called while this process has
    a run, as by another job, logs into that one.

    Args:
        function: a flow or a function, synchronous or `async`.
        project: what its runs belong to; the working directory's name if there is none.

    Raises:
        TypeError: it is a generator, or no function.
    """
    if function is None:
        return lambda given: job(given, project=project)
    prefect = sys.modules.get("prefect.flows")  # a flow cannot exist before its module does
    if prefect is not None and isinstance(function, prefect.Flow):
        flow: Any = copy.copy(function)
        flow.fn = _tracked(flow.fn, project)
        return flow
    return cast("F", _tracked(function, project))


def _tracked(function: Callable[..., Any], project: str | None) -> Callable[..., Any]:
    if not inspect.isfunction(function):
        raise TypeError(f"@launch.job takes a flow or a function, not {function!r}. Put it right at the def.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"@launch.job: {function.__name__} is a generator; a job returns once. Return, do not yield.")
    call = _call_async if inspect.iscoroutinefunction(function) else _call

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return call(function, project, args, kwargs)

    async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
        return await call(function, project, args, kwargs)

    made = async_wrapper if call is _call_async else wrapper
    return functools.wraps(function)(_in_place_of(function, cast("FunctionType", made)))


def _in_place_of(function: FunctionType, wrapper: FunctionType) -> FunctionType:
    """Let a wrapper stand where the user's function stands.

    Prefect looks up the names of annotations in the function's globals, hashes the function's file for the flow's
    version, and takes entry points from it. In a traceback the wrapper shows as the decorator's line.
    """
    code = wrapper.__code__.replace(
        co_filename=function.__code__.co_filename,
        co_firstlineno=max(1, function.__code__.co_firstlineno - 1),
        co_name=function.__name__,
        co_qualname=function.__qualname__,
    )
    return FunctionType(code, function.__globals__, function.__name__, closure=wrapper.__closure__)


def _call(function: Callable[..., Any], project: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with _run_of(function, project, args, kwargs) as job_run:
        result = function(*args, **kwargs)
        job_run.keep(result)
        return result


async def _call_async(
    function: Callable[..., Any], project: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    with _run_of(function, project, args, kwargs) as job_run:
        result = await function(*args, **kwargs)
        job_run.keep(result)
        return result


@dataclass(frozen=True, slots=True)
class _JobRun:
    """The run of one call; None if the call belongs to a run that was there before."""

    run: Run | None
    metric: str

    def keep(self, result: object) -> None:
        """Add what the function returned to the summary."""
        run = current.current_run() if self.run is not None else None  # the function may have begun another one
        if run is not None:
            for name, value in returned_summary(result, self.metric).items():
                run.summary[name] = value


@contextlib.contextmanager
def _run_of(
    function: Callable[..., Any], project: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Generator[_JobRun]:
    """Have a run while one call of a job lasts."""
    if current.current_run() is not None:
        yield _JobRun(None, UNNAMED)
        return
    config = parameters_of(function, args, kwargs)
    flow_run = _flow_run()
    if flow_run is None:
        with _finished(current.init(config=config, project=project)) as run:
            yield _JobRun(run, UNNAMED)
        return
    directory = RunDirectory.of(str(flow_run.id))
    with (
        _environment(_variables_of(flow_run, directory)),
        _SummaryLabel(flow_run.id, directory, flow_run.labels.get(names.FOLLOWED)),
        _finished(_init_in(directory, config, project)) as run,
    ):
        yield _JobRun(run, str(flow_run.labels.get(names.METRIC, UNNAMED)))


@contextlib.contextmanager
def _finished(run: Run) -> Generator[Run]:
    """Finish the run of this process at the end, with the exit code that a script would have."""
    try:
        yield run
    except BaseException as error:
        current.finish(exit_code_of(error))
        raise
    current.finish(0)


def _init_in(directory: RunDirectory, config: Mapping[str, Any], project: str | None) -> Run:
    """Begin a run as a supervisor would have it: an `init()` of the flow's own takes the parameters too."""
    directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    protocol.write_overrides(directory.path, config)
    return current.init(project=project)


def _flow_run() -> FlowRun | None:
    """Return the flow run that this code is part of; None without a server, or if a supervisor has made the run."""
    if "prefect.context" not in sys.modules or protocol.RUN_DIR in os.environ:
        return None
    from prefect.context import FlowRunContext
    from prefect.settings import get_current_settings

    context = FlowRunContext.get()
    return context.flow_run if context is not None and get_current_settings().api.url else None


def _variables_of(flow_run: FlowRun, directory: RunDirectory) -> dict[str, str]:
    given = {
        protocol.RUN_DIR: str(directory.path),
        protocol.RUN_ID: str(flow_run.id),
        protocol.RUN_NAME: flow_run.name,
        protocol.SWEEP_ID: flow_run.labels.get(names.SWEEP),
    }
    return {name: str(value) for name, value in given.items() if value}


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None]:
    """Set variables, so that the programs which a flow starts know their run too; then unset them."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)


class _SummaryLabel:
    """Keeps a flow run's labels near the truth, from a thread: a flow that computes never gives way."""

    def __init__(self, flow_run_id: UUID, directory: RunDirectory, followed: object = None) -> None:
        self.flow_run_id = flow_run_id
        self.records = directory.records
        self.history = MetricHistory(directory.records, str(followed)) if followed else None
        self.offset = 0
        self.summary: dict[str, Any] = {}
        self.written = dumps({})
        self.ended = Event()
        # Prefect's settings may be set for this context only; a copy of it takes them into the thread.
        self.thread = Thread(target=copy_context().run, args=(self._keep,), name="launch-summary", daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join(LAST_WRITE_TIMEOUT_S)

    def _keep(self) -> None:
        with contextlib.ExitStack() as clients:
            client: SyncPrefectClient | None = None
            while True:
                ended = self.ended.wait(SUMMARY_EVERY_S)
                try:
                    client = client or clients.enter_context(_own_client())
                    self._write(client)
                except Exception as error:  # noqa: BLE001  # the flow's own work must not fail by it
                    _log.log(logging.WARNING if ended else logging.DEBUG, "The run's summary was not kept: %s", error)
                if ended:
                    return

    def _write(self, client: SyncPrefectClient) -> None:
        records, self.offset = protocol.read_records(self.records, self.offset)
        for record in records:
            protocol.summary_update(self.summary, record)
        text = dumps(self.summary)
        curve = self.history.news() if self.history else None
        if curve or text != self.written:
            labels: dict[str, LabelValue] = {names.SUMMARY: text}
            if curve:
                labels[names.HISTORY] = curve
            client.update_flow_run_labels(self.flow_run_id, labels)
            self.written = text


def _own_client() -> SyncPrefectClient:
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True, httpx_settings={})  # settings of its own: else it is the engine's client


def parameters_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a call's parameters by name, defaults included, in plain values.

    Args:
        function: what is called; the names of its `**kwargs` stand beside the others.
        args: positional arguments of the call.
        kwargs: named ones.

    Raises:
        TypeError: the call does not fit the function, with Python's own words.
    """
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    parameters: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            parameters |= value
        else:
            parameters[name] = value
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: Any) -> Any:
    """Open up pydantic models, which training code need not know; `tracking.values` does the rest."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[Any]", value)]
    return value


def returned_summary(result: object, metric: str) -> dict[str, Any]:
    """Read metrics from what a flow has returned.

    Args:
        result: a number; or a mapping, of which the numbers count, nested ones too.
        metric: the name of a lone number.

    Returns:
        Numbers by name; empty if there is none.
    """
    seen = plain(result) if not isinstance(result, str | bytes) else None
    if isinstance(seen, Mapping):
        return _numbers(cast("Mapping[str, Any]", seen))
    return {metric: seen} if _is_number(seen) else {}


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            if inner := _numbers(cast("Mapping[str, Any]", value)):
                found[name] = inner
        elif _is_number(value):
            found[name] = value
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
