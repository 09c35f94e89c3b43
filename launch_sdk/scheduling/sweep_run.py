"""SweepRun: one run of a sweep, as its scheduler sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

ALIVE = frozenset({"suggested", "queued", "starting", "running", "stopping"})


class SweepRun:
    """One run: suggested by the scheduler, then told of by the sweep. It is one object for the whole life of the run.

    Args:
        args: what the program is given, in W&B's form: `{"lr": {"value": 0.1}}`.
        id: what the scheduler wants to call it; the id of the run on the server if empty.
        worker_id: the worker that it is for; the scheduler's own count if None.
        parameters: in place of `args`, plainly: `{"lr": 0.1}`.

    Attributes:
        index: its place in the sweep, from 0; -1 until it is taken.
        run_id: its id on the server; empty until it is started.
        state: "suggested", "queued", "starting", "running", "stopping", and at its end "finished", "stopped",
            "cancelled", "failed" or "lost".
        metric: the sweep's metric; None if it was not logged.
        values: the values of the metric in the order in which they were logged.
        summary: the last value of everything that it has logged.
        error: why it failed; None if it did not.
        stop_reason: why it was ended early; None if it was not.
    """

    def __init__(
        self,
        args: Mapping[str, Any] | None = None,
        id: str = "",  # noqa: A002  # W&B's name
        worker_id: int | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.parameters: dict[str, Any] = dict(parameters) if parameters is not None else unwrapped(args or {})
        self.id = id
        self.worker_id = worker_id
        self.index = -1
        self.run_id = ""
        self.state = "suggested"
        self.metric: float | None = None
        self.values: list[float] = []
        self.summary: Mapping[str, Any] = {}
        self.error: str | None = None
        self.stop_reason: str | None = None

    @property
    def args(self) -> dict[str, dict[str, Any]]:
        """The parameters in W&B's form."""
        return {name: {"value": value} for name, value in self.parameters.items()}

    @property
    def is_alive(self) -> bool:
        """Whether it goes on, or waits to start."""
        return self.state in ALIVE

    @property
    def has_result(self) -> bool:
        """Whether its metric is the result of a whole run: it finished, or was ended early."""
        return self.state in {"finished", "stopped"}

    def take_in(self, told: Mapping[str, Any]) -> None:
        """Take in what the sweep says of it."""
        if not self.id or self.id == self.run_id:
            self.id = told["run_id"]
        self.run_id = told["run_id"]
        self.state = told["state"]
        self.parameters = told["parameters"]
        self.metric = told["metric"]
        self.values = told["values"]
        self.summary = told["summary"]
        self.error = told["error"]
        self.stop_reason = told["stop_reason"]

    def __repr__(self) -> str:
        return f"SweepRun(index={self.index}, state={self.state!r}, parameters={self.parameters!r})"


def unwrapped(args: Mapping[str, Any]) -> dict[str, Any]:
    """Read W&B's form; what is in no such form is plain."""
    return {name: _value(value) for name, value in args.items()}


def _value(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    held = cast("Mapping[str, Any]", value)
    return held["value"] if set(held) == {"value"} else held
