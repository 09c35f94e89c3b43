"""What a new file may change when a sweep is resumed: how and where it runs, and how long; never what it searches."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.distributions import canonical
from launch_sdk.specs.document import Document
from launch_sdk.specs.image_sweep import as_job
from launch_sdk.specs.scheduler_spec import own_reference
from launch_sdk.specs.sweep_spec import KEYS, parse_sweep
from launch_sdk.specs.wandb_blocks import has_own_scheduler, is_own_scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHANGEABLE = ("run_cap", "max_time", "max_run_time", "max_failed", "retries", "cost", "description")
BLOCKS = ("scheduler", "launch")  # their keys change one by one
TARGETS = ("program", "job")
_VERSION = re.compile(r"v[0-9]+")


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
    document = replace(document, value=as_job(cast("dict[str, Any]", document.value)))
    new = cast("dict[str, Any]", document.value)
    merged = dict(before) | {key: new[key] for key in new if key in CHANGEABLE or key not in KEYS}
    for key in BLOCKS:
        if key in new:
            merged[key] = _over(before.get(key), new[key])
    faults = [*_other_targets(before, document), *_other_scheduler(before, document)]
    if not faults and has_own_scheduler(before) and isinstance(merged["scheduler"], dict):
        merged["scheduler"] = merged["scheduler"] | {"job": before["scheduler"]["job"]}
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
        if new.get(key) is not None and not _same(before.get(key), new[key]) and not _is_job(before.get(key), new[key])
    ]


def _other_scheduler(before: Mapping[str, Any], document: Document) -> list[Fault]:
    """Refuse another scheduler, or one where there was none: it would know nothing of the runs that there are."""
    scheduler: Any = document.value.get("scheduler")
    job = cast("dict[str, Any]", scheduler).get("job") if isinstance(scheduler, dict) else None
    given: Any = before.get("scheduler") or {}
    if job is None or _same(given.get("job"), job) or _is_job(given.get("job"), job):
        return []
    if not is_own_scheduler(job) and not is_own_scheduler(given.get("job")):
        return []
    told = f"a resumed sweep keeps its scheduler, {given.get('job') or 'its method'!r}; leave job out"
    return [document.fault(("scheduler", "job"), f"{told}, or start another sweep")]


def _is_job(before: object, new: object) -> bool:
    """Say whether a reference means the job that the sweep has: of the version that it began with, if it names one."""
    if not isinstance(before, str) or not isinstance(new, str) or before.count("/") == 1 or new.count("/") == 1:
        return False
    (name, _, version), (other, _, alias) = own_reference(before).partition(":"), own_reference(new).partition(":")
    return name == other and (alias == version or _VERSION.fullmatch(alias) is None)


def _expanded(key: str, value: object, expand: Callable[[list[str]], list[str]]) -> object:
    if key != "command" or not isinstance(value, list):
        return value
    return expand([str(word) for word in cast("list[object]", value)])


def _same(one: object, other: object) -> bool:
    return canonical(one) == canonical(other)
