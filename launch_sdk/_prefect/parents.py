"""The flow runs that drive sweeps: finding them, telling what became of them, ending them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_sdk._prefect import names
from launch_sdk._prefect.attempts import process_is_gone
from launch_sdk._prefect.children import scheduler_identifier
from launch_sdk._prefect.views import run_labels, run_state
from launch_sdk.errors import NotFoundError
from launch_sdk.runs.processes import is_dead
from launch_sdk.specs.run_state import RunState

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun


async def find_parent(client: PrefectClient, sweep_id: str) -> FlowRun:
    """Return the parent of a sweep.

    Raises:
        NotFoundError: there is no such sweep.
    """
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
    from prefect.client.schemas.sorting import FlowRunSort

    wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[names.PARENT_TAG, names.sweep_tag(sweep_id)]))
    found = await client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.START_TIME_DESC, limit=1)
    if not found:
        known = ", ".join(await sweep_ids(client, 5)) or "none yet"
        raise NotFoundError(f"Sweep {sweep_id!r} does not exist on this server; there are {known}.")
    return await last_word(client, found[0])


async def last_word(client: PrefectClient, flow_run: FlowRun) -> FlowRun:
    """Read a flow run anew if its process is gone: it may have said how it ended after the first time."""
    return await client.read_flow_run(flow_run.id) if is_lost(flow_run) else flow_run


async def sweep_ids(client: PrefectClient, limit: int) -> list[str]:
    """Return the ids of the latest sweeps, newest first."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
    from prefect.client.schemas.sorting import FlowRunSort

    found = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[names.PARENT_TAG])),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=limit,
    )
    return [sweep_id for run in found if (sweep_id := names.sweep_of(run.tags))]


def sweep_state(parent: FlowRun) -> RunState:
    """Return the state of a sweep: its parent's, or what its user wants of it while that lives."""
    state = seen_state(parent)
    wanted = run_labels(parent).get(names.CONTROL)
    if state.is_terminal or state is RunState.STOPPING:
        return state
    return {"pause": RunState.PAUSED, "stop": RunState.STOPPING}.get(str(wanted), state)


def seen_state(flow_run: FlowRun) -> RunState:
    """Return the state of a flow run; if its process is known to be gone, whatever the server still believes."""
    state = run_state(flow_run)
    if not is_lost(flow_run):
        return state
    stopped = RunState.STOPPED if run_labels(flow_run).get(names.STOP_REASON) else RunState.CANCELLED
    return stopped if state is RunState.STOPPING else RunState.LOST


def is_parent(flow_run: FlowRun) -> bool:
    """Say whether a flow run drives a sweep."""
    return names.PARENT_TAG in flow_run.tags


def is_lost(flow_run: FlowRun) -> bool:
    """Say whether a flow run's process is known to be gone although the server believes that it goes on."""
    state = run_state(flow_run)
    if state not in {RunState.RUNNING, RunState.STOPPING}:
        return False
    return process_is_gone(flow_run) or is_dead(scheduler_identifier(run_labels(flow_run)))


async def end_flow_run(client: PrefectClient, flow_run: FlowRun) -> None:
    """Ask a flow run to end; one that no agent has taken, or whose process is gone, ends here and now."""
    from prefect.states import Cancelled, Cancelling

    state = run_state(flow_run)
    if state.is_terminal:
        return
    unattended = state is RunState.QUEUED or is_lost(flow_run)
    await client.set_flow_run_state(flow_run.id, Cancelled() if unattended else Cancelling(), force=unattended)
