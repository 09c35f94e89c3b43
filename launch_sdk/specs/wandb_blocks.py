"""W&B Launch's keys in the `scheduler`, `launch` and `controller` blocks of a sweep file, and what they mean here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.real_distributions import LogUniform

if TYPE_CHECKING:
    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.space import Space

Types = type | tuple[type, ...]
SCHEDULER_KEYS: Mapping[str, Types] = {
    "num_workers": (int, str),
    "job": str,
    "docker_image": str,
    "resource": str,
    "resource_args": dict,
    "template_variables": dict,
}
LAUNCH_KEYS: Mapping[str, Types] = {
    "queue": str,
    "overrides": dict,
    "registry": str,
    "priority": (int, str),
    "resource": str,
    "resource_args": dict,
    "template_variables": dict,
}
OVERRIDE_KEYS: Mapping[str, Types] = {"run_config": dict, "args": list}
CONTROLLER_KEYS: Mapping[str, Types] = {"type": str}
CONTROLLERS = ("cloud", "local")
PROCESSES = ("local-process", "process")
_MEANINGFUL = {"scheduler": ("num_workers", "job"), "launch": ("queue", "overrides")}
_INSTEAD = {
    "scheduler": "a sweep is driven by a process of the agent that takes it",
    "launch": "where a run is started is up to its queue and the agents of that",
}
_OWN_SCHEDULER = re.compile(r"(.*/)?Wandb Sweep Scheduler(:.*)?")  # W&B's public job, which does what ours does


def scheduler_faults(document: Document, scheduler: Mapping[str, Any]) -> list[Fault]:
    """Refuse a scheduler that is somebody's own job."""
    job = scheduler.get("job")
    if not isinstance(job, str) or _OWN_SCHEDULER.fullmatch(job):
        return []
    told = f"{job!r} is a scheduler of somebody's own, which is not supported; leave it out, and method decides"
    return [document.fault(("scheduler", "job"), told)]


def controller_faults(document: Document, controller: Mapping[str, Any]) -> list[Fault]:
    """A controller is one of W&B's two; here there is one, which is both."""
    kind = controller.get("type", CONTROLLERS[0])
    if kind in CONTROLLERS or not isinstance(kind, str):
        return []
    return [document.fault(("controller", "type"), f"must be {' or '.join(CONTROLLERS)}, not {kind!r}")]


def notes_of(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which keys of a sweep file are W&B's and change nothing here."""
    notes: list[str] = []
    for block, instead in _INSTEAD.items():
        fields = value.get(block)
        given: Mapping[str, Any] = cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}
        idle = [key for key in given if key not in _MEANINGFUL[block] and given[key] not in PROCESSES]
        if idle:
            keys = ", ".join(f"{block}.{key}" for key in idle)
            notes.append(f"{keys} {'change' if len(idle) > 1 else 'changes'} nothing here: {instead}.")
    if value.get("command") and str(value.get("job") or "").count("/") == 1:
        notes.append(
            "command changes nothing here: a deployment starts as it was made; it gets its parameters by name."
        )
    return tuple(notes)


def exponent_notes(space: Space) -> tuple[str, ...]:
    """Say which parameters have W&B's deprecated distributions, and what their limits come to."""
    return tuple(
        f"{'.'.join(path)}: min and max of {one.name} are exponents of e, so that values go from {one.min:.6g} to"
        f" {one.max:.6g}; to give these limits themselves write {one.name}_values."
        for path, one in space
        if isinstance(one, LogUniform) and one.by_exponent
    )
