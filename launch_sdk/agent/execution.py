"""What all runs of an agent share on Prefect's side: client, cancelling, control channel, the warm process.

All of Prefect's private modules that the agent stands on are imported here (and in `child.py`, for the flow's side), as
of Prefect 3.8: `prefect.runner._cancellation_manager`, `._control_channel`, `._event_emitter`, `._flow_run_executor`,
`._process_manager`, `._state_proposer` and `prefect._internal.observers`. They are composed as `FlowRunExecutorContext`
does, but once for all runs: that one is made for a single run, looks after a cancelled process every 3 s, and loads a
flow in the agent itself to run its hooks.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import anyio
import anyio.abc
from prefect._internal.observers import FlowRunCancellingObserver
from prefect.client.orchestration import get_client
from prefect.logging import get_logger
from prefect.runner._cancellation_manager import CancellationManager
from prefect.runner._control_channel import ControlChannel
from prefect.runner._event_emitter import EventEmitter
from prefect.runner._flow_run_executor import FlowRunExecutor
from prefect.runner._process_manager import ProcessHandle, ProcessManager
from prefect.runner._state_proposer import StateProposer
from prefect.states import Cancelling
from prefect.workers.process import ProcessWorkerResult

from launch_sdk._prefect.recovery import recover, starts_again
from launch_sdk.agent.preloading import PreloadedProcesses
from launch_sdk.agent.starter import Project, RunProcess, WarmProcess, parent_environment
from launch_sdk.runs.processes import process_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType
    from typing import Self
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, State

    from launch_sdk.agent.wire import Order

_logger = get_logger("launch.agent")


class _GuardedScope:
    """How Prefect ends one of our runs: through its guard."""

    wait_after_graceful_kill = True

    def __init__(self, process: RunProcess) -> None:
        self._process = process

    def is_alive(self, pid: int) -> bool:
        del pid
        return not self._process.gone.is_set()

    def graceful_kill(self, pid: int) -> None:
        del pid
        self._process.terminate()

    def hard_kill(self, pid: int) -> None:
        del pid
        self._process.kill()

    def close(self) -> None:
        """Do nothing: what there is to close ends with the run."""


class _PromptProcessManager(ProcessManager):
    """`ProcessManager` that notices the end of a process when it ends, not at the next of its checks, 3 s apart."""

    async def kill(self, flow_run_id: UUID, grace_seconds: float = 30, *, force: bool = False) -> None:
        handle = self.get(flow_run_id)
        if handle is None:
            return
        process = cast("RunProcess", handle.raw_process)
        if not force:
            process.terminate()
            with anyio.move_on_after(grace_seconds):
                await process.gone.wait()
                return
        process.kill()
        await process.gone.wait()


class _RecoveringStates(StateProposer):
    """`StateProposer` that lets a run start again whose process has died, if its policy says so."""

    def __init__(self, *, client: PrefectClient) -> None:
        super().__init__(client=client)
        self.processes: dict[UUID, str] = {}  # of the runs that have one, as `runs.processes` names it
        self.put_back: set[UUID] = set()

    async def propose_crashed(self, flow_run: FlowRun, message: str) -> State[Any] | None:
        try:
            if not await starts_again(self._client, flow_run.id):
                return await super().propose_crashed(flow_run, message)
            process = self.processes.get(flow_run.id) or f"none:{uuid4()}"  # it did not get so far
            await recover(self._client, flow_run.id, message, process=process)
        except Exception as error:  # noqa: BLE001  # the server is away: when it is back, somebody finds the run
            _logger.warning("The end of flow run '%s' cannot be told yet: %r", flow_run.id, error)
        self.put_back.add(flow_run.id)
        return None


class _ForkedHooks:
    """Runs a flow's own hooks in a process of the run's kind, so that the agent never loads a user's code."""

    def __init__(self, warm: WarmProcess) -> None:
        self.orders: dict[UUID, Order] = {}  # of the runs that are under way
        self.processes: set[RunProcess] = set()
        self._warm = warm

    async def run_cancellation_hooks(self, flow_run: FlowRun, state: State) -> None:
        await self._run(flow_run, state)

    async def run_crashed_hooks(self, flow_run: FlowRun, state: State) -> None:
        await self._run(flow_run, state)

    async def _run(self, flow_run: FlowRun, state: State) -> None:
        order = self.orders.get(flow_run.id)
        if order is None:
            return
        process = await self._warm.start(replace(order, hook_state=state.model_dump_json()))
        self.processes.add(process)
        try:
            await process.gone.wait()
        finally:
            self.processes.discard(process)


class _WarmStarter:
    """Prefect's `ProcessStarter` protocol over the warm process, for one run."""

    def __init__(self, warm: WarmProcess, order: Order) -> None:
        self._warm = warm
        self._order = order
        self.process: RunProcess | None = None

    async def start(
        self, flow_run: FlowRun, task_status: anyio.abc.TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        del flow_run
        process = self.process = await self._warm.start(self._order)
        task_status.started(ProcessHandle(cast("Any", process), termination_scope=_GuardedScope(process)))
        await process.exited.wait()


class Execution:
    """Starts and cancels the runs of one agent. Enter it before the agent's workers, in the same event loop."""

    def __init__(self, project: Project | None = None, on_event: Callable[[str], None] = _logger.info) -> None:
        """Make it.

        Args:
            project: the Prefect project whose flows are imported beforehand; None for none.
            on_event: is told what happens, a line of text each.
        """
        self._project = project or Project()
        self.preloaded = PreloadedProcesses(on_event)
        self._stack = AsyncExitStack()
        self._cancel_at_start: set[UUID] = set()
        self._foreign: set[anyio.CancelScope] = set()
        self._cancels: dict[UUID, anyio.Event] = {}  # set when the run is Cancelled

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        self.warm = WarmProcess(self._project, parent_environment())
        self._stack.callback(self.warm.close)
        self._stack.callback(self.preloaded.close)
        self.warm.ensure()
        self._client = await enter(get_client())
        self._control = ControlChannel()
        self._observer = FlowRunCancellingObserver(on_cancelling=self._on_cancelling)
        self._processes = _PromptProcessManager(on_add=self._on_add, on_remove=self._on_remove)
        await enter(self._processes)
        self._states = _RecoveringStates(client=self._client)
        self._hooks = _ForkedHooks(self.warm)
        emitter = await enter(EventEmitter(runner_name="launch-agent", client=self._client))
        await enter(self._control)
        self._tasks = await enter(anyio.create_task_group())
        self._canceller = CancellationManager(
            process_manager=self._processes,
            hook_runner=self._hooks,
            state_proposer=self._states,
            event_emitter=emitter,
            client=self._client,
            control_channel=self._control,
        )
        await enter(self._observer)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, traceback)

    def expect(self, flow_run_id: UUID) -> None:
        """Watch for the cancelling of a run from now on, though it has no process yet."""
        self._observer.add_in_flight_flow_run_id(flow_run_id)

    def forget(self, flow_run_id: UUID) -> None:
        """Undo `expect`."""
        self._observer.remove_in_flight_flow_run_id(flow_run_id)
        self._cancel_at_start.discard(flow_run_id)

    async def run(
        self, flow_run: FlowRun, order: Order, task_status: anyio.abc.TaskStatus[Any] = anyio.TASK_STATUS_IGNORED
    ) -> ProcessWorkerResult:
        """Run a flow run to its end, and until nothing that it started is left.

        Raises:
            RuntimeError: its process did not start; Prefect's worker reports it as crashed.
        """
        if flow_run.id in self._cancel_at_start:
            current = await self._client.read_flow_run(flow_run.id)  # the one at hand has no state
            await self._states.propose_cancelled(current, {"message": "The run was cancelled before it started."})
            task_status.started(process_identifier(os.getpid()))
            return ProcessWorkerResult(status_code=0, identifier=str(os.getpid()))
        self._hooks.orders[flow_run.id] = order
        try:
            process = await self._execute(flow_run, order, task_status)
            await process.gone.wait()
            if (cancelled := self._cancels.get(flow_run.id)) is not None:
                await cancelled.wait()
            code = 0 if flow_run.id in self._states.put_back else process.returncode or 0
        finally:
            del self._hooks.orders[flow_run.id]
            self._cancels.pop(flow_run.id, None)
            self._states.processes.pop(flow_run.id, None)
            self._states.put_back.discard(flow_run.id)
        return ProcessWorkerResult(status_code=code, identifier=str(process.pid))

    async def _execute(self, flow_run: FlowRun, order: Order, task_status: anyio.abc.TaskStatus[Any]) -> RunProcess:
        starter = _WarmStarter(self.warm, replace(order, env=order.env | self._control_env(flow_run.id)))
        executor = FlowRunExecutor(
            flow_run=flow_run,
            starter=starter,
            process_manager=self._processes,
            state_proposer=self._states,
            hook_runner=self._hooks,
            get_attempt_conclusion=self._control.get_conclusion,
            propose_submitting=False,
        )
        async with anyio.create_task_group() as group:
            handle = await group.start(executor.submit)
            self._states.processes[flow_run.id] = process_identifier(handle.pid or 0)
            task_status.started(self._states.processes[flow_run.id])
        if starter.process is None:
            raise RuntimeError("The flow's process did not start.")
        return starter.process

    @contextmanager
    def stoppable(self) -> Generator[None]:
        """Run what is not started here (Prefect's own way of running) so that `cancel_all` ends it too."""
        with anyio.CancelScope() as scope:
            self._foreign.add(scope)
            try:
                yield
            finally:
                self._foreign.discard(scope)

    async def cancel_all(self, message: str) -> None:
        """Cancel every run that has a process, and wait until they are gone and Cancelled."""
        for scope in self._foreign:
            scope.cancel()
        async with anyio.create_task_group() as group:
            for flow_run_id in self._processes.flow_run_ids():
                group.start_soon(self._cancel, flow_run_id, message)

    async def preempt_all(self) -> None:
        """Ask every run to make room: a program of ours is put back on its queue, another flow crashes."""
        for flow_run_id in self._processes.flow_run_ids():
            handle = self._processes.get(flow_run_id)
            with suppress(ProcessLookupError):  # it has just ended
                if handle is not None:
                    cast("RunProcess", handle.raw_process).terminate()

    async def kill_all(self) -> None:
        """End every run now; each is reported as crashed."""
        for flow_run_id in self._processes.flow_run_ids():
            with suppress(ProcessLookupError):  # it has just ended
                await self._processes.kill(flow_run_id, force=True)
        for process in self._hooks.processes:
            with suppress(ProcessLookupError):
                process.kill()

    async def _cancel(self, flow_run_id: UUID, message: str | None = None) -> None:
        if flow_run_id in self._cancels:
            return
        cancelled = self._cancels[flow_run_id] = anyio.Event()
        try:
            flow_run = await self._client.read_flow_run(flow_run_id)
            if message and flow_run.state and not flow_run.state.is_final():  # so that it is not taken for preempted
                await self._client.set_flow_run_state(flow_run_id, Cancelling(message=message), force=True)
                flow_run = await self._client.read_flow_run(flow_run_id)
            await self._canceller.cancel(flow_run, message)
            await self._settle(flow_run_id)
        except Exception:
            _logger.exception("Cancelling flow run '%s' failed.", flow_run_id)
        finally:
            cancelled.set()

    async def _settle(self, flow_run_id: UUID) -> None:
        """Say that a run is Cancelled whose process had gone before it could be: it was killed meanwhile."""
        current = await self._client.read_flow_run(flow_run_id)
        if current.state is not None and current.state.is_cancelling() and self._processes.get(flow_run_id) is None:
            await self._states.propose_cancelled(current, {"message": "The run was killed while it was cancelled."})

    def _control_env(self, flow_run_id: UUID) -> dict[str, str]:
        try:
            port, token = self._control.register(flow_run_id)
        except RuntimeError:  # the channel could not listen; Prefect then cancels by signal alone
            return {}
        return {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}

    def _on_cancelling(self, flow_run_id: UUID) -> None:
        if self._processes.get(flow_run_id) is None:
            self._cancel_at_start.add(flow_run_id)
        else:
            self._tasks.start_soon(self._cancel, flow_run_id)

    async def _on_add(self, flow_run_id: UUID) -> None:
        self._observer.add_in_flight_flow_run_id(flow_run_id)
        if flow_run_id in self._cancel_at_start:
            self._tasks.start_soon(self._cancel, flow_run_id)

    async def _on_remove(self, flow_run_id: UUID) -> None:
        self.forget(flow_run_id)
        self._control.unregister(flow_run_id)
