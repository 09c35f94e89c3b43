"""A connection to the server: what the client needs of one, and the event loop that its calls run on."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from launch_sdk.specs.placement import Placement

if TYPE_CHECKING:
    from launch_sdk.edits import Edits
    from launch_sdk.queue_views import AgentView, QueueItem, QueueView
    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.image_deployment import ImageDeployment
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.job_history import JobHistory, SavedJob
    from launch_sdk.specs.queue_config import QueueConfig
    from launch_sdk.specs.run_spec import RunSpec
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.prior import PriorRun
    from launch_sdk.views import LogLine, RunView, SweepView

T = TypeVar("T")
END_TIMEOUT_S = 1.0
DEFAULT = Placement()


class Gateway(Protocol):
    """The server, as the client needs it. Every call may raise BackendUnavailableError.

    Law: a name that is unknown is a NotFoundError that says which are known; nothing is created but by `submit_*`,
    `create_queue`, `ensure_queue` and `save_job`. `save_job` makes the next version when the content differs from that
    of the newest, never two of one number, and moves the aliases to the version of that content. Every version can be
    started until it is deleted; its run's values are its spec with those of `submit_own_job` in it. Edits of a run are
    laid over what it records, at any time, and later ones over earlier ones. A stopped sweep lets its runs end, a
    cancelled one ends them, a paused one starts none; stopping and cancelling what has ended change nothing. Resuming
    with a document or a queue replaces those of a sweep that has ended, a finished one too. A placement is checked
    before anything is submitted. Of the runs that wait on a queue, the most urgent is taken first, and of those the one
    submitted first; deleting a queue ends what waits on it and nothing else, and the default one cannot be deleted.
    """

    async def run_store(self) -> RunStore: ...
    async def ensure_queue(self, queue: str) -> None: ...
    async def create_queue(self, queue: str, config: QueueConfig | None = None) -> None: ...
    async def update_queue(self, queue: str, config: QueueConfig) -> None: ...
    async def list_queues(self) -> list[str]: ...
    async def queue_views(self) -> list[QueueView]: ...
    async def read_queue(self, queue: str) -> QueueView: ...
    async def queue_items(self, queue: str) -> list[QueueItem]: ...
    async def pause_queue(self, queue: str, *, paused: bool) -> None: ...
    async def delete_queue(self, queue: str) -> int: ...
    async def delete_queue_item(self, queue: str, run_id: str) -> str: ...
    async def why_waiting(self, run_id: str) -> str | None: ...
    async def list_agents(self) -> list[AgentView]: ...
    async def stop_agent(self, name: str, *, cancel: bool = False) -> AgentView: ...
    async def list_runs(self, limit: int) -> list[RunView]: ...
    async def list_sweeps(self, limit: int) -> list[SweepView]: ...
    async def queue_has_agent(self, queue: str) -> bool: ...
    async def queue_has_work(self, queue: str) -> bool: ...
    async def submit_run(self, spec: RunSpec, queue: str, placement: Placement = DEFAULT) -> str: ...
    async def submit_job(
        self, job: str, parameters: Mapping[str, Any], name: str | None, placement: Placement = DEFAULT
    ) -> str: ...
    async def save_job(
        self,
        name: str,
        spec: RunSpec,
        queue: str | None,
        first_queue: str,
        aliases: Sequence[str] = (),
        *,
        description: str | None = None,
    ) -> SavedJob: ...
    async def deploy_image(self, wanted: ImageDeployment, *, only_check: bool = False) -> str: ...
    async def read_job(self, reference: str) -> Job: ...
    async def job_history(self, name: str) -> JobHistory: ...
    async def list_jobs(self) -> list[JobHistory]: ...
    async def delete_job(self, reference: str) -> Job: ...
    async def submit_own_job(self, job: Job, spec: RunSpec, queue: str, placement: Placement = DEFAULT) -> str: ...
    async def edit_run(self, run_id: str, edits: Edits) -> None: ...
    async def read_run(self, run_id: str) -> RunView: ...
    async def read_logs(self, run_id: str, since: float = 0.0) -> list[LogLine]: ...
    async def cancel_run(self, run_id: str) -> None: ...
    async def stop_run(self, run_id: str, reason: str) -> None: ...
    async def submit_sweep(
        self,
        document: Mapping[str, Any],
        spec: SweepSpec,
        source: str | None,
        queue: str,
        prior: Sequence[PriorRun] = (),
    ) -> str: ...
    async def read_sweep(self, sweep_id: str) -> SweepView: ...
    async def stop_sweep(self, sweep_id: str) -> None: ...
    async def cancel_sweep(self, sweep_id: str) -> None: ...
    async def pause_sweep(self, sweep_id: str) -> None: ...
    async def resume_sweep(
        self, sweep_id: str, document: Mapping[str, Any] | None = None, queue: str | None = None
    ) -> None: ...
    async def rerun_failed(self, sweep_id: str) -> int: ...
    async def delete_sweep(self, sweep_id: str) -> None: ...
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
