"""W&B Launch's keys in the `scheduler`, `launch` and `controller` blocks of a sweep file, and what they mean here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.container import CONTAINER_NAMES, PROCESS_NAMES
from launch_sdk.specs.placement import Placement, Priority, parse_priority
from launch_sdk.specs.real_distributions import LogUniform

if TYPE_CHECKING:
    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.space import Space

Types = type | tuple[type, ...]
SCHEDULER_KEYS: Mapping[str, Types] = {
    "num_workers": (int, str),
    "job": str,
    "settings": dict,
    "timeout": (int, float, str),
    "engine": str,
    "docker_image": str,
    "resource": str,
    "resource_args": dict,
    "template_variables": dict,
}
ENGINE_KEYS = frozenset({"source", "optimizer", "search_space"})  # of the other block that W&B calls scheduler
ENGINE = (
    "belongs to the scheduler block of W&B's newer sweep schema (engine, optimizer), not of Launch's; leave it out:"
    " method and parameters say it, or scheduler.job names a scheduler of your own"
)
CONTAINER_KEYS: Mapping[str, Types] = {  # a launch config's own
    "resource": str,
    "resource_args": dict,
    "docker": dict,
    "image_uri": str,
    "base_image": str,
}
DOCKER_KEYS: Mapping[str, Types] = {"docker_image": str, "user_id": int}
LAUNCH_KEYS: Mapping[str, Types] = {
    "queue": str,
    "overrides": dict,
    "registry": str,
    "priority": (int, str),
    "template_variables": dict,
    **CONTAINER_KEYS,
}
BUILD_KEYS: Mapping[str, Types] = {"dockerfile": str, "build_context": str}  # of the images of runs
OVERRIDE_KEYS: Mapping[str, Types] = {"run_config": dict, "args": list, **BUILD_KEYS}
CONTROLLER_KEYS: Mapping[str, Types] = {"type": str}
CONTROLLERS = ("cloud", "local")
_MEANINGFUL = {
    "scheduler": ("num_workers", "job"),
    "launch": ("queue", "overrides", "priority", "template_variables", *CONTAINER_KEYS),
}
_OF_OWN_SCHEDULER = ("settings", "timeout")
_OF_CONTAINER = ("docker_image", "resource", "resource_args")
_INSTEAD = {
    "scheduler": "a sweep is driven by a process of the agent that takes it",
    "launch": "where a run is started is up to its queue and the agents of that",
}
_OWN_SCHEDULER = re.compile(r"(.*/)?Wandb Sweep Scheduler(:.*)?")  # W&B's public job, which does what ours does


def placement_of(document: Document, launch: Mapping[str, Any], faults: list[Fault]) -> Placement:
    """Read how the runs of a sweep stand on their queue: `launch.priority` and `launch.template_variables`."""
    priority, variables = launch.get("priority"), launch.get("template_variables")
    try:
        urgency = Priority.MEDIUM if priority is None else parse_priority(priority)
    except InvalidSpecError as error:
        faults += [document.fault(("launch", "priority"), fault.message) for fault in error.faults]
        urgency = Priority.MEDIUM
    return Placement(urgency, cast("dict[str, Any]", variables) if isinstance(variables, dict) else {})


def is_own_scheduler(job: object) -> bool:
    """Say whether `scheduler.job` names a scheduler of somebody's own, and not W&B's public one, which is ours."""
    return isinstance(job, str) and bool(job.strip()) and not _OWN_SCHEDULER.fullmatch(job)


def has_own_scheduler(value: Mapping[str, Any]) -> bool:
    """Say whether a sweep file has a scheduler of somebody's own choose its runs."""
    scheduler = value.get("scheduler")
    return isinstance(scheduler, Mapping) and is_own_scheduler(cast("Mapping[str, Any]", scheduler).get("job"))


def is_deployment(job: object) -> bool:
    """Say whether a sweep's `job` is somebody's `flow/deployment`, which starts as it was made."""
    return isinstance(job, str) and job.count("/") == 1


def controller_faults(document: Document, controller: Mapping[str, Any]) -> list[Fault]:
    """A controller is one of W&B's two; here there is one, which is both."""
    kind = controller.get("type", CONTROLLERS[0])
    if kind in CONTROLLERS or not isinstance(kind, str):
        return []
    return [document.fault(("controller", "type"), f"must be {' or '.join(CONTROLLERS)}, not {kind!r}")]


def notes_of(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which keys of a sweep file are W&B's and change nothing here."""
    notes: list[str] = []
    is_own = has_own_scheduler(value)
    for block, instead in _INSTEAD.items():
        fields = value.get(block)
        given: Mapping[str, Any] = cast("dict[str, Any]", fields) if isinstance(fields, dict) else {}
        idle = [key for key in given if _is_idle(block, key, given, is_own=is_own, job=value.get("job"))]
        if idle:
            keys = ", ".join(f"{block}.{key}" for key in idle)
            notes.append(f"{keys} {'change' if len(idle) > 1 else 'changes'} nothing here: {instead}.")
    if is_own and value.get("method") not in {None, "custom"}:
        notes.append(f"scheduler.job chooses the runs; method {value['method']} is what its suggest() gives.")
    if value.get("command") and is_deployment(value.get("job")):
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


def in_container(scheduler: Mapping[str, Any]) -> bool:
    """Say whether a scheduler block names a container: an image, for no other kind of resource, or the kind itself."""
    resource = scheduler.get("resource")
    return resource in CONTAINER_NAMES or (not resource and bool(scheduler.get("docker_image")))


def _is_idle(block: str, key: str, fields: Mapping[str, Any], *, is_own: bool, job: object) -> bool:
    given: object = fields[key]
    if key in _MEANINGFUL[block] or given in PROCESS_NAMES:
        return False
    if block == "scheduler" and is_own:
        of_process = isinstance(given, Mapping) and set(cast("Mapping[str, Any]", given)) <= {"env"}
        known = _OF_CONTAINER if in_container(fields) else ()
        return key not in (*_OF_OWN_SCHEDULER, *known) and not (key == "resource_args" and of_process)
    return block != "scheduler" or key != "resource_args" or is_deployment(job)
