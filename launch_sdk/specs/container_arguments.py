"""Resource arguments: what a submitter may say of a container, by the names that `docker run` has for it.

The list is W&B's. Everything else that `docker run` takes (volumes, networks, devices, privileges) is for the owner of
a queue alone, see `specs.queue_containers`.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = {"m": "memory", "e": "env", "w": "workdir", "cpu": "cpus"}
LISTS = ("env", "ulimit")
RESERVED = ("PREFECT_", "LAUNCH_")
GETS_ROUND: Mapping[str, frozenset[str]] = {  # which limits of others an argument would undo, or clash with
    "memory-swap": frozenset({"memory"}),
    "memory-reservation": frozenset({"memory"}),
    "cpu-quota": frozenset({"cpus"}),
    "cpu-period": frozenset({"cpus", "cpu-quota"}),
    "cpus": frozenset({"cpu-quota", "cpu-period"}),
}
LEAST_MEMORY = 6 << 20  # the engine's
MAX_TEXT = 32_768
_SIZE = re.compile(r"([0-9]{1,18})(?:\.[0-9]{1,6})?([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_CPUS = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*")
_GPUS = re.compile(r"all|[0-9]{1,3}|device=[A-Za-z0-9_-]+(?:,[A-Za-z0-9_-]+)*")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?")
_ULIMIT = re.compile(r"[a-z]{2,12}=-?[0-9]{1,18}(?::-?[0-9]{1,18})?")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(=[^\0]*)?", re.DOTALL)
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def normal_name(key: object) -> str:
    """Give the name of an argument as it is kept: `--shm_size` is `shm-size`, `-m` is `memory`."""
    name = str(key).lstrip("-").replace("_", "-").lower()
    return SHORT.get(name, name)


def normal_arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    """Give arguments that have no faults by their kept names; `env` and `ulimit` as lists."""
    found: dict[str, Any] = {}
    for key, value in args.items():
        name = normal_name(key)
        found[name] = [*found.get(name, []), *_listed(value)] if name in LISTS else value
    return found


def argument_faults(args: object) -> list[Fault]:
    """List what is wrong with resource arguments by name; the paths lead from their top."""
    if args is None:
        return []
    if not isinstance(args, Mapping):
        return [Fault("", f"must be a mapping, as in {{memory: 2g}}, not {type(args).__name__}")]
    faults: list[Fault] = []
    seen: set[str] = set()
    for key, value in cast("Mapping[object, object]", args).items():
        name = normal_name(key)
        if name not in ARGUMENTS:
            told = f"is nothing that a submitter may set; there are {', '.join(sorted(ARGUMENTS))}"
            told += ". Volumes, networks, devices and privileges are for the queue's owner" if name in OF_QUEUE else ""
            faults.append(Fault(str(key), told))
        elif name in seen and name not in LISTS:
            faults.append(Fault(str(key), f"says the same as another key: {name}; say it once"))
        else:
            faults += [Fault(str(key), told) for told in _value_faults(name, value)]
        seen.add(name)
    if "cpus" in seen and (other := seen & {"cpu-quota", "cpu-period"}):
        faults.append(Fault("cpus", f"says the same as {min(other)}; say one of them"))
    return faults


def parse_pairs(words: Sequence[str], option: str) -> tuple[dict[str, Any], list[Fault]]:
    """Read `key=value` words of a command line; those that may be repeated become lists."""
    found: dict[str, Any] = {}
    faults: list[Fault] = []
    for word in words:
        key, equals, value = word.partition("=")
        name = normal_name(key)
        if not equals or not name:
            faults.append(Fault(option, f"must be key=value, as in memory=2g, not {word!r}"))
        elif name in LISTS:
            found.setdefault(name, []).append(value)
        elif name in found:
            faults.append(Fault(option, f"{name} is given twice"))
        else:
            found[name] = value
    return found, faults


def size_in_bytes(value: str | int) -> int:
    """Give the bytes of a size without faults: 512m, 2g, 1073741824."""
    text = str(value).strip().lower()
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(value)
    number = float(text[: match.end(1)] + text[match.end(1) : match.start(2)])
    return int(number * _UNITS[match[2].lower()])


def words_of(command: str) -> list[str]:
    """Split a command without faults as on a command line; no shell ever sees it."""
    return shlex.split(command)


def variable_fault(word: object) -> str | None:
    """Say what is wrong with one `NAME` or `NAME=VALUE`; None if nothing is."""
    match = _VARIABLE.fullmatch(word) if isinstance(word, str) else None
    if match is None:
        return f"{str(word)[:40]!r} is no variable; write NAME for the agent's own, or NAME=VALUE"
    if match[1].upper().startswith(RESERVED):
        return f"{match[1]}: names that begin with {' or '.join(RESERVED)} are the product's own"
    return None


def _listed(value: object) -> list[Any]:
    return list(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else [value]


def _value_faults(name: str, value: object) -> list[str]:
    if name in LISTS:
        return [told for one in _listed(value) if (told := ARGUMENTS[name](one))]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return [f"must be text or a number, not {str(value)[:60]!r}"]
    if "\0" in str(value) or len(str(value)) > MAX_TEXT:
        return ["holds a NUL character, or more text than any command line"]
    told = ARGUMENTS[name](value)
    return [told] if told else []


def _count(low: int, high: int, also: int | None = None) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        text = str(value).strip()
        is_count = re.fullmatch(r"-?[0-9]{1,18}", text) is not None
        if is_count and (low <= int(text) <= high or int(text) == also):
            return None
        return f"must be a whole number from {low} to {high}, not {value!r}"

    return check


def _size(value: Any) -> str | None:
    text = str(value).strip()
    if _SIZE.fullmatch(text) and size_in_bytes(text) > 0:
        return None
    return f"must be a size in bytes or with b, k, m, g, as in 512m, not {value!r}"


def _memory(value: Any) -> str | None:
    fault = _size(value)
    return fault or (None if size_in_bytes(value) >= LEAST_MEMORY else f"must be 6m at the least, not {value!r}")


def _swap(value: Any) -> str | None:
    return None if str(value).strip() == "-1" else _size(value)


def _cpus(value: Any) -> str | None:
    try:
        is_amount = math.isfinite(float(value)) and float(value) > 0
    except ValueError:
        is_amount = False
    return None if is_amount else f"must be a number of cores above 0, as in 1.5, not {value!r}"


def _like(pattern: re.Pattern[str], example: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if pattern.fullmatch(str(value)) else f"must be as in {example}, not {str(value)[:60]!r}"

    return check


def _workdir(value: Any) -> str | None:
    parts = str(value).split("/")
    return None if parts[0] == "" and ".." not in parts else f"must be an absolute path in the image, not {value!r}"


def _command(value: Any) -> str | None:
    try:
        return None if shlex.split(str(value)) else "is empty; write a command, as in 'train --epochs 3'"
    except ValueError as error:
        return f"{value!r}: {error}"


ARGUMENTS: Mapping[str, Callable[[Any], str | None]] = {
    "command": _command,
    "cpu-period": _count(1000, 1_000_000),
    "cpu-quota": _count(1000, 10**12, also=-1),
    "cpu-shares": _count(2, 262_144),
    "cpus": _cpus,
    "cpuset-cpus": _like(_CPUS, "0-3,7"),
    "cpuset-mems": _like(_CPUS, "0-1"),
    "env": variable_fault,
    "gpus": _like(_GPUS, "all, 2 or device=0,1"),
    "memory": _memory,
    "memory-reservation": _size,
    "memory-swap": _swap,
    "name": _like(_NAME, "trainer-1"),
    "pids-limit": _count(1, 4_194_304),
    "platform": _like(_PLATFORM, "linux/arm64"),
    "shm-size": _size,
    "ulimit": _like(_ULIMIT, "nofile=1024:4096"),
    "workdir": _workdir,
}
OF_QUEUE = (
    *("volume", "volumes", "v", "mount", "network", "net", "privileged", "device", "devices", "cap-add", "user"),
    *("security-opt", "pid", "ipc", "rm", "entrypoint"),
)
