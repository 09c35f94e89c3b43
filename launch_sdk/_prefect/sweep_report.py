"""The artifacts of a sweep in the Prefect UI, kept up to date while it runs, and the notices to its user."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from launch_sdk._prefect import names
from launch_sdk._prefect.labels import write_labels
from launch_sdk._prefect.queues import queue_has_agent
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.pictures import draw
from launch_sdk.sweeps.planning import Finish, missing_metric
from launch_sdk.sweeps.report import Progress, duration, flat_parameters, progress, ranked, short
from launch_sdk.sweeps.runs import SweepRun, latest_attempts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient

    from launch_sdk._prefect.sweep_runs import SweepIdentity
    from launch_sdk.specs.sweep_spec import SweepSpec

TABLE_EVERY_S = 1.0
PICTURES_EVERY_S = 15.0
NO_AGENT_AFTER_S = 5.0


class SweepReport:
    """Three artifacts on the parent's page: progress, table of runs, pictures; and notices as a label of it."""

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
        self.artifacts: dict[str, UUID] = {}
        self.shown: dict[str, object] = {}
        self.next_table = 0.0
        self.next_pictures = time.monotonic() + PICTURES_EVERY_S
        self.drawing: asyncio.Task[None] | None = None
        self.notices: list[str] = []
        self.waiting_since: float | None = None
        self.library_log = logging.getLogger("launch_sdk.sweeps")
        self.library_log.addHandler(_Notices(self.notices))

    async def show(self, runs: Sequence[SweepRun]) -> None:
        """Bring the artifacts up to date, each at its own pace."""
        now = time.monotonic()
        await self._notice(runs)
        if now >= self.next_table:
            self.next_table = now + TABLE_EVERY_S
            await self._write_numbers(runs)
        if now >= self.next_pictures and (self.drawing is None or self.drawing.done()):
            self.next_pictures = now + PICTURES_EVERY_S
            self.drawing = asyncio.create_task(self._write_pictures(list(runs), None))

    async def close(self, runs: Sequence[SweepRun], finish: Finish) -> None:
        """Write everything for the last time."""
        if self.drawing:
            await asyncio.wait([self.drawing])
        await self._notice(runs)
        await self._write_numbers(runs)
        await self._write_pictures(runs, finish)

    async def _write_numbers(self, runs: Sequence[SweepRun]) -> None:
        state = progress(self.spec, runs)
        await self._put("progress", "progress", round(state.percent, 1), headline(self.spec, state))
        await self._put("runs", "table", json.dumps(table(self.spec, runs)), "Runs of the sweep")

    async def _write_pictures(self, runs: Sequence[SweepRun], finish: Finish | None) -> None:
        picture = await asyncio.to_thread(draw, self.spec, runs)
        await self._put("pictures", "markdown", summary_page(self.spec, runs, picture, finish), "Pictures of the sweep")

    async def _put(self, name: str, kind: str, data: Any, description: str) -> None:
        """Create an artifact once and overwrite it in place from then on, if it has changed."""
        from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate

        if self.shown.get(name) == (data, description):
            return
        self.shown[name] = (data, description)
        if name in self.artifacts:
            update = ArtifactUpdate(data=data, description=description)
            await self.client.update_artifact(self.artifacts[name], update)
            return
        artifact = await self.client.create_artifact(
            ArtifactCreate(
                key=f"sweep-{self.identity.sweep_id}-{name}".lower(),
                type=kind,
                data=data,
                description=description,
                flow_run_id=self.identity.parent_id,
            )
        )
        self.artifacts[name] = artifact.id

    async def _notice(self, runs: Sequence[SweepRun]) -> None:
        """Say at once what would otherwise only be seen at the end."""
        finished = [run for run in runs if run.state is RunState.FINISHED]
        metric = self.spec.metric
        if metric and len(finished) == 1 and finished[0].metric(metric) is None:
            self._add(f"A run has finished, {missing_metric(self.spec, finished[0])}.")
        failed = [run for run in runs if run.state is RunState.FAILED]
        if len(failed) == 1:
            self._add(f"Run {failed[0].index} failed: {failed[0].error}")
        await self._notice_silent_queue(runs)
        text = json.dumps(self.notices)
        if self.notices and self.shown.get("notices") != text:
            self.shown["notices"] = text
            await write_labels(self.client, self.identity.parent_id, {names.NOTICES: text})

    async def _notice_silent_queue(self, runs: Sequence[SweepRun]) -> None:
        """A sweep of another deployment may wait on a queue that nobody serves."""
        waiting = self.spec.job is not None and any(run.state is RunState.QUEUED for run in runs)
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
            self._add(
                f"No agent polls queue {pool!r}, where {self.spec.job} runs. Start one: launch-agent --queues {pool}"
            )

    def _add(self, notice: str) -> None:
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


def headline(spec: SweepSpec, state: Progress) -> str:
    """Say in one line how far the sweep is."""
    of = f" of {state.total}" if state.total else ""
    words = [f"{state.finished} finished{of}", f"{state.active} running", f"{state.failed} failed"]
    if state.best and spec.metric and (value := state.best.metric(spec.metric)) is not None:
        words.append(f"best {spec.metric.name} {value:.6g} (run {state.best.index})")
    if state.seconds_left is not None and state.active:
        words.append(f"about {duration(state.seconds_left)} left")
    return ", ".join(words)


def table(spec: SweepSpec, runs: Sequence[SweepRun]) -> list[dict[str, str]]:
    """Give the rows of the table artifact, newest first."""
    rows: list[dict[str, str]] = []
    for run in reversed(latest_attempts(runs)):
        value = run.metric(spec.metric)
        rows.append(
            {
                "run": str(run.index),
                spec.metric.name if spec.metric else "metric": "" if value is None else f"{value:.6g}",
                "state": run.state.value,
                "duration": duration(run.duration_s),
                **{key: short(item) for key, item in flat_parameters(run.parameters).items()},
                "link": run.url or "",
            }
        )
    return rows


def summary_page(spec: SweepSpec, runs: Sequence[SweepRun], picture: str | None, finish: Finish | None) -> str:
    """Write the markdown artifact: how it went, the best runs, the pictures."""
    parts = [f"# {spec.name or 'Sweep'}", headline(spec, progress(spec, runs))]
    if spec.description:
        parts.append(_cell(spec.description))
    if finish:
        parts.append(f"**Ended**: {_cell(finish.reason)}")
    if best := ranked(spec, runs)[:5]:
        parts += ["## Best runs", _markdown_table(spec, best)]
    if picture:
        parts += ["## Pictures", f"![best so far, importance and parallel coordinates]({picture})"]
    return "\n\n".join(parts)


def _markdown_table(spec: SweepSpec, best: Sequence[SweepRun]) -> str:
    columns = sorted({key for run in best for key in flat_parameters(run.parameters)})
    metric = spec.metric.name if spec.metric else "metric"
    header = ["run", metric, *columns]
    lines = ["| " + " | ".join(map(_cell, header)) + " |", "|" + " --- |" * len(header)]
    for run in best:
        values: Mapping[str, Any] = flat_parameters(run.parameters)
        cells = [
            f"[{run.index}]({run.url})",
            short(run.metric(spec.metric)),
            *(short(values.get(c, "")) for c in columns),
        ]
        lines.append("| " + " | ".join([cells[0], *map(_cell, cells[1:])]) + " |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Keep a value from being read as markdown."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
