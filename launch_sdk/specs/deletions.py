"""Removing keys from config files: `{"$delete": true}` in place of a value.

The schema of a job's form, which the server enforces, cannot take the mark where a number must stand. So for the server
the marks of a file are gathered under one key beside its values, `{"$delete": [["optimizer", "lr"]]}`. In parameters
of a flow run the key begins with two `$`, see `tracking.values`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from launch_sdk.tracking.input_paths import ends
from launch_sdk.tracking.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Keys = tuple[str, ...]

DELETE = "$delete"
GATHERED: Mapping[str, Any] = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "string"}, "minItems": 1},
}


def is_deletion(value: Any) -> bool:
    """Say whether a value of a config file means that what stands there is to go: `{"$delete": true}`."""
    return is_object(value) and value.get(DELETE) is True and len(value) == 1


def deletions(values: Mapping[str, Any], at: Keys = ()) -> Iterator[Keys]:
    """Give the path of each mark in nested values."""
    for key, value in values.items():
        if is_deletion(value):
            yield (*at, key)
        elif is_object(value):
            yield from deletions(value, (*at, key))


def gathered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put the marks of a file's values under one key; `scattered` undoes it."""
    paths = [list(path) for path in deletions(values)]
    return {**_without_marks(values), DELETE: paths} if paths else dict(values)


def scattered(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put each mark in the place that it is to empty."""
    paths = values.get(DELETE)
    if not is_array(paths) or not all(_is_path(path) for path in paths):
        return dict(values)
    result: dict[str, Any] = {}
    for path, value in ends({key: value for key, value in values.items() if key != DELETE}):
        _put(result, path, value)
    for path in paths:
        _put(result, cast("Keys", tuple(path)), {DELETE: True})
    return result


def _without_marks(values: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if not is_object(value) or not value:
            kept[key] = value
        elif not is_deletion(value) and (below := _without_marks(value)):
            kept[key] = below
    return kept


def _is_path(path: Any) -> bool:
    return is_array(path) and bool(path) and all(isinstance(key, str) for key in path)


def _put(into: dict[str, Any], path: Keys, value: Any) -> None:
    *parents, last = path
    for key in parents:
        below = into.get(key)
        into[key] = into = below if is_object(below) else {}
    into[last] = value
