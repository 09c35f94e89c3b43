"""What a queue gives to the environment of its runs: settled in the run's own process, just before its program starts.

The server's side names the variables, see `specs.queue_config`. Only what the queue's owner wrote is expanded, and only
the macros of a fixed list: whoever submits cannot read the environment of an agent by a `${NAME}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_sdk.errors import NotFoundError
from launch_sdk.specs.queue_config import EXPANDED, NEEDED
from launch_sdk.specs.queue_templates import expand_macros

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping


def settle_environment(environment: MutableMapping[str, str], macros: Mapping[str, str]) -> None:
    """Expand the macros in the variables of the queue, and check that the agent has what the queue asks it for.

    Args:
        environment: of this process; changed.
        macros: the value of each macro, by its name.

    Raises:
        NotFoundError: the agent lacks variables; the message names them all.
    """
    for name in _names(environment, EXPANDED):
        if name in environment:
            environment[name] = expand_macros(environment[name], macros)
    missing = [name for name in _names(environment, NEEDED) if name not in environment]
    if missing:
        raise NotFoundError(
            f"Queue {macros.get('queue_name')!r} takes {', '.join(missing)} from its agents, and this agent has not."
            " Set it where launch-agent is started."
        )


def _names(environment: MutableMapping[str, str], mark: str) -> list[str]:
    return [name for name in environment.pop(mark, "").split(",") if name]
