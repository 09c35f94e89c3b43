"""The runs of a sweep on a Prefect server: reading them cheaply, and what ended them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from launch_sdk._prefect import names
from launch_sdk._prefect.views import sweep_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import FlowRun

    from launch_sdk.sweeps.runs import SweepRun

PAGE = 200
OVERLAP = timedelta(seconds=2)
RESULT_DELAY_S = 30.0  # what an unchanged flow returns is kept as its summary only after its end


class Children:
    """Every run of one sweep. The first `read` takes all; later ones only what can have changed.

    Args:
        client: of the server.
        sweep_id: the sweep.
        ui: address of the UI, for links.
        parent_id: flow run that drives the sweep, to be read along with its runs; None leaves it out.
    """

    def __init__(self, client: PrefectClient, sweep_id: str, ui: str, parent_id: UUID | None = None) -> None:
        self.client = client
        self.ui = ui
        self.tag = names.sweep_tag(sweep_id)
        self.known: dict[str, SweepRun] = {}
        self.flow_runs: dict[str, FlowRun] = {}  # of the active runs
        self.unsettled: set[str] = set()  # those whose record on the server may still change
        self.newest: datetime | None = None
        self.parent_id = parent_id
        self.parent: FlowRun | None = None

    async def read(self) -> list[SweepRun]:
        """Return all attempts of all indices, as of now."""
        from prefect.client.schemas.filters import (
            FlowRunFilter,
            FlowRunFilterExpectedStartTime,
            FlowRunFilterId,
            FlowRunFilterTags,
        )

        tags = FlowRunFilterTags(all_=[self.tag])
        self.unsettled = {run_id for run_id in self.unsettled if _may_change(self.known[run_id])}
        unsettled = [UUID(run_id) for run_id in self.unsettled]
        unsettled += [self.parent_id] if self.parent_id else []
        if unsettled:
            await self._take(FlowRunFilter(id=FlowRunFilterId(any_=unsettled)))
        since = None
        if self.newest:
            since = FlowRunFilterExpectedStartTime.model_validate({"after_": self.newest - OVERLAP})
        await self._take(FlowRunFilter(tags=tags, expected_start_time=since))
        return list(self.known.values())

    async def read_all(self) -> list[SweepRun]:
        """Return all attempts of all indices, also those anew that had ended."""
        self.newest = None
        return await self.read()

    async def _take(self, wanted: FlowRunFilter) -> None:
        from prefect.client.schemas.sorting import FlowRunSort

        offset = 0
        while True:
            page = await self.client.read_flow_runs(
                flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=PAGE, offset=offset
            )
            for flow_run in page:
                self.note(flow_run)
            if len(page) < PAGE:
                return
            offset += PAGE

    def note(self, flow_run: FlowRun) -> None:
        """Take in one flow run, just read or just created."""
        if flow_run.id == self.parent_id:
            self.parent = flow_run
        run = sweep_run(flow_run, self.ui)
        if run is None:
            return
        self.known[run.run_id] = run
        self.unsettled.add(run.run_id)
        if run.is_active:
            self.flow_runs[run.run_id] = flow_run
        else:
            self.flow_runs.pop(run.run_id, None)  # ten times the size of what is kept of it
        expected = flow_run.expected_start_time
        if expected and (self.newest is None or expected > self.newest):
            self.newest = expected


def scheduler_identifier(labels: Mapping[str, Any]) -> str | None:
    """Name the process that drives a sweep, from the labels of its parent run."""
    host, pid, started = (
        labels.get(key) for key in (names.SCHEDULER_HOST, names.SCHEDULER_PID, names.SCHEDULER_STARTED)
    )
    return f"{host}:{pid}:{started:.0f}" if isinstance(started, int | float) and started >= 0 else None


def _may_change(run: SweepRun) -> bool:
    if run.is_active:
        return True
    awaits_result = run.state.has_result and not run.summary
    return awaits_result and run.ended is not None and time.time() - run.ended < RESULT_DELAY_S
