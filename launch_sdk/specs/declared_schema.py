"""A JSON Schema that somebody declared, made safe and flat: no reference is left in it, and nothing was fetched for it.

A `$ref` to a place in the same document is replaced by what stands there, keys beside it win; where a schema refers to
itself the inner occurrence takes any value. An `allOf` of one schema is lifted into its parent. W&B's `required: true`
on a property becomes JSON Schema's list of names.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.tracking.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_NODES = 10_000
MAX_DEPTH = 64

_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
_SINGLE = frozenset(
    {"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else", "contentSchema"}
)
_LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_DROPPED = frozenset({"$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "$ref"})
_REFUSED = {
    "$dynamicRef": "refers to what depends on the place; use $ref",
    "$dynamicAnchor": "refers to what depends on the place; use $defs and $ref",
    "$recursiveRef": "refers to what depends on the place; use $ref",
    "$vocabulary": "names another dialect; draft 2020-12 is understood",
    "unevaluatedProperties": "is not supported; use additionalProperties",
    "unevaluatedItems": "is not supported; use items",
}


def flat_schema(declared: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """Check a declared schema and return it without references; the one given is not changed.

    Args:
        declared: JSON Schema, draft 2020-12.
        subject: what to call it in an error.

    Raises:
        InvalidSpecError: it is no valid schema, refers out of its document or to nowhere, or is larger than
            `MAX_NODES` schemas or deeper than `MAX_DEPTH` once its references are replaced. Every fault is listed.
    """
    flattening = _Flattening(declared)
    flat = flattening.flatten(declared, "", ())
    faults = flattening.faults or _meta_faults(flat)
    if faults:
        raise InvalidSpecError(subject, faults)
    return cast("dict[str, Any]", flat)


class _Flattening:
    """One pass over a document.

    Attributes:
        faults: what was wrong so far.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self._nodes = 0

    def flatten(self, schema: Any, at: str, following: tuple[str, ...]) -> Any:
        """Return a schema without references; `following` are those that led here."""
        if not is_object(schema):
            return schema  # true, false, or what the meta-schema will complain of
        if not self._may_go_on(at):
            return {}
        target = schema.get("$ref")
        base: dict[str, Any] = {}
        if target is not None:
            found = self._resolve(target, at, following)
            base = self.flatten(found, at, (*following, str(target))) if found is not None else {}
        own = {key: self._value(key, value, at, following) for key, value in schema.items() if key not in _DROPPED}
        self.faults += [Fault(_below(at, key), _REFUSED[key]) for key in own if key in _REFUSED]
        return _standard({**(base if is_object(base) else {}), **own})

    def _may_go_on(self, at: str) -> bool:
        self._nodes += 1
        if self._nodes <= MAX_NODES and at.count("/") <= 2 * MAX_DEPTH:
            return True
        if self._nodes < 2 * MAX_NODES:
            self._nodes = 2 * MAX_NODES  # told once
            message = f"is larger than {MAX_NODES} schemas or deeper than {MAX_DEPTH}, its references replaced"
            self.faults.append(Fault("", message))
        return False

    def _value(self, key: str, value: Any, at: str, following: tuple[str, ...]) -> Any:
        here = _below(at, key)
        if key in _SINGLE:
            return self.flatten(value, here, following)
        if key in _NAMED and is_object(value):
            return {name: self.flatten(one, _below(here, name), following) for name, one in value.items()}
        if key in _LISTED and is_array(value):
            return [self.flatten(one, _below(here, str(place)), following) for place, one in enumerate(value)]
        if isinstance(value, float) and not isfinite(value):
            self.faults.append(Fault(here, f"{value} is no number that JSON can hold"))
        return value

    def _resolve(self, target: Any, at: str, following: tuple[str, ...]) -> Any:
        """Return what a reference points to; None for one that leads nowhere, or back to where it stands."""
        if target in following:
            return {}
        if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
            message = f"{target!r} leads out of the schema and is not fetched; put the definition under $defs"
            self.faults.append(Fault(_below(at, "$ref"), message))
            return None
        found: Any = self.document
        for part in target.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if is_array(found):
                found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
            else:
                found = found.get(key) if is_object(found) else None
        if found is None:
            self.faults.append(Fault(_below(at, "$ref"), f"{target!r} leads to nothing in the schema"))
        return found


def _standard(schema: dict[str, Any]) -> dict[str, Any]:
    """Lift an `allOf` of one, and turn `required: true` of a property into a name in the list of its object."""
    parts = schema.get("allOf")
    if is_array(parts) and len(parts) == 1 and is_object(parts[0]):
        own = {key: value for key, value in schema.items() if key != "allOf"}
        schema = {**parts[0], **own}
    properties = schema.get("properties")
    if is_object(properties):
        marked = [name for name, one in properties.items() if is_object(one) and one.get("required") is True]
        bare = {name: _without_mark(one) for name, one in properties.items()}
        named = schema.get("required")
        required = [*(named if is_array(named) else ()), *marked]
        schema = {**schema, "properties": bare, **({"required": list(dict.fromkeys(required))} if marked else {})}
    return schema


def _without_mark(schema: Any) -> Any:
    if is_object(schema) and isinstance(schema.get("required"), bool):
        return {key: value for key, value in schema.items() if key != "required"}
    return schema


def _meta_faults(flat: Any) -> list[Fault]:
    from jsonschema import Draft202012Validator

    meta = cast("Any", Draft202012Validator(Draft202012Validator.META_SCHEMA))
    errors: list[Any] = list(meta.iter_errors(flat))
    faults = [Fault("/".join(map(str, error.absolute_path)), _short(error.message)) for error in errors]
    if not faults:
        _each_pattern(flat, "", lambda at, text: faults.extend(_pattern_faults(at, text)))
    return faults


def _each_pattern(schema: Any, at: str, visit: Callable[[str, str], None]) -> None:
    if not is_object(schema):
        return
    if "pattern" in schema:
        visit(_below(at, "pattern"), schema["pattern"])
    for name in schema.get("patternProperties", {}):
        visit(_below(at, "patternProperties"), name)
    for key, value in schema.items():
        below = [value] if key in _SINGLE else value if key in _LISTED else ()
        for one in value.values() if key in _NAMED else below:
            _each_pattern(one, _below(at, key), visit)


def _pattern_faults(at: str, pattern: str) -> list[Fault]:
    import regex  # pyright: ignore[reportMissingTypeStubs]

    try:
        regex.compile(pattern)  # pyright: ignore[reportUnknownMemberType]
    except regex.error as error:
        return [Fault(at, f"{pattern!r} is no regular expression: {error}")]
    return []


def _below(at: str, key: str) -> str:
    return f"{at}/{key}" if at else key


def _short(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:297]}..."  # noqa: PLR2004  # about three lines
