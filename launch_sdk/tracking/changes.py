"""Keeping values from being changed, for a script that asked for it with `allow_val_change=False`."""

from __future__ import annotations

from collections.abc import Mapping

from launch_sdk.tracking.layers import ABSENT
from launch_sdk.tracking.values import dumps, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from launch_sdk.tracking.layers import Path


class ConfigChangedError(ValueError):
    """A config value was to change, and the script had said that none may."""


def refuse_changes(node: Mapping[str, Any], fields: Mapping[Any, Any], path: Path, locked: Collection[Path]) -> None:
    """Check new values of a node before any is set; a locked leaf is none of this, it keeps its value anyway.

    Args:
        node: a node of a config.
        fields: what it is to be updated with.
        path: where the node is.
        locked: the locked leaves of the config.

    Raises:
        ConfigChangedError: some would change; it names all of them.
    """
    changes = list(_changes(node, fields, path, locked))
    if changes:
        remedy = "call config.update(..., allow_val_change=True) to change it"
        raise ConfigChangedError("\n".join([*changes, f"allow_val_change is False; {remedy}"]))


def _changes(node: Mapping[str, Any], fields: Mapping[Any, Any], path: Path, locked: Collection[Path]) -> list[str]:
    found: list[str] = []
    for key, value in fields.items():
        here, present, group = (*path, key), node.get(key, ABSENT), fields_of(value)
        if here in locked or present is ABSENT:
            continue
        if isinstance(present, Mapping) and group is not None:
            found += _changes(present, group, here, locked)  # pyright: ignore[reportUnknownArgumentType]  # a node
        elif dumps(present) != dumps(value):
            found.append(f"config '{'.'.join(map(str, here))}' is {present!r} and may not become {value!r}")
    return found
