"""The `metric` block of a sweep file: what a sweep makes better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from launch_sdk.specs.sweep_keys import key_faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document

Goal = Literal["minimize", "maximize"]
Impute = Literal["worst", "best", "latest"]
GOALS: tuple[str, ...] = get_args(Goal)
IMPUTES: tuple[str, ...] = get_args(Impute)
METRIC_KEYS = {"name": str, "goal": str, "target": (int, float), "impute": str, "impute_while_running": (str, bool)}


@dataclass(frozen=True)
class Metric:
    """What a sweep makes better.

    Attributes:
        name: key of a logged value; dots lead into nested values.
        goal: which way is better.
        target: the sweep ends once a run has reached this value; None for no such end.
        impute: what a run that ended without a result counts as for the search: the worst result of all, its own best
            value or its own latest one.
        impute_while_running: what a running run counts as; None if it is only known to run.
    """

    name: str
    goal: Goal = "minimize"
    target: float | None = None
    impute: Impute = "worst"
    impute_while_running: Impute | None = None

    @property
    def needs_values(self) -> bool:
        """Whether the search wants every value that a run logs, not only its last."""
        return self.impute == "best" or self.impute_while_running is not None

    def is_better(self, value: float, than: float) -> bool:
        return value < than if self.goal == "minimize" else value > than

    def reaches_target(self, value: float) -> bool:
        return self.target is not None and not self.is_better(self.target, value)


def parse_metric(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> Metric | None:
    """Read the block; None if there is none.

    Args:
        document: a sweep file.
        value: its keys.
        faults: each fault is added here, with its path and line.
    """
    metric = value.get("metric")
    if not isinstance(metric, dict):
        return None
    fields = cast("dict[str, Any]", metric)
    faults += key_faults(document, ("metric",), fields, METRIC_KEYS)
    name, goal, target = fields.get("name"), fields.get("goal", "minimize"), fields.get("target")
    if not name:
        faults.append(document.fault(("metric",), "name is missing; give the key that the program logs"))
    if goal not in GOALS:
        faults.append(document.fault(("metric", "goal"), f"must be minimize or maximize, not {goal!r}"))
    if isinstance(target, bool) or (isinstance(target, float) and math.isnan(target)):
        faults.append(document.fault(("metric", "target"), f"must be a number, not {target!r}"))
    impute = fields.get("impute") or "worst"
    while_running = fields.get("impute_while_running")
    while_running = None if while_running in (None, False, "false") else while_running
    for key, wanted in (("impute", impute), ("impute_while_running", while_running or "worst")):
        if wanted not in IMPUTES:
            or_false = " or false" if key != "impute" else ""
            told = f"must be {', '.join(IMPUTES)}{or_false}, not {wanted!r}"
            faults.append(document.fault(("metric", key), told))
    return Metric(str(name), goal, target, impute, while_running)
