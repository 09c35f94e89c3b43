"""A job: a program with its source, start and inputs, under a name; what a run of it may be given, and its form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.specs.inputs import JobInputs
from launch_sdk.tracking.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.run_spec import RunSpec

LATEST = "latest"
MAX_NAME = 128  # W&B's
RESERVED = frozenset({"run-job", "run-sweep"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_UNUSABLE = re.compile(r"[^A-Za-z0-9._-]+")

ANYTHING: Mapping[str, Any] = {"title": "config", "type": "object", "description": "Values of the program's run config."}
FIXED = ("source", "entry_point", "environment", "name", "project", "job", "inputs", "metric_sources")


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

    def faults(self, config: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> list[Fault]:
        """List everything that is wrong with the values for a run."""
        return [] if self.inputs is None else self.inputs.faults(config, files)

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
        if faults := self.faults(config, files):
            raise InvalidSpecError(f"The run of job {self.name!r}", faults)
        own = self.spec
        return replace(
            own, config=config, files=files, args=tuple(args) or own.args, name=name, project=project or own.project
        )

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


def form_schema(spec: RunSpec) -> dict[str, Any]:
    """Make the parameter schema of a job's deployment: the form of the Prefect UI, and what the server enforces.

    The form has `config`, `files` and `args`. What makes the job what it is has its values in the deployment and no
    field in the form; the patterns below only let the server accept them.
    """
    inputs = JobInputs.from_dict(spec.inputs) if spec.inputs is not None else JobInputs(ANYTHING)
    properties: dict[str, Any] = {}
    if inputs.config is not None:
        properties["config"] = {**_for_form(inputs.config), "title": "config"}
    if inputs.files:
        groups = {path: {**_for_form(schema), "title": path} for path, schema in inputs.files.items()}
        properties["files"] = {
            "title": "files",
            "type": "object",
            "properties": groups,
            "additionalProperties": False,
            "description": "Values written into config files of the run's copy of the source.",
        }
    properties["args"] = {
        "title": "args",
        "type": "array",
        "items": {"type": "string"},
        "default": list(spec.args),
        "description": "Arguments added after the entry point.",
    }
    for position, one in enumerate(properties.values()):
        one["position"] = position
    fixed = [*FIXED, *(["files"] if spec.inputs is None else [])]
    empty = [key for key in ("config", "files") if key not in properties and key not in fixed]
    patterns: dict[str, Any] = {f"^({'|'.join(fixed)})$": {}}
    patterns |= {f"^{key}$": {"type": "object", "maxProperties": 0} for key in empty}
    return {
        "title": "Parameters",
        "type": "object",
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": False,
    }


def _for_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Write W&B's words in those that Prefect's form knows: `format: secret`, `label`."""
    made = {key: _part_for_form(key, value) for key, value in schema.items()}
    if made.get("format") == "secret":
        made["format"] = "password"
    if "label" in made:
        made["title"] = made.pop("label")
    return made


def _part_for_form(key: str, value: Any) -> Any:
    if key == "properties" and isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return {name: _for_form(one) if isinstance(one, Mapping) else one for name, one in fields.items()}
    if key == "items" and isinstance(value, Mapping):
        return _for_form(cast("Mapping[str, Any]", value))
    return value


def without_defaults(values: Mapping[str, Any], schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Leave out of a form's values those that are the defaults: whoever touched nothing has overridden nothing."""
    properties = (schema or {}).get("properties")
    known = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else {}
    kept: dict[str, Any] = {}
    for name, value in values.items():
        one = known.get(name)
        if not isinstance(one, Mapping):
            kept[name] = value
            continue
        field = cast("Mapping[str, Any]", one)
        if isinstance(value, Mapping) and "properties" in field and "default" not in field:
            if below := without_defaults(cast("Mapping[str, Any]", value), field):
                kept[name] = below
        elif "default" not in field or not _is_same(value, decode(field["default"])):
            kept[name] = value
    return kept


def _is_same(value: object, default: object) -> bool:
    return value == default and isinstance(value, bool) == isinstance(default, bool)


def touched(spec: RunSpec) -> RunSpec:
    """Give the spec of a run that a form has started without the values that its user left as they were."""
    if spec.inputs is None:
        return spec
    schemas: Mapping[str, Any] = spec.inputs.get("files") or {}
    files = {path: without_defaults(values, schemas.get(path)) for path, values in spec.files.items()}
    config = without_defaults(spec.config, spec.inputs.get("config"))
    return replace(spec, config=config, files={path: values for path, values in files.items() if values})
