"""A job: a program with its source, start and inputs, under a name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.specs.input_faults import deletion_faults
from launch_sdk.specs.input_schema import with_integers
from launch_sdk.specs.inputs import JobInputs
from launch_sdk.tracking.input_paths import file_key
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.specs.run_spec import RunSpec

LATEST = "latest"
MAX_NAME = 128  # W&B's
RESERVED = frozenset({"run-job", "run-sweep"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNUSABLE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Job:
    """A job as the server has it.

    Attributes:
        name: unique on the server.
        queue: where its runs go, if nobody says otherwise.
        spec: what a run of it is, before anything is given to it.
        number: of its version: counted up each time that its content changes.
        created: when that version was made, unix seconds.
    """

    name: str
    queue: str
    spec: RunSpec
    number: int = 0
    created: float | None = None

    @property
    def version(self) -> str:
        return f"v{self.number}"

    @property
    def aliases(self) -> tuple[str, ...]:
        return (LATEST,)

    @property
    def inputs(self) -> JobInputs | None:
        """What it takes; None if it takes anything, as before its first run."""
        return None if self.spec.inputs is None else JobInputs.from_dict(self.spec.inputs)

    def spec_with(
        self,
        config: Mapping[str, Any],
        files: Mapping[str, Mapping[str, Any]],
        args: Sequence[str] = (),
        name: str | None = None,
        project: str | None = None,
    ) -> RunSpec:
        """Give the spec of one run.

        Args:
            config: values laid over the program's run config, nested.
            files: values for its config files, nested, by path.
            args: the arguments in place of the job's own; empty keeps these.
            name: what to call the run.
            project: what it belongs to; None for the job's own.

        Raises:
            InvalidSpecError: something given is no input, or is not what the input may be; every fault at once.
        """
        own = self.spec
        given = replace(
            own, config=config, files=files, args=tuple(args) or own.args, name=name, project=project or own.project
        )
        return checked(given)

    def has_version(self, alias: str) -> bool:
        return alias in {LATEST, self.version}

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "aliases": list(self.aliases),
            "queue": self.queue,
            "source": self.spec.source,
            "entry_point": list(self.spec.entry_point),
            "args": list(self.spec.args),
            "inputs": encode(self.spec.inputs),
            "created": self.created,
        }


def checked(spec: RunSpec) -> RunSpec:
    """Check what a spec gives to its program against what its job takes, and give it as the job has it: 8 for 8.0.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    inputs = None if spec.inputs is None else JobInputs.from_dict(spec.inputs)
    faults = deletion_faults(spec.config) if inputs is None else inputs.faults(spec.config, spec.files)
    if faults:
        subject = f"The run of job {spec.job!r}" if spec.job else "The run"
        raise InvalidSpecError(subject, faults)
    if inputs is None:
        return spec
    files = {path: with_integers(inputs.files.get(file_key(path)), values) for path, values in spec.files.items()}
    return replace(spec, config=with_integers(inputs.config, spec.config), files=files)


def parse_reference(reference: str) -> tuple[str, str]:
    """Split `name` or `name:alias`.

    Raises:
        InvalidSpecError: the name is none.
    """
    name, _, alias = reference.partition(":")
    check_name(name)
    return name, alias or LATEST


def check_name(name: str) -> None:
    """Raise InvalidSpecError unless a job may be called so."""
    faults: list[str] = []
    if not _NAME.fullmatch(name):
        faults.append(f"{name!r} is no name of a job: letters, digits, . _ - and a letter or digit first")
    if len(name) > MAX_NAME:
        faults.append(f"{len(name)} characters; {MAX_NAME} are the most")
    if name in RESERVED:
        faults.append(f"{name!r} is the name of a flow of the product's own; choose another")
    if faults:
        raise InvalidSpecError("The job", [Fault("name", fault) for fault in faults])


def suggested_name(spec: RunSpec) -> str:
    """Name a job after its project, if it has one, and its program."""
    program = next((word for word in spec.entry_point if word.endswith(".py")), spec.entry_point[0])
    words = [spec.project or "", PurePosixPath(program).stem]
    name = "-".join(cleaned for word in words if (cleaned := _UNUSABLE.sub("-", word).strip("-._")))
    return name[:MAX_NAME] or "job"


def refuse_version(job: Job, alias: str) -> None:
    """Raise NotFoundError unless the job has this version."""
    if not job.has_version(alias):
        raise NotFoundError(
            f"Job {job.name!r} has no version {alias!r}; there is {job.version!r}, which is also 'latest'."
            f" Use {job.name}:latest"
        )
