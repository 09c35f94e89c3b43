"""What scripts call in one line: `launch.launch()`, `launch.sweep()`, and `Api`, W&B's name for the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from launch_sdk.client import LaunchClient
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.handles import LaunchedRun, LaunchedSweep
from launch_sdk.queue_calls import Queue
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.container import IMAGE_SOURCE
from launch_sdk.specs.document import Document, read_document
from launch_sdk.specs.git_address import is_git_address, parse_git_address
from launch_sdk.specs.launch_config import LaunchConfig
from launch_sdk.specs.launch_config_file import parse_launch_config
from launch_sdk.specs.placement import DEFAULT_QUEUE, Placement, Priority, parse_priority
from launch_sdk.specs.queue_config import QueueConfig, parse_queue_config, submitter
from launch_sdk.specs.run_spec import RunSpec, split_entry_point, values_faults

A_JOB_HAS_ITS_OWN = "a job has its own; launch its directory to give others"


def launch(
    uri: str | None = None,
    *,
    job: str | None = None,
    entry_point: str | None = None,
    args: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
    files: Mapping[str, Mapping[str, Any]] | None = None,
    metric_sources: Sequence[Mapping[str, Any]] = (),
    environment: str | None = None,
    git_version: str | None = None,
    queue: str | None = None,
    priority: str | int | None = None,
    template_variables: Mapping[str, Any] | None = None,
    name: str | None = None,
    project: str | None = None,
    docker_image: str | None = None,
    base_image: str | None = None,
    dockerfile: str | None = None,
    user_id: int | None = None,
    resource: str | None = None,
    resource_args: Mapping[str, Any] | None = None,
    wait: bool = True,
) -> LaunchedRun:
    r"""Put a directory or a git repository on a queue as a run, or start a run of a job or of somebody's deployment.

    Args:
        uri: the directory, the address of the repository (https, ssh or `user@host:path`), or a job as below; None if
            `job` is given.
        job: the name of a job, or `name:alias` for a version of it; or `flow/deployment`, whose parameters are then
            `config`, and which has its own program, arguments and queue.
        entry_point: program to start, as on a command line; `main.py` by default.
        args: arguments after it.
        config: values laid over the program's config.
        files: values written into config files of the run's copy of the source, nested, by path.
        metric_sources: where metrics come from if the program does not log them, as in a sweep file:
            `[{"stdout": r"loss=(?P<loss>\S+)"}]`; a job has its own.
        environment: what the program runs in: `current` (the default), `auto`, or a requirements file of the directory;
            a job has its own.
        git_version: branch, tag or commit of a repository; None for its default branch.
        queue: where to put it, an agent must serve it; None for the job's own, or the default.
        priority: `critical`, `high`, `medium` (the default) or `low`: which runs that wait it is taken before.
        template_variables: values for the template variables of the queue.
        name: what to call the run.
        project: what it belongs to.
        docker_image: the image to run, which has the packages; without `uri` and `job` what it starts itself.
        base_image: an image that the code is mounted into, in place of building one.
        dockerfile: what to build the image with: a file of the source.
        user_id: of the program in its container; 1000 by default.
        resource: `container` or `process`; None for what the queue says.
        resource_args: what the container gets, as in `{"memory": "2g"}`, and counts of devices, `{"gpu": 1}`.
        wait: whether to return only when it is over.

    Raises:
        NotFoundError: the directory, the repository, its version, the deployment or the queue does not exist.
        InvalidSpecError: neither or both of `uri` and `job` are given, a value is wrong, or the job does not take it.
    """
    if (uri is None) == (job is None) and not (uri is None and docker_image):
        raise InvalidSpecError("The run", [Fault("uri", "name either a directory or a job, or an image alone")])
    if uri is not None and _names_job(uri):
        uri, job = None, uri
    wanted = _container(docker_image, base_image, dockerfile, user_id, resource, resource_args)
    of_job = {"metric_sources": metric_sources, "environment": environment, "git_version": git_version}
    if job is not None and (faults := [Fault(key, A_JOB_HAS_ITS_OWN) for key, value in of_job.items() if value]):
        raise InvalidSpecError("The run", faults)
    if faults := values_faults(config or {}, files or {}):
        raise InvalidSpecError("The run", faults)
    urgency = Priority.MEDIUM if priority is None else parse_priority(priority)
    placement = Placement(urgency, template_variables or {})
    if job is not None and "/" in job:
        run = LaunchClient().launch_job(job, config or {}, name=name, placement=placement)
    elif job is not None:
        given: dict[str, Any] = {"config": config, "files": files, "args": args or (), "name": name, "project": project}
        given |= {"container": wanted.wanted_container(), "resources": wanted.resources}
        run = LaunchClient().launch_own_job(job, queue=queue, placement=placement, **given)
    else:
        spec = RunSpec.from_dict(
            {
                "source": uri or f"{IMAGE_SOURCE}{docker_image}",
                **({"entry_point": split_entry_point(entry_point)} if entry_point else {}),
                "args": list(args or ()),
                "config": config or {},
                "files": files or {},
                "name": name,
                "project": project,
                "metric_sources": metric_sources,
                "environment": environment,
                "resources": wanted.resources,
                "container": wanted.wanted_container(),
            }
        )
        source = spec.source if uri is None else _source(uri, git_version)
        run = LaunchClient().launch(replace(spec, source=source), queue=queue or DEFAULT_QUEUE, placement=placement)
    if wait:
        run.wait()
    return run


def _container(  # noqa: PLR0917  # as they stand in `launch`
    docker_image: str | None,
    base_image: str | None,
    dockerfile: str | None,
    user_id: int | None,
    resource: str | None,
    resource_args: Mapping[str, Any] | None,
) -> LaunchConfig:
    """Read what is said of a container as a launch config has it."""
    docker = {key: value for key, value in (("docker_image", docker_image), ("user_id", user_id)) if value is not None}
    values = {
        "docker": docker,
        "base_image": base_image,
        "overrides": {"dockerfile": dockerfile},
        "resource": resource,
        "resource_args": dict(resource_args or {}),
    }
    return parse_launch_config(Document({key: value for key, value in values.items() if value}, "The run"))


def _names_job(uri: str) -> bool:
    if Path(uri).expanduser().exists() or is_git_address(uri) or "/" in uri or uri.startswith("."):
        return False
    return LaunchClient().has_job(uri)


def _source(uri: str, git_version: str | None) -> str:
    """Give the directory, or the packed code of a commit, that a URI names."""
    if Path(uri).expanduser().is_dir():
        if git_version is not None:
            message = "goes with the address of a repository; a directory is launched as it is"
            raise InvalidSpecError("The run", [Fault("git_version", message)])
        return uri
    if not is_git_address(uri):
        raise NotFoundError(f"{uri} is neither a directory nor a job. Name the directory that holds the program.")
    return RunStore.local().put_commit(parse_git_address(uri), git_version).source


def sweep(document: str | Path | Mapping[str, Any], *, queue: str | None = None, wait: bool = True) -> LaunchedSweep:
    """Start a sweep.

    Args:
        document: a sweep file, or what stands in one (its program is then relative to the working directory).
        queue: where it and its runs go; an agent must serve it.
        wait: whether to return only when it is over.
    """
    given = Document(dict(document)) if isinstance(document, Mapping) else read_document(Path(document))
    launched = LaunchClient().submit_sweep(given, queue=queue)
    if wait:
        launched.wait()
    return launched


class Api(LaunchClient):
    """W&B's name for the client: `Api().run("entity/project/run_id")`; only the last part counts."""

    def run(self, run_id: str) -> LaunchedRun:
        return super().run(run_id.rstrip("/").rpartition("/")[2])

    def create_run_queue(  # noqa: PLR0917  # as W&B's
        self,
        name: str,
        type: str = "local-process",  # noqa: A002  # W&B's name
        entity: str | None = None,
        prioritization_mode: str | None = None,
        config: Mapping[str, Any] | None = None,
        template_variables: Mapping[str, Any] | None = None,
    ) -> Queue:
        """Make a queue, as W&B's client does.

        Args:
            name: of the queue.
            type: `local-process`, or `local-container`.
            entity: a team of W&B; it changes nothing, as a server is one team.
            prioritization_mode: changes nothing: every queue has priorities.
            config: `{"resource_args": {"local-process": {"env": {...}}}}`.
            template_variables: by name `{"schema": {...}}`.

        Raises:
            ConflictError: there is one of this name.
            InvalidSpecError: the name, the type or the config is wrong; every fault at once.
        """
        del entity, prioritization_mode
        self.create_queue(name, _queue_config(type, config, template_variables))
        return self.queue(name)

    def upsert_run_queue(  # noqa: PLR0917  # as W&B's
        self,
        name: str,
        resource_config: Mapping[str, Any],
        resource_type: str = "local-process",
        entity: str | None = None,
        template_variables: Mapping[str, Any] | None = None,
        external_links: Mapping[str, str] | None = None,
        prioritization_mode: str | None = None,
    ) -> Queue:
        """Make a queue, or change the one of this name; the arguments are those of `create_run_queue`."""
        del entity, external_links, prioritization_mode
        wanted = _queue_config(resource_type, resource_config, template_variables)
        if name in self.queues():
            self.queue(name).update(wanted)
        else:
            self.create_queue(name, wanted)
        return self.queue(name)


def _queue_config(
    kind: str, config: Mapping[str, Any] | None, template_variables: Mapping[str, Any] | None
) -> QueueConfig:
    document = {**(config or {}), "resource": kind, "template_variables": dict(template_variables or {})}
    return parse_queue_config(Document(document, "The queue's config"), submitter())
