"""JSON Schemas that a script declares: what is wrong with one, and one that `jsonschema` can check values against.

W&B's `required: true` on a property, which JSON Schema does not know, is no fault.
"""

from __future__ import annotations

from launch_sdk.tracking.values import is_array, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Place = tuple[str, ...]

MAX_SHOWN = 200
_VALUES = frozenset({"default", "const", "enum", "examples"})  # hold no schemas
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


def schema_faults(schema: dict[str, Any]) -> list[str]:
    """Say what is wrong with a schema, all at once; the keywords by `jsonschema`, if it can be imported."""
    found = dict.fromkeys([*_faults_of_keywords(schema), *_faults_of_places(schema), *_faults_of_root(schema)])
    return list(found)


def checkable(value: Any) -> Any:
    """Return a schema without what `jsonschema` cannot work with: `required: true`, patterns of other dialects."""
    if is_array(value):
        return [checkable(item) for item in value]
    if not is_object(value):
        return value
    kept = {key: item for key, item in value.items() if not _is_unusable(key, item)}
    return {key: _checkable_part(key, item) for key, item in kept.items()}


def _checkable_part(key: str, item: Any) -> Any:
    if key in _NAMED and is_object(item):
        return {name: checkable(one) for name, one in item.items()}
    return item if key in _VALUES else checkable(item)


def _is_unusable(key: str, item: Any) -> bool:
    return (key == "required" and isinstance(item, bool)) or (key == "pattern" and not _is_pattern(item))


def _faults_of_keywords(schema: dict[str, Any]) -> Iterator[str]:
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        return
    meta: Any = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    try:
        errors: list[Any] = list(meta.iter_errors(schema))
    except RecursionError:
        yield "is nested too deeply"
        return
    for error in errors:
        place = [str(part) for part in error.absolute_path]
        if place[-1:] != ["required"] or not isinstance(error.instance, bool):
            yield _told(place, error.message)


def _faults_of_places(schema: dict[str, Any]) -> Iterator[str]:
    for place, one in _schemas(schema, ()):
        target, pattern = one.get("$ref"), one.get("pattern")
        if isinstance(target, str) and target.startswith("#") and _target(schema, target) is None:
            yield _told([*place, "$ref"], f"{target!r} leads to nothing in the schema")
        if isinstance(pattern, str) and not (_is_pattern(pattern) or _is_pattern_of_regex(pattern)):
            yield _told([*place, "pattern"], f"{pattern!r} is no regular expression")


def _faults_of_root(schema: dict[str, Any]) -> Iterator[str]:
    """Refuse a schema of a number or a text: what it describes has names."""
    root: Any = schema
    for _ in range(len(schema.get("$defs") or ()) + 1):
        if is_object(root) and "type" not in root and isinstance(root.get("$ref"), str):
            root = _target(schema, root["$ref"])
    kind: Any = root.get("type") if is_object(root) else None
    if isinstance(kind, (str, list)) and "object" not in ([kind] if isinstance(kind, str) else kind):
        yield _told(["type"], f"must be 'object', the type of the whole, not {kind!r}")


def _schemas(value: Any, at: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Give every schema in a document with its place."""
    if is_array(value):
        for place, item in enumerate(value):
            yield from _schemas(item, (*at, str(place)))
    elif is_object(value):
        yield at, value
        for key, item in value.items():
            if key in _NAMED and is_object(item):
                for name, one in item.items():
                    yield from _schemas(one, (*at, key, name))
            elif key not in _VALUES:
                yield from _schemas(item, (*at, key))


def _target(schema: dict[str, Any], reference: str) -> Any:
    found: Any = schema
    for part in reference.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if is_array(found):
            found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
        else:
            found = found.get(key) if is_object(found) else None
    return found


def _is_pattern(text: Any) -> bool:
    """Say whether a text is a regular expression as `jsonschema` takes it."""
    import re

    try:
        re.compile(text)
    except re.error:
        return False
    return True


def _is_pattern_of_regex(text: str) -> bool:
    """Say whether the supervisor takes it: its library knows more."""
    try:
        import regex  # pyright: ignore[reportMissingTypeStubs]
    except ImportError:
        return False
    try:
        regex.compile(text)  # pyright: ignore[reportUnknownMemberType]
    except regex.error:
        return False
    return True


def _told(place: Any, message: str) -> str:
    short = message if len(message) <= MAX_SHOWN else f"{message[:MAX_SHOWN]}..."
    return f"schema{''.join(f'/{part}' for part in place)}: {short}"
