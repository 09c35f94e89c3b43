"""What a user does with a sweep from outside: stop, cancel, pause, resume, repeat what failed, delete.

A wish is a label of the parent, which its process reads along with the runs; so it needs no connection to that process,
and outlives it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from launch_sdk._prefect import names
from launch_sdk._prefect.children import Children
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.parents import end_flow_run, find_parent, is_lost, seen_state, sweep_state
from launch_sdk._prefect.queues import ensure_deployment
from launch_sdk._prefect.views import run_labels, run_state
from launch_sdk.errors import ConflictError
from launch_sdk.specs.placement import DEFAULT_QUEUE
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.runs import latest_attempts
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

MOVED_ALONG = (names.SOURCE, names.PRIOR, names.SCHEDULER_STATE)
BROKEN = frozenset({RunState.FAILED, RunState.LOST})


class SweepLife:
    """Carries out the wishes of a sweep's user on the server."""

    def __init__(self, client: PrefectClient, ui: str) -> None:
        self.client = client
        self.ui = ui

    async def stop(self, sweep_id: str) -> None:
        """Start no more runs, let those that run end; a sweep that nobody drives is stopped here and now."""
        from prefect.states import Completed

        parent = await find_parent(self.client, sweep_id)
        if run_state(parent).is_terminal:
            return
        if run_state(parent) is RunState.QUEUED or is_lost(parent):
            state = Completed(name=names.STOPPED, message="stopped by its user")
            await self.client.set_flow_run_state(parent.id, state, force=True)
        else:
            await write_labels(self.client, parent.id, {names.CONTROL: "stop"})

    async def cancel(self, sweep_id: str) -> None:
        """End the sweep and its runs now; the runs of one that nobody drives are ended from here."""
        from prefect.states import Cancelled

        parent = await find_parent(self.client, sweep_id)
        nobody_drives = run_state(parent).is_terminal or is_lost(parent)
        if run_state(parent) is RunState.LOST:  # its agent has said so; from now on it is what its user wanted
            await self.client.set_flow_run_state(parent.id, Cancelled(message="cancelled by its user"), force=True)
        await end_flow_run(self.client, parent)
        if nobody_drives:
            children = await self._children(sweep_id)
            for run_id in [run.run_id for run in children.known.values() if run.is_active]:
                await end_flow_run(self.client, children.flow_runs[run_id])

    async def pause(self, sweep_id: str) -> None:
        """Start no more runs until the sweep is resumed.

        Raises:
            ConflictError: it has ended, or is ending.
        """
        parent = await find_parent(self.client, sweep_id)
        state = sweep_state(parent)
        if state.is_terminal or state is RunState.STOPPING:
            raise ConflictError(f"Sweep {sweep_id} is {state.value}; only one that goes on can be paused.")
        await write_labels(self.client, parent.id, {names.CONTROL: "pause"})

    async def resume(self, sweep_id: str, document: Mapping[str, Any] | None = None, queue: str | None = None) -> None:
        """Take a wish back; or drive a sweep on whose parent has ended early.

        Args:
            sweep_id: the sweep.
            document: in place of its own; None for its own.
            queue: where it and its new runs go; None for where they went.

        Raises:
            ConflictError: it goes on already, or has finished and nothing of it changes.
        """
        parent = await find_parent(self.client, sweep_id)
        state = seen_state(parent)
        if not state.is_terminal and (document or queue):
            raise ConflictError(
                f"Sweep {sweep_id} is {sweep_state(parent).value}; it can be changed once it has ended."
                f" End it first: launch sweep cancel {sweep_id}"
            )
        if state is RunState.FINISHED and document is None:
            message = parent.state.message if parent.state else ""
            raise ConflictError(f"Sweep {sweep_id} has finished ({message}); there is nothing to resume.")
        if state.is_terminal:
            await self._restart(await self._changed(parent, sweep_id, document, queue))
        elif state is not RunState.STOPPING and run_labels(parent).get(names.CONTROL):
            await write_labels(self.client, parent.id, {names.CONTROL: ""})
        else:
            labels = run_labels(parent)
            where = f"process {labels.get(names.SCHEDULER_PID)} on {labels.get(names.SCHEDULER_HOST)}"
            raise ConflictError(
                f"Sweep {sweep_id} is {state.value} already ({where}). End it first: launch sweep cancel {sweep_id}"
            )

    async def rerun_failed(self, sweep_id: str) -> int:
        """Have every run start again that has failed or was lost, with its own parameters; drive the sweep on.

        Returns:
            How many they are.

        Raises:
            ConflictError: there is none.
        """
        parent = await find_parent(self.client, sweep_id)
        broken = [
            run for run in latest_attempts((await self._children(sweep_id)).known.values()) if run.state in BROKEN
        ]
        if not broken:
            raise ConflictError(f"No run of sweep {sweep_id} has failed; see: launch sweep show {sweep_id}")
        for run in broken:
            await write_labels(self.client, run.run_id, {names.AGAIN: True})
        if seen_state(parent).is_terminal:
            await self._restart(parent)
        else:
            await write_labels(self.client, parent.id, {names.REREAD: time.time()})
        return len(broken)

    async def delete(self, sweep_id: str) -> None:
        """Delete a sweep, its runs and its artifacts from the server; the parent last, so that it can be repeated.

        Raises:
            ConflictError: it, or a run of it, goes on.
        """
        parent = await find_parent(self.client, sweep_id)
        children = await self._children(sweep_id)
        active = sum(run.is_active for run in children.known.values())
        if not sweep_state(parent).is_terminal or active:
            goes_on = f"{active} of its runs go on" if active else f"is {sweep_state(parent).value}"
            raise ConflictError(f"Sweep {sweep_id}: {goes_on}. End it first: launch sweep cancel {sweep_id}")
        wanted = {"artifacts": {"flow_run_id": {"any_": [str(parent.id)]}}}
        for artifact in (await self.client.request("POST", "/artifacts/filter", json=wanted)).json():
            await self.client.delete_artifact(UUID(artifact["id"]))
        for run_id in children.known:
            await self.client.delete_flow_run(UUID(run_id))
        for earlier in await self._moved(sweep_id):
            await self.client.delete_flow_run(earlier.id)
        await self.client.delete_flow_run(parent.id)

    async def _moved(self, sweep_id: str) -> list[FlowRun]:
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

        wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[names.moved_tag(sweep_id)]))
        return await self.client.read_flow_runs(flow_run_filter=wanted)

    async def _children(self, sweep_id: str) -> Children:
        children = Children(self.client, sweep_id, self.ui)
        await children.read()
        return children

    async def _changed(
        self, parent: FlowRun, sweep_id: str, document: Mapping[str, Any] | None, queue: str | None
    ) -> FlowRun:
        """Give a sweep another file, or another queue: there it gets a new parent, as a flow run cannot move."""
        given: dict[str, Any] = {"sweep": encode(document)} if document is not None else {}
        given |= {"queue": queue} if queue else {}
        parameters = parent.parameters | given
        if queue and queue != parent.work_pool_name:
            return await self._move(parent, sweep_id, parameters, queue)
        if given:
            await self.client.update_flow_run(parent.id, parameters=parameters)
        return parent

    async def _move(self, parent: FlowRun, sweep_id: str, parameters: dict[str, Any], queue: str) -> FlowRun:
        from prefect.states import Pending

        kept = {name: run_labels(parent)[name] for name in MOVED_ALONG if name in run_labels(parent)}
        moved = await self.client.create_flow_run_from_deployment(
            await ensure_deployment(self.client, names.RUN_SWEEP, queue),
            parameters=parameters,
            name=parent.name,
            tags=[names.PARENT_TAG, names.sweep_tag(sweep_id)],
            labels=kept,
            state=Pending(message="Moved from another queue."),
        )
        await self.client.update_flow_run(parent.id, tags=[names.moved_tag(sweep_id)])
        return moved

    async def _restart(self, parent: FlowRun) -> None:
        from prefect.states import Scheduled

        await ensure_deployment(self.client, names.RUN_SWEEP, parent.work_pool_name or DEFAULT_QUEUE)
        # The dead process must not speak for the next one, nor what was wished of it.
        fresh = {names.NOTICES: "[]", names.SCHEDULER_PID: 0, names.SCHEDULER_STARTED: -1.0, names.CONTROL: ""}
        await write_labels(self.client, parent.id, fresh)
        await self.client.update_flow_run(parent.id, infrastructure_pid="")
        await self.client.set_flow_run_state(parent.id, Scheduled(message="Resumed."), force=True)
