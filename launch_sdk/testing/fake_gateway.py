"""A server in memory, for tests of what stands on `LaunchClient`: it keeps the `Gateway`'s law, and time stands still.

Nothing runs by itself. A test says what happens on the other side with `add_job`, `add_scheduler`, `attend`,
`finish_run` and `advance_sweep`; the decisions of a sweep are the real ones, made by `plan` and its sampler, or by the
class of its scheduler.

Example:
    server = FakeGateway()
    client = LaunchClient(server)
    run = client.launch(RunSpec("sha256:" + "0" * 64))
    server.finish_run(run.id, summary={"loss": 0.5})
    assert run.wait().summary == {"loss": 0.5}
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from launch_sdk.edits import Edits
from launch_sdk.errors import ConflictError
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.document import Document
from launch_sdk.specs.job import check_name, content, is_unchanged, parse_reference
from launch_sdk.specs.job_history import JobHistory, JobVersion, SavedJob, refuse_deletion
from launch_sdk.specs.placement import DEFAULT_QUEUE, Placement
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.planning import Finish, Launch, Wish
from launch_sdk.sweeps.prior import PriorRun
from launch_sdk.sweeps.runs import latest_attempts
from launch_sdk.testing import fake_jobs
from launch_sdk.testing.fake_queues import FakeQueues
from launch_sdk.testing.fake_schedulers import FakeSchedulers
from launch_sdk.testing.fake_sweeps import ended, launched, submitted
from launch_sdk.views import LogLine, RunView, SweepView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from launch_sdk.scheduling.scheduler import Scheduler
    from launch_sdk.specs.image_deployment import ImageDeployment
    from launch_sdk.specs.job import Job
    from launch_sdk.testing.fake_sweeps import Objective

DEFAULT = Placement()


@dataclass
class FakeGateway(FakeQueues):
    """Implements `launch_sdk.client.Gateway` without a server.

    Attributes:
        sweeps: every sweep, by its id.
        prior: the runs from before each sweep, by its id.
        wishes: what users want of sweeps that go on, by id.
        logs: the lines of each run, by its id.
        jobs: somebody's deployments that exist, each with its queue.
        own_jobs: the jobs with their versions, by name.
        edits: what people changed in a run's config and summary, by its id.
        schedulers: the classes behind scheduler jobs.

    Of queues and of the clock see `FakeQueues`.
    """

    stop_reasons: dict[str, str] = field(default_factory=dict[str, str])
    sweeps: dict[str, SweepView] = field(default_factory=dict[str, SweepView])
    wishes: dict[str, Wish] = field(default_factory=dict[str, Wish])
    prior: dict[str, tuple[PriorRun, ...]] = field(default_factory=dict[str, tuple[PriorRun, ...]])
    logs: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    jobs: dict[str, str] = field(default_factory=dict[str, str])
    own_jobs: dict[str, JobHistory] = field(default_factory=dict[str, JobHistory])
    edits: dict[str, Edits] = field(default_factory=dict[str, Edits])
    schedulers: FakeSchedulers = field(default_factory=FakeSchedulers)

    # What happens on the server's side.

    def add_job(self, job: str, queue: str = DEFAULT_QUEUE) -> None:
        """Let the deployment `flow/deployment` exist, and its queue."""
        self.queues.setdefault(queue, False)
        self.jobs[job] = queue

    def add_scheduler(self, kind: type[Scheduler], job: str | None = None) -> None:
        """Let a job exist that is a scheduler of the user's own; sweeps name it as `scheduler.job`.

        Args:
            kind: its class, which chooses in this process what `advance_sweep` starts.
            job: what the job is called; None for `job-` and the name of the class, as where its file is run.
        """
        name = job or f"job-{kind.__name__}"
        spec = content(RunSpec(f"sha256:{'0' * 64}", (f"{name}.py",)), name)
        self.own_jobs[name] = JobHistory(name, DEFAULT_QUEUE, [JobVersion(0, spec, self._tick(), None)])
        self.schedulers.kinds[name] = kind

    def start_run(self, run_id: str) -> None:
        """Let an agent start a queued run."""
        self.runs[run_id] = replace(self.runs[run_id], state=RunState.RUNNING, started=self._tick())

    def finish_run(
        self,
        run_id: str,
        state: RunState = RunState.FINISHED,
        *,
        summary: Mapping[str, Any] | None = None,
        error: str | None = None,
        lines: Iterable[str] = (),
        config: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Let a run end in any terminal state, having recorded this config and declared these inputs."""
        run = self.runs[run_id]
        self.logs[run_id] += lines
        started = run.started if run.started is not None else self._tick()
        self.runs[run_id] = replace(
            run,
            state=state,
            started=started,
            ended=self._tick(),
            summary=summary or {},
            error=error,
            recorded=config,
            inputs=inputs,
        )

    def advance_sweep(self, sweep_id: str, objective: Objective) -> SweepView:
        """Let a sweep take one step: its active runs end with the objective's summary, then it plans.

        Args:
            sweep_id: an existing sweep.
            objective: from the parameters of a run to its summary; a run for which it raises fails.
        """
        view = self.sweeps[sweep_id]
        if view.state.is_terminal:
            return view
        runs = [ended(run, objective, self._tick()) if run.is_active else run for run in view.runs]
        message = view.message
        wish = self.wishes.get(sweep_id)
        state = view.state if wish else RunState.RUNNING
        decider = self.schedulers.decider(view, runs, self.prior[sweep_id])
        for action in decider.actions(runs, wish=wish, now=self.clock):
            if isinstance(action, Launch):
                runs.append(launched(sweep_id, action, self._tick()))
            elif isinstance(action, Finish):
                state, message = RunState(action.outcome), action.reason
                self.schedulers.end(sweep_id, runs)
        self.sweeps[sweep_id] = replace(view, state=state, runs=tuple(runs), message=message)
        return self.sweeps[sweep_id]

    # The gateway.

    async def run_store(self) -> RunStore:
        self._answer()
        return RunStore.local()

    async def list_runs(self, limit: int) -> list[RunView]:
        self._answer()
        return list(self.runs.values())[::-1][:limit]

    async def list_sweeps(self, limit: int) -> list[SweepView]:
        self._answer()
        return list(self.sweeps.values())[::-1][:limit]

    async def submit_run(self, spec: RunSpec, queue: str, placement: Placement = DEFAULT) -> str:
        await self.ensure_queue(queue)
        job = spec.job or f"run-job/{queue}"
        return self._queued(job, queue, spec.to_dict(), spec.name, is_program=True, placement=placement)

    async def submit_job(
        self, job: str, parameters: Mapping[str, Any], name: str | None, placement: Placement = DEFAULT
    ) -> str:
        self._answer()
        return self._queued(job, self._known(self.jobs, job, "Job"), parameters, name, placement=placement)

    async def save_job(
        self,
        name: str,
        spec: RunSpec,
        queue: str | None,
        first_queue: str,
        aliases: Sequence[str] = (),
        *,
        description: str | None = None,
    ) -> SavedJob:
        self._answer()
        check_name(name, aliases)
        if any(deployment.startswith(f"{name}/") for deployment in self.jobs):
            raise ConflictError(f"{name!r} is the name of a flow on this server that is no job.")
        history = self.own_jobs.get(name)
        before = history.latest if history is not None else None
        if before is not None and queue not in {None, before.queue}:
            raise ConflictError(f"Job {name!r} is on queue {before.queue!r}.")
        await self.ensure_queue(queue := before.queue if before is not None else queue or first_queue)
        wanted = content(spec, name)
        if history is None:
            history = JobHistory(name, queue, [JobVersion(0, wanted, self._tick(), description)])
        elif not is_unchanged(history.latest.spec, wanted):
            history = fake_jobs.with_version(history, wanted, self._tick())
        is_new = before is None or before.number != history.latest.number
        history = fake_jobs.with_description(history, description or (before.description if before else None))
        self.own_jobs[name], moved = fake_jobs.with_aliases(history, aliases)
        return SavedJob(history.latest, is_new, before, moved)

    async def deploy_image(self, wanted: ImageDeployment, *, only_check: bool = False) -> str:
        self._answer()
        self._known(self.queues, wanted.pool, "Queue")
        if not only_check:
            self.jobs[f"run-job/{wanted.name}"] = wanted.pool
        return f"run-job/{wanted.name}"

    async def read_job(self, reference: str) -> Job:
        self._answer()
        name, alias = parse_reference(reference)
        return self._known(self.own_jobs, name, "Job").find(alias)

    async def job_history(self, name: str) -> JobHistory:
        self._answer()
        return self._known(self.own_jobs, name, "Job")

    async def list_jobs(self) -> list[JobHistory]:
        self._answer()
        return [self.own_jobs[name] for name in sorted(self.own_jobs)]

    async def delete_job(self, reference: str) -> Job:
        name, alias = parse_reference(reference)
        job = await self.read_job(reference)
        if ":" not in reference:
            return self.own_jobs.pop(name).latest
        history = self.own_jobs[name]
        refuse_deletion(history, job, alias)
        self.own_jobs[name] = fake_jobs.without(history, job, alias)
        return job

    async def submit_own_job(self, job: Job, spec: RunSpec, queue: str, placement: Placement = DEFAULT) -> str:
        await self.read_job(job.reference)
        return self._queued(job.name, queue, spec.to_dict(), spec.name, is_program=True, placement=placement)

    async def edit_run(self, run_id: str, edits: Edits) -> None:
        self._answer()
        self._known(self.runs, run_id, "Run")
        self.edits[run_id] = self.edits.get(run_id, Edits()).then(edits)

    async def read_run(self, run_id: str) -> RunView:
        self._answer()
        called = [run.run_id for run in self.runs.values() if run.name == run_id]
        if run_id not in self.runs and len(called) == 1:
            run_id = called[0]
        run = self._known(self.runs, run_id, "Run")
        edits = self.edits.get(run_id, Edits())
        is_known = run.recorded is not None or not edits.config.is_empty
        recorded = edits.config.over(run.config) if is_known else None
        return replace(run, recorded=recorded, summary=edits.summary.over(run.summary))

    async def read_logs(self, run_id: str, since: float = 0.0) -> list[LogLine]:
        self._answer()
        lines = self._known(self.logs, run_id, "Run")
        return [LogLine(f"{run_id}/{i}", float(i), line) for i, line in enumerate(lines) if i >= since]

    async def stop_run(self, run_id: str, reason: str) -> None:
        run = await self.read_run(run_id)
        if not run.state.is_terminal:
            self.stop_reasons[run_id] = reason
            self.runs[run_id] = replace(run, state=RunState.STOPPED, ended=self._tick())

    async def cancel_run(self, run_id: str) -> None:
        run = await self.read_run(run_id)
        if run.state is RunState.QUEUED:
            self.runs[run_id] = replace(run, state=RunState.CANCELLED, ended=self._tick())
        elif not run.state.is_terminal:
            self.runs[run_id] = replace(run, state=RunState.STOPPING)

    async def submit_sweep(
        self,
        document: Mapping[str, Any],
        spec: SweepSpec,
        source: str | None,
        queue: str,
        prior: Sequence[PriorRun] = (),
    ) -> str:
        await self.ensure_queue(queue)
        self._place(queue, spec.placement)
        if spec.scheduler.job:
            await self.read_job(spec.scheduler.job)
        if spec.own_job:
            spec = replace(spec, job=(await self.read_job(spec.own_job)).reference)
        elif spec.job:
            self._known(self.jobs, spec.job, "Job")
        sweep_id = f"{len(self.sweeps) + 1:08x}"
        self.sweeps[sweep_id] = submitted(sweep_id, spec, document, source, queue)
        self.prior[sweep_id] = tuple(prior)
        return sweep_id

    async def read_sweep(self, sweep_id: str) -> SweepView:
        self._answer()
        return self._known(self.sweeps, sweep_id, "Sweep")

    async def stop_sweep(self, sweep_id: str) -> None:
        view = await self.read_sweep(sweep_id)
        if view.state is RunState.QUEUED:
            self.sweeps[sweep_id] = replace(view, state=RunState.STOPPED, message="stopped by its user")
        elif not view.state.is_terminal:
            self._wish(view, "stop", RunState.STOPPING)

    async def pause_sweep(self, sweep_id: str) -> None:
        view = await self.read_sweep(sweep_id)
        if view.state.is_terminal or view.state is RunState.STOPPING:
            raise ConflictError(f"Sweep {sweep_id} is {view.state.value}; only one that goes on can be paused.")
        self._wish(view, "pause", RunState.PAUSED)

    def _wish(self, view: SweepView, wish: Wish, state: RunState) -> None:
        self.wishes[view.sweep_id] = wish
        self.sweeps[view.sweep_id] = replace(view, state=state)

    async def cancel_sweep(self, sweep_id: str) -> None:
        view = await self.read_sweep(sweep_id)
        if view.state.is_terminal:
            return
        self.schedulers.end(sweep_id, view.runs)
        ended = self._tick()
        runs = [replace(r, state=RunState.CANCELLED, ended=ended) if r.is_active else r for r in view.runs]
        self.sweeps[sweep_id] = replace(view, state=RunState.CANCELLED, runs=tuple(runs))

    async def resume_sweep(
        self, sweep_id: str, document: Mapping[str, Any] | None = None, queue: str | None = None
    ) -> None:
        view = await self.read_sweep(sweep_id)
        if not view.state.is_terminal and (document or queue):
            raise ConflictError(f"Sweep {sweep_id} is {view.state.value}; it can be changed once it has ended.")
        if document is not None:
            view = replace(view, document=document, spec=parse_sweep(Document(document)))
        if view.state is RunState.FINISHED and document is None:
            raise ConflictError(f"Sweep {sweep_id} has finished ({view.message}); there is nothing to resume.")
        if not view.state.is_terminal and sweep_id not in self.wishes:
            raise ConflictError(
                f"Sweep {sweep_id} is {view.state.value} already. End it first: launch sweep cancel {sweep_id}"
            )
        self._restart(replace(view, queue=queue or view.queue))

    def _restart(self, view: SweepView) -> None:
        state = RunState.QUEUED if view.state.is_terminal else RunState.RUNNING
        self.wishes.pop(view.sweep_id, None)
        self.sweeps[view.sweep_id] = replace(view, state=state, message=None)

    async def rerun_failed(self, sweep_id: str) -> int:
        view = await self.read_sweep(sweep_id)
        broken = {run.run_id for run in latest_attempts(view.runs) if run.state in {RunState.FAILED, RunState.LOST}}
        if not broken:
            raise ConflictError(f"No run of sweep {sweep_id} has failed.")
        runs = tuple(replace(run, again=run.again or run.run_id in broken) for run in view.runs)
        self.sweeps[sweep_id] = view = replace(view, runs=runs)
        if view.state.is_terminal:
            self._restart(view)
        return len(broken)

    async def delete_sweep(self, sweep_id: str) -> None:
        view = await self.read_sweep(sweep_id)
        if not view.state.is_terminal or any(run.is_active for run in view.runs):
            raise ConflictError(f"Sweep {sweep_id} goes on. End it first: launch sweep cancel {sweep_id}")
        del self.sweeps[sweep_id]

    async def close(self) -> None:
        """Give nothing back: there is no connection."""

    def _queued(
        self,
        job: str,
        queue: str,
        parameters: Mapping[str, Any],
        name: str | None,
        *,
        placement: Placement,
        is_program: bool = False,
    ) -> str:
        self._place(queue, placement)
        run_id = f"run-{len(self.runs) + 1:04d}"
        self.placements[run_id] = placement
        self.logs[run_id] = []
        self.runs[run_id] = RunView(
            run_id=run_id,
            name=name or run_id,
            state=RunState.QUEUED,
            job=job,
            queue=queue,
            parameters=dict(parameters),
            summary={},
            created=self._tick(),
            started=None,
            ended=None,
            error=None,
            url=f"memory:/runs/{run_id}",
            is_program=is_program,
        )
        return run_id
