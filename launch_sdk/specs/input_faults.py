"""What is wrong with the values that a run of a job is given, in words."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import Fault
from launch_sdk.specs.deletions import DELETE, deletions, is_deletion
from launch_sdk.specs.input_schema import PARTIAL, defaults, is_secret
from launch_sdk.specs.secrets import without_paths
from launch_sdk.specs.validation import SlowPatternError, fits, further_keys, violations
from launch_sdk.tracking.input_checks import closed_to, partly_removable
from launch_sdk.tracking.input_paths import ends, file_key, leaves, nearest
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.protocol import merge
from launch_sdk.tracking.values import encode, is_array, is_object, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Keys = tuple[str, ...]

MAX_SHOWN = 120


def config_faults(schema: Mapping[str, Any] | None, values: Mapping[str, Any]) -> list[Fault]:
    """List what is wrong with values for a run config; `schema` as in `override_faults`."""
    values = plain(values)
    marks = list(deletions(values))
    if not marks:
        return override_faults("config", schema, values)
    return [*deletion_faults(values), *override_faults("config", schema, without_paths(values, marks))]


def deletion_faults(config: Mapping[str, Any]) -> list[Fault]:
    """List the values of a run config that are marks of deletion: they are for config files."""
    message = 'cannot be removed: {"$delete": true} is for the keys of config files. Give null, or another value'
    return [Fault(_dotted("config", path), message) for path in deletions(plain(config))]


def override_faults(where: str, schema: Mapping[str, Any] | None, values: Mapping[str, Any]) -> list[Fault]:
    """List what is wrong with values for a run config or one file.

    Args:
        where: what the dotted paths begin with: `config`, `files.conf.yaml`.
        schema: what is taken; None if nothing is.
        values: nested values.
    """
    values = plain(values)
    if schema is None:
        message = "is no input: the job takes no run config"
        return [Fault(_dotted(where, path), message) for path, _ in ends(values)]
    if faults := _faults_of_numbers(where, schema, values):
        return faults
    try:
        strangers = list(_strangers(schema, values, ()))
        wrong = _violations(where, schema, values)
    except SlowPatternError as error:
        return [Fault(where, f"cannot be checked: the pattern {error.pattern!r} of the schema takes too long")]
    except RecursionError:
        return [Fault(where, "cannot be checked: the values are nested too deeply")]
    names = [join_path(path) for path in input_paths(schema)]
    unknown = [Fault(_dotted(where, path), f"is no input; {nearest(join_path(path), names)}") for path in strangers]
    return [*unknown, *_faults_of_partial_groups(where, schema, values), *wrong]


def _faults_of_partial_groups(where: str, schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[Fault]:
    """Refuse the removal of groups that hold what is no input."""
    found: list[Fault] = []
    for path in deletions(values):
        below = _schema_at(schema, path)
        if below.get(PARTIAL) is True:
            found.append(
                Fault(_dotted(where, path), partly_removable([join_path(one) for one in input_paths(below, path)]))
            )
    return found


def file_faults(schemas: Mapping[str, Mapping[str, Any]], files: Mapping[str, Mapping[str, Any]]) -> list[Fault]:
    """List what is wrong with the values for config files, by path; `./x.yaml` is `x.yaml`."""
    known = {file_key(path): schema for path, schema in schemas.items()}
    found: list[Fault] = []
    for path, values in files.items():
        key = file_key(path)
        if key in known:
            found += override_faults(f"files.{key}", known[key], values)
        elif not known:
            found.append(Fault(f"files.{key}", "is no input: the job takes no config file"))
        else:
            found.append(Fault(f"files.{key}", f"is no input; {nearest(key, list(known))}"))
    given = {file_key(path) for path in files}
    for key, schema in known.items():
        found += [] if key in given else override_faults(f"files.{key}", schema, {})
    return found


def input_paths(schema: Mapping[str, Any], at: Keys = ()) -> list[Keys]:
    """Return the path of every input that a schema names, the nested ones in place of their object."""
    found: list[Keys] = []
    properties: Mapping[str, Any] = schema.get("properties") or {}
    for key, below in properties.items():
        inner = input_paths(below, (*at, key)) if is_object(below) else []
        found += inner or [(*at, key)]
    return found


def _faults_of_numbers(where: str, schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[Fault]:
    """Refuse numbers that JSON has not, where the server, which gets them in a form of ours, checks for a number."""
    message = "is no number that a job can be given: the server checks JSON, "
    found: list[Fault] = []
    for path, value in leaves(values):
        items: list[Any] = value if is_array(value) else [value]
        odd = [item for item in items if isinstance(item, int | float) and is_object(encode(item))]
        if odd and not fits(_schema_at(schema, path), encode(value)):
            found.append(Fault(_dotted(where, path), f"{_shown(value)} {message}{_NOT_IN_JSON[type(odd[0])]}"))
    return found


def _schema_at(schema: Mapping[str, Any], path: Keys) -> Mapping[str, Any]:
    """Return the schema of a value, by the names of the groups that it is in; `{}` if none is named."""
    for key in path:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        below = properties.get(key)
        schema = below if is_object(below) else {}
    return schema


def _strangers(schema: Mapping[str, Any], values: Mapping[str, Any], at: Keys) -> Iterator[Keys]:
    """Give the path of each value that the schema does not take, outermost first."""
    named: Mapping[str, Any] = schema.get("properties") or {}
    unknown = set(further_keys(schema, values)) if schema.get("additionalProperties") is False else set[str]()
    for key, value in values.items():
        below = named.get(key)
        if key in unknown and (not is_object(value) or not value or is_deletion(value)):
            yield (*at, key)
        elif key in unknown:
            yield from (path for path, _ in ends(value, (*at, key)))
        elif is_object(value) and is_object(below) and not is_deletion(value):
            yield from _strangers(below, value, (*at, key))


def _violations(where: str, schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[Fault]:
    given = _known(schema, values)
    together = deepcopy(defaults(schema))
    merge(together, given)
    _delete(together)
    return [
        fault
        for error in violations(schema, together)
        if error.validator == "required" or _concerns(error, given)
        for fault in _of_error(where, error)
    ]


def _known(schema: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those that the schema does not take."""
    named: Mapping[str, Any] = schema.get("properties") or {}
    unknown = set(further_keys(schema, values)) if schema.get("additionalProperties") is False else set[str]()
    kept: dict[str, Any] = {}
    for key, value in values.items():
        below = named.get(key)
        if key not in unknown:
            is_nested = is_object(value) and is_object(below) and not is_deletion(value)
            kept[key] = _known(below or {}, value) if is_nested else value
    return kept


def _delete(values: dict[str, Any]) -> None:
    for key, value in list(values.items()):
        if is_object(value):
            # Defaults may have been merged in beside the mark.
            if value.get(DELETE) is True:
                del values[key]
            else:
                _delete(value)


def _concerns(error: Any, given: Mapping[str, Any]) -> bool:
    keys = tuple(error.absolute_path)
    if error.validator == "additionalProperties" and not closed_to(error, given):
        return False  # the program's own values are not judged
    return any(keys[: len(path)] == path or path[: len(keys)] == keys for path, _ in ends(given))


def _of_error(where: str, error: Any) -> list[Fault]:
    path = list(error.absolute_path)
    if error.validator == "required":
        name = next((one for one in error.validator_value if error.message.startswith(repr(one))), None)
        return [Fault(_dotted(where, [*path, name or ""]), "is required and has no value")]
    return [Fault(_dotted(where, path), _message(error))]


def _message(error: Any) -> str:
    value = "the secret given" if is_secret(error.schema) else _shown(error.instance)
    allowed = error.validator_value
    kinds = _types(error.schema)
    if error.validator in {"type", "anyOf", "oneOf"} and kinds:
        return f"must be {kinds}, not {value}"
    if error.validator == "enum":
        return f"must be one of {', '.join(_shown(one) for one in allowed)}, not {value}"
    if error.validator in _BOUNDS:
        return f"must be {_BOUNDS[error.validator]} {allowed}, not {value}"
    if error.validator == "pattern":
        return f"must match {allowed!r}, not {value}"
    if is_secret(error.schema):
        return f"does not fit the schema's {error.validator}"
    return error.message if len(error.message) <= 2 * MAX_SHOWN else f"{error.message[: 2 * MAX_SHOWN]}..."


_NOT_IN_JSON: Mapping[type, str] = {
    float: "which has no NaN and no infinity",
    int: "in which an integer has at most 64 bits",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
    "const": "exactly",
}


def _types(schema: Mapping[str, Any]) -> str:
    """Say which types a schema takes, where types are all that it says: `number or null`."""
    one = schema.get("type")
    if one is not None:
        return " or ".join(one) if is_array(one) else str(one)
    branches: list[Any] = schema.get("anyOf") or schema.get("oneOf") or []
    plain_ones = all(is_object(branch) and set(branch) <= {"type", "title"} for branch in branches)
    return " or ".join(str(branch["type"]) for branch in branches if "type" in branch) if plain_ones else ""


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _dotted(where: str, path: Any) -> str:
    text = where
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{join_path([part])}"
    return text
