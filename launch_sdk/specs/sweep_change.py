"""What a new file may change when a sweep is resumed: how and where it runs, and how long; never what it searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.distributions import canonical
from launch_sdk.specs.document import Document
from launch_sdk.specs.sweep_spec import KEYS, parse_sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHANGEABLE = ("run_cap", "max_time", "max_run_time", "max_failed", "retries", "description")
BLOCKS = ("scheduler", "launch")  # their keys change one by one
TARGETS = ("program", "job")


@dataclass(frozen=True)
class Change:
    """A resumed sweep's file.

    Attributes:
        document: the sweep's own file with what the new one changes.
        ignored: keys of the new file that say something else than the sweep's own and count for nothing.
        queue: the queue that the new file names; None if it names none.
        is_change: whether anything is different from before.
    """

    document: Mapping[str, Any]
    ignored: tuple[str, ...]
    queue: str | None
    is_change: bool


def change_sweep(
    before: Mapping[str, Any], document: Document, expand: Callable[[list[str]], list[str]] = list
) -> Change:
    """Lay a new file over a sweep's own.

    Values of `scheduler` and `launch` and the limits win; parameters, method, metric and what else belongs to the
    search stay as they are. The new file needs to name only what changes.

    Args:
        before: the sweep's own file.
        document: the new file.
        expand: replaces the variables of a command, as was done when the sweep was made.

    Raises:
        InvalidSpecError: a value is wrong, or another program or job is named; every fault at once.
    """
    if not isinstance(cast("object", document.value), dict):
        raise InvalidSpecError(document.name, [document.fault((), "must be a mapping of sweep keys")])
    new = cast("dict[str, Any]", document.value)
    merged = dict(before) | {key: new[key] for key in new if key in CHANGEABLE or key not in KEYS}
    for key in BLOCKS:
        if key in new:
            merged[key] = _over(before.get(key), new[key])
    faults = _other_targets(before, document)
    try:
        parse_sweep(Document(merged, document.name, document.lines, document.directory))
    except InvalidSpecError as error:
        faults += error.faults
    if faults:
        raise InvalidSpecError(document.name, faults)
    fixed = [key for key in new if key in KEYS and key not in {*CHANGEABLE, *BLOCKS, *TARGETS}]
    ignored = tuple(key for key in fixed if not _same(before.get(key), _expanded(key, new[key], expand)))
    launch = new.get("launch")
    queue = cast("dict[str, Any]", launch).get("queue") if isinstance(launch, dict) else None
    return Change(merged, ignored, queue, not _same(dict(before), merged))


def _over(before: object, new: object) -> object:
    """Lay a block over another; what is no block is for the parser to refuse."""
    if isinstance(before, dict) and isinstance(new, dict):
        return cast("dict[str, Any]", before) | cast("dict[str, Any]", new)
    return new


def _other_targets(before: Mapping[str, Any], document: Document) -> list[Fault]:
    new: dict[str, Any] = document.value
    return [
        document.fault(
            (key,),
            f"a resumed sweep keeps its {key}, {before.get(key)!r}; leave it out, or start another sweep",
        )
        for key in TARGETS
        if new.get(key) is not None and not _same(before.get(key), new[key])
    ]


def _expanded(key: str, value: object, expand: Callable[[list[str]], list[str]]) -> object:
    if key != "command" or not isinstance(value, list):
        return value
    return expand([str(word) for word in cast("list[object]", value)])


def _same(one: object, other: object) -> bool:
    return canonical(one) == canonical(other)
