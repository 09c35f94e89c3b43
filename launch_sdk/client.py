"""The Python API: submit runs and sweeps, look at them, end them. It knows no Prefect: a `Gateway` does."""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.runs.packing import pack_program, pack_source
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.document import Document, read_document
from launch_sdk.specs.run_spec import RunSpec, split_entry_point
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.runs import SweepRun, latest_attempts
from launch_sdk.views import LogLine, RunView, SweepView

if TYPE_CHECKING:
    from launch_sdk.specs.run_state import RunState

T = TypeVar("T")
V = TypeVar("V", RunView, SweepView)
POLL_S = 0.5
END_TIMEOUT_S = 1.0
DEFAULT_QUEUE = "default"


class Gateway(Protocol):
    """The server, as the client needs it. Every call may raise BackendUnavailableError.

    Law: a name that is unknown is a NotFoundError that says which are known; nothing is created but by `submit_*`,
    `create_queue` and `ensure_queue`.
    """

    async def run_store(self) -> RunStore: ...
    async def ensure_queue(self, queue: str) -> None: ...
    async def create_queue(self, queue: str) -> None: ...
    async def list_queues(self) -> list[str]: ...
    async def list_runs(self, limit: int) -> list[RunView]: ...
    async def list_sweeps(self, limit: int) -> list[SweepView]: ...
    async def queue_has_agent(self, queue: str) -> bool: ...
    async def queue_has_work(self, queue: str) -> bool: ...
    async def submit_run(self, spec: RunSpec, queue: str) -> str: ...
    async def submit_job(self, job: str, parameters: Mapping[str, Any], name: str | None) -> str: ...
    async def read_run(self, run_id: str) -> RunView: ...
    async def read_logs(self, run_id: str, since: float = 0.0) -> list[LogLine]: ...
    async def cancel_run(self, run_id: str) -> None: ...
    async def stop_run(self, run_id: str, reason: str) -> None: ...
    async def submit_sweep(
        self, document: Mapping[str, Any], spec: SweepSpec, source: str | None, queue: str
    ) -> str: ...
    async def read_sweep(self, sweep_id: str) -> SweepView: ...
    async def stop_sweep(self, sweep_id: str) -> None: ...
    async def resume_sweep(self, sweep_id: str) -> None: ...
    async def close(self) -> None: ...


class Session:
    """A gateway and the event loop that its calls run on, shared by a client and its handles.

    The loop has a thread of its own, so that the client works wherever another loop runs already, as in a notebook.
    """

    def __init__(self, gateway: Gateway | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="launch-client", daemon=True)
        self.thread.start()
        try:
            self.gateway = gateway or self._connect()
        except BaseException:
            self._end_loop()
            raise

    def _connect(self) -> Gateway:
        # By name: the gateway imports Prefect, which this module must not need before a server is wanted.
        module = importlib.import_module("launch_sdk._prefect.gateway")
        return cast("Gateway", self.do(module.PrefectGateway.connect()))

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """Carry out one call."""
        future = asyncio.run_coroutine_threadsafe(call, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self.do(self.gateway.close())
        self._end_loop()

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(END_TIMEOUT_S)
        if not self.thread.is_alive():  # one that is busy is a daemon and ends with the process
            self.loop.close()


class LaunchClient:
    """Submits to, and reads from, the server that PREFECT_API_URL names, or the embedded one.

    Synchronous: each call returns when the server has answered.

    Args:
        gateway: the server; None connects to it, starting the embedded one if need be.

    Raises:
        BackendUnavailableError: the server does not answer.
    """

    def __init__(self, gateway: Gateway | None = None) -> None:
        self._session = Session(gateway)

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(self, spec: RunSpec, *, queue: str = DEFAULT_QUEUE) -> LaunchedRun:
        """Put a run on a queue; a local directory is packed first.

        Raises:
            NotFoundError: the directory or the queue does not exist.
        """
        self._session.do(self._session.gateway.ensure_queue(queue))
        run_id = self._session.do(self._session.gateway.submit_run(pack_source(spec, self._store()), queue))
        return LaunchedRun(self._session, run_id)

    def _store(self) -> RunStore:
        return self._session.do(self._session.gateway.run_store())

    def launch_job(self, job: str, parameters: Mapping[str, Any], *, name: str | None = None) -> LaunchedRun:
        """Start a run of an existing deployment, `flow/deployment`, on its own queue."""
        return LaunchedRun(self._session, self._session.do(self._session.gateway.submit_job(job, parameters, name)))

    def run(self, run_id: str) -> LaunchedRun:
        """Return an existing run."""
        self._session.do(self._session.gateway.read_run(run_id))
        return LaunchedRun(self._session, run_id)

    def submit_sweep(self, document: Document, *, queue: str | None = None) -> LaunchedSweep:
        """Start a sweep; the folder of its program is packed first.

        Args:
            document: the sweep file.
            queue: where it and its runs go; None for the file's own or the default.

        Raises:
            InvalidSpecError: with every fault of the file.
            NotFoundError: its program, its job or its queue does not exist.
        """
        spec = parse_sweep(document)
        queue = queue or spec.queue or DEFAULT_QUEUE
        self._session.do(self._session.gateway.ensure_queue(queue))
        source = pack_program(spec, document, self._store()) if spec.program else None
        sweep_id = self._session.do(self._session.gateway.submit_sweep(document.value, spec, source, queue))
        return LaunchedSweep(self._session, sweep_id)

    def sweep(self, sweep_id: str) -> LaunchedSweep:
        """Return an existing sweep."""
        handle = LaunchedSweep(self._session, sweep_id)
        handle.refresh()
        return handle

    def resume_sweep(self, sweep_id: str) -> LaunchedSweep:
        """Continue a sweep whose parent has ended early.

        Raises:
            ConflictError: it is running, or has finished.
        """
        self._session.do(self._session.gateway.resume_sweep(sweep_id))
        return LaunchedSweep(self._session, sweep_id)

    def queue_has_agent(self, queue: str) -> bool:
        """Say whether any agent polls a queue."""
        return self._session.do(self._session.gateway.queue_has_agent(queue))

    def queue_has_work(self, queue: str) -> bool:
        """Say whether anything waits or runs on a queue, parents of sweeps included."""
        return self._session.do(self._session.gateway.queue_has_work(queue))

    def runs(self, limit: int = 20) -> list[RunView]:
        """Return the latest runs, newest first."""
        return self._session.do(self._session.gateway.list_runs(limit))

    def sweeps(self, limit: int = 20) -> list[SweepView]:
        """Return the latest sweeps, newest first."""
        return self._session.do(self._session.gateway.list_sweeps(limit))

    def queues(self) -> list[str]:
        """Return the names of the queues."""
        return self._session.do(self._session.gateway.list_queues())

    def create_queue(self, queue: str) -> None:
        """Make a queue.

        Raises:
            ConflictError: there is one of this name.
        """
        self._session.do(self._session.gateway.create_queue(queue))

    def ensure_queue(self, queue: str) -> None:
        """Check that a queue exists; the default one is made."""
        self._session.do(self._session.gateway.ensure_queue(queue))


class LaunchedRun:
    """A run on the server. Attributes are read from it each time; `wait` first if they should be final."""

    def __init__(self, session: Session, run_id: str) -> None:
        self._session = session
        self.id = run_id

    def refresh(self) -> RunView:
        """Read everything the server knows of it."""
        return self._session.do(self._session.gateway.read_run(self.id))

    @property
    def name(self) -> str:
        return self.refresh().name

    @property
    def state(self) -> RunState:
        return self.refresh().state

    @property
    def config(self) -> Mapping[str, Any]:
        return self.refresh().config

    @property
    def summary(self) -> Mapping[str, Any]:
        return self.refresh().summary

    @property
    def url(self) -> str | None:
        return self.refresh().url

    def history(self) -> list[dict[str, Any]]:
        """Return the logged rows, if the run's directory is on this machine."""
        return RunDirectory.of(self.id).history()

    def logs(self) -> list[str]:
        """Return what the server keeps of the run's log; it gets the last lines a second or two after the run's end."""
        return [line.message for line in self.log_lines()]

    def log_lines(self, since: float = 0.0) -> list[LogLine]:
        """Return the lines of the log with their ids and times, those from `since` (unix seconds) on."""
        return self._session.do(self._session.gateway.read_logs(self.id, since))

    def wait(self, timeout_s: float | None = None) -> RunView:
        """Wait until it is over.

        Raises:
            TimeoutError: it is not over after `timeout_s` seconds.
        """
        return _until_over(self.refresh, f"Run {self.id}", timeout_s)

    def stop(self, reason: str = "asked to") -> None:
        """Ask the run to end; what it has logged counts as its result."""
        self._session.do(self._session.gateway.stop_run(self.id, reason))

    def cancel(self) -> None:
        """Give the run up: its program is ended."""
        self._session.do(self._session.gateway.cancel_run(self.id))


class LaunchedSweep:
    """A sweep on the server."""

    def __init__(self, session: Session, sweep_id: str) -> None:
        self._session = session
        self.id = sweep_id

    def refresh(self) -> SweepView:
        """Read everything the server knows of it."""
        return self._session.do(self._session.gateway.read_sweep(self.id))

    @property
    def best(self) -> SweepRun | None:
        return self.refresh().best

    @property
    def runs(self) -> Sequence[SweepRun]:
        return latest_attempts(self.refresh().runs)

    def wait(self, timeout_s: float | None = None) -> SweepView:
        """Wait until it is over.

        Raises:
            TimeoutError: it is not over after `timeout_s` seconds.
        """
        return _until_over(self.refresh, f"Sweep {self.id}", timeout_s)

    def stop(self) -> None:
        """End it and its runs; it can be resumed."""
        self._session.do(self._session.gateway.stop_sweep(self.id))


def _until_over(refresh: Callable[[], V], what: str, timeout_s: float | None) -> V:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not (view := refresh()).state.is_terminal:
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"{what} is still {view.state.value} after {timeout_s:g} s.")
        time.sleep(POLL_S)
    return view


def launch(
    uri: str | None = None,
    *,
    job: str | None = None,
    entry_point: str | None = None,
    args: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
    queue: str = DEFAULT_QUEUE,
    name: str | None = None,
    project: str | None = None,
    wait: bool = True,
) -> LaunchedRun:
    """Put a local directory on a queue as a run, or start a run of a deployment on its own.

    Args:
        uri: the directory; None if `job` is given.
        job: `flow/deployment`; its parameters are then `config`, and it has its own program, arguments and queue.
        entry_point: program to start, as on a command line; `main.py` by default.
        args: arguments after it.
        config: values laid over the program's config.
        queue: where to put it; an agent must serve it.
        name: what to call the run.
        project: what it belongs to.
        wait: whether to return only when it is over.

    Raises:
        NotFoundError: the directory, the deployment or the queue does not exist.
        InvalidSpecError: neither or both of `uri` and `job` are given, or a value is wrong.
    """
    if (uri is None) == (job is None):
        raise InvalidSpecError("The run", [Fault("uri", "name either a directory or a job (flow/deployment)")])
    if job is not None:
        run = LaunchClient().launch_job(job, config or {}, name=name)
    else:
        if not Path(uri or "").expanduser().is_dir():
            raise NotFoundError(f"{uri} is not a directory. Name the directory that holds the program.")
        spec = RunSpec.from_dict(
            {
                "source": uri,
                "entry_point": split_entry_point(entry_point or "main.py"),
                "args": list(args or ()),
                "config": dict(config or {}),
                "name": name,
                "project": project,
            }
        )
        run = LaunchClient().launch(spec, queue=queue)
    if wait:
        run.wait()
    return run


def sweep(document: str | Path | Mapping[str, Any], *, queue: str | None = None, wait: bool = True) -> LaunchedSweep:
    """Start a sweep.

    Args:
        document: a sweep file, or what stands in one (its program is then relative to the working directory).
        queue: where it and its runs go; an agent must serve it.
        wait: whether to return only when it is over.
    """
    given = Document(dict(document)) if isinstance(document, Mapping) else read_document(Path(document))
    launched = LaunchClient().submit_sweep(given, queue=queue)
    if wait:
        launched.wait()
    return launched
