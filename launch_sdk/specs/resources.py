"""What a run asks for of its agent's machine, and what an agent has to give: counts of GPUs and CPU cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from launch_sdk.errors import Fault, InvalidSpecError

KINDS = ("gpu", "cpu")
MAX_COUNT = 4096
EXAMPLE = "gpu=2,cpu=8"


def resource_faults(value: object) -> list[Fault]:
    """List what is wrong with counts by kind, as `{gpu: 1, cpu: 4}`; the paths lead from their top."""
    if not isinstance(value, Mapping):
        return [Fault("", f"must be a mapping, as in {{gpu: 1}}, not {type(value).__name__}")]
    faults: list[Fault] = []
    for kind, count in cast("Mapping[object, object]", value).items():
        if kind not in KINDS:
            faults.append(Fault(str(kind), f"unknown; known are {', '.join(KINDS)}"))
        elif not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MAX_COUNT:
            faults.append(Fault(str(kind), f"must be a whole number from 0 to {MAX_COUNT}, not {count!r}"))
    return faults


def parse_resources(text: str, option: str) -> dict[str, int]:
    """Read counts as on a command line: `gpu=2,cpu=8`.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    found: dict[str, object] = {}
    faults: list[Fault] = []
    for word in (word.strip() for word in text.split(",")):
        kind, equals, count = word.partition("=")
        if not equals:
            faults.append(Fault(word, f"must be a kind and a count, as in {EXAMPLE}"))
        elif kind in found:
            faults.append(Fault(kind, "is given twice"))
        else:
            found[kind] = int(count) if count.isdecimal() and count.isascii() else count
    faults += resource_faults(found)
    if faults:
        raise InvalidSpecError(option, faults)
    return cast("dict[str, int]", found)


def resources_of(parameters: Mapping[str, object]) -> dict[str, int]:
    """Read what a run asks for from its parameters; nothing if it does not say, or not in a way that is understood."""
    given = parameters.get("resources")
    return {} if not given or resource_faults(given) else dict(cast("Mapping[str, int]", given))


def described(counts: Mapping[str, int]) -> str:
    """Write counts for people: `gpu=2, cpu=8`."""
    return ", ".join(f"{kind}={count}" for kind, count in counts.items()) or "nothing"
