"""SchedulerSpec: the `scheduler` block of a sweep file: how many runs at once, and who chooses them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.container import image_fault
from launch_sdk.specs.container_arguments import argument_faults
from launch_sdk.specs.distributions import is_number
from launch_sdk.specs.sweep_limits import seconds_of
from launch_sdk.specs.wandb_blocks import in_container, is_own_scheduler

if TYPE_CHECKING:
    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document

DEFAULT_WORKERS = 8  # W&B's
DEFAULT_TIMEOUT_S = 600.0
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = ("PREFECT_", "LAUNCH_")


@dataclass(frozen=True)
class SchedulerSpec:
    """Who chooses the runs of a sweep.

    Attributes:
        job: name of the job that does, with its alias if one was given; None if the sweep's method does.
        settings: what that job's class is given.
        timeout_s: how long the class may take for one answer.
        environment: variables of its program; None for a value takes the agent's own.
        container: which container it runs in, as `specs.container.ContainerSpec`; None lets the sweep's queue decide.
    """

    job: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timeout_s: float = DEFAULT_TIMEOUT_S
    environment: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    container: Mapping[str, Any] | None = None


def parse_scheduler(document: Document, scheduler: Mapping[str, Any], faults: list[Fault]) -> SchedulerSpec:
    """Read the block; what is of a wrong type is None or has been told.

    Args:
        document: the file.
        scheduler: the keys of the block.
        faults: each fault is added here, with its path and line.
    """
    engine = scheduler.get("engine")
    if isinstance(engine, str) and engine != "wandb":
        told = (
            f"{engine!r} is an engine of W&B's newer sweep schema; leave engine out: method chooses, or scheduler.job"
        )
        faults.append(document.fault(("scheduler", "engine"), told))
    job = scheduler.get("job")
    if not is_own_scheduler(job):
        return SchedulerSpec()
    reference = own_reference(cast("str", job))
    if not reference.partition(":")[0]:
        faults.append(document.fault(("scheduler", "job"), f"{job!r} names no job; write NAME or NAME:ALIAS"))
    settings: object = scheduler.get("settings")
    return SchedulerSpec(
        job=reference,
        settings=cast("dict[str, Any]", settings) if isinstance(settings, dict) else {},
        timeout_s=_timeout(document, scheduler.get("timeout"), faults),
        environment=_environment(document, scheduler.get("resource_args"), faults),
        container=_container(document, scheduler, faults),
    )


def own_reference(job: str) -> str:
    """Give the job that W&B's `entity/project/name:alias` means: `name:alias`.

    W&B's names may hold spaces. Here a job cannot, and `-` takes their place, as where its name is refused.
    """
    return re.sub(r"\s+", "-", job.rpartition("/")[2].strip())


def parse_workers(document: Document, scheduler: Mapping[str, Any], faults: list[Fault]) -> int:
    """Read how many runs there may be at once, as a number or as its digits."""
    value = scheduler.get("num_workers", DEFAULT_WORKERS)
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or int(text) < 1:
        faults.append(
            document.fault(("scheduler", "num_workers"), f"must be a whole number of at least 1, not {value!r}")
        )
        return 1
    return int(text)


def _timeout(document: Document, given: object, faults: list[Fault]) -> float:
    if given is None:
        return DEFAULT_TIMEOUT_S
    seconds = float(given) if is_number(given) else seconds_of(given) if isinstance(given, str) else 0.0
    if not 0 < seconds < float("inf"):
        told = f"must be a time, as in 90 (seconds), 30m or 2h, not {given!r}"
        faults.append(document.fault(("scheduler", "timeout"), told))
    return seconds


def _container(document: Document, scheduler: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any] | None:
    """Read where its program runs: `docker_image`, `resource` and what `resource_args` has beside `env`."""
    image, given = scheduler.get("docker_image"), scheduler.get("resource_args")
    if not in_container(scheduler):
        return None
    if image and (told := image_fault(image)):
        faults.append(document.fault(("scheduler", "docker_image"), told))
    arguments = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    args = {key: value for key, value in arguments.items() if key != "env"}
    found = argument_faults(args)
    faults += [document.fault(("scheduler", "resource_args", one.path), one.message) for one in found]
    return {**({"image": image} if image else {}), **({"args": args} if args and not found else {})}


def _environment(document: Document, arguments: object, faults: list[Fault]) -> dict[str, str | None]:
    """Read `resource_args.env`: a list of NAME and NAME=VALUE, or a mapping."""
    given = cast("dict[str, Any]", arguments).get("env") if isinstance(arguments, dict) else None
    if isinstance(given, list):
        words = [str(word) for word in cast("list[object]", given)]
        pairs = [(name, value if sign else None) for name, sign, value in (word.partition("=") for word in words)]
    elif isinstance(given, dict):
        pairs = [(str(name), None if value is None else str(value)) for name, value in cast("Any", given).items()]
    else:
        pairs = []
    for name, _ in pairs:
        if fault := _variable_fault(name):
            faults.append(document.fault(("scheduler", "resource_args", "env"), fault))
    return {name: value for name, value in pairs if value is None or "\0" not in value}


def _variable_fault(name: str) -> str | None:
    if not _VARIABLE.fullmatch(name):
        return f"{name[:40]!r} is no name of a variable; write NAME, or NAME=VALUE"
    if name.startswith(_OURS):
        return f"{name}: a scheduler is given nothing of the server's; leave it out"
    return None
