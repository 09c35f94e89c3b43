"""What the agent tells the process of a run about preloaded processes: where its program may be forked, or why not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Self

VARIABLE = "LAUNCH_PRELOADED"  # of the process of a run, which takes it out of its environment


@dataclass(frozen=True)
class ProgramFork:
    """Where this process may have its program forked.

    Attributes:
        socket: of the preloaded process; None if there is none.
        reason: why there is none.
        lifeline: descriptor that goes with the order, see `program_order`.
    """

    socket: str | None = None
    reason: str = ""
    lifeline: int | None = None

    def as_variable(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def taken(cls, environment: MutableMapping[str, str]) -> Self | None:
        """Take out of an environment what the agent has said; None if it has said nothing."""
        said = environment.pop(VARIABLE, None)
        return None if said is None else cls(**json.loads(said))
