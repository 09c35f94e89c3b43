"""Putting a job's schema together: a declared one over an inferred one, cut down to what is an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.validation import fits
from launch_sdk.tracking.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.tracking.input_paths import PathFilter

_SAYS_MORE = frozenset({"enum", "const", "anyOf", "oneOf", "allOf", "not", "if"})
_BRANCHES = ("anyOf", "oneOf", "allOf")
_NONE: Any = object()
_SECRET_FORMATS = frozenset({"secret", "password"})


def empty_schema() -> dict[str, Any]:
    """Return the schema of a thing that takes no value."""
    return {"type": "object", "properties": {}, "additionalProperties": False}


def open_schema(paths: PathFilter) -> dict[str, Any]:
    """Return the schema of a thing of which nothing is known but which paths are included: any value may stand there.

    What is excluded is not told here: the program refuses it.
    """
    root: dict[str, Any] = {"type": "object"}
    shortest = [path for path in paths.include if not any(path[:end] in paths.include for end in range(len(path)))]
    for path in shortest:
        node = root
        for key in path:
            node.setdefault("type", "object")
            node["additionalProperties"] = False
            node = node.setdefault("properties", {}).setdefault(key, {"title": key})
    return root


def overlay(inferred: Mapping[str, Any] | None, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a declared schema over an inferred one: what it says wins, what it leaves open is filled in.

    An object takes the keys of both, unless the declared one says `additionalProperties: false`: then its own only. An
    object that names its properties and says nothing of others takes no others. A default that the declared schema
    refuses is left out, and so is that of a secret.

    Args:
        inferred: as `infer_schema` makes it; None where there is no value.
        declared: a flat schema.
    """
    named = _properties(declared) is not None
    is_plain = declared.get("type", "object") == "object" and not _SAYS_MORE.intersection(declared)
    if is_plain and (named or _is_object(inferred)):
        return _overlay_object((inferred or {}) if _is_object(inferred) else {}, declared)
    return _overlay_leaf(inferred or {}, declared)


def restrict(schema: Any, paths: PathFilter, at: tuple[str, ...] = ()) -> Any:
    """Cut a schema down to the inputs below it; None if none are left. The schema is not changed."""
    if paths.covers_all_below(at):
        return schema
    if not paths.covers_some_below(at):
        return None
    if not is_object(schema):
        return schema if paths.covers(at) else None
    branches = {key: schema[key] for key in _BRANCHES if key in schema}
    properties = _properties(schema)
    if properties is None and not any(_properties(one) is not None for many in branches.values() for one in many):
        is_open = schema.get("type") == "object"
        return schema if paths.covers(at) and not is_open else None
    cut = {key: value for key, value in schema.items() if key not in {"default", "patternProperties"}}
    for key, many in branches.items():
        cut[key] = [kept for one in many if (kept := _restrict_branch(one, paths, at)) is not None]
    if properties is not None:
        below = {name: restrict(one, paths, (*at, name)) for name, one in properties.items()}
        cut["properties"] = {name: one for name, one in below.items() if one is not None}
        cut["additionalProperties"] = False
        if not cut["properties"]:
            return None
        if is_array(schema.get("required")):
            cut["required"] = [name for name in schema["required"] if name in cut["properties"]]
    return cut


def is_secret(schema: Any) -> bool:
    """Say whether a value of this schema must not be shown: `format: secret` or `password`, or `writeOnly`."""
    if not is_object(schema):
        return False
    if schema.get("format") in _SECRET_FORMATS or schema.get("writeOnly") is True:
        return True
    return any(is_secret(one) for key in _BRANCHES for one in schema.get(key) or ())


def _restrict_branch(schema: Any, paths: PathFilter, at: tuple[str, ...]) -> Any:
    return restrict(schema, paths, at) if _properties(schema) is not None else schema


def _overlay_object(inferred: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    known: Mapping[str, Any] = inferred.get("properties") or {}
    said: Mapping[str, Any] = _properties(declared) or {}
    closed = declared.get("additionalProperties") is False and "patternProperties" not in declared
    names = [name for name in known if name in said or not closed]
    names += [name for name in said if name not in known]
    properties = {name: _overlay_property(known.get(name), said.get(name)) for name in names}
    result = {**inferred, **declared, "type": "object", "properties": properties}
    if "additionalProperties" not in declared and "patternProperties" not in declared:
        result["additionalProperties"] = False
    # The script has a value of its own for a secret, which no default says.
    hidden = {name for name in names if name in known and is_secret(said.get(name))}
    if is_array(declared.get("required")):
        result["required"] = [name for name in declared["required"] if name not in hidden]
    return result


def _overlay_property(known: Mapping[str, Any] | None, said: Any) -> Any:
    if said is None:
        return dict(known or {})
    return overlay(known, said) if is_object(said) else said


def _overlay_leaf(inferred: Mapping[str, Any], declared: Mapping[str, Any]) -> dict[str, Any]:
    added = {key: inferred[key] for key in ("title",) if key in inferred}
    if not {"type", *_SAYS_MORE}.intersection(declared):
        added.update({key: value for key, value in inferred.items() if key in {"type", "items"}})
    result = {**added, **declared}
    if is_secret(declared):
        result.pop("default", None)
        return result
    value = default_of(inferred)
    if "default" not in declared and value is not _NONE and fits(result, value):
        result["default"] = value
    return result


def default_of(schema: Mapping[str, Any]) -> Any:
    """Return the default of a schema; of an object the defaults below it, if there are any, else a mark."""
    if "default" in schema:
        return schema["default"]
    properties = _properties(schema)
    if properties is None:
        return _NONE
    values = {name: default_of(one) for name, one in properties.items() if is_object(one)}
    return {name: value for name, value in values.items() if value is not _NONE}


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that an object's schema has for whoever gives none, nested."""
    found = default_of(schema)
    return found if is_object(found) else {}


def _properties(schema: Any) -> dict[str, Any] | None:
    found = cast("Any", schema).get("properties") if is_object(schema) else None
    return found if is_object(found) else None


def _is_object(schema: Mapping[str, Any] | None) -> bool:
    return schema is not None and schema.get("type") == "object"
