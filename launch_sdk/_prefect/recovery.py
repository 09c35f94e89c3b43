"""Settling a run whose process is gone: put back on its queue, or ended, exactly once.

Several may see the same dead run at once: its own agent, the other agents of its queue, the clients that wait for it.
A variable of the server is their lock, for the server lets only one of them make it; whoever holds it reads the run
again, and finds what the one before has done.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from launch_sdk._prefect import names
from launch_sdk._prefect.attempts import attempts_of, process_is_gone, put_back
from launch_sdk.runs.processes import AGENT_PROCESS, has_processes, is_alive, is_dead, process_identifier
from launch_sdk.specs.run_policy import Ending

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

AGENT_DIED = "Its agent has died."
TOLD_BY_HOST = "It was told to end by its host."
GONE = "Its process is gone, and nobody saw it end."
LOCK_WAIT_S = 10.0
SURE_S = 2.0
END_TIMEOUT_S = 30.0
LOCK_STALE = timedelta(minutes=2)  # of another machine's, of which nobody can say that it is dead
_RETRY_S = 0.1


async def recover(client: PrefectClient, flow_run_id: UUID, message: str, *, process: str) -> bool:
    """Settle a run whose process is known to be gone, although the server may not know of that process yet.

    Args:
        client: of the server.
        flow_run_id: the run.
        message: what was seen.
        process: the process, as `runs.processes` names it.

    Returns:
        Whether the run is settled; False if somebody else held the lock all the time.
    """
    await _until_gone(flow_run_id, process)
    async with _lock(client) as is_held:
        return is_held and await _settle(client, await client.read_flow_run(flow_run_id), message, process)


async def recover_gone(client: PrefectClient, flow_run: FlowRun) -> bool:
    """Settle a run whose process is gone, as the server names it, if nothing about the run has changed since.

    The caller has known it so for `SURE_S`: the server names the process of an earlier attempt until an agent that has
    taken the run again tells of its own.
    """
    async with _lock(client) as is_held:
        now = await client.read_flow_run(flow_run.id)
        if not is_held or not _is_same(now, flow_run) or not process_is_gone(now):
            return False
        return await _settle(client, now, GONE, now.infrastructure_pid)


async def recover_unseen(client: PrefectClient, flow_run: FlowRun, message: str) -> bool:
    """Settle a run whose agent is silent, if nothing about it has changed since it was read as `flow_run`."""
    async with _lock(client) as is_held:
        now = await client.read_flow_run(flow_run.id)
        if not is_held or not _is_same(now, flow_run):
            return False
        return await _settle(client, now, message, now.infrastructure_pid or f"unknown:{flow_run.state_id}")


async def _settle(client: PrefectClient, flow_run: FlowRun, message: str, process: str | None) -> bool:
    from prefect.states import Cancelled, Crashed

    is_settled = process is not None and any(one.process == process for one in attempts_of(flow_run))
    if is_settled or not _is_active(flow_run) or flow_run.state is None:
        return True
    if flow_run.state.is_cancelling():
        await client.set_flow_run_state(flow_run.id, Cancelled(message=message), force=True)
    elif not await _can_start_again(client, flow_run) or not await put_back(
        client, flow_run, Ending.LOST, message, process=process
    ):
        await client.set_flow_run_state(flow_run.id, Crashed(message=message), force=True)
    return True


async def recover_terminated(client: PrefectClient, flow_run_id: UUID) -> bool:
    """Put back a run whose own process was told to end by nobody of us, and has told the server that it crashed.

    To be called by that process, as its last act.

    Returns:
        Whether the run starts again.
    """
    flow_run = await client.read_flow_run(flow_run_id)
    process = process_identifier(os.getpid())
    if any(one.process == process for one in attempts_of(flow_run)):
        return True
    if flow_run.state is None or not (flow_run.state.is_crashed() or _is_active(flow_run)):
        return False
    if flow_run.state.is_cancelling() or not await _can_start_again(client, flow_run):
        return False
    is_lost = is_dead(os.environ.get(AGENT_PROCESS))
    ending, message = (Ending.LOST, AGENT_DIED) if is_lost else (Ending.PREEMPTED, TOLD_BY_HOST)
    return await put_back(client, flow_run, ending, message, process=process) is not None


async def _until_gone(flow_run_id: UUID, process: str) -> None:
    """Wait for what is still being ended, so that no two attempts ever run at once; those of this machine alone."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + END_TIMEOUT_S
    while clock() < deadline and (is_alive(process) or has_processes(str(flow_run_id))):  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(_RETRY_S)


def _is_same(now: FlowRun, before: FlowRun) -> bool:
    return (now.state_id, now.infrastructure_pid) == (before.state_id, before.infrastructure_pid)


def _is_active(flow_run: FlowRun) -> bool:
    state = flow_run.state
    return state is not None and (state.is_running() or state.is_pending() or state.is_cancelling())


async def starts_again(client: PrefectClient, flow_run_id: UUID) -> bool:
    """Whether a run whose process is lost may start again, as far as its kind goes; its policy may say otherwise."""
    return await _can_start_again(client, await client.read_flow_run(flow_run_id))


async def _can_start_again(client: PrefectClient, flow_run: FlowRun) -> bool:
    """Whether a run is of a program of ours; a sweep starts its lost runs itself, and other flows are their owner's."""
    from prefect.exceptions import ObjectNotFound

    if names.sweep_of(flow_run.tags) is not None or flow_run.deployment_id is None:
        return False
    try:
        deployment = await client.read_deployment(flow_run.deployment_id)
    except ObjectNotFound:
        return False
    return deployment.entrypoint == names.ENTRYPOINTS[names.RUN_JOB]


@asynccontextmanager
async def _lock(client: PrefectClient) -> AsyncGenerator[bool]:
    """Hold the server's lock; gives False if somebody else holds it all the time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + LOCK_WAIT_S
    lock = await _take_lock(client)
    while lock is None and clock() < deadline:
        await asyncio.sleep(_RETRY_S)
        lock = await _take_lock(client)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            await _delete_variable(client, lock)


async def _take_lock(client: PrefectClient) -> UUID | None:
    from prefect.client.schemas.actions import VariableCreate
    from prefect.exceptions import ObjectAlreadyExists

    wanted = VariableCreate(name=names.RECOVERY_LOCK, value=process_identifier(os.getpid()))
    try:
        return (await client.create_variable(wanted)).id
    except ObjectAlreadyExists:
        pass
    held = await client.read_variable_by_name(names.RECOVERY_LOCK)
    if held is not None and held.created is not None:
        is_stale = datetime.now(UTC) - held.created > LOCK_STALE
        if is_stale or is_dead(str(held.value)):
            await _delete_variable(client, held.id)
    return None


async def _delete_variable(client: PrefectClient, variable_id: UUID) -> None:
    """Delete one variable by its id: by its name it could be that of the next holder."""
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    with suppress(ObjectNotFound, PrefectHTTPStatusError):
        await client.request("DELETE", "/variables/{id}", path_params={"id": variable_id})
