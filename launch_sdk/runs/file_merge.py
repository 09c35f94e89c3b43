"""Laying given values over those of a config file."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.deletions import is_deletion
from launch_sdk.tracking.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    New = Callable[[Any, Any], Any]


def lay_over(own: MutableMapping[Any, Any], given: Mapping[str, Any], new: New = lambda value, _: value) -> None:
    """Lay values over those of a file, in place, by the table in `config_files`.

    Args:
        own: the file's values, or a group of them.
        given: nested values.
        new: makes what is put into the file of a given value and of what it replaces.
    """
    for name, value in given.items():
        key = key_in(own, name)
        present = own.get(key)
        if is_deletion(value):
            if key in own:
                del own[key]
        elif is_object(value) and is_object(present):
            lay_over(present, value, new)
        elif not is_object(value) or value or key not in own:
            own[key if key in own else new(key, None)] = new(_in_place_of(present, without_deletions(value)), present)


def _in_place_of(present: Any, value: Any) -> Any:
    """Return a value in the type of what it replaces: a date for a date's text, 6 for 6.0 where an integer stands."""
    if is_array(value) and is_array(present) and present:
        return [_in_place_of(present[0], item) for item in value]
    if isinstance(present, int) and not isinstance(present, bool) and isinstance(value, float) and value.is_integer():
        return int(value)
    return _as_time(value, present)


def _as_time(value: Any, present: Any) -> Any:
    """Return a date or a time, which come here as texts, where one stands in the file."""
    kind = next((one for one in (datetime, date, time) if isinstance(present, one)), None)
    if kind is None or not isinstance(value, str):
        return value
    for one in (kind, *_IN_PLACE_OF.get(kind, ())):
        try:
            return one.fromisoformat(value)
        except ValueError:
            continue
    return value


_IN_PLACE_OF: dict[Any, tuple[Any, ...]] = {date: (datetime,)}


def key_in(own: Mapping[Any, Any], name: str) -> Any:
    """Return the key that a name means: YAML has keys that are numbers."""
    if name in own:
        return name
    return next((key for key in own if not isinstance(key, str) and str(key) == name), name)


def without_deletions(value: Any) -> Any:
    """Return a value that takes a place of its own: there is nothing below it that could be deleted."""
    if not is_object(value):
        return value
    return {key: without_deletions(item) for key, item in value.items() if not is_deletion(item)}
