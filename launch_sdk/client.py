"""The Python API: submit runs and sweeps, look at them, end them. It knows no Prefect: a `Gateway` does."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.document import Document, read_document
from launch_sdk.specs.run_spec import RunSpec, split_entry_point
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.runs import SweepRun, best_run, latest_attempts
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from launch_sdk.specs.run_state import RunState

T = TypeVar("T")
POLL_S = 0.5
DEFAULT_QUEUE = "default"


@dataclass(frozen=True)
class RunView:
    """What the server knows of one run.

    Attributes:
        run_id, name, url: who it is and its page in the Prefect UI.
        state: where it is in its life.
        job: `flow/deployment` that it is a run of; None if its deployment is gone.
        queue: where it was put; None if it was on none.
        parameters: of its flow; for a program they are its RunSpec.
        summary: last logged values.
        created, started, ended: unix seconds; None if not yet.
        error: why it failed; None if it did not.
    """

    run_id: str
    name: str
    state: RunState
    job: str | None
    queue: str | None
    parameters: Mapping[str, Any]
    summary: Mapping[str, Any]
    created: float | None
    started: float | None
    ended: float | None
    error: str | None
    url: str

    @property
    def config(self) -> Mapping[str, Any]:
        """What was laid over the program's config; for another flow, its parameters."""
        return cast("Mapping[str, Any]", self.parameters.get("config", self.parameters))

    def to_json(self) -> dict[str, Any]:
        duration = self.ended - self.started if self.started is not None and self.ended is not None else None
        return {
            "run_id": self.run_id,
            "name": self.name,
            "state": self.state.value,
            "job": self.job,
            "queue": self.queue,
            "parameters": encode(self.parameters),
            "config": encode(self.config),
            "summary": encode(self.summary),
            "metric": None,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "duration_s": duration,
            "url": self.url,
            "error": self.error,
        }


@dataclass(frozen=True)
class SweepView:
    """What the server knows of one sweep.

    Attributes:
        sweep_id, name, url: who it is and its page in the Prefect UI.
        state: of its parent run.
        spec: what was asked for.
        runs: every attempt of every index.
        scheduler: its parent run, and the host and process that drive it, if known.
        message: what its state says: why it ended.
        notices: what its user should know while it runs.
        queue, source: where its runs go, and their code.
    """

    sweep_id: str
    name: str
    state: RunState
    spec: SweepSpec
    runs: Sequence[SweepRun]
    scheduler: Mapping[str, Any]
    message: str | None
    url: str
    queue: str
    source: str | None = None
    notices: Sequence[str] = field(default_factory=tuple)

    @property
    def best(self) -> SweepRun | None:
        return best_run(latest_attempts(self.runs), self.spec.metric)

    def to_json(self) -> dict[str, Any]:
        metric = self.spec.metric
        best = self.best
        return {
            "sweep_id": self.sweep_id,
            "name": self.name,
            "state": self.state.value,
            "method": self.spec.method,
            "metric": {"name": metric.name, "goal": metric.goal} if metric else None,
            "best": self._row(best, ("index", "run_id", "parameters", "metric")) if best else None,
            "runs": [self._row(run) for run in latest_attempts(self.runs)],
            "scheduler": dict(self.scheduler),
            "message": self.message,
            "notices": list(self.notices),
            "queue": self.queue,
            "url": self.url,
        }

    def _row(self, run: SweepRun, keys: Sequence[str] | None = None) -> dict[str, Any]:
        row = {
            "index": run.index,
            "run_id": run.run_id,
            "name": run.name,
            "state": run.state.value,
            "parameters": encode(run.parameters),
            "metric": encode(run.metric(self.spec.metric)),
            "duration_s": run.duration_s,
            "stop_reason": run.stop_reason,
            "error": run.error,
            "url": run.url,
        }
        return {key: row[key] for key in keys} if keys else row


class Gateway(Protocol):
    """The server, as the client needs it. Every call may raise BackendUnavailableError.

    Law: a name that is unknown is a NotFoundError that says which are known; nothing is created but by `submit_*`
    and `ensure_queue`.
    """

    async def ensure_queue(self, queue: str) -> None: ...
    async def queue_has_agent(self, queue: str) -> bool: ...
    async def submit_run(self, spec: RunSpec, queue: str) -> str: ...
    async def submit_job(self, job: str, parameters: Mapping[str, Any], name: str | None) -> str: ...
    async def read_run(self, run_id: str) -> RunView: ...
    async def read_logs(self, run_id: str) -> list[str]: ...
    async def cancel_run(self, run_id: str) -> None: ...
    async def submit_sweep(
        self, document: Mapping[str, Any], spec: SweepSpec, source: str | None, queue: str
    ) -> str: ...
    async def read_sweep(self, sweep_id: str) -> SweepView: ...
    async def stop_sweep(self, sweep_id: str) -> None: ...
    async def resume_sweep(self, sweep_id: str) -> None: ...
    async def close(self) -> None: ...


class LaunchClient:
    """Submits to, and reads from, the server that PREFECT_API_URL names, or the embedded one.

    Synchronous: each call returns when the server has answered.

    Args:
        gateway: the server; None connects to it, starting the embedded one if need be.

    Raises:
        BackendUnavailableError: the server does not answer.
    """

    def __init__(self, gateway: Gateway | None = None) -> None:
        self._runner = asyncio.Runner()
        self._gateway = gateway or self._connect()

    def _connect(self) -> Gateway:
        # By name: the gateway imports Prefect, which this module must not need before a server is wanted.
        module = importlib.import_module("launch_sdk._prefect.gateway")
        return cast("Gateway", self._do(module.PrefectGateway.connect()))

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def close(self) -> None:
        """Give the connections back."""
        self._do(self._gateway.close())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(self, spec: RunSpec, *, queue: str = DEFAULT_QUEUE) -> LaunchedRun:
        """Put a run on a queue; a local directory is packed first.

        Raises:
            NotFoundError: the directory or the queue does not exist.
        """
        self._do(self._gateway.ensure_queue(queue))
        run_id = self._do(self._gateway.submit_run(pack_source(spec), queue))
        return LaunchedRun(self, run_id)

    def launch_job(self, job: str, parameters: Mapping[str, Any], *, name: str | None = None) -> LaunchedRun:
        """Start a run of an existing deployment, `flow/deployment`, on its own queue."""
        return LaunchedRun(self, self._do(self._gateway.submit_job(job, parameters, name)))

    def run(self, run_id: str) -> LaunchedRun:
        """Return an existing run."""
        self._do(self._gateway.read_run(run_id))
        return LaunchedRun(self, run_id)

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
        self._do(self._gateway.ensure_queue(queue))
        source = pack_program(spec, document) if spec.program else None
        sweep_id = self._do(self._gateway.submit_sweep(document.value, spec, source, queue))
        return LaunchedSweep(self, sweep_id)

    def sweep(self, sweep_id: str) -> LaunchedSweep:
        """Return an existing sweep."""
        handle = LaunchedSweep(self, sweep_id)
        handle.refresh()
        return handle

    def resume_sweep(self, sweep_id: str) -> LaunchedSweep:
        """Continue a sweep whose parent has ended early.

        Raises:
            ConflictError: it is running, or has finished.
        """
        self._do(self._gateway.resume_sweep(sweep_id))
        return LaunchedSweep(self, sweep_id)

    def queue_has_agent(self, queue: str) -> bool:
        """Say whether any agent polls a queue."""
        return self._do(self._gateway.queue_has_agent(queue))

    def ensure_queue(self, queue: str) -> None:
        """Check that a queue exists; the default one is made."""
        self._do(self._gateway.ensure_queue(queue))


class LaunchedRun:
    """A run on the server. Attributes are read from it each time; `wait` first if they should be final."""

    def __init__(self, client: LaunchClient, run_id: str) -> None:
        self._client = client
        self.id = run_id

    def refresh(self) -> RunView:
        """Read everything the server knows of it."""
        return self._client._do(self._client._gateway.read_run(self.id))  # noqa: SLF001  # the handle is part of the client

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
    def url(self) -> str:
        return self.refresh().url

    def history(self) -> list[dict[str, Any]]:
        """Return the logged rows, if the run's directory is on this machine."""
        return RunDirectory.of(self.id).history()

    def logs(self) -> list[str]:
        """Return the lines that the server keeps of the run."""
        return self._client._do(self._client._gateway.read_logs(self.id))  # noqa: SLF001

    def wait(self, timeout_s: float | None = None) -> RunView:
        """Wait until it is over.

        Raises:
            TimeoutError: it is not over after `timeout_s` seconds.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (view := self.refresh()).state.is_terminal:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"Run {self.id} is still {view.state.value} after {timeout_s:g} s.")
            time.sleep(POLL_S)
        return view

    def cancel(self) -> None:
        """Give the run up: its program is ended."""
        self._client._do(self._client._gateway.cancel_run(self.id))  # noqa: SLF001


class LaunchedSweep:
    """A sweep on the server."""

    def __init__(self, client: LaunchClient, sweep_id: str) -> None:
        self._client = client
        self.id = sweep_id

    def refresh(self) -> SweepView:
        """Read everything the server knows of it."""
        return self._client._do(self._client._gateway.read_sweep(self.id))  # noqa: SLF001

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
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not (view := self.refresh()).state.is_terminal:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"Sweep {self.id} is still {view.state.value} after {timeout_s:g} s.")
            time.sleep(POLL_S)
        return view

    def stop(self) -> None:
        """End it and its runs; it can be resumed."""
        self._client._do(self._client._gateway.stop_sweep(self.id))  # noqa: SLF001


def pack_source(spec: RunSpec) -> RunSpec:
    """Give the same spec with its directory packed into the run store."""
    if spec.source.startswith("sha256:"):
        return spec
    source = RunStore.local().put_directory(Path(spec.source).expanduser()).source
    return RunSpec.from_dict({**spec.to_dict(), "source": source})


def pack_program(spec: SweepSpec, document: Document) -> str:
    """Pack the folder of a sweep file, after checking that its program is there."""
    program = document.directory / (spec.program or "")
    if not program.is_file():
        beside = sorted(path.name for path in document.directory.glob("*.py"))
        raise InvalidSpecError(
            document.name,
            [
                document.fault(
                    ("program",),
                    f"{spec.program} does not exist in {document.directory}; there are {', '.join(beside) or 'no scripts'}",
                )
            ],
        )
    return RunStore.local().put_directory(document.directory).source


def launch(
    uri: str,
    *,
    entry_point: str | None = None,
    args: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
    queue: str = DEFAULT_QUEUE,
    name: str | None = None,
    project: str | None = None,
    wait: bool = True,
) -> LaunchedRun:
    """Put a local directory on a queue as a run.

    Args:
        uri: the directory.
        entry_point: program to start, as on a command line; `main.py` by default.
        args: arguments after it.
        config: values laid over the program's config.
        queue: where to put it; an agent must serve it.
        name: what to call the run.
        project: what it belongs to.
        wait: whether to return only when it is over.
    """
    if not Path(uri).expanduser().is_dir():
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
