"""What the agent and the process of a run say to each other, over one pair of sockets for each run.

The agent sends one JSON line, the order; afterwards `terminate` or `kill`, one a line. It is answered `pid N` as soon
as the flow's process exists, `exit N` when that has ended, and by the end of the stream when nothing that it started
is left. The end of the stream in the other direction means that the agent is gone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket


@dataclass(frozen=True)
class Order:
    """What the agent wants to be run.

    Attributes:
        flow_run_id: the flow run's id, as text.
        env: the whole environment of the flow's process.
        cwd: its working directory.
        entrypoint: entry point of the deployment, `flows/run_job.py:run_job`; None if it is not known.
        flow_name: name of the deployment's flow; with the entry point it tells whether a preloaded flow is meant.
        cpus: the cores that it may use; empty for all of the agent's.
        quiet: discard what the process prints.
        hook_state: a state of Prefect's, as JSON (Crashed or Cancelling): run the flow's hooks for it, not the flow.
        related: what the run's events are about besides it, each with `kind`, `key`, `id`, `name` and `tags`, so that
            the flow's process need not ask the server for each.
        preloaded: socket of a preloaded process that its program may be forked from; None for none.
        no_fork: why there is none, though the queue asks for it; None if it does not.
    """

    flow_run_id: str
    env: dict[str, str]
    cwd: str
    entrypoint: str | None = None
    flow_name: str | None = None
    cpus: tuple[int, ...] = ()
    quiet: bool = False
    hook_state: str | None = None
    related: tuple[dict[str, Any], ...] = ()
    preloaded: str | None = None
    no_fork: str | None = None

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Order:
        """Read an order.

        Raises:
            ValueError: the line is not a whole order.
        """
        try:
            order = cls(**json.loads(line))
            return replace(order, cpus=tuple(order.cpus), related=tuple(order.related))
        except TypeError as error:
            raise ValueError(f"Not an order: {error}") from None


def read_order(connection: socket.socket) -> Order | None:
    """Read the first line; None if the agent has gone before it was whole."""
    with connection.makefile("rb", buffering=0) as stream:
        line = stream.readline()
    return Order.decode(line) if line.endswith(b"\n") else None
