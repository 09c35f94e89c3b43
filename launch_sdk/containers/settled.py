"""What a run and its queue say together of a container: where both speak, the queue's owner decides.

Macros bring what a submitter has chosen, the name of a run and its project, into what the owner has written. So what
comes out is checked as if somebody had written it, and in the path of a volume such a name is one name and no path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.specs.container import DEFAULT_USER_ID, ContainerSpec
from launch_sdk.specs.container_arguments import GETS_ROUND, argument_faults
from launch_sdk.specs.queue_containers import QueueContainers, queue_container_faults
from launch_sdk.specs.queue_templates import MACRO, expand_macros

if TYPE_CHECKING:
    from collections.abc import Callable

    from launch_sdk.containers.registry import Registry

_ONE_NAME: Final = re.compile(r"(?!\.{1,2}$)[\w. -]{1,255}", re.ASCII)  # of a folder


@dataclass(frozen=True)
class Surroundings:
    """What a run's queue gives to its container; nothing of it comes from whoever has submitted the run.

    Attributes:
        queue: name of the queue; None for a run that is on none, whose user decides like an owner.
        containers: what the queue says; None of a queue of processes.
        env: the queue's variables, with their values.
        macros: value of each macro, by its name.
        engine: address of the engine; None for this machine's, or DOCKER_HOST.
        registry: who logs in to pull and push; None for what `docker login` has left.
        labels: of the container.
    """

    queue: str | None = None
    containers: QueueContainers | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    macros: Mapping[str, str] = field(default_factory=dict[str, str])
    engine: str | None = None
    registry: Registry | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class SettledContainer:
    """A container as it is to be made.

    Attributes:
        spec: which image, and how to get one: one of `image`, `base_image`, `dockerfile`, or none of them.
        user_id: of its program.
        args: resource arguments.
        env: variables, without those of the run.
        own: what only the queue says: volumes, network, devices and privileges.
    """

    spec: ContainerSpec
    user_id: int
    args: Mapping[str, Any]
    env: Mapping[str, str]
    own: QueueContainers


def settle(
    spec: ContainerSpec,
    around: Surroundings,
    tell: Callable[[list[str]], None],
    environment: Mapping[str, str] | None = None,
) -> SettledContainer:
    """Lay what a queue says over what a run says.

    Args:
        spec: the run's.
        around: the queue's.
        tell: is told what of the run's does not count.
        environment: of the agent, for variables that are asked for by name; None for that of this process.

    Raises:
        InvalidSpecError: the run wants to be root, or is called what cannot stand where its queue puts its name.
        NotFoundError: a variable of the agent is asked for that it has not.
    """
    own = around.containers or QueueContainers()
    decided = {key: _expanded(value, around.macros) for key, value in own.args.items()}
    if faults := argument_faults(decided):
        raise InvalidSpecError(f"What queue {around.queue!r} says with the names of this run put in", faults)
    said = _left_open(spec.args, decided, around, tell)
    args = {**said, **decided}
    words = [*spec.args.get("env", []), *decided.get("env", [])]
    env = _variables(words, around, os.environ if environment is None else environment, tell)
    chosen = spec
    if not (spec.image or spec.base_image or spec.dockerfile):
        chosen = ContainerSpec(own.image, own.base_image, build_context=spec.build_context)
    user_id = _user(spec, own, around, tell)
    return SettledContainer(chosen, user_id, args, {**env, **around.env}, _with_macros(own, around))


def _left_open(
    args: Mapping[str, Any], decided: Mapping[str, Any], around: Surroundings, tell: Callable[[list[str]], None]
) -> dict[str, Any]:
    """Give what a run says that its queue has not decided, by the same argument or by one that bears on it."""
    closed = {key for key in args if key != "env" and not {key, *GETS_ROUND.get(key, ())}.isdisjoint(decided)}
    told = [
        f"{key} is {decided[key]}, not {args[key]}" if key in decided else f"{key} is its owner's too"
        for key in args
        if key in closed and decided.get(key) != args[key]
    ]
    if told:
        tell([f"launch: queue {around.queue!r} decides: {', '.join(told)}"])
    return {key: value for key, value in args.items() if key not in closed}


def _user(spec: ContainerSpec, own: QueueContainers, around: Surroundings, tell: Callable[[list[str]], None]) -> int:
    """Give the number of the program's user, whose rights count where the queue mounts something of the machine."""
    decided = own.user_id or (DEFAULT_USER_ID if own.user_id is None and (own.volumes or own.devices) else None)
    if decided and spec.user_id not in {None, 0, decided}:
        tell([f"launch: queue {around.queue!r} decides: user_id is {decided}, not {spec.user_id}"])
    if spec.user_id == 0 and around.queue is not None and own.user_id != 0:
        told = f"root is for queues whose owner allows it; queue {around.queue!r} does not. Leave it out, or ask for"
        raise InvalidSpecError("The container", [Fault("user_id", f"{told} user_id: 0 in its resource_args")])
    if decided:
        return decided
    if spec.user_id is not None:
        return spec.user_id
    if own.user_id is not None:
        return own.user_id
    return DEFAULT_USER_ID if os.getuid() == 0 else os.getuid()  # who is no root can only give files to himself


def _variables(
    words: list[str], around: Surroundings, environment: Mapping[str, str], tell: Callable[[list[str]], None]
) -> dict[str, str]:
    """Give the variables that were asked for, `NAME=VALUE` or `NAME` for the agent's own."""
    found: dict[str, str] = {}
    refused: list[str] = []
    missing: list[str] = []
    allowed = {*around.env, *(around.containers.allow_env if around.containers else ())}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            found[name] = value
        elif around.queue is not None and name not in allowed:
            refused.append(name)
        elif name in environment:
            found[name] = environment[name]
        else:
            missing.append(name)
    if missing:
        raise NotFoundError(
            f"The container asks for {', '.join(missing)}, and the agent has no such variable. Set it where"
            " launch-agent is started, or write NAME=VALUE."
        )
    if refused:
        named = f"launch: {', '.join(refused)} is not given to the program: queue {around.queue!r} lets none ask its"
        tell([f"{named} agents for that. Its owner allows it: allow_env: [{', '.join(refused)}]"])
    return found


def _expanded(value: Any, macros: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return expand_macros(value, macros)
    if not isinstance(value, list | tuple):
        return value
    return [expand_macros(str(one), macros) for one in cast("list[object]", value)]


def _with_macros(own: QueueContainers, around: Surroundings) -> QueueContainers:
    used = {name for volume in own.volumes for name in MACRO.findall(volume)}
    told = f"stands in a path of queue {around.queue!r}, and must be one name there: letters, digits, - _ . and blanks"
    faults = [
        Fault(name, f"{told}, not {around.macros[name]!r}")
        for name in sorted(used & around.macros.keys())
        if not _ONE_NAME.fullmatch(around.macros[name])
    ]
    volumes = tuple(expand_macros(one, around.macros) for one in own.volumes)
    if faults := faults or queue_container_faults({"volumes": volumes}):
        raise InvalidSpecError("The container", faults)
    return replace(own, volumes=volumes)
