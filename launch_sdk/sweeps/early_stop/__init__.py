"""Rules of early stopping: which runs of a sweep are not worth going on with, and why. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launch_sdk.sweeps.curve import Curve, Point
from launch_sdk.sweeps.early_stop.optuna_pruner import OptunaPruner, OwnPruner
from launch_sdk.sweeps.early_stop.protocol import Decision, EarlyStop, History

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from optuna.pruners import BasePruner

    from launch_sdk.specs.early_stop_spec import EarlyStopSpec
    from launch_sdk.specs.sweep_spec import Goal

__all__ = ["Curve", "Decision", "EarlyStop", "FirstOf", "History", "Point", "make_early_stop"]


@dataclass(frozen=True)
class FirstOf:
    """Several rules: a run ends if any of them ends it, for the reason of the first that does."""

    rules: tuple[EarlyStop, ...]

    def decide(self, histories: Sequence[History]) -> Iterator[Decision]:
        ended: set[str] = set()
        for rule in self.rules:
            for decision in rule.decide(histories):
                if decision.run_id not in ended:
                    ended.add(decision.run_id)
                    yield decision


def make_early_stop(
    specs: Sequence[EarlyStopSpec], *, goal: Goal, directory: Path | None = None, pruner: BasePruner | None = None
) -> EarlyStop | None:
    """Make the rules of a sweep; None if it has none.

    Args:
        specs: the checked rules of its file.
        goal: whether a small or a large value of the metric is good.
        directory: a copy of the program's folder, which only rules of type `python` need.
        pruner: one of the user's own, beside the rules; it is copied for each decision.

    Raises:
        InvalidSpecError: a function cannot be loaded.
    """
    rules = tuple(_make(spec, goal, directory) for spec in specs)
    if pruner is not None:
        rules = (*rules, OwnPruner(pruner, goal))
    return FirstOf(rules) if rules else None


def _make(spec: EarlyStopSpec, goal: Goal, directory: Path | None) -> EarlyStop:
    from launch_sdk.sweeps.early_stop.asha import Asha
    from launch_sdk.sweeps.early_stop.hyperband import Hyperband
    from launch_sdk.sweeps.early_stop.median import Median
    from launch_sdk.sweeps.early_stop.python_rule import load_rule
    from launch_sdk.sweeps.early_stop.single import NotFinite, Plateau, Threshold

    if spec.type == "python":
        if directory is None:
            raise ValueError("a rule of type python needs the program's folder")
        return load_rule(spec["source"], directory)
    makers = {
        "hyperband": Hyperband.of,
        "asha": Asha.of,
        "median": Median.of,
        "plateau": Plateau.of,
        "threshold": Threshold.of,
        "nan": NotFinite.of,
        "optuna": OptunaPruner.of,
    }
    return makers[spec.type](spec, goal)
