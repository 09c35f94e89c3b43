"""The law of early stopping as tests: subclass `EarlyStopContract` in a test module and say how your rule is made.

Example:
    class TestMyRule(EarlyStopContract):
        def make_rule(self, *, goal):
            return MyRule(goal)
"""
# ruff: noqa: S101  # these are tests, only published ones

from __future__ import annotations

import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from random import Random
from typing import TYPE_CHECKING, ClassVar

from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.curve import Curve
from launch_sdk.sweeps.early_stop import EarlyStop, History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.sweep_spec import Goal

GOALS: tuple[Goal, ...] = ("minimize", "maximize")
_IN_ANOTHER_PROCESS = """
import pickle, sys
rule, histories = pickle.load(sys.stdin.buffer)
print(sorted(map(tuple, rule.decide(histories))))
"""


class EarlyStopContract(ABC):
    """Checks a rule against the law in `launch_sdk.sweeps.early_stop.EarlyStop`.

    Attributes:
        compares: whether it judges runs by one another, and so never ends the best of them; a plateau rule does not.
        ends_some: whether some run of these sweeps is bad enough for it.
    """

    compares: ClassVar[bool] = True
    ends_some: ClassVar[bool] = True

    @abstractmethod
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        """Make a fresh rule; it can be pickled."""

    def sweeps(self) -> list[list[History]]:
        """Give the sweeps to decide about; override it to add your own."""
        return [learning_curves(Random(seed), runs) for seed, runs in enumerate((1, 2, 5, 12, 12, 30))]  # noqa: S311

    def test_the_same_histories_give_the_same_decisions_in_whatever_order_they_come(self) -> None:
        for goal in GOALS:
            for histories in self.sweeps():
                rule = self.make_rule(goal=goal)
                first = _decided(rule, histories)
                assert _decided(rule, histories[::-1]) == first
                assert _decided(rule, histories) == first
                assert _decided(self.make_rule(goal=goal), histories) == first

    def test_another_process_decides_the_same(self) -> None:
        rule, histories = self.make_rule(goal="minimize"), self.sweeps()[-1]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _IN_ANOTHER_PROCESS],
            input=pickle.dumps((rule, histories)),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout.decode().strip() == str(_decided(rule, histories))

    def test_no_history_is_changed(self) -> None:
        for histories in self.sweeps():
            before = [(history.run_id, history.state, history.curve.to_text()) for history in histories]
            list(self.make_rule(goal="minimize").decide(histories))
            assert [(history.run_id, history.state, history.curve.to_text()) for history in histories] == before

    def test_only_active_runs_are_ended_each_once_and_with_a_reason_of_one_line(self) -> None:
        count = 0
        for goal in GOALS:
            for histories in self.sweeps():
                decisions = list(self.make_rule(goal=goal).decide(histories))
                count += len(decisions)
                ended = [run_id for run_id, _ in decisions]
                assert len(ended) == len(set(ended))
                assert set(ended) <= {history.run_id for history in histories if history.is_active}
                for _, reason in decisions:
                    assert reason == " ".join(reason.split()) != ""
        assert count or not self.ends_some

    def test_runs_without_a_finite_value_are_no_error(self) -> None:
        nan, infinite = float("nan"), float("inf")
        strangers = [[], [nan], [nan, infinite, -infinite], [nan, 1.0, nan], [1.0, infinite]]
        histories = [History(f"s{i}", i, Curve.of_values(values)) for i, values in enumerate(strangers)]
        for sweep in (histories, [*histories, *_moved(self.sweeps()[2], len(histories))], []):
            for goal in GOALS:
                list(self.make_rule(goal=goal).decide(sweep))

    def test_a_run_that_was_never_worse_than_another_goes_on(self) -> None:
        if not self.compares:
            return
        for goal in GOALS:
            for histories in self.sweeps():
                best = _best_of(histories, goal)
                assert best.run_id not in dict(self.make_rule(goal=goal).decide([*histories, best]))


def learning_curves(random: Random, runs: int, length: int = 40) -> list[History]:
    """Make a sweep whose runs learn at different speeds and to different ends, some with a value that is NaN."""
    histories: list[History] = []
    for index in range(runs):
        end, speed = random.random(), random.uniform(0.05, 1.0)
        count = random.randint(0, length)
        values = [end + (1 - end) / (1 + speed * step) + random.gauss(0, 0.01) for step in range(count)]
        if count > 3 and random.random() < 0.2:  # noqa: PLR2004  # some, in the middle
            values[count // 2] = float("nan")
        state = random.choice(
            [RunState.RUNNING, RunState.RUNNING, RunState.FINISHED, RunState.STOPPED, RunState.FAILED]
        )
        times = [index * 10.0 + step for step in range(count)]
        ended = None if state is RunState.RUNNING else index * 10.0 + count
        histories.append(History(f"r{index}", index, Curve.of_values(values, times), state, ended))
    return histories


def _best_of(histories: Sequence[History], goal: Goal) -> History:
    """Make a run that is at each iteration as good as the best of these."""
    choose = min if goal == "minimize" else max
    longest = max((history.curve.count for history in histories), default=0)
    values: list[float] = []
    for number in range(1, longest + 1):
        there = [value for history in histories if (value := history.curve.at(number)) is not None]
        values.append(choose(there))
    return History("best", len(histories), Curve.of_values(values))


def _moved(histories: Sequence[History], by: int) -> list[History]:
    return [History(each.run_id, each.index + by, each.curve, each.state, each.ended) for each in histories]


def _decided(rule: EarlyStop, histories: Sequence[History]) -> list[tuple[str, str]]:
    return sorted((run_id, reason) for run_id, reason in rule.decide(list(histories)))
