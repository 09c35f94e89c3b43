"""The states of a run."""

from __future__ import annotations

from enum import Enum


class RunState(Enum):
    """Where a run is in its life. Values are part of the public JSON and are never renamed."""

    QUEUED = "queued"  # accepted, no agent has taken it
    STARTING = "starting"  # an agent has taken it
    RUNNING = "running"
    STOPPING = "stopping"  # asked to end
    FINISHED = "finished"  # its program ended with success
    STOPPED = "stopped"  # ended on request; its results count
    CANCELLED = "cancelled"  # the user gave it up
    FAILED = "failed"  # its program ended without success
    LOST = "lost"  # its process is gone and nobody saw it end
    PAUSED = "paused"  # of a sweep alone: its runs go on, and it starts no others

    __hash__ = object.__hash__  # a member is one object; Enum's own hash, in Python, is what a long sweep waits for

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def has_result(self) -> bool:
        """Whether its summary is the result of a whole run."""
        return self in _WITH_RESULT


_TERMINAL = frozenset({RunState.FINISHED, RunState.STOPPED, RunState.CANCELLED, RunState.FAILED, RunState.LOST})
_WITH_RESULT = frozenset({RunState.FINISHED, RunState.STOPPED})
