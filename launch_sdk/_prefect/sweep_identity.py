"""Which sweep a parent flow run is, however it was started: by `launch-sweep`, by the UI's form, or again.

The answers stay on the server, so that `launch sweep show`, a resume on another machine and a second look agree: the
id in the flow run's tags, the id and the queue in its parameters, the packed source in a label.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk._prefect import names
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.run_store import run_store
from launch_sdk._prefect.surroundings import queue_of
from launch_sdk._prefect.sweep_runs import SweepIdentity
from launch_sdk._prefect.views import run_labels
from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.sources.packed import is_packed
from launch_sdk.specs.placement import DEFAULT_QUEUE

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.sweep_spec import SweepSpec

ID_DIGITS = 8


async def identify(
    client: PrefectClient, parent_id: UUID, spec: SweepSpec, *, sweep_id: str, source: str | None, queue: str
) -> SweepIdentity:
    """Settle what the parameters leave open, and keep it on the server.

    Args:
        client: of the server.
        parent_id: the parent flow run.
        spec: the sweep.
        sweep_id: the id that was asked for; empty, or one that another parent has (as in a copy of its run), takes
            the last digits of `parent_id`, whose first ones are its time.
        source: directory of the program or a packed source; a directory is packed when the sweep first starts.
        queue: the queue of the runs; empty takes that of the parent.

    Raises:
        InvalidSpecError: the sweep has a program and no directory that holds it.
    """
    parent = await client.read_flow_run(parent_id)
    sweep_id = await _settled_id(client, parent, sweep_id)
    queue = queue or queue_of(parent) or DEFAULT_QUEUE
    packed = await _settled_source(client, parent, spec, source)
    await _keep(client, parent, {"sweep_id": sweep_id, "queue": queue}, names.sweep_tag(sweep_id))
    return SweepIdentity(sweep_id, parent_id, queue, packed)


async def _settled_id(client: PrefectClient, parent: FlowRun, wanted: str) -> str:
    if wanted and (names.sweep_tag(wanted) in parent.tags or not await _has_parent(client, wanted)):
        return wanted
    return parent.id.hex[-ID_DIGITS:]


async def _has_parent(client: PrefectClient, sweep_id: str) -> bool:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
    from prefect.client.schemas.sorting import FlowRunSort

    tags = FlowRunFilterTags(all_=[names.PARENT_TAG, names.sweep_tag(sweep_id)])
    by_id = FlowRunSort.ID_DESC
    return bool(await client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=tags), sort=by_id, limit=1))


async def _settled_source(client: PrefectClient, parent: FlowRun, spec: SweepSpec, source: str | None) -> str | None:
    if spec.program is None or is_packed(source or ""):
        return source
    if isinstance(kept := run_labels(parent).get(names.SOURCE), str):
        return kept
    store = await run_store(client)
    pack = await asyncio.to_thread(_packed, store, spec.program, source or "")
    await write_labels(client, parent.id, {names.SOURCE: pack})
    return pack


def _packed(store: RunStore, program: str, source: str) -> str:
    directory = Path(source).expanduser()
    if not source or not (directory / program).is_file():
        where = f"there is no {program} in {directory}" if source else "it is empty"
        message = f"{where}; give the directory that holds {program}, as this agent sees it"
        raise InvalidSpecError("The sweep", [Fault("source", message)])
    return store.put_directory(directory).source


async def _keep(client: PrefectClient, parent: FlowRun, settled: dict[str, str], tag: str) -> None:
    given = parent.parameters
    tags = dict.fromkeys([*parent.tags, names.PARENT_TAG, tag])
    if given | settled != given or list(tags) != list(parent.tags):
        await client.update_flow_run(parent.id, parameters=given | settled, tags=list(tags))
