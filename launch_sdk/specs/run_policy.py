"""What becomes of a run that does not end well: what one may take, and when it starts again, under its own id."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal, cast

from launch_sdk.errors import Fault

MAX_PREEMPTIONS = 5  # as W&B's agent has it
MAX_LOSSES = 5  # a run that takes its machine down each time must not do so for ever
AGENT_LOSS = ("requeue", "fail")
MAX_RETRIES = 1000
MAX_EXIT_CODE = 255


class Ending(Enum):
    """How an attempt ended that did not end well. Values are part of the record of a run."""

    FAILED = "failed"  # its program failed, could not be started, or took too long
    PREEMPTED = "preempted"  # the host wanted its machine back
    LOST = "lost"  # its process is gone and nobody saw it end


@dataclass(frozen=True)
class RunPolicy:
    """How often a run starts again, and how long it may take.

    Attributes:
        retries: how often a run that failed starts again.
        retry_delay_s: how long after the failure, in seconds.
        retry_on: the exit codes that count for this; empty for any failure. Minus the number for a signal.
        start_timeout_s: how long its code and its environment may take; None for ever.
        run_timeout_s: how long its program may run; None for ever.
        on_agent_loss: `requeue` starts it again when its agent or its process is gone, `fail` ends it then.
    """

    retries: int = 0
    retry_delay_s: float = 0.0
    retry_on: tuple[int, ...] = ()
    start_timeout_s: float | None = None
    run_timeout_s: float | None = None
    on_agent_loss: Literal["requeue", "fail"] = "requeue"

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> RunPolicy:
        """Read the plain form, which `policy_faults` has found nothing wrong with."""
        known = {field.name for field in fields(cls)}
        said = (values or {}).items()
        given: dict[str, Any] = {key: value for key, value in said if key in known and value is not None}
        given["retry_on"] = tuple(given.get("retry_on", ()))
        return cls(**given)

    def delay_s(self, ending: Ending, exit_code: int | None, earlier: Sequence[Ending]) -> float | None:
        """Say when a run starts again.

        Args:
            ending: how its attempt ended.
            exit_code: of its program; None if it has none, as after a time-out.
            earlier: how the attempts before ended.

        Returns:
            In how many seconds; None if it does not start again.
        """
        before = sum(one is ending for one in earlier)
        if ending is Ending.PREEMPTED:
            return 0.0 if before < MAX_PREEMPTIONS else None
        if ending is Ending.LOST:
            return 0.0 if self.on_agent_loss == "requeue" and before < MAX_LOSSES else None
        counts = not self.retry_on or exit_code in self.retry_on
        return self.retry_delay_s if counts and before < self.retries else None


def policy_faults(value: object) -> list[Fault]:
    """List what is wrong with the plain form of a policy; the paths lead from its top."""
    if not isinstance(value, Mapping):
        return [Fault("", f"must be a mapping, as in {{retries: 2}}, not {type(value).__name__}")]
    values = cast("Mapping[str, Any]", value)
    known = [field.name for field in fields(RunPolicy)]
    faults = [Fault(str(key), f"unknown; known are {', '.join(known)}") for key in values if key not in known]
    checks = {
        "retries": _retries_fault,
        "retry_delay_s": _seconds_fault,
        "retry_on": _codes_fault,
        "start_timeout_s": _limit_fault,
        "run_timeout_s": _limit_fault,
        "on_agent_loss": _loss_fault,
    }
    given = {key: values[key] for key in known if values.get(key) is not None}
    found = {key: checks[key](one) for key, one in given.items()}
    return faults + [Fault(key, message) for key, message in found.items() if message]


def _retries_fault(value: object) -> str | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_RETRIES
    return None if is_count else f"must be a whole number from 0 to {MAX_RETRIES}, not {value!r}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _seconds_fault(value: object) -> str | None:
    is_time = _is_number(value) and cast("float", value) >= 0
    return None if is_time else f"must be seconds, 0 or more, not {value!r}"


def _limit_fault(value: object) -> str | None:
    is_time = _is_number(value) and cast("float", value) > 0
    return None if is_time else f"must be seconds, more than 0, not {value!r}; leave it out for no limit"


def _codes_fault(value: object) -> str | None:
    if isinstance(value, Sequence) and not isinstance(value, str):
        codes = cast("Sequence[object]", value)
        if all(isinstance(code, int) and code and abs(code) <= MAX_EXIT_CODE for code in codes):
            return None
    return f"must be a list of exit codes other than 0, as in [1, 137]; minus the number for a signal, not {value!r}"


def _loss_fault(value: object) -> str | None:
    return None if value in AGENT_LOSS else f"must be {' or '.join(AGENT_LOSS)}, not {value!r}"
