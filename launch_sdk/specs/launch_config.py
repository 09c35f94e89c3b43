"""What somebody wants launched, as far as it was said: on a command line, in a launch config, by a run or a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import IMAGE_SOURCE, merged_containers
from launch_sdk.specs.placement import Placement, Priority
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking.protocol import merge

PROCESS, CONTAINER = "process", "container"  # what `resource` says


def _empty() -> dict[str, Any]:
    return {}


def _counts() -> dict[str, int]:
    return {}


@dataclass(frozen=True)
class LaunchConfig:
    """What to launch, as far as somebody has said it: nothing given is None or empty.

    Attributes:
        uri: a directory, relative to the working directory, a git address, or the id of an earlier run.
        job: name of a job or of a deployment, in place of `uri`.
        name, project: of the run.
        entity: a team of W&B; noted, as a server is one team.
        queue: where to put it; None runs it here, or on the job's own queue.
        entry_point: the program and its own arguments.
        args: arguments after it.
        config: values laid over the program's run config, nested.
        files: values of its config files, nested, by path.
        environment: what the program runs in.
        metric_sources: where metrics come from if the program does not log them.
        git_version: branch, tag or commit of the code; None for the default branch, or what a run had.
        git_repo: address of the repository, in place of the one that a run came from.
        policy: when it starts again and how long it may take.
        resources: what it asks for of its agent's machine.
        priority: which runs that wait on its queue it is taken before.
        variables: values for the template variables of the queue.
        resource: `container` or `process`; None lets the queue decide.
        container: which container it wants, as `specs.container.ContainerSpec`; None if nothing was said of it.
    """

    uri: str | None = None
    job: str | None = None
    name: str | None = None
    project: str | None = None
    entity: str | None = None
    queue: str | None = None
    entry_point: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=_empty)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=_empty)
    environment: str | None = None
    metric_sources: tuple[Mapping[str, Any], ...] = ()
    git_version: str | None = None
    git_repo: str | None = None
    policy: Mapping[str, Any] = field(default_factory=_empty)
    resources: Mapping[str, int] = field(default_factory=_counts)
    priority: Priority | None = None
    variables: Mapping[str, Any] = field(default_factory=_empty)
    resource: str | None = None
    container: Mapping[str, Any] | None = None

    @property
    def image(self) -> str | None:
        """The image that was named to be run."""
        return (self.container or {}).get("image")

    @property
    def placement(self) -> Placement:
        """How the run is to stand on its queue."""
        return Placement(Priority.MEDIUM if self.priority is None else self.priority, self.variables)

    def over(self, lower: LaunchConfig) -> LaunchConfig:
        """Lay this over another: what it says wins, and values of config and files are merged.

        A `uri` or `job` of this one replaces either of the other.
        """
        own = self if self.uri or self.job else replace(self, uri=lower.uri, job=lower.job)
        return LaunchConfig(
            uri=own.uri,
            job=own.job,
            name=own.name or lower.name,
            project=own.project or lower.project,
            entity=own.entity or lower.entity,
            queue=own.queue or lower.queue,
            entry_point=own.entry_point or lower.entry_point,
            args=own.args or lower.args,
            config=merged(lower.config, own.config),
            files=merged(lower.files, own.files),
            environment=own.environment or lower.environment,
            metric_sources=own.metric_sources or lower.metric_sources,
            git_version=own.git_version or lower.git_version,
            git_repo=own.git_repo or lower.git_repo,
            policy={**lower.policy, **own.policy},
            resources={**lower.resources, **own.resources},
            priority=lower.priority if own.priority is None else own.priority,
            variables={**lower.variables, **own.variables},
            resource=own.resource or lower.resource,
            container=merged_containers(lower.container, own.container),
        )

    def wanted_container(self) -> Mapping[str, Any] | None:
        """Give the container that a run of this wants; None lets its queue decide.

        Raises:
            InvalidSpecError: a process is wanted, and an image is named.
        """
        if self.resource != PROCESS:
            return {} if self.container is None and self.resource == CONTAINER else self.container
        if self.container:
            told = "Cannot specify docker image with local-process resource runner: leave out one of them"
            raise InvalidSpecError("The launch", [Fault("resource", told)])
        return None

    def spec_of_image(self) -> RunSpec:
        """Give the spec of a run of the image that is named, with no other code.

        Raises:
            InvalidSpecError: something in it is wrong; every fault at once.
        """
        return self.spec_of(f"{IMAGE_SOURCE}{self.image}")

    def spec_of(self, source: str) -> RunSpec:
        """Give the spec of a run of a directory.

        Raises:
            InvalidSpecError: something in it is wrong; every fault at once.
        """
        return RunSpec.from_dict(
            {
                "source": source,
                **({"entry_point": self.entry_point} if self.entry_point else {}),
                "args": self.args,
                "config": self.config,
                "files": self.files,
                "environment": self.environment,
                "name": self.name,
                "project": self.project,
                "metric_sources": self.metric_sources,
                "policy": self.policy,
                "resources": self.resources,
                "container": self.wanted_container(),
            }
        )

    def spec_over(self, earlier: RunSpec) -> RunSpec:
        """Give the spec that repeats an earlier run with what is said here; the name is always new.

        Raises:
            InvalidSpecError: something in it is wrong; every fault at once.
        """
        said = {
            "entry_point": self.entry_point,
            "args": self.args,
            "environment": self.environment,
            "project": self.project,
            "metric_sources": self.metric_sources,
        }
        values = {
            "config": merged(earlier.config, self.config),
            "files": merged(earlier.files, self.files),
            "policy": {**earlier.policy, **self.policy},
            "resources": {**earlier.resources, **self.resources},
            "container": self.container_over(earlier.container),
        }
        changed = {key: value for key, value in said.items() if value}
        return RunSpec.from_dict({**earlier.to_dict(), **values, **changed, "name": self.name})

    def container_over(self, earlier: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Lay what is said of a container over that of an earlier run, or of a job."""
        wanted = self.wanted_container()
        return None if self.resource == PROCESS else merged_containers(earlier, wanted)

    def refuse(self, keys: Sequence[str], why: str) -> None:
        """Raise InvalidSpecError if any of these attributes is given; one fault for each."""
        faults = [Fault(key, why) for key in keys if getattr(self, key)]
        if faults:
            raise InvalidSpecError("The launch", faults)


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested values into a new dict."""
    result: dict[str, Any] = deepcopy(dict(lower))
    merge(result, upper)
    return result


def program_words(args: Sequence[str]) -> tuple[str, ...]:
    """Give the program `--k=v` for each `k=v`; a word without `=`, or with its own dash, is passed on as it is."""
    return tuple(f"--{word}" if "=" in word and not word.startswith("-") else word for word in args)
