"""Two JSON Schemas declared of the same values, as one that holds values against both.

Keywords that only one of them has stand side by side, the names of both are taken, and what they say differently of one
value stands in an `allOf`. Of notes for readers (titles, descriptions, defaults) the later ones count. Two schemas that
take no further names take those of both.
"""

from __future__ import annotations

from launch_sdk.tracking.values import is_array, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOTES = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$comment"})
_DEFINITIONS = ("$defs", "definitions")
_NAMED = frozenset({"properties", *_DEFINITIONS})
_TOGETHER = frozenset(  # what these say depends on each other
    {"$ref", "items", "prefixItems", "unevaluatedItems", "contains", "minContains", "maxContains", "if", "then", "else"}
)
_MISSING: Any = object()


class _DifferError(Exception):
    """The schemas say different things by the same keyword."""


def added_schemas(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that a value fits if it fits both; neither is changed."""
    second = _with_own_definitions(first, second)
    try:
        return _merged(first, second)
    except _DifferError:
        definitions = {key: {**_names(first, key), **_names(second, key)} for key in _DEFINITIONS}
        parts = [{key: item for key, item in one.items() if key not in _DEFINITIONS} for one in (first, second)]
        return {"allOf": parts, **{key: items for key, items in definitions.items() if items}}


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    names = dict.fromkeys([*first, *second])
    if any(first.get(key, _MISSING) != second.get(key, _MISSING) for key in _TOGETHER.intersection(names)):
        raise _DifferError
    return {key: _merged_keyword(key, first.get(key, _MISSING), second.get(key, _MISSING)) for key in names}


def _merged_keyword(key: str, first: Any, second: Any) -> Any:
    if second is _MISSING:
        return first
    if first is _MISSING or first == second or key in _NOTES:
        return second
    if key in _NAMED and is_object(first) and is_object(second):
        names = dict.fromkeys([*first, *second])
        return {name: _of_one(first.get(name, _MISSING), second.get(name, _MISSING)) for name in names}
    if key == "required" and is_array(first) and is_array(second):
        return list(dict.fromkeys([*first, *second]))
    raise _DifferError


def _of_one(first: Any, second: Any) -> Any:
    """Return the schema of a value that both name."""
    if first is _MISSING or second is _MISSING or first == second:
        return first if second is _MISSING else second
    try:
        if is_object(first) and is_object(second):
            return _merged(first, second)
    except _DifferError:
        pass
    return {"allOf": [first, second]}


def _with_own_definitions(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Rename the definitions of the second that the first has under the same name for something else."""
    for key in _DEFINITIONS:
        taken, own = _names(first, key), _names(second, key)
        for name in [name for name in own if name in taken and taken[name] != own[name]]:
            free = f"{name}-2"
            while free in taken or free in second[key]:
                free += "-2"
            second = _with_references(second, f"#/{key}/{_escaped(name)}", f"#/{key}/{_escaped(free)}")
            second[key] = {free if one == name else one: item for one, item in second[key].items()}
    return second


def _names(schema: dict[str, Any], key: str) -> dict[str, Any]:
    found = schema.get(key)
    return found if is_object(found) else {}


def _with_references(value: Any, old: str, new: str) -> Any:
    if is_array(value):
        return [_with_references(item, old, new) for item in value]
    if not is_object(value):
        return value
    result = {key: _with_references(item, old, new) for key, item in value.items()}
    target = result.get("$ref")
    if isinstance(target, str) and (target == old or target.startswith(f"{old}/")):
        result["$ref"] = new + target[len(old) :]
    return result


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
