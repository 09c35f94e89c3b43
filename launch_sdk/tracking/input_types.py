"""What type a config value has, as a JSON Schema, and whether another value is of it.

An integer is a number too; true and false are neither. None says nothing: any value is of its type.
"""

from __future__ import annotations

from math import isfinite

from launch_sdk.tracking.values import is_array, is_object, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_LARGEST = 2**63 - 1
_MAX_REFERENCES = 16


def infer_schema(value: Any) -> dict[str, Any]:
    """Describe a value: its type, what it holds, and itself as the default where JSON can hold it.

    Args:
        value: any value; a dict becomes an object that takes no other keys, an empty one within it is left out.
    """
    value = plain(value)
    if not is_object(value):
        return _leaf_schema(value)
    properties = {key: {"title": key, **infer_schema(item)} for key, item in value.items() if item != {}}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def type_name(value: Any) -> str | None:
    """Return JSON Schema's name of a plain value's type; None for None and for what JSON does not know."""
    return _TYPES.get(type(value))  # pyright: ignore[reportUnknownArgumentType]


def is_of_type(value: Any, name: str | None) -> bool:
    """Say whether a plain value may stand where one of this type is wanted."""
    if name is None or type_name(value) == name:
        return True
    if name == "number":
        return type(value) is int
    return name == "integer" and type(value) is float and value.is_integer()


def schema_names(schema: Any, path: Iterable[str]) -> bool:
    """Say whether a schema describes a value at this path, by its name or by `additionalProperties`.

    Args:
        schema: a JSON Schema; None for none.
        path: the keys of the value.
    """
    here = schema
    for key in path:
        here = _referred(schema, here)
        named: Any = here.get("properties") if is_object(here) else None
        if not is_object(named) or key not in named:
            further: Any = here.get("additionalProperties", False) if is_object(here) else False
            return further is not False
        here = named[key]
    return True


def _referred(document: Any, schema: Any) -> Any:
    """Follow `{"$ref": "#/$defs/Trainer"}`, a bounded number of times."""
    for _ in range(_MAX_REFERENCES):
        target: Any = schema.get("$ref") if is_object(schema) else None
        if not isinstance(target, str) or not target.startswith("#"):
            break
        schema = document
        for part in target.split("/")[1:]:
            schema = schema.get(part.replace("~1", "/").replace("~0", "~")) if is_object(schema) else None
    return schema


def item_type(values: list[Any]) -> str | None:
    """Return the type of all items of a list, which is `number` for integers among floats; None if they differ."""
    names = {type_name(value) for value in values}
    if names == {"integer", "number"}:
        return "number"
    return names.pop() if len(names) == 1 and names.isdisjoint({"array", "object"}) else None


def _leaf_schema(value: Any) -> dict[str, Any]:
    name = type_name(value)
    schema: dict[str, Any] = {"type": name} if name else {}
    if is_array(value) and (item := item_type(value)):
        schema["items"] = {"type": item}
    if _is_json(value):
        schema["default"] = value
    return schema


def _is_json(value: Any) -> bool:
    """Say whether JSON holds a value as it is, without a tag of ours."""
    if is_array(value):
        return all(_is_json(item) for item in value)
    if is_object(value):
        return all(not key.startswith("$") and _is_json(item) for key, item in value.items())
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return abs(value) <= _LARGEST
    return value is None or isinstance(value, str)
