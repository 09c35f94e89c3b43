"""Values that a schema calls secret: which they are, and what is left without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.specs.input_schema import is_secret
from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    Keys = tuple[str, ...]


def secret_paths(schema: Mapping[str, Any] | None, at: Keys = ()) -> list[Keys]:
    """Return the path of every secret that a schema names."""
    properties: Any = (schema or {}).get("properties")
    found: list[Keys] = []
    for name, below in properties.items() if is_object(properties) else ():
        path = (*at, str(name))
        found += [path] if is_secret(below) else secret_paths(below if is_object(below) else None, path)
    return found


def without_paths(values: Mapping[str, Any], paths: Collection[Keys], at: Keys = ()) -> dict[str, Any]:
    """Return the values without those at the paths; what was given is not changed."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        path = (*at, key)
        if path not in paths:
            kept[key] = without_paths(value, paths, path) if is_object(value) else value
    return kept
