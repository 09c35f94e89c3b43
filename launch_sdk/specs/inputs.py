"""What a job takes: its inputs, as JSON Schemas of its run config and of its config files.

They are made from one run of the job: what it declared, and the config that it recorded. Launching the job checks what
it is given against them, and the Prefect UI shows them as a form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.declared_schema import flat_schema
from launch_sdk.specs.input_faults import config_faults, file_faults
from launch_sdk.specs.input_schema import empty_schema, of_a_part, open_schema, overlay, restrict
from launch_sdk.tracking.input_paths import PathFilter
from launch_sdk.tracking.input_types import infer_schema
from launch_sdk.tracking.key_paths import split_path
from launch_sdk.tracking.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_PREFIX = "files."
OPEN: Mapping[str, Any] = {"type": "object"}  # of a program that had no config
_YAML = (".yaml", ".yml")
_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+")
_FILE_END = re.compile(r"(?<!\\)\.(?:json|ya?ml|toml)(?=\.)")


def _no_files() -> dict[str, Mapping[str, Any]]:
    return {}


@dataclass(frozen=True)
class JobInputs:
    """What a job takes; a value beside it is refused.

    Each schema is complete in itself: no references, objects list what they take, the recorded values are defaults.

    Attributes:
        config: JSON Schema (draft 2020-12) of the run config; None if the run config is no input.
        files: JSON Schema of each config file that is an input, by its relative path.
    """

    config: Mapping[str, Any] | None = None
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=_no_files)

    @property
    def is_open(self) -> bool:
        """Whether it takes any config, as its program declared no inputs and had no config of its own."""
        return self.config == OPEN and not self.files

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form: `{"config": schema or None, "files": {path: schema}}`."""
        return {"config": self.config, "files": dict(self.files)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> JobInputs:
        """Read the plain form.

        Raises:
            InvalidSpecError: a part is no schema; every fault at once.
        """
        faults = [Fault(key, "unknown; known are config, files") for key in values if key not in {"config", "files"}]
        config: Any = values.get("config")
        files: Any = values.get("files") or {}
        if not is_object(files):
            raise InvalidSpecError("The inputs", [*faults, Fault("files", "must be a mapping of schemas by path")])
        read = {path: _read(f"files.{path}", schema, faults) for path, schema in files.items()}
        schema = None if config is None else _read("config", config, faults)
        if faults:
            raise InvalidSpecError("The inputs", faults)
        return cls(schema, read)

    def faults(self, config: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> list[Fault]:
        """List what is wrong with the values given to a run of the job; nothing if all is right.

        Values that are no inputs are named with the nearest inputs. The others are checked together with the defaults,
        so a rule over several values holds whichever of them are given; only what concerns a given value, or is
        required and has no value, is a fault. A file that is given nothing is checked for that too.

        Args:
            config: nested values for the run config.
            files: nested values by the path of their config file; `{"$delete": true}` removes a value.
        """
        return [*config_faults(self.config, config), *file_faults(self.files, files)]


def infer_inputs(declared: Mapping[str, Any] | None, config: Mapping[str, Any]) -> JobInputs:
    """Say what a job takes, from one run of it.

    Without a declaration the whole config is the input; if that run recorded none, any config is. With one, exactly
    what it declares: a declaration of files alone leaves the run config out.

    Args:
        declared: the run's last `inputs` record; None if it made none.
        config: the config that the run recorded, nested.

    Raises:
        InvalidSpecError: the record is malformed, or a declared schema is no valid one; every fault at once.
    """
    if declared is None:
        return JobInputs(infer_schema(dict(config)) if config else dict(OPEN))
    faults: list[Fault] = []
    own: Any = declared.get("config")
    files: Any = declared.get("files") or {}
    if not is_object(files):
        raise InvalidSpecError("The declared inputs", [Fault("files", "must be an object of declarations by path")])
    schema = None if own is None else _of_declaration("config", own, config, faults)
    schemas: dict[str, Mapping[str, Any]] = {}
    for path, one in files.items():
        values: Any = one.get("values") if is_object(one) else None
        schemas[path] = _of_declaration(f"files.{path}", one, values if is_object(values) else None, faults)
    if faults:
        raise InvalidSpecError("The declared inputs", faults)
    return JobInputs(schema, schemas)


def split_file_parameter(name: str) -> tuple[str, tuple[str, ...]] | None:
    r"""Read the name of a sweep parameter that stands in a config file: `files.conf/train.yaml.optimizer.lr`.

    The file's path ends at the first `.json`, `.yaml`, `.yml` or `.toml` that more follows; a backslash before its dot
    makes it part of the name, as in `files.train\.json.yaml.lr`.

    Returns:
        The file's path and the keys in it, `("conf/train.yaml", ("optimizer", "lr"))`; None for any other name.
    """
    if not name.startswith(FILE_PREFIX):
        return None
    rest = name.removeprefix(FILE_PREFIX)
    end = _FILE_END.search(rest)
    if end is None or end.start() == 0:
        return None
    keys = split_path(rest[end.end() + 1 :])
    path = rest[: end.end()].replace("\\.", ".").removeprefix("./")
    return (path, keys) if all(keys) else None


def names_file(name: str) -> bool:
    """Say whether a name is that of a whole config file, without a key in it: `files.conf/train.yaml`."""
    end = _FILE_END.search(f"{name}.", len(FILE_PREFIX)) if name.startswith(FILE_PREFIX) else None
    return end is not None and end.start() > len(FILE_PREFIX) and end.end() == len(name)


def _of_declaration(where: str, one: Any, values: Mapping[str, Any] | None, faults: list[Fault]) -> dict[str, Any]:
    if not is_object(one):
        faults.append(Fault(where, "must be an object with include, exclude and schema"))
        return {}
    paths = PathFilter(*(_paths(f"{where}.{key}", one.get(key), faults) for key in ("include", "exclude")))
    declared: Any = one.get("schema")
    if values is None and declared is None:
        return open_schema(paths)
    inferred = infer_schema(paths.filter(values or {}))
    if where.endswith(_YAML):
        inferred = _with_numbers(inferred)
    if declared is not None:
        said = _read(f"{where}.schema", declared, faults)
        kinds = said.get("type", "object")
        if "object" not in (kinds if is_array(kinds) else [kinds]):
            faults.append(Fault(f"{where}.schema/type", f"must be 'object', the type of the whole, not {kinds!r}"))
            return {}
        inferred = overlay(inferred, said if values is not None else of_a_part(said, required=False))
    return restrict(inferred, paths) or empty_schema()


def _with_numbers(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a number stand where PyYAML, which follows YAML 1.1, takes one for a text: `3e-4`."""
    if is_object(schema.get("properties")):
        return {**schema, "properties": {name: _with_numbers(one) for name, one in schema["properties"].items()}}
    default = schema.get("default")
    if not isinstance(default, str) or not _NUMBER.fullmatch(default):
        return schema
    rest = {key: value for key, value in schema.items() if key != "type"}
    return {**rest, "anyOf": [{"type": "number"}, {"type": "string"}]}


def _paths(where: str, value: Any, faults: list[Fault]) -> list[tuple[str, ...]]:
    paths: list[Any] = value if is_array(value) else []
    if (value is not None and not is_array(value)) or not all(
        is_array(path) and all(isinstance(key, str) for key in path) for path in paths
    ):
        faults.append(Fault(where, "must be a list of paths, each a list of keys"))
        return []
    return [tuple(cast("list[str]", path)) for path in paths]


def _read(where: str, schema: Any, faults: list[Fault]) -> dict[str, Any]:
    if not is_object(schema):
        faults.append(Fault(where, f"must be a JSON Schema object, not {type(schema).__name__}"))
        return {}
    try:
        return flat_schema(schema, where)
    except InvalidSpecError as error:
        faults += [Fault(f"{where}/{fault.path}" if fault.path else where, fault.message) for fault in error.faults]
        return {}
