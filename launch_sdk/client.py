"""The Python API: submit runs, jobs and sweeps, look at them, end them. It knows no Prefect: a `Gateway` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from launch_sdk.errors import ConflictError
from launch_sdk.handles import LaunchedRun, LaunchedSweep
from launch_sdk.job_making import check_sweep, job_spec
from launch_sdk.queue_calls import Queue, QueueCalls
from launch_sdk.runs.packing import pack_program, pack_source
from launch_sdk.runs.store import RunStore
from launch_sdk.session import Gateway, Session
from launch_sdk.sources.packed import is_packed
from launch_sdk.specs.command import expand_variables
from launch_sdk.specs.document import Document
from launch_sdk.specs.job import check_name, checked, suggested_name
from launch_sdk.specs.placement import Placement
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.sweep_change import change_sweep
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.prior import PriorRun, prior_run

if TYPE_CHECKING:
    from launch_sdk.specs.image_deployment import ImageDeployment
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.job_history import JobHistory, SavedJob
    from launch_sdk.views import RunView, SweepView

__all__ = ["Gateway", "LaunchClient", "LaunchedRun", "LaunchedSweep", "Queue"]

DEFAULT_QUEUE = "default"
DEFAULT_PLACEMENT = Placement()


class LaunchClient(QueueCalls):
    """Submits to, and reads from, the server that PREFECT_API_URL names, or the embedded one.

    Synchronous: each call returns when the server has answered.

    Args:
        gateway: the server; None connects to it, starting the embedded one if need be.
        tell: is told, line by line, what a person has to know of code that is packed, such as files that look like
            secrets and are left out; None writes it to standard error.

    Raises:
        BackendUnavailableError: the server does not answer.
    """

    def __init__(self, gateway: Gateway | None = None, tell: Callable[[str], object] | None = None) -> None:
        self._session = Session(gateway)
        self._tell = tell or _write_to_stderr

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(
        self, spec: RunSpec, *, queue: str | None = None, placement: Placement = DEFAULT_PLACEMENT
    ) -> LaunchedRun:
        """Put a run on a queue; a local directory is packed first.

        Args:
            spec: what to run.
            queue: where; None for the default queue.
            placement: how urgent it is, and its values for the variables of the queue.

        Raises:
            NotFoundError: the directory or the queue does not exist.
            InvalidSpecError: a value is given that its inputs or its queue do not have; the queue is somebody's own.
        """
        spec = checked(spec)
        queue = queue or DEFAULT_QUEUE
        self._session.do(self._session.gateway.ensure_queue(queue))
        run_id = self._session.do(self._session.gateway.submit_run(self._packed(spec), queue, placement))
        return LaunchedRun(self._session, run_id)

    def run_store(self) -> RunStore:
        """Return the run store of the server's runs."""
        return self._session.do(self._session.gateway.run_store())

    def _packed(self, spec: RunSpec) -> RunSpec:
        shared, holding = self.run_store(), self.store_of(spec.source)
        if holding != shared:
            shared.take_over(spec.source, holding)
        return pack_source(spec, shared, self._tell)

    def store_of(self, source: str) -> RunStore:
        """Return the run store that holds a source: the one that all share, unless only this machine's own does."""
        shared, local = self.run_store(), RunStore.local()
        return local if is_packed(source) and not shared.holds(source) and local.holds(source) else shared

    def code_of(self, view: RunView) -> Mapping[str, Any] | None:
        """Say which code a run has and where that comes from, also before it has started; None if nobody knows."""
        if view.code is not None or view.spec is None:
            return view.code
        return self.record_of(view.spec.source)

    def record_of(self, source: str) -> Mapping[str, Any] | None:
        """Say where a packed source comes from; None of a directory."""
        return self.store_of(source).record(source) if is_packed(source) else None

    def launch_job(
        self,
        job: str,
        parameters: Mapping[str, Any],
        *,
        name: str | None = None,
        placement: Placement = DEFAULT_PLACEMENT,
    ) -> LaunchedRun:
        """Start a run of somebody's deployment, `flow/deployment`, on its own queue."""
        submitted = self._session.gateway.submit_job(job, parameters, name, placement)
        return LaunchedRun(self._session, self._session.do(submitted))

    def launch_own_job(
        self,
        reference: str,
        *,
        config: Mapping[str, Any] | None = None,
        files: Mapping[str, Mapping[str, Any]] | None = None,
        args: Sequence[str] = (),
        name: str | None = None,
        project: str | None = None,
        queue: str | None = None,
        policy: Mapping[str, Any] | None = None,
        resources: Mapping[str, int] | None = None,
        container: Mapping[str, Any] | None = None,
        placement: Placement = DEFAULT_PLACEMENT,
    ) -> LaunchedRun:
        """Start a run of a job.

        Args:
            reference: `name`, which is its newest version, `name:v3` or `name:alias`.
            config: values laid over the program's config, nested.
            files: values for its config files, nested, by path.
            args: in place of the job's own arguments; empty keeps these.
            name: what to call the run.
            project: what it belongs to; None for the job's own.
            queue: where to put it; None for the job's own queue.
            policy: laid over the job's own, see `RunSpec`.
            resources: laid over what the job asks for, see `RunSpec`.
            container: laid over which container the job wants, see `RunSpec`.
            placement: how urgent it is, and its values for the variables of the queue.

        Raises:
            NotFoundError: the job or the queue does not exist.
            InvalidSpecError: a value is no input, or none that the input takes; every fault at once.
        """
        gateway = self._session.gateway
        job = self.job(reference)
        over: dict[str, Any] = {"policy": policy, "resources": resources, "container": container}
        spec = job.spec_with(config or {}, files or {}, args, name, project, **over)
        queue = queue or job.queue
        if queue != job.queue:
            self.ensure_queue(queue)
            spec = self._packed(spec)
        return LaunchedRun(self._session, self._session.do(gateway.submit_own_job(job, spec, queue, placement)))

    def job(self, reference: str) -> Job:
        """Return a version of a job by `name`, which is its newest, `name:v3` or `name:alias`.

        Raises:
            NotFoundError: there is none.
        """
        return self._session.do(self._session.gateway.read_job(reference))

    def job_history(self, name: str) -> JobHistory:
        """Return a job with all its versions and their aliases.

        Raises:
            NotFoundError: there is none.
        """
        return self._session.do(self._session.gateway.job_history(name))

    def jobs(self) -> list[Job]:
        """Return the newest version of every job, by name."""
        return [history.latest for history in self.job_histories()]

    def job_histories(self) -> list[JobHistory]:
        """Return every job with its versions, by name."""
        return self._session.do(self._session.gateway.list_jobs())

    def create_job(
        self,
        spec: RunSpec,
        *,
        name: str | None = None,
        queue: str | None = None,
        first_queue: str = DEFAULT_QUEUE,
        aliases: Sequence[str] = (),
        description: str | None = None,
    ) -> Job:
        """Make a job of a program, or the next version of one; a local directory is packed first.

        Args:
            spec: what a run of it is; `inputs` says what it takes, None that it takes anything.
            name: of the job; None makes one from the project and the program.
            queue: where its runs go; None for where they go already.
            first_queue: where the runs of a new job go, without `queue`.
            aliases: names for the version, taken from other versions of the job that have them.
            description: what people read of it, in Markdown; None for what they read of the version before.

        Returns:
            The version with this content: a new one, or the newest if that is it already.

        Raises:
            ConflictError: the name is a flow's of somebody else, or the job is on another queue.
            InvalidSpecError: the name or an alias cannot be one; every fault at once.
            NotFoundError: the directory or the queue does not exist.
        """
        more: dict[str, Any] = {"first_queue": first_queue, "aliases": aliases, "description": description}
        return self.save_job(spec, name=name, queue=queue, **more).job

    def save_job(
        self,
        spec: RunSpec,
        *,
        name: str | None = None,
        queue: str | None = None,
        first_queue: str = DEFAULT_QUEUE,
        aliases: Sequence[str] = (),
        description: str | None = None,
    ) -> SavedJob:
        """Do what `create_job` does, and say what has changed."""
        name = suggested_name(spec) if name is None else name
        check_name(name, aliases)
        packed = self._packed(spec)
        saving = self._session.gateway.save_job(name, packed, queue, first_queue, aliases, description=description)
        return self._session.do(saving)

    def create_job_from_run(
        self,
        run_id: str,
        *,
        name: str | None = None,
        queue: str | None = None,
        aliases: Sequence[str] = (),
        description: str | None = None,
    ) -> Job:
        """Make a job of a finished run: its code and start, its recorded config and what it declared as inputs.

        Raises:
            ConflictError: the run has not finished, or its program is not the product's to run.
            InvalidSpecError: the name or an alias cannot be one; every fault at once.
            NotFoundError: it does not exist.
        """
        more: dict[str, Any] = {"aliases": aliases, "description": description}
        return self.save_job_from_run(run_id, name=name, queue=queue, **more).job

    def save_job_from_run(
        self,
        run_id: str,
        *,
        name: str | None = None,
        queue: str | None = None,
        aliases: Sequence[str] = (),
        description: str | None = None,
    ) -> SavedJob:
        """Do what `create_job_from_run` does, and say what has changed."""
        view = self._session.do(self._session.gateway.read_run(run_id))
        first = view.queue or DEFAULT_QUEUE
        more: dict[str, Any] = {"first_queue": first, "aliases": aliases, "description": description}
        return self.save_job(job_spec(view), name=name, queue=queue, **more)

    def deploy_image(self, wanted: ImageDeployment, *, only_check: bool = False) -> str:
        """Make, or bring up to date, the deployment of an image that starts its own run on a Prefect work pool.

        Args:
            wanted: the deployment.
            only_check: raise what would be raised, and make none.

        Returns:
            Its name, `run-job/NAME`.

        Raises:
            NotFoundError: the pool does not exist.
            ConflictError: its runs are no containers.
            InvalidSpecError: it has no such variable, or a value reaches out of the container; every fault at once.
        """
        return self._session.do(self._session.gateway.deploy_image(wanted, only_check=only_check))

    def delete_job(self, reference: str) -> Job:
        """Delete a job, or one version of it, or an alias; the runs stay.

        Args:
            reference: `name` for the whole job, `name:v3` for a version and its aliases, `name:alias` for the alias.

        Returns:
            The newest version of the job that was deleted; or the version that was deleted, or had the alias, as it
            was.

        Raises:
            ConflictError: `latest` is meant, or the only version.
            NotFoundError: there is no such job, version or alias.
        """
        return self._session.do(self._session.gateway.delete_job(reference))

    def run(self, run_id: str) -> LaunchedRun:
        """Return an existing run by its id, or by its name if no other has it."""
        view = self._session.do(self._session.gateway.read_run(run_id))
        return LaunchedRun(self._session, view.run_id)

    def submit_sweep(
        self, document: Document, *, queue: str | None = None, prior_runs: Sequence[str] = ()
    ) -> LaunchedSweep:
        """Start a sweep; the folder of its program is packed first.

        Args:
            document: the sweep file.
            queue: where it and its runs go; None for the file's own, that of its job, or the default.
            prior_runs: ids of earlier runs whose results its sampler is told; they are not among its own.

        Raises:
            InvalidSpecError: with every fault of the file, and every parameter that its job does not take.
            NotFoundError: its program, its job, its queue or a prior run does not exist.
            ConflictError: a prior run has not ended.
        """
        spec = parse_sweep(document)
        prior = self.read_prior_runs(spec, prior_runs)
        job = self.job(spec.own_job) if spec.own_job else None
        if spec.scheduler.job:
            self.job(spec.scheduler.job)
        if job is not None:
            check_sweep(job, spec, document)
        queue = queue or spec.queue or (job.queue if job is not None else DEFAULT_QUEUE)
        self._session.do(self._session.gateway.ensure_queue(queue))
        source = pack_program(spec, document, self.run_store(), self._tell) if spec.program else None
        sweep_id = self._session.do(self._session.gateway.submit_sweep(document.value, spec, source, queue, prior))
        return LaunchedSweep(self._session, sweep_id)

    def read_prior_runs(self, spec: SweepSpec, run_ids: Sequence[str]) -> list[PriorRun]:
        """Read what a sweep can learn from earlier runs; `prior_notices` says which tell it nothing.

        Raises:
            NotFoundError: one does not exist.
            ConflictError: one has not ended.
        """
        views = [self.run(run_id).refresh() for run_id in dict.fromkeys(run_ids)]
        if active := [view.run_id for view in views if not view.state.is_terminal]:
            raise ConflictError(f"Prior runs must have ended; {', '.join(active)} has not.")
        return [prior_run(spec, view.run_id, view.config, view.summary) for view in views]

    def sweep(self, sweep_id: str) -> LaunchedSweep:
        """Return an existing sweep."""
        handle = LaunchedSweep(self._session, sweep_id)
        handle.refresh()
        return handle

    def resume_sweep(
        self, sweep_id: str, document: Document | None = None, *, queue: str | None = None
    ) -> LaunchedSweep:
        """Continue a sweep that is paused or has ended early.

        Args:
            sweep_id: the sweep.
            document: a file whose scheduler values, queue and limits win; what else it says counts for nothing, see
                `launch_sdk.specs.sweep_change.change_sweep`. A finished sweep goes on if its limits allow that then.
            queue: where it and its new runs go; None for the file's, or where they went.

        Raises:
            ConflictError: it goes on already, or has finished and nothing of it changes.
            InvalidSpecError: the file has faults, or names another program or job.
            NotFoundError: the sweep or the queue does not exist.
        """
        gateway = self._session.gateway
        change = None
        if document is not None:
            before = self._session.do(gateway.read_sweep(sweep_id)).document
            change = change_sweep(before, document, _expand)
            queue = queue or change.queue
        if queue is not None:
            self._session.do(gateway.ensure_queue(queue))
        new = change.document if change is not None and change.is_change else None
        self._session.do(gateway.resume_sweep(sweep_id, new, queue))
        return LaunchedSweep(self._session, sweep_id)

    def ignored_keys(self, sweep_id: str, document: Document) -> tuple[str, ...]:
        """Name the keys of a file that a resume of this sweep would ignore although they say something new.

        Raises:
            InvalidSpecError: the file has faults, or names another program or job.
        """
        view = self._session.do(self._session.gateway.read_sweep(sweep_id))
        return change_sweep(view.document, document, _expand).ignored

    def runs(self, limit: int = 20) -> list[RunView]:
        """Return the latest runs, newest first."""
        return self._session.do(self._session.gateway.list_runs(limit))

    def sweeps(self, limit: int = 20) -> list[SweepView]:
        """Return the latest sweeps, newest first."""
        return self._session.do(self._session.gateway.list_sweeps(limit))


def _expand(command: list[str]) -> list[str]:
    return expand_variables(command, os.environ)


def _write_to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
