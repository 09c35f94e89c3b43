"""The form of a job: the parameter schema of its deployment, and which of a form's values somebody has changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.deletions import DELETE, GATHERED
from launch_sdk.specs.input_schema import of_a_part
from launch_sdk.specs.inputs import JobInputs
from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from launch_sdk.specs.run_spec import RunSpec

ANYTHING: Mapping[str, Any] = {"type": "object", "description": "Values laid over the program's run config."}
FIXED = (
    *("source", "entry_point", "environment", "name", "project", "job", "inputs", "metric_sources", "lock"),
    *("policy", "resources", "container"),
)


def form_schema(spec: RunSpec) -> dict[str, Any]:
    """Make the parameter schema of a job's deployment: the form of the Prefect UI, and what the server enforces.

    The server sees what somebody gives, without what the program has already, so it checks each value by itself. Rules
    over several values are checked by the client and by the flow, see `JobInputs.faults`.

    The form has `config`, `files` and `args`. What makes the job what it is has its values in the deployment and no
    field in the form; patterns let the server accept these names and refuse all others.
    """
    inputs = JobInputs(ANYTHING) if spec.inputs is None else JobInputs.from_dict(spec.inputs)
    groups = {path: {**_file(schema), "title": path} for path, schema in inputs.files.items()}
    fields: dict[str, Any] = {}
    if inputs.config is not None:
        fields["config"] = {**_group(inputs.config), "title": "config"}
    if groups:
        said = "Values written into config files of the run's copy of the source."
        shape = {"type": "object", "properties": groups, "additionalProperties": False}
        fields["files"] = {"title": "files", "description": said, **shape}
    said = "Arguments added after the entry point."
    words = {"type": "array", "items": {"type": "string"}, "default": list(spec.args)}
    fields["args"] = {"title": "args", "description": said, **words}
    for position, one in enumerate(fields.values()):
        one["position"] = position
    return {
        "title": "Parameters",
        "type": "object",
        "properties": fields,
        "patternProperties": _patterns(fields, is_open=spec.inputs is None),
        "additionalProperties": False,
    }


def _patterns(fields: Mapping[str, Any], *, is_open: bool) -> dict[str, Any]:
    nothing: dict[str, Any] = {"type": "object"} if is_open else {"type": "object", "maxProperties": 0}
    absent = {f"^{name}$": nothing for name in ("config", "files") if name not in fields}
    return {f"^({'|'.join(FIXED)})$": {}, **absent}


def _group(schema: Mapping[str, Any]) -> dict[str, Any]:
    return _field(of_a_part(schema, required=True))


def _file(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give the field of a config file, which takes the keys to be removed beside its values, see `deletions`."""
    group = _group(schema)
    return {
        **group,
        "patternProperties": {**group.get("patternProperties", {}), rf"^\$?{re.escape(DELETE)}$": GATHERED},
    }


def _field(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Write W&B's words in those that Prefect's form knows: `format: secret`, `label`."""
    made: dict[str, Any] = dict(schema)
    if made.get("format") == "secret":
        made["format"] = "password"
    if "label" in made:
        made["title"] = made.pop("label")
    for key in ("properties", "patternProperties"):
        if is_object(made.get(key)):
            made[key] = {name: _field(one) if is_object(one) else one for name, one in made[key].items()}
    if is_object(made.get("items")):
        made["items"] = _field(made["items"])
    return made


def touched(spec: RunSpec) -> RunSpec:
    """Give the spec of a run that a form has started without the values that its user left as they were.

    A form sends all of its values. One that is the default would be an override like any other, and locked.
    """
    if spec.inputs is None:
        return spec
    schemas: Mapping[str, Any] = spec.inputs.get("files") or {}
    files = {path: without_defaults(values, schemas.get(path)) for path, values in spec.files.items()}
    config = without_defaults(spec.config, spec.inputs.get("config"))
    return replace(spec, config=config, files={path: values for path, values in files.items() if values})


def without_defaults(values: Mapping[str, Any], schema: object) -> dict[str, Any]:
    """Leave out the values that are the schema's defaults, at any depth."""
    properties: Any = schema.get("properties") if is_object(schema) else None
    known: dict[str, Any] = properties if is_object(properties) else {}
    kept: dict[str, Any] = {}
    for name, value in values.items():
        field = known.get(name)
        if is_object(value) and is_object(field) and "properties" in field and "default" not in field:
            if below := without_defaults(value, field):
                kept[name] = below
        elif not (is_object(field) and "default" in field and _is_same(value, field["default"])):
            kept[name] = value
    return kept


def _is_same(value: object, default: object) -> bool:
    return value == default and isinstance(value, bool) == isinstance(default, bool)
