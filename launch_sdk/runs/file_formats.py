"""Config files that keep their form when values in them change: JSON and TOML here, YAML in `yaml_file`."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

from launch_sdk.runs.file_merge import lay_over
from launch_sdk.tracking.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_INDENT = re.compile(r"[\[{]\s*?\n([ \t]+)")


class UnreadableError(ValueError):
    """A file is not what its name says, or cannot hold what it is to hold."""


def patched_json(text: str, given: Mapping[str, Any]) -> str:
    """Lay values over a JSON text: its keys stay in their order, its indentation and its end stay too.

    Raises:
        UnreadableError: it is not JSON, or its top level is no object.
    """
    body = text.removeprefix("\ufeff")
    try:
        values: Any = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"is not JSON: {error}") from None
    require_mapping(values)
    lay_over(values, given)
    patched = json.dumps(values, ensure_ascii=body.isascii(), **_json_form(body))
    if "\r\n" in body:
        patched = patched.replace("\n", "\r\n")
    stripped = body.rstrip()
    return text[: len(text) - len(body)] + patched + (body[len(stripped) :] if stripped else "\n")


def patched_toml(text: str, given: Mapping[str, Any]) -> str:
    """Lay values over a TOML text; what is not changed stays as it is written.

    Raises:
        UnreadableError: it is not TOML, or a value is null.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    place = _null_in(given, ())
    if place:
        raise UnreadableError(f"cannot hold null, which is given for {'.'.join(place)}; TOML has none")
    try:
        wanted = tomllib.loads(text)
        document: Any = tomlkit.parse(text)
    except (TOMLKitError, ValueError, RecursionError) as error:
        raise UnreadableError(f"is not TOML: {error}") from None
    lay_over(wanted, given)
    try:
        lay_over(document, given)
        patched = tomlkit.dumps(document)
        if _same(tomllib.loads(patched), wanted):
            return patched
    except (TOMLKitError, ValueError):
        pass
    return tomlkit.dumps(wanted)  # a group cannot always stand where a value stood: then all of it is written anew


def require_mapping(values: Any) -> None:
    """Refuse a file whose top level has no names.

    Raises:
        UnreadableError: it is a list or a single value.
    """
    if not is_object(values):
        kind = "a list" if is_array(values) else "a single value"
        raise UnreadableError(f"holds {kind} at its top level; values can be given by name only")


def _json_form(body: str) -> dict[str, Any]:
    source = body.strip()
    indent = _INDENT.match(source)
    if indent:
        return {"indent": indent.group(1)}
    if source in {"", "{}"}:
        return {"indent": 2}
    return {"separators": (", ", ": ") if '": ' in source else (",", ":")}


def _null_in(value: Any, at: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return at
    items = value.items() if is_object(value) else enumerate(value) if is_array(value) else ()
    return next((found for key, item in items if (found := _null_in(item, (*at, str(key))))), ())


def _same(one: Any, other: Any) -> bool:
    """Compare as files do: `1` is not `1.0`, and not a number equals itself."""
    return repr(one) == repr(other) or (type(one) is type(other) and _sorted(one) == _sorted(other))


def _sorted(value: Any) -> str:
    if is_object(value):
        return repr(sorted((key, _sorted(item)) for key, item in value.items()))
    return repr([_sorted(item) for item in value] if is_array(value) else value)
