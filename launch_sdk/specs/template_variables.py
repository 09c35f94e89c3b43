"""Template variables of a queue: what its owner lets a submitter choose, each within a JSON Schema."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.validation import SlowPatternError, violations

if TYPE_CHECKING:
    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document, Path_

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_ANY = ("type", "default", "enum", "description", "title")
_NUMBER = (*_ANY, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
KEYS: Mapping[str, tuple[str, ...]] = {
    "string": (*_ANY, "minLength", "maxLength", "pattern"),
    "integer": _NUMBER,
    "number": _NUMBER,
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")


class WrongTypeError(ValueError):
    """A value is not of its variable's type."""


def typed(value: object, kind: str) -> str | int | float:
    """Give a value, or the text of one, the type of its variable.

    Raises:
        WrongTypeError: it cannot be given that.
    """
    text = str(value).strip()
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        if kind == "string":
            return str(value)
        if kind == "integer" and _INTEGER.fullmatch(text.removesuffix(".0") if isinstance(value, float) else text):
            return int(float(text)) if isinstance(value, float) else int(text)
        if kind == "number" and (number := _number(text)) is not None:
            return number
    raise WrongTypeError(kind)


def _number(text: str) -> float | None:
    if not text.isascii() or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def value_faults(value: object, schema: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with a value that has the type of its variable."""
    try:
        found = [str(error.message) for error in violations(schema, value)]
    except SlowPatternError as error:
        found = [f"is too long to be matched with {error.pattern!r}"]
    if isinstance(value, str) and ("{{" in value or "${" in value or "\0" in value):
        found.append("may hold neither {{ nor ${ nor a NUL character: only the queue's owner writes templates")
    return found


def as_text(value: object) -> str:
    """Write a value as it stands in an environment variable."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def read_variables(document: Document, at: Path_, faults: list[Fault]) -> dict[str, Mapping[str, Any]]:
    """Read the `template_variables` of a queue's file: by name a JSON Schema, bare or W&B's `{schema: ...}`."""
    given = _at(document.value, at)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        faults.append(document.fault(at, "must be a mapping of JSON Schemas, as in threads: {type: integer}"))
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for name, value in cast("Mapping[Any, Any]", given).items():
        where: Path_ = (*at, str(name))
        if not NAME.fullmatch(str(name)):
            faults.append(document.fault(where, f"{name!r} is no name: letters, digits and _, no digit first"))
            continue
        before = len(faults)
        schema = _schema(document, where, value, faults)
        if len(faults) == before:
            found[str(name)] = schema
    return found


def _at(value: Any, path: Path_) -> Any:
    for key in path:
        value = cast("Mapping[Any, Any]", value).get(key) if isinstance(value, Mapping) else None
    return value


def _schema(document: Document, at: Path_, value: object, faults: list[Fault]) -> Mapping[str, Any]:
    if isinstance(value, Mapping) and "schema" in value:
        outer = cast("Mapping[str, Any]", value)
        more = [key for key in outer if key not in {"schema", "description"}]
        faults += [document.fault((*at, key), "unknown key; known are schema, description") for key in more]
        at, value = (*at, "schema"), outer["schema"]
    if not isinstance(value, Mapping):
        faults.append(document.fault(at, f"must be a JSON Schema, as in {{type: integer, default: 4}}, not {value!r}"))
        return {}
    schema = cast("Mapping[str, Any]", value)
    kind: Any = schema.get("type")
    if kind not in KEYS:
        told = f"type must be {', '.join(KEYS)}, not {kind!r}"
        faults.append(document.fault((*at, "type") if "type" in schema else at, told))
        return {}
    faults += [
        document.fault((*at, key), f"unknown key of a {kind}; known are {', '.join(KEYS[kind])}")
        for key in schema
        if key not in KEYS[kind]
    ]
    faults += [document.fault((*at, key), message) for key, message in _schema_faults(schema, kind)]
    return schema


def _schema_faults(schema: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    """Say what is wrong inside a schema whose keys are known."""
    faults = _bound_faults(schema)
    enum = schema.get("enum")
    if enum is not None and (not isinstance(enum, list) or not enum):
        faults.append(("enum", "must be a list of at least one value"))
    elif enum is not None:
        wrong = [one for one in cast("list[object]", enum) if not _is_of(one, kind)]
        faults += [("enum", f"{one!r} is not of type {kind}") for one in wrong]
    if not faults and schema.get("default") is not None:
        default = schema["default"]
        told = value_faults(default, schema) if _is_of(default, kind) else [f"{default!r} is not of type {kind}"]
        faults += [("default", message) for message in told]
    return faults


def _bound_faults(schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"):
        value: Any = schema.get(key)
        is_length = key.endswith("Length")
        if key in schema and (not _is_of(value, "integer" if is_length else "number") or (is_length and value < 0)):
            faults.append((key, f"must be a {'length' if is_length else 'number'}, not {value!r}"))
    if "pattern" in schema and (message := _pattern_fault(schema["pattern"])):
        faults.append(("pattern", message))
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength")):
        if not faults and low in schema and high in schema and schema[low] > schema[high]:
            faults.append((low, f"{schema[low]} is above {high} {schema[high]}"))
    return faults


def _pattern_fault(pattern: object) -> str | None:
    import regex  # pyright: ignore[reportMissingTypeStubs]

    try:
        regex.compile(pattern)  # pyright: ignore[reportUnknownMemberType, reportArgumentType, reportCallIssue]
    except (regex.error, TypeError) as error:
        return f"{pattern!r} is no regular expression: {error}"
    return None


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return False
    if kind == "string":
        return isinstance(value, str)
    return isinstance(value, int) or (kind == "number" and isinstance(value, float) and math.isfinite(value))
