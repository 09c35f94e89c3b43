"""How a run stands on its queue: how urgent it is, and what it chooses of what the queue leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from launch_sdk.errors import Fault, InvalidSpecError

DEFAULT_QUEUE = "default"  # made on first use, and never deleted


class Priority(IntEnum):
    """Which run is taken first; of one priority, the one that was submitted first. The numbers are W&B's."""

    CRITICAL = 0
    HIGH = 1
    MEDIUM = 2
    LOW = 3

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def labels(cls) -> str:
        return ", ".join(one.label for one in cls)


def parse_priority(value: object) -> Priority:
    """Read `high`, `1` or 1.

    Raises:
        InvalidSpecError: it is none.
    """
    text = str(value).strip().lower()
    for one in Priority:
        if not isinstance(value, bool) and text in {one.label, str(one.value)}:
            return one
    told = f"{value!r} is no priority; there are {Priority.labels()} (0 to 3)"
    raise InvalidSpecError("The launch", [Fault("priority", told)])


@dataclass(frozen=True)
class Placement:
    """How a run stands on its queue.

    Attributes:
        priority: which of the waiting runs it is taken before.
        variables: values for the template variables of the queue, by name; those not named have their defaults.
    """

    priority: Priority = Priority.MEDIUM
    variables: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_default(self) -> bool:
        return self.priority is Priority.MEDIUM and not self.variables


DEFAULT_PLACEMENT = Placement()


def parse_variables(words: Sequence[str]) -> dict[str, str]:
    """Read the words of `--set-var`, `threads=4`; all after the first `=` is the value.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    pairs = [word.partition("=") for word in words]
    faults = [
        Fault("--set-var", f"must be in the format --set-var KEY=VALUE, instead got: {word}")
        for word, (name, equals, _) in zip(words, pairs, strict=True)
        if not equals or not name.strip()
    ]
    if faults:
        raise InvalidSpecError("The command line", faults)
    return {name.strip(): value for name, _, value in pairs}
