"""The artifacts of a sweep in the Prefect UI, kept up to date while it runs, and the notices to its user."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from httpx import HTTPStatusError

from launch_sdk._prefect import names
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.queue_reading import queue_has_agent
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.chart import Chart
from launch_sdk.sweeps.drawing import DrawingProcess
from launch_sdk.sweeps.page import headline, rows_title, summary_page, table
from launch_sdk.sweeps.planning import Finish, missing_metric
from launch_sdk.sweeps.report import progress
from launch_sdk.sweeps.runs import SweepRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.client.orchestration import PrefectClient

    from launch_sdk._prefect.sweep_runs import SweepIdentity
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.pictures import Picture

TABLE_EVERY_S = 1.0
PAGE_EVERY_S = 5.0
PICTURES_EVERY_S = 15.0
RUNS_AT_FULL_PACE = 1000
NO_AGENT_AFTER_S = 5.0
KINDS = {"progress": "progress", "runs": "table", "report": "markdown"}


@dataclass
class Pace:
    """When something that costs may be done next, in monotonic seconds."""

    every_s: float
    next_s: float = 0.0

    def is_due(self, slower: float = 1.0) -> bool:
        """Say whether the time has come; if so, the next is `every_s`, times `slower`, from now."""
        now = time.monotonic()
        if now < self.next_s:
            return False
        self.next_s = now + self.every_s * slower
        return True


class SweepReport:
    """Three artifacts on the parent's page, and notices as a label of it.

    `progress` and the table `runs` are brought up to date every second, the page `report` every five, the pictures on
    it every fifteen, each only if there is news; beyond a thousand runs less often, as they cost more. Close it: its
    drawing process is its own.
    """

    def __init__(
        self,
        client: PrefectClient,
        spec: SweepSpec,
        identity: SweepIdentity,
        logger: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self.client = client
        self.spec = spec
        self.identity = identity
        self.logger = logger
        self.artifacts: dict[str, UUID] | None = None
        self.shown: dict[str, object] = {}
        self.numbers_pace = Pace(TABLE_EVERY_S)
        self.page_pace = Pace(PAGE_EVERY_S)
        self.pictures_pace = Pace(PICTURES_EVERY_S, time.monotonic() + PAGE_EVERY_S)
        self.drawing_process = DrawingProcess()
        self.drawing: asyncio.Task[None] | None = None
        self.pictures: Sequence[Picture] = ()
        self.drawn: Chart | None = None
        self.notices: list[str] = []
        self.metric_seen = False
        self.waiting_since: float | None = None
        self.library_log = logging.getLogger("launch_sdk.sweeps")
        self.library_log.addHandler(_Notices(self.notices))

    async def show(self, runs: Sequence[SweepRun]) -> None:
        """Bring the artifacts up to date, each at its own pace."""
        await self._notice(runs)
        slower = max(1.0, len(runs) / RUNS_AT_FULL_PACE)
        if self.numbers_pace.is_due(slower):
            await self._write_numbers(runs)
        if any(run.state.has_result for run in runs):
            self.drawing_process.start()  # so that it is ready when the first picture is wanted
            if (self.drawing is None or self.drawing.done()) and self.pictures_pace.is_due(slower):
                self.drawing = asyncio.create_task(self._draw(list(runs)))
        if self.page_pace.is_due(slower):
            await self._write_page(runs)

    async def close(self, runs: Sequence[SweepRun], finish: Finish) -> None:
        """Write everything for the last time; the numbers first."""
        await self._notice(runs)
        await self._write_numbers(runs, finish)
        if self.drawing:
            await asyncio.wait([self.drawing])
        await self._draw(runs)
        await self._write_page(runs, finish)
        self.drawing_process.close()

    async def break_off(self, runs: Sequence[SweepRun], reason: str) -> None:
        """Write where the sweep stands when it is told to end, with the pictures as they are."""
        finish = Finish("failed", reason)
        await self._write_numbers(runs, finish)
        await self._write_page(runs, finish)

    async def _write_numbers(self, runs: Sequence[SweepRun], finish: Finish | None = None) -> None:
        state = progress(self.spec, runs)
        is_done = finish is not None and finish.outcome == "finished"
        percent = 100.0 if is_done else round(state.percent, 1)
        await self._put("progress", percent, headline(self.spec, state, is_over=finish is not None))
        await self._put("runs", json.dumps(table(self.spec, runs)), rows_title(len(runs)))

    async def _write_page(self, runs: Sequence[SweepRun], finish: Finish | None = None) -> None:
        page = summary_page(self.spec, runs, self.pictures, finish, self.notices)
        await self._put("report", page, "Best runs, pictures, links to the runs")

    async def _draw(self, runs: Sequence[SweepRun]) -> None:
        """Draw, if there is a result that the last pictures do not show."""
        chart = Chart.of(self.spec, runs)
        if chart is None or not chart.best_first:
            return
        ended = replace(chart, runs=[run for run in chart.runs if run.is_over])
        if ended == self.drawn:
            return
        try:
            self.pictures = await asyncio.to_thread(self.drawing_process.draw, ended)
            self.drawn = ended
        except RuntimeError as error:
            self.add_notice(str(error))

    async def _put(self, name: str, data: Any, description: str) -> None:
        """Show something new; a server that refuses it is no reason to end a sweep."""
        if self.shown.get(name) == (data, description):
            return
        try:
            await self._store(name, data, description)
            self.shown[name] = (data, description)
        except HTTPStatusError as error:
            self.add_notice(f"The server refuses the artifact {self._key(name)}: {error.response.status_code}")

    async def _store(self, name: str, data: Any, description: str) -> None:
        """Create an artifact once and overwrite it in place from then on."""
        from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

        if self.artifacts is None:
            self.artifacts = await self._earlier_artifacts()
        if name in self.artifacts:
            await self.client.update_artifact(self.artifacts[name], ArtifactUpdate(data=data, description=description))
            return
        wanted = ArtifactCreate(
            key=self._key(name),
            type=KINDS[name],
            data=data,
            description=description,
            flow_run_id=self.identity.parent_id,
        )
        self.artifacts[name] = (await self.client.create_artifact(wanted)).id

    async def _earlier_artifacts(self) -> dict[str, UUID]:
        """Find the artifacts that this sweep has already, from before it was resumed."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [str(self.identity.parent_id)]}}}
        answer = await self.client.request("POST", "/artifacts/filter", json=wanted)  # read_artifacts sends nulls: 422
        found = {artifact["key"]: UUID(artifact["id"]) for artifact in answer.json()}
        return {name: found[self._key(name)] for name in KINDS if self._key(name) in found}

    def _key(self, name: str) -> str:
        return f"sweep-{self.identity.sweep_id}-{name}".lower()

    async def _notice(self, runs: Sequence[SweepRun]) -> None:
        """Say at once what would otherwise only be seen at the end."""
        finished = next((run for run in runs if run.state is RunState.FINISHED), None)
        metric = self.spec.metric
        if metric and finished and not self.metric_seen:
            values = (run.metric(metric) for run in runs if run.state is RunState.FINISHED)
            self.metric_seen = any(value is not None and math.isfinite(value) for value in values)
        if metric and finished and not self.metric_seen:
            self.add_notice(f"A run has finished, {missing_metric(self.spec, finished)}.")
        if metric and self.spec.early_stop and finished and not any(len(run.curve) for run in runs):
            self.add_notice(
                f"No run can be ended early: run {finished.index} has finished and did not log {metric.name!r} while"
                f" it ran. Log it at each step: launch.log({{{metric.name!r}: ...}})"
            )
        failed = [run for run in runs if run.state is RunState.FAILED]
        if len(failed) == 1:
            self.add_notice(f"Run {failed[0].index} failed: {failed[0].error}")
        await self._notice_silent_queue(runs)
        text = json.dumps(self.notices)
        if self.notices and self.shown.get("notices") != text:
            self.shown["notices"] = text
            await write_labels(self.client, self.identity.parent_id, {names.NOTICES: text})

    async def _notice_silent_queue(self, runs: Sequence[SweepRun]) -> None:
        """A sweep of another deployment may wait on a queue that nobody serves."""
        waiting = (
            self.spec.job is not None
            and self.spec.own_job is None
            and any(run.state is RunState.QUEUED for run in runs)
        )
        if not waiting or any(run.started for run in runs):
            self.waiting_since = None
            return
        self.waiting_since = self.waiting_since or time.monotonic()
        if time.monotonic() - self.waiting_since < NO_AGENT_AFTER_S:
            return
        flow_name, _, name = (self.spec.job or "").partition("/")
        deployment = await self.client.read_deployment_by_name(f"{flow_name}/{name}")
        pool = deployment.work_pool_name
        if pool and not await queue_has_agent(self.client, pool):
            self.add_notice(
                f"No agent polls queue {pool!r}, where {self.spec.job} runs. Start one: launch-agent --queues {pool}"
            )

    def add_notice(self, notice: str) -> None:
        """Tell the sweep's user something, once."""
        if notice not in self.notices:
            self.notices.append(notice)
            self.logger.warning("%s", notice)


class _Notices(logging.Handler):
    """Turns warnings of the samplers into notices."""

    def __init__(self, notices: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.notices = notices

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.notices:
            self.notices.append(message)
