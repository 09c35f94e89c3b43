"""What a client does with jobs; `LaunchClient` has these calls too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.code_calls import CodeCalls
from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.handles import LaunchedRun
from launch_sdk.job_making import job_spec
from launch_sdk.queue_calls import QueueCalls
from launch_sdk.specs.job import check_name, suggested_name
from launch_sdk.specs.placement import DEFAULT_PLACEMENT, DEFAULT_QUEUE, Placement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.specs.image_deployment import ImageDeployment
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.job_history import JobHistory, SavedJob
    from launch_sdk.specs.run_spec import RunSpec


class JobCalls(QueueCalls, CodeCalls):
    """The calls of a client that are about jobs and their versions."""

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

    def has_job(self, reference: str) -> bool:
        """Say whether a text names a job, or a version of one."""
        try:
            self.job(reference)
        except (InvalidSpecError, NotFoundError):
            return False
        return True

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
