"""`key=value` words of a command line, as nested values with types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.document import parse_document

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNESCAPED_DOT = re.compile(r"(?<!\\)\.")


def split_path(text: str) -> tuple[str, ...]:
    r"""Split `trainer.lr` into its keys; `\.` is a dot inside a key."""
    return tuple(part.replace(r"\.", ".") for part in _UNESCAPED_DOT.split(text))


def parse_assignments(words: Sequence[str], option: str) -> dict[str, Any]:
    """Read `a.b=1 c=text` as `{"a": {"b": 1}, "c": "text"}`; values are YAML: `1e-3`, `true`, `[1, 2]`.

    Args:
        words: the words; later ones win.
        option: what to call them in an error.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key or not all(split_path(key)):
            faults.append(Fault(option, f"{word!r} must be key=value, as in lr=0.1 or optimizer.lr=0.1"))
            continue
        try:
            value = parse_document(text).value if text.strip() else text
        except InvalidSpecError:
            value = text
        fault = _set(values, split_path(key), value)
        if fault:
            faults.append(Fault(option, f"{word!r}: {fault}"))
    if faults:
        raise InvalidSpecError("The command line", faults)
    return values


def _set(values: dict[str, Any], path: tuple[str, ...], value: Any) -> str | None:
    node = values
    for key in path[:-1]:
        below = node.setdefault(key, {})
        if not isinstance(below, dict):
            return f"{key!r} has a value already"
        node = cast("dict[str, Any]", below)
    node[path[-1]] = value
    return None
