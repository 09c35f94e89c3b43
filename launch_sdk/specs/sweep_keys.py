"""The keys of a sweep file's mappings: which there are and of what type a value is, in words."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.wandb_blocks import ENGINE, ENGINE_KEYS, SCHEDULER_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document, Path_

MAX_UNKNOWN = 50  # of one mapping: finding the nearest known key takes time, and nobody reads more
NOT_SUPPORTED = frozenset({"metrics"})
_TYPE_NAMES = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    (int, str): "a whole number",
    (int, float): "a number",
    (str, bool): "text or false",
    (int, float, str): "a time, as in 90 (seconds), 30m, 2h or 1d12h",
    (dict, list): "a mapping or a list of mappings",
}


def _unknown(key: object, known: Mapping[str, Any]) -> str:
    if key in ENGINE_KEYS and known is SCHEDULER_KEYS:
        return ENGINE
    if key in NOT_SUPPORTED:
        return "is a key of W&B's that is not supported; leave it out"
    return f"unknown key; {nearest(key, known)}"


def key_faults(document: Document, path: Path_, value: Mapping[str, Any], known: Mapping[str, Any]) -> list[Fault]:
    """List the keys of a mapping that nobody knows, and those whose values are of a wrong type.

    Args:
        document: the sweep file.
        path: where the mapping is in it.
        value: the mapping.
        known: the type, or types, of each key.
    """
    unknown = [key for key in value if key not in known]
    faults = [document.fault((*path, key), _unknown(key, known)) for key in unknown[:MAX_UNKNOWN]]
    if len(unknown) > MAX_UNKNOWN:
        faults.append(document.fault(path, f"{len(unknown) - MAX_UNKNOWN} more keys are unknown"))
    for key, item in value.items():
        where = (*path, key)
        if key not in known:
            continue
        if item is not None and (not isinstance(item, known[key]) or (isinstance(item, bool) and known[key] is int)):
            faults.append(document.fault(where, f"must be {_TYPE_NAMES[known[key]]}, not {describe(item)}"))
    return faults


def nearest(word: object, known: Iterable[str]) -> str:
    """Say which known word was probably meant, or which there are."""
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"


def describe(item: object) -> str:
    """Name a value of a wrong type, with its type."""
    return (
        f"{type(item).__name__} {item!r}" if isinstance(item, str | int | float | bool) else f"a {type(item).__name__}"
    )
