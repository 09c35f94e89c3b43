"""ContainerSpec: what a run says of the container that it wants. What its queue says is `specs.queue_containers`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container_arguments import argument_faults, normal_arguments

# What people call the two kinds of a run; the first word of each is ours.
PROCESS_NAMES = ("process", "local-process", "local")
CONTAINER_NAMES = ("container", "docker", "local-container")
RESOURCE_NAMES = (*PROCESS_NAMES, *CONTAINER_NAMES)
KEYS = ("image", "base_image", "dockerfile", "build_context", "user_id", "args")
HOW_TO_GET_ONE = frozenset({"image", "base_image", "dockerfile", "build_context"})
IMAGE_SOURCE = "image:"  # of a run that has no code but its image's: `image:NAME[:TAG|@sha256:DIGEST]`
DEFAULT_USER_ID = 1000  # W&B's
MAX_USER_ID = 2**31 - 1
MAX_IMAGE_NAME = 512
MAX_JOB_NAME = 128
_SHOWN = 80
_IMAGE = re.compile(
    r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?"  # a registry's host and port, or the first part
    r"(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


_BARE_DIGEST = re.compile(r"sha256:[0-9a-f]+|[0-9a-f]{64}")


@dataclass(frozen=True)
class ContainerSpec:
    """Which container a run wants.

    Attributes:
        image: what to run; it has the packages that the program needs. The run's source, if it has one, is mounted.
        base_image: likewise, in place of an image that would be built of the source.
        dockerfile: what to build an image with: the path of a file in the source, below `build_context`.
        build_context: folder of the source that the Dockerfile may copy from; None for the one that programs start in.
        user_id: of the program's process; None for the queue's, or 1000.
        args: resource arguments by their names as `docker run` has them, see `specs.container_arguments`.
    """

    image: str | None = None
    base_image: str | None = None
    dockerfile: str | None = None
    build_context: str | None = None
    user_id: int | None = None
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form without what is not said; `from_dict` reads it."""
        said = {key: getattr(self, key) for key in KEYS if getattr(self, key) is not None}
        return {key: value for key, value in said.items() if key != "args" or self.args}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ContainerSpec:
        """Read the plain form; the names of arguments come out as `docker run` has them.

        Raises:
            InvalidSpecError: with every fault at once.
        """
        if faults := container_faults(values):
            raise InvalidSpecError("The container", faults)
        said: dict[str, Any] = {key: values[key] for key in KEYS if key != "args" and values.get(key) is not None}
        return cls(**said, args=normal_arguments(values.get("args") or {}))


def container_faults(value: object) -> list[Fault]:
    """List what is wrong with the plain form of a `ContainerSpec`; the paths lead from its top."""
    if not isinstance(value, Mapping):
        return [Fault("", f"must be a mapping, as in {{image: python:3.12}}, not {type(value).__name__}")]
    values = cast("Mapping[str, Any]", value)
    faults = [Fault(str(key), f"unknown; known are {', '.join(KEYS)}") for key in values if key not in KEYS]
    checks: dict[str, Callable[[Any], str | None]] = {
        "image": image_fault,
        "base_image": image_fault,
        "dockerfile": dockerfile_fault,
        "build_context": build_context_fault,
        "user_id": user_id_fault,
    }
    given = {key: values[key] for key in checks if values.get(key) is not None}
    faults += [Fault(key, told) for key, one in given.items() if (told := checks[key](one))]
    if len(said := [key for key in ("image", "base_image", "dockerfile") if key in given]) > 1:
        faults.append(Fault(said[1], f"there is {said[0]} too; say one of them"))
    if "build_context" in given and (other := next((key for key in ("image", "base_image") if key in given), None)):
        faults.append(Fault("build_context", f"there is {other} too, so nothing is built; leave out one of them"))
    return faults + [Fault(f"args.{one.path}".rstrip("."), one.message) for one in argument_faults(values.get("args"))]


def image_fault(name: object) -> str | None:
    """Say why something is no name of an image; None if it is one."""
    if isinstance(name, str) and len(name) <= MAX_IMAGE_NAME and _IMAGE.fullmatch(name) and not _has_capitals(name):
        return None
    return f"{_short(name)} is no name of an image; write NAME, NAME:TAG or NAME@sha256:DIGEST, as in python:3.12"


def _has_capitals(name: str) -> bool:
    """Say whether the first part of a name has capitals, which only that of a registry's host may have."""
    host, slash, rest = name.partition("/")
    is_host = bool(slash) and ("." in host or ":" in host)
    first = rest if is_host else host
    return any(letter.isupper() for letter in first.partition("@")[0].partition(":")[0])


def dockerfile_fault(path: object) -> str | None:
    """Say why something is no path of a Dockerfile in a source; None if it is one."""
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        return f"{_short(path)} is no path; name a file of the source, as in docker/Dockerfile"
    if not path.isprintable():
        return f"{_short(path)} holds a control character; name a file of the source, as in docker/Dockerfile"
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or path.startswith(("-", "~")) or "\\" in path:
        return f"{_short(path)} leads out of the source; name a file in it, as in docker/Dockerfile"
    return None


def build_context_fault(path: object) -> str | None:
    """Say why something is no folder to build in; None if it is one."""
    if path == "." or dockerfile_fault(path) is None:
        return None
    return f"{_short(path)} is no folder of the source; name one in it, as in docker"


def user_id_fault(user_id: object) -> str | None:
    """Say why something is no number of a user; None if it is one."""
    if isinstance(user_id, int) and not isinstance(user_id, bool) and 0 <= user_id <= MAX_USER_ID:
        return None
    return f"must be the number of a user, as in {DEFAULT_USER_ID}, not {_short(user_id)}"


def image_of_source(source: str) -> str | None:
    """Give the image that is all the code of a run, as in `image:NAME:TAG`; None of any other source."""
    return source.removeprefix(IMAGE_SOURCE) if source.startswith(IMAGE_SOURCE) else None


def tag_of(image: str) -> str | None:
    """Give the tag in the name of an image; None if it has none, or a digest says what it is."""
    if "@" in image:
        return None
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag or None


def bare_digest_fault(image: str) -> str | None:
    """Say why an image gives its job no name; None if it does."""
    if not _BARE_DIGEST.fullmatch(image):
        return None
    told = "is a digest without a name, after which no job can be called"
    return f"{image} {told}; name the job with -n, or the image as NAME@sha256:DIGEST"


def image_job_name(image: str) -> str:
    """Name a job after its image as W&B does: `job-` and the name without its tag; a long one is cut in its middle."""
    last = image.partition("@")[0].rpartition("/")[2]
    repository = image.partition("@")[0].removesuffix(f":{last.partition(':')[2]}")
    name = f"job-{re.sub(r'[^A-Za-z0-9._-]+', '-', repository).strip('-._')}"
    half = (MAX_JOB_NAME - 2) // 2
    return name if len(name) <= MAX_JOB_NAME else f"{name[:half]}..{name[-half:]}"


def merged_containers(lower: Mapping[str, Any] | None, upper: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Lay one plain form over another: an image said above replaces what is said below of where to get one."""
    if lower is None or upper is None:
        return dict(upper or {}) if upper is not None else dict(lower) if lower is not None else None
    kept = dict(lower)
    if any(upper.get(key) for key in ("image", "base_image", "dockerfile")):
        kept = {key: value for key, value in kept.items() if key not in HOW_TO_GET_ONE}
    args = {**normal_arguments(lower.get("args") or {}), **normal_arguments(upper.get("args") or {})}
    return {**kept, **upper, **({"args": args} if args else {})}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
