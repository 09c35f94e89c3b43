"""Putting a job's schema together: a declared one over an inferred one, cut down to what is an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.validation import fits
from launch_sdk.tracking.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.tracking.input_paths import PathFilter

_SAYS_MORE = frozenset({"enum", "const", "anyOf", "oneOf", "allOf", "not", "if"})
_OVER_SEVERAL = frozenset(
    {"minProperties", "dependentRequired", "dependentSchemas", "dependencies", "not", "if", "then", "else"}
)
_TAKES_NAMES = frozenset({"properties", "required", *_OVER_SEVERAL} - {"not", "if", "then", "else"})
_BRANCHES = ("anyOf", "oneOf", "allOf")
_NONE: Any = object()
PARTIAL = "x-partial"  # marks an object of which a part is no input: a config file's may not be removed as a whole
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
            node[PARTIAL] = True
            node = node.setdefault("properties", {}).setdefault(key, {"title": key})
    return root


def overlay(inferred: Mapping[str, Any] | None, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a declared schema over an inferred one: what it says wins, what it leaves open is filled in.

    An object takes the keys of both, unless the declared one says `additionalProperties: false`: then its own only. An
    object that names its properties and says nothing of others takes no others. A recorded value is the default, and
    the declared one only where none is recorded. One that the declared schema refuses is left out, and so is that of a
    secret. What is required of the whole is required of nobody who launches
    the job where the program gives it.

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
    cut[PARTIAL] = True
    for key, many in branches.items():
        cut[key] = [kept for one in many if (kept := _restrict_branch(one, paths, at)) is not None]
    if properties is not None:
        below = {name: restrict(one, paths, (*at, name)) for name, one in properties.items()}
        cut["properties"] = {name: one for name, one in below.items() if one is not None}
        cut["additionalProperties"] = False
        if not cut["properties"]:
            return None
        if "required" in schema:
            cut["required"] = [name for name in _required(schema) if name in cut["properties"]]
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
    required = _required(declared)
    names += [] if closed else [name for name in required if name not in names]
    properties = {name: _overlay_property(known.get(name), said.get(name)) for name in names}
    result = {**inferred, **declared, "type": "object", "properties": properties}
    if known and is_object(whole := result.pop("default", None)):  # what is recorded is each value's own default
        properties.update({name: _with_default(properties[name], whole, name) for name in names if name not in known})
    if "additionalProperties" not in declared and "patternProperties" not in declared:
        result["additionalProperties"] = False
    if required:
        result["required"] = [name for name in required if not _needs_nobody(properties.get(name), name in known)]
    return result


def _with_default(schema: Any, whole: Mapping[str, Any], name: str) -> Any:
    if name not in whole or not is_object(schema) or default_of(schema) not in (_NONE, {}):
        return schema
    return {**schema, "default": whole[name]}


def _needs_nobody(schema: Any, is_recorded: bool) -> bool:
    """Say whether the program has a required value that no default tells of.

    No record keeps the value of a secret: that the program has none cannot be known.
    """
    return is_secret(schema) or (is_recorded and default_of(schema) is _NONE and not _required(schema))


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
    if inferred:  # what the program has, not what its schema says that it might have
        result.pop("default", None)
    value = default_of(inferred)
    if value is not _NONE and fits(result, value):
        result["default"] = value
    return result


def of_a_part(schema: Any, *, required: bool) -> Any:
    """Return a schema that takes every part of what the given one takes, for whom does not know the other values.

    Rules over several values go; what each value is by itself stays.

    Args:
        schema: of an object, flat.
        required: whether the names stay that an object requires and that have no default. Those that one of several
            forms of an object requires never do.
    """
    return _part(schema, default_of(schema), required=required)


def _part(schema: Any, given: Any, *, required: bool) -> Any:
    forms = [one for key in _BRANCHES for one in schema.get(key) or ()] if is_object(schema) else []
    if not any(_takes_names(one) for one in (schema, *forms)):
        return schema
    kept = {key: value for key, value in schema.items() if key not in {*_OVER_SEVERAL, "required"}}
    has: Mapping[str, Any] = given if is_object(given) else {}
    names_kept = required and not forms
    properties = _properties(schema)
    if properties is not None:
        below = {name: _part(one, has.get(name), required=names_kept) for name, one in properties.items()}
        kept["properties"] = below
    wanted = [name for name in _required(schema) if name not in has or _required((_properties(kept) or {}).get(name))]
    if names_kept and wanted:
        kept["required"] = wanted
    kept.update({key: [_part(one, None, required=False) for one in schema[key]] for key in _BRANCHES if key in schema})
    if "oneOf" in kept:  # several forms may have the same part
        several: list[Any] = [{"anyOf": kept.pop("oneOf")}]
        kept["allOf"] = [*kept.get("allOf", ()), *several]
    return kept


def _takes_names(schema: Any) -> bool:
    """Say whether a schema is one of objects."""
    return is_object(schema) and (_is_object(schema) or not _TAKES_NAMES.isdisjoint(schema))


def default_of(schema: Any) -> Any:
    """Return the default of a schema; of an object the defaults below it, if there are any, else a mark."""
    if not is_object(schema):
        return _NONE
    if "default" in schema:
        return schema["default"]
    properties = _properties(schema)
    if properties is None:
        return _NONE
    values = {name: default_of(one) for name, one in properties.items()}
    return {name: value for name, value in values.items() if value is not _NONE}


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that an object's schema has for whoever gives none, nested."""
    found = default_of(schema)
    return found if is_object(found) else {}


def with_integers(schema: Any, value: Any) -> Any:
    """Return a value with an integer for each whole number that stands where the schema wants an integer.

    JSON Schema counts 8.0 as an integer, and Python does not: `range(8.0)` fails.
    """
    if not is_object(schema):
        return value
    kinds = set(_kinds(schema))
    if isinstance(value, float) and "integer" in kinds and "number" not in kinds and value.is_integer():
        return int(value)
    if is_array(value):
        return [with_integers(schema.get("items"), item) for item in value]
    if not is_object(value):
        return value
    forms = [schema, *(form for key in _BRANCHES for form in schema.get(key) or ())]
    for form in forms:
        properties = _properties(form) or {}
        value = {key: with_integers(properties.get(key), item) for key, item in value.items()}
    return value


def _kinds(schema: Any) -> list[str]:
    """Return the types that a schema names, those of its several forms too."""
    if not is_object(schema):
        return []
    own: Any = schema.get("type", [])
    forms = [form for key in _BRANCHES for form in schema.get(key) or ()]
    return [*(own if is_array(own) else [own]), *(kind for form in forms for kind in _kinds(form))]


def _properties(schema: Any) -> dict[str, Any] | None:
    found = cast("Any", schema).get("properties") if is_object(schema) else None
    return found if is_object(found) else None


def _required(schema: Any) -> list[str]:
    found = cast("Any", schema).get("required") if is_object(schema) else None
    return found if is_array(found) else []


def _is_object(schema: Mapping[str, Any] | None) -> bool:
    return schema is not None and schema.get("type") == "object"
