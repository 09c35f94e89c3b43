"""A job: a program with its source, start and inputs, under a name."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import image_job_name, image_of_source, merged_containers, tag_of
from launch_sdk.specs.input_faults import deletion_faults
from launch_sdk.specs.input_schema import with_integers
from launch_sdk.specs.inputs import JobInputs
from launch_sdk.specs.run_spec import RunSpec, values_faults
from launch_sdk.tracking.input_paths import file_key
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


LATEST = "latest"
MAX_NAME = 128  # W&B's
RESERVED = frozenset({"run-job", "run-sweep"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VERSION = re.compile(r"v(0|[1-9][0-9]*)")
_DIGITS_OF_DIGEST = 12
_UNUSABLE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Job:
    """One version of a job as the server has it.

    Attributes:
        name: of the job, unique on the server.
        queue: where its runs go, if nobody says otherwise.
        spec: what a run of it is, before anything is given to it.
        number: of the version: counted up each time that the content changes.
        created: when the version was made, unix seconds.
        own_aliases: names that people gave to the version.
        is_latest: whether it is the newest that there is.
        description: what people say of it, in Markdown.
    """

    name: str
    queue: str
    spec: RunSpec
    number: int = 0
    created: float | None = None
    own_aliases: tuple[str, ...] = ()
    is_latest: bool = True
    description: str | None = None

    @property
    def version(self) -> str:
        return version_name(self.number)

    @property
    def reference(self) -> str:
        """How this version is named wherever a job is."""
        return f"{self.name}:{self.version}"

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name of this version but its number's."""
        return (*((LATEST,) if self.is_latest else ()), *self.own_aliases)

    @property
    def digest(self) -> str:
        """Twelve digits that stand for the content: the same for the same code, start, arguments and inputs."""
        return content_digest(self.spec)

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
        *,
        policy: Mapping[str, Any] | None = None,
        resources: Mapping[str, int] | None = None,
        container: Mapping[str, Any] | None = None,
    ) -> RunSpec:
        """Give the spec of one run.

        Args:
            config: values laid over the program's run config, nested.
            files: values for its config files, nested, by path.
            args: the arguments in place of the job's own; empty keeps these.
            name: what to call the run.
            project: what it belongs to; None for the job's own.
            policy: laid over the job's own policy, key by key.
            resources: laid over what the job asks for, likewise.
            container: laid over which container the job wants, likewise.

        Raises:
            InvalidSpecError: something given is no input, or is not what the input may be; every fault at once.
        """
        own = self.spec
        given = replace(
            own, config=config, files=files, args=tuple(args) or own.args, name=name, project=project or own.project
        )
        limits = {"policy": {**own.policy, **(policy or {})}, "resources": {**own.resources, **(resources or {})}}
        in_container = replace(given, **limits, container=merged_containers(own.container, container))
        return checked(RunSpec.from_dict(in_container.to_dict()) if container else in_container)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "aliases": list(self.aliases),
            "digest": self.digest,
            "queue": self.queue,
            "description": self.description,
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
    subject = f"The run of job {spec.job!r}" if spec.job else "The run"
    if faults := values_faults(spec.config, spec.files):
        raise InvalidSpecError(subject, faults)
    inputs = None if spec.inputs is None else JobInputs.from_dict(spec.inputs)
    faults = deletion_faults(spec.config) if inputs is None else inputs.faults(spec.config, spec.files)
    if faults:
        raise InvalidSpecError(subject, faults)
    if inputs is None:
        return spec
    files = {path: with_integers(inputs.files.get(file_key(path)), values) for path, values in spec.files.items()}
    return replace(spec, config=with_integers(inputs.config, spec.config), files=files)


def content(spec: RunSpec, name: str) -> RunSpec:
    """Give what makes the version of a job: the spec without what each run is given."""
    return replace(spec, config={}, files={}, name=None, job=name)


def content_digest(spec: RunSpec) -> str:
    """Give the digest of a content: the same for the same files of another commit, and whatever the job is called."""
    git, _, tree = spec.source.partition("#")  # `git+sha256:<digest>#<tree>[:<directory>]`
    named = replace(spec, source=tree) if git.startswith("git+") and tree else spec
    text = json.dumps(content(named, "").to_parameters(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS_OF_DIGEST]


def is_unchanged(before: RunSpec, after: RunSpec) -> bool:
    """Say whether content is what a job has already.

    Code whose inputs nobody knows yet is the code that it was; what its runs have told of its inputs stays true.
    """
    if after.inputs is None:
        after = replace(after, inputs=before.inputs)
    return content_digest(before) == content_digest(after)


def version_name(number: int) -> str:
    return f"v{number}"


def version_number(alias: str) -> int | None:
    """Return the number in `v3`; None if this is no version's name."""
    return int(alias[1:]) if _VERSION.fullmatch(alias) else None


def parse_reference(reference: str) -> tuple[str, str]:
    """Split `name` or `name:alias`.

    Raises:
        InvalidSpecError: the name is none.
    """
    name, _, alias = reference.partition(":")
    check_name(name)
    return name, alias or LATEST


def check_name(name: str, aliases: Sequence[str] = ()) -> None:
    """Raise InvalidSpecError, with every fault, unless a job may be called so, and a version of it these."""
    faults = [Fault("name", fault) for fault in _name_faults(name)]
    faults += [Fault("alias", fault) for alias in aliases for fault in _alias_faults(alias)]
    if faults:
        raise InvalidSpecError("The job", faults)


def _name_faults(name: str) -> list[str]:
    faults: list[str] = []
    if not _NAME.fullmatch(name):
        more = f"; {safe} would do" if (safe := safe_name(name)) else ""
        faults.append(f"{name!r} is no name of a job: letters, digits, . _ - and a letter or digit first{more}")
    if len(name) > MAX_NAME:
        faults.append(f"{len(name)} characters; {MAX_NAME} are the most")
    if name in RESERVED:
        faults.append(f"{name!r} is the name of a flow of the product's own; choose another")
    return faults


def _alias_faults(alias: str) -> list[str]:
    faults: list[str] = []
    if not _NAME.fullmatch(alias):
        faults.append(f"{alias!r} is no alias: letters, digits, . _ - and a letter or digit first")
    if len(alias) > MAX_NAME:
        faults.append(f"{len(alias)} characters; {MAX_NAME} are the most")
    if alias == LATEST:
        faults.append(f"{alias!r} is always the newest version; choose another")
    if re.fullmatch(r"v[0-9]+", alias):
        faults.append(f"{alias!r} is the name of a version, which the server counts; choose another")
    return faults


def safe_name(text: str) -> str:
    """Make a name of a job out of any text; empty if nothing of it may stand in one."""
    return _UNUSABLE.sub("-", text).strip("-._")[:MAX_NAME]


def suggested_aliases(spec: RunSpec) -> tuple[str, ...]:
    """Name the version of an image's job as the image's tag does, unless versions cannot be called so."""
    tag = tag_of(image_of_source(spec.source) or "")
    return () if tag is None or _alias_faults(tag) else (tag,)


def suggested_name(spec: RunSpec) -> str:
    """Name a job after its project, if it has one, and its program; or after the image that is all its code."""
    if image := image_of_source(spec.source):
        return image_job_name(image)
    program = next((word for word in spec.entry_point if word.endswith(".py")), spec.entry_point[0])
    words = [spec.project or "", PurePosixPath(program).stem]
    name = "-".join(cleaned for word in words if (cleaned := safe_name(word)))
    return name[:MAX_NAME] or "job"
