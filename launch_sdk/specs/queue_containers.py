"""What the owner of a queue says of the containers of its runs: `resource: container`, and its `resource_args`.

```yaml
resource: container
resource_args:
  image: python:3.12                    # for runs that name none
  memory: "{{memory}}"                  # whatever a submitter may say too, see `specs.container_arguments`
  env: {SCRATCH: /scratch/${run_id}}
  volumes: [/data:/data:ro]             # from here on only here, never by a submitter
  network: none
  devices: [/dev/fuse]
  engine: gpu-machine                   # a block of type docker-host
  builder: {base_image: python:3.12-slim}   # what images of code are built on
  push: registry.example.com/team/jobs  # where they are kept, too
```
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import DEFAULT_USER_ID, image_fault, user_id_fault
from launch_sdk.specs.container_arguments import (
    ARGUMENTS,
    argument_faults,
    normal_arguments,
    normal_name,
    variable_fault,
)
from launch_sdk.tracking.values import is_object

PULLS = ("if-not-present", "always", "never")
TEXTS = ("image", "base_image", "engine", "registry", "push", "network", "pull")
OWN_LISTS = ("volumes", "devices", "cap_add", "allow_env")
OWN_KEYS = (*TEXTS, *OWN_LISTS, "user_id", "privileged", "builder")
_BLOCK = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_CAPABILITY = re.compile(r"(?:CAP_)?[A-Z_]{2,40}|ALL")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9_./-]+(?::/dev/[A-Za-z0-9_./-]+)?(?::[rwm]{1,3})?")
_MODES = ("ro", "rw")
_SINGULAR = {"volume": "volumes", "device": "devices", "cap-add": "cap_add", "v": "volumes"}


@dataclass(frozen=True)
class QueueContainers:
    """What a queue says of the containers of its runs, with nothing left open.

    Attributes:
        image: what to run for runs that name none and have no code that an image could be built of.
        base_image: mount the source into it, for runs that name no image, in place of building one.
        user_id: of programs, if their runs say nothing; root (0) only if it stands here.
        args: resource arguments, over which those of a run are laid.
        volumes: what is mounted beside a run's own, each as `docker run -v` has it: a path of the machine.
        devices: of the machine, each as `docker run --device` has it.
        cap_add: capabilities beside the engine's usual.
        network: of the engine; None for its bridge.
        privileged: whether programs may do to the machine what they like.
        allow_env: variables of the agent's environment that a submitter may ask for by name.
        engine: name of the `docker-host` block with the engine's address; None for what DOCKER_HOST says.
        registry: name of the `docker-registry-credentials` block; None for what `docker login` has left.
        push: where images that are built are pushed to, as in `registry.example.com/team/launch`; None for nowhere.
        pull: when an image is pulled.
        build_base: what images of code are built on; None for the official image of the Python that the code asks for.
        is_accelerator: that holds drivers for accelerators and no Python; the build brings one along.
    """

    image: str | None = None
    base_image: str | None = None
    user_id: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    volumes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    network: str | None = None
    privileged: bool = False
    allow_env: tuple[str, ...] = ()
    engine: str | None = None
    registry: str | None = None
    push: str | None = None
    pull: str = "if-not-present"
    build_base: str | None = None
    is_accelerator: bool = False

    @property
    def default_user_id(self) -> int:
        return DEFAULT_USER_ID if self.user_id is None else self.user_id

    @classmethod
    def from_arguments(cls, given: Mapping[str, Any]) -> QueueContainers:
        """Read the `resource_args` of a queue's file, without its `env`, with its templates filled.

        Raises:
            InvalidSpecError: with every fault at once.
        """
        if faults := queue_container_faults(given):
            raise InvalidSpecError("The queue's resource_args", faults)
        own = {own_key(key): value for key, value in given.items()}
        said: dict[str, Any] = {key: value for key, value in own.items() if key in OWN_KEYS and value is not None}
        said |= {key: _words(said[key]) for key in OWN_LISTS if key in said}
        said |= _build_base(said.pop("builder", None) or {})
        args = {key: value for key, value in own.items() if key not in OWN_KEYS and value is not None}
        return cls(**said, args=normal_arguments(args))


def own_key(key: object) -> str:
    """Give the key that only a queue has by its name here: `--cap-add` is `cap_add`; any other as it is."""
    name = str(key).lstrip("-").replace("_", "-").lower()
    name = _SINGULAR.get(name, name.replace("-", "_"))
    return name if name in OWN_KEYS else str(key)


def queue_container_faults(given: Mapping[str, Any]) -> list[Fault]:
    """List what is wrong with the `resource_args` of a queue of containers; the paths lead from their top."""
    faults: list[Fault] = []
    others: dict[str, Any] = {}
    for key, value in given.items():
        name = own_key(key)
        if name in OWN_KEYS:
            faults += [Fault(str(key), told) for told in _own_faults(name, value)]
        elif normal_name(key) in ARGUMENTS:
            others[str(key)] = value
        else:
            known = ", ".join((*sorted(ARGUMENTS), *OWN_KEYS))
            faults.append(Fault(str(key), f"has no meaning here; what has is {known}"))
    if given.get("image") and given.get("base_image"):
        faults.append(Fault("base_image", "there is image too; say one of them"))
    return faults + argument_faults({key: value for key, value in others.items() if value is not None})


def _own_faults(name: str, value: object) -> list[str]:
    if value is None:
        return []
    if name in OWN_LISTS:
        if not isinstance(value, str | list | tuple):
            return [f"must be a list of texts, not {value!r}"]
        return [told for one in _words(cast("object", value)) if (told := _CHECKS[name](one))]
    if name in {"builder", "privileged"}:
        wrong = [] if isinstance(value, bool) else [f"must be true or false, not {value!r}"]
        return wrong if name == "privileged" else _builder_faults(value)
    if name != "user_id" and not isinstance(value, str):
        return [f"must be text, not {value!r}"]
    told = _CHECKS[name](value)
    return [told] if told else []


def _build_base(builder: Mapping[str, Any]) -> dict[str, Any]:
    if accelerator := builder.get("accelerator"):
        return {"build_base": accelerator["base_image"], "is_accelerator": True}
    return {"build_base": builder.get("base_image")}


def _builder_faults(value: object) -> list[str]:
    example = (
        "as in {base_image: python:3.12-slim} or {accelerator: {base_image: nvidia/cuda:12.6.0-runtime-ubuntu24.04}}"
    )
    if not isinstance(value, Mapping):
        return [f"must be a mapping, {example}, not {value!r}"]
    builder = cast("Mapping[str, Any]", value)
    told = [f"{key!r} is unknown; write it {example}" for key in builder if key not in {"base_image", "accelerator"}]
    accelerator: Any = builder.get("accelerator")
    if accelerator is not None and (not is_object(accelerator) or set(accelerator) != {"base_image"}):
        return [*told, f"accelerator must name its base_image and nothing else, {example}"]
    if builder.get("base_image") is not None and accelerator is not None:
        told.append("base_image: there is accelerator too; say one of them")
    images: list[Any] = [builder.get("base_image"), accelerator["base_image"] if accelerator else None]
    return told + [fault for image in images if image is not None and (fault := image_fault(image))]


def _words(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(one) for one in cast("list[object]", value))


def volume_parts(volume: str) -> tuple[str, str, str]:
    """Split a volume without faults into the machine's path, the container's, and `ro` or `rw`."""
    source, target, *mode = volume.split(":")
    return source, target, "rw" if mode in ([], ["rw"]) else "ro"


def _volume(volume: str) -> str | None:
    parts = volume.split(":")
    is_whole = len(parts) in {2, 3} and all(part.startswith("/") for part in parts[:2])
    if is_whole and (len(parts) == 2 or parts[2] in _MODES) and "\0" not in volume and ".." not in volume.split("/"):  # noqa: PLR2004  # source, target
        return None
    return f"{volume!r} is no volume: write /ON/THE/MACHINE:/IN/THE/CONTAINER, with :ro behind it to forbid writing"


def _like(pattern: re.Pattern[str], what: str) -> Callable[[Any], str | None]:
    return lambda value: None if pattern.fullmatch(str(value)) else f"{value!r} is no {what}"


def _repository(value: Any) -> str | None:
    return f"{value!r} is no repository, as in registry.example.com/team/launch" if image_fault(value) else None


def _pull(value: Any) -> str | None:
    return None if value in PULLS else f"must be {', '.join(PULLS)}, not {value!r}"


def _name_of_variable(value: str) -> str | None:
    return f"{value!r}: name variables alone, without values" if "=" in value else variable_fault(value)


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "image": image_fault,
    "base_image": image_fault,
    "push": _repository,
    "engine": _like(_BLOCK, "name of a block: small letters, digits and -"),
    "registry": _like(_BLOCK, "name of a block: small letters, digits and -"),
    "network": _like(_NETWORK, "name of a network: bridge, none, host or one that the engine has"),
    "pull": _pull,
    "user_id": user_id_fault,
    "volumes": _volume,
    "devices": _like(_DEVICE, "device, as in /dev/fuse or /dev/nvidia0:/dev/nvidia0:rw"),
    "cap_add": _like(_CAPABILITY, "capability, as in SYS_PTRACE"),
    "allow_env": _name_of_variable,
}
