"""Checking values against a flat JSON Schema: by the library `jsonschema`, with regular expressions that must end."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATTERN_S = 0.5


class SlowPatternError(Exception):
    """A regular expression of the schema took longer than `PATTERN_S` for one text."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        super().__init__(pattern)


def violations(schema: Mapping[str, Any], value: Any) -> list[Any]:
    """Return every violation, as errors of `jsonschema`, those nearest to the root first.

    Args:
        schema: a flat schema, see `declared_schema`.
        value: plain values.

    Raises:
        SlowPatternError: a pattern does not end in time.
        RecursionError: the value is nested more deeply than Python can follow.
    """
    errors: list[Any] = list(_validator_class()(schema).iter_errors(value))
    return sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Say whether a value is of a schema; one that cannot be checked is not."""
    try:
        return not violations(schema, value)
    except (SlowPatternError, RecursionError):
        return False


@cache
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator, validators

    extend = cast("Any", validators.extend)  # pyright: ignore[reportUnknownMemberType]  # untyped
    own = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    return extend(Draft202012Validator, own)


def _matches(pattern: str, text: str) -> bool:
    import regex  # pyright: ignore[reportMissingTypeStubs]

    try:
        return regex.search(pattern, text, timeout=PATTERN_S) is not None  # pyright: ignore[reportUnknownMemberType]
    except TimeoutError:
        raise SlowPatternError(pattern) from None


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any) -> Iterator[Any]:
    for key, value in instance.items() if is_object(instance) else ():
        for pattern, schema in patterns.items():
            if _matches(pattern, key):
                yield from validator.descend(value, schema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, further: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    from jsonschema import ValidationError

    for key in further_keys(schema, instance):
        if is_object(further):
            yield from validator.descend(instance[key], further, path=key)
        elif further is False:
            yield ValidationError(f"takes no {key!r}")


def further_keys(schema: Mapping[str, Any], instance: Any) -> list[str]:
    """Return the keys of an object that its schema does not name, by name or by pattern."""
    named: Mapping[str, Any] = schema.get("properties") or {}
    patterns: Mapping[str, Any] = schema.get("patternProperties") or {}
    keys = [key for key in instance if key not in named] if is_object(instance) else []
    return [key for key in keys if not any(_matches(pattern, key) for pattern in patterns)]
