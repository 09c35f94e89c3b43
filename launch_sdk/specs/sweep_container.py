"""Which container the runs of a sweep want: a launch config's keys in `launch`, and `scheduler.resource_args`.

W&B has the latter "passed to runs". They are, unless the block names a scheduler of somebody's own: they are its then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import ContainerSpec, merged_containers
from launch_sdk.specs.document import Document
from launch_sdk.specs.launch_config import LaunchConfig
from launch_sdk.specs.launch_config_file import parse_launch_config
from launch_sdk.specs.wandb_blocks import BUILD_KEYS, CONTAINER_KEYS, has_own_scheduler, is_deployment

_OF_PROGRAM = "command goes with an image that starts its own program; this sweep names a program, leave it out"
_OF_DEPLOYMENT = "goes with a program or a job; a deployment starts as it was made. Leave it out"


@dataclass(frozen=True)
class SweepContainer:
    """What the runs of a sweep ask for of the place where they run.

    Attributes:
        wanted: which container, as `specs.container.ContainerSpec`; None lets its job or its queue decide.
        resources: counts of devices, see `RunSpec`.
        variables: the agent's own that runs ask for if they are containers; a process has them without asking.
    """

    wanted: Mapping[str, Any] | None = None
    resources: Mapping[str, int] = field(default_factory=dict[str, int])
    variables: tuple[str, ...] = ()

    def over(self, own: Mapping[str, Any] | None, *, is_contained: bool) -> Mapping[str, Any] | None:
        """Give the container of one run.

        Args:
            own: that of its job; None if the job names none, or there is no job.
            is_contained: whether the queue makes a container of every run.
        """
        laid = merged_containers(own, self.wanted)
        if not self.variables or (laid is None and not is_contained):
            return laid
        args: Mapping[str, Any] = (laid or {}).get("args") or {}
        return merged_containers(laid or {}, {"args": {"env": [*self.variables, *args.get("env", ())]}})


def parse_container(document: Document, faults: list[Fault]) -> SweepContainer:
    """Read what a sweep file says of the containers of its runs, as a launch config is read.

    Args:
        document: the file; what is of a wrong type in it has been told.
        faults: each fault is added here, with its path and line.
    """
    value = cast("Mapping[str, Any]", document.value)
    launch, scheduler = _mapping(value.get("launch")), _mapping(value.get("scheduler"))
    said = {key: launch[key] for key, kind in CONTAINER_KEYS.items() if isinstance(launch.get(key), kind)}
    overrides = _mapping(launch.get("overrides"))
    if built := {key: overrides[key] for key, kind in BUILD_KEYS.items() if isinstance(overrides.get(key), kind)}:
        said["overrides"] = built
    if is_deployment(value.get("job")):
        faults += [document.fault(("launch", key), _OF_DEPLOYMENT) for key in said if said[key]]
        return SweepContainer()
    passed_on = {} if has_own_scheduler(value) else {"resource_args": _mapping(scheduler.get("resource_args"))}
    upper = _read(document, "launch", said, faults)
    lower = _read(document, "scheduler", passed_on, faults)
    if upper is None or lower is None:
        return SweepContainer()
    for block, one in (("launch", upper), ("scheduler", lower)):
        if value.get("program") and "command" in _arguments(one):
            faults.append(document.fault((block, "resource_args"), _OF_PROGRAM))
    return _settled(document, upper, lower, faults)


def _read(document: Document, block: str, said: Mapping[str, Any], faults: list[Fault]) -> LaunchConfig | None:
    lines = {path[1:]: line for path, line in document.lines.items() if path[:1] == (block,)}
    try:
        return parse_launch_config(Document(said, document.name, lines, document.directory))
    except InvalidSpecError as error:
        faults += [Fault(f"{block}.{one.path}", one.message, one.line) for one in error.faults]
        return None


def _settled(document: Document, upper: LaunchConfig, lower: LaunchConfig, faults: list[Fault]) -> SweepContainer:
    """Lay `launch` over `scheduler.resource_args`, of which the agent's own variables alone ask for no container."""
    args = _arguments(lower)
    words = args.pop("env", [])
    if given := [word for word in words if "=" in word]:
        args["env"] = given
    below = LaunchConfig(container={"args": args} if args else None, resources=lower.resources)
    laid = upper.over(below)
    try:
        wanted = laid.wanted_container()
    except InvalidSpecError as error:
        faults += [document.fault(("launch", one.path), one.message) for one in error.faults]
        return SweepContainer()
    plain = None if wanted is None else ContainerSpec.from_dict(wanted).to_dict()
    return SweepContainer(plain, laid.resources, tuple(word for word in words if "=" not in word))


def _arguments(config: LaunchConfig) -> dict[str, Any]:
    return dict(ContainerSpec.from_dict(config.container or {}).args)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}
