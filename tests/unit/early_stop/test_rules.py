"""The rules that are not W&B's, each on small sweeps that a person can check."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import Goal, SweepSpec, parse_sweep
from launch_sdk.sweeps.early_stop import Curve, EarlyStop, History, make_early_stop
from launch_sdk.testing.early_stop_contract import EarlyStopContract, learning_curves

NAN, INF = math.nan, math.inf


def _spec(rule: dict[str, Any] | list[dict[str, Any]], goal: Goal = "minimize") -> SweepSpec:
    sweep = {"method": "random", "program": "t.py", "parameters": {"a": {"values": [1]}}}
    return parse_sweep(Document({**sweep, "metric": {"name": "loss", "goal": goal}, "early_terminate": rule}))


def _rule(
    rule: dict[str, Any] | list[dict[str, Any]], goal: Goal = "minimize", directory: Path | None = None
) -> EarlyStop:
    made = make_early_stop(_spec(rule, goal).early_stop, goal=goal, directory=directory)
    assert made is not None
    return made


def _running(*curves: Sequence[float], apart_s: float = 100.0) -> list[History]:
    """Make running runs `r0`, `r1`, ... that began one after the other."""
    histories: list[History] = []
    for index, values in enumerate(curves):
        times = [index * apart_s + step for step in range(len(values))]
        histories.append(History(f"r{index}", index, Curve.of_values(values, times)))
    return histories


def _reasons(rule: EarlyStop, histories: list[History]) -> dict[str, str]:
    return dict(rule.decide(histories))


# ASHA


def test_asha_lets_the_first_runs_of_a_rung_go_on_and_then_takes_the_best_third() -> None:
    rule = _rule({"type": "asha", "min_iter": 2, "eta": 3})
    assert _reasons(rule, _running([1, 1], [5, 5])) == {}
    assert _reasons(rule, _running([1, 1], [5, 5], [3, 3])) == {"r2": "rung 2: 3 is worse than 1, number 1 of 3"}


def test_asha_judges_a_run_by_those_that_were_there_before_it() -> None:
    rule = _rule({"type": "asha", "min_iter": 1, "eta": 2})
    assert list(_reasons(rule, _running([5, 5], [3], [2], [1]))) == []
    assert list(_reasons(rule, _running([1], [2], [3], [0.5]))) == ["r1", "r2"]


def test_asha_in_promotion_form_ends_what_is_not_promoted_when_it_arrives() -> None:
    rule = _rule({"type": "asha", "min_iter": 2, "form": "promotion"})
    assert list(_reasons(rule, _running([2, 2], [5, 5], [1, 1]))) == ["r1"]


def test_asha_has_no_rung_at_its_max_iter() -> None:
    histories = _running([9] * 9, [1] * 8 + [5], [1] * 8 + [5])
    assert _reasons(_rule({"type": "asha", "max_iter": 9}), histories) == {}
    assert list(_reasons(_rule({"type": "asha"}), histories[1:] + histories[:1])) == []


def test_asha_looks_at_every_rung_that_was_passed_between_two_looks() -> None:
    curves = [[1.0], [2.0], [3.0, 0.1, 0.1, 0.1]]
    assert _reasons(_rule({"type": "asha"}), _running(*curves)) == {"r2": "rung 1: 3 is worse than 1, number 1 of 3"}


# The median rule


def test_the_median_rule_compares_the_best_value_with_what_the_others_had_on_average() -> None:
    rule = _rule({"type": "median", "min_runs": 3})
    others = [[4, 2], [6, 2], [8, 2]]
    assert _reasons(rule, _running([5, 3.5], *others)).get("r0") is None
    assert _reasons(rule, _running([6, 5.5], *others))["r0"] == (
        "iteration 2: the best so far, 5.5 is worse than 4, the median of 3 runs"
    )


def test_the_median_rule_waits_for_enough_runs_and_values() -> None:
    curves = [[9, 9], [1, 1], [1, 1]]
    assert "r0" in _reasons(_rule({"type": "median", "min_runs": 2}), _running(*curves))
    assert _reasons(_rule({"type": "median", "min_runs": 3}), _running(*curves)) == {}
    assert _reasons(_rule({"type": "median", "min_runs": 2, "min_iter": 3}), _running(*curves)) == {}


# Rules about one run


@pytest.mark.parametrize(
    ("options", "values", "reason"),
    [
        ({"patience": 2}, [5, 4, 4, 4], "plateau: no better than 4 in the last 2 values"),
        ({"patience": 2}, [5, 4, 4, 3], None),
        ({"patience": 3}, [5, 5, 5], None),
        (
            {"patience": 2, "min_delta": 0.1},
            [5, 4.95, 4.9],
            "plateau: no better than 5 by more than 0.1 in the last 2 values",
        ),
        ({"patience": 2, "min_delta": 0.1}, [5, 4.95, 4.8], None),
        ({"patience": 1, "min_iter": 4}, [5, 5, 5], None),
        ({"patience": 1}, [], None),
    ],
)
def test_a_plateau_is_no_better_value_for_a_while(
    options: dict[str, Any], values: list[float], reason: str | None
) -> None:
    signs: list[tuple[Goal, int]] = [("minimize", 1), ("maximize", -1)]
    for goal, sign in signs:
        found = _reasons(_rule({"type": "plateau", **options}, goal), _running([sign * v for v in values]))
        assert found.get("r0", "").replace("than -", "than ") == (reason or "")


@pytest.mark.parametrize(
    ("goal", "values", "reason"),
    [
        ("minimize", [1, 2, 9, 3, 1], "iteration 4: 3 is worse than 2, the threshold"),
        ("minimize", [1, 2, 9, 2], ""),
        ("maximize", [1, 2, 9, 1.5], "iteration 4: 1.5 is worse than 2, the threshold"),
        ("minimize", [NAN, INF, NAN, INF, NAN], ""),
    ],
)
def test_a_threshold_ends_what_is_worse_from_an_iteration_on(goal: Goal, values: list[float], reason: str) -> None:
    rule = _rule({"type": "threshold", "worse_than": 2, "min_iter": 4}, goal)
    assert _reasons(rule, _running(values)).get("r0", "") == reason


@pytest.mark.parametrize(
    ("patience", "values", "reason"),
    [
        (1, [1, NAN], "the metric is nan, after 1 values"),
        (1, [INF], "the metric is inf, after no number at all"),
        (2, [1, NAN, 2, NAN], None),
        (2, [1, 2, NAN, -INF, 3], "the metric is -inf 2 times in a row, after 2 values"),
        (1, [1, 2], None),
    ],
)
def test_values_that_are_no_numbers_end_a_run(patience: int, values: list[float], reason: str | None) -> None:
    assert _reasons(_rule({"type": "nan", "patience": patience}), _running(values)).get("r0") == reason


def test_several_rules_end_a_run_once_for_the_first_ones_reason() -> None:
    rule = _rule([{"type": "nan"}, {"type": "threshold", "worse_than": 2}])
    found = list(rule.decide(_running([9, NAN], [9], [1])))
    assert [(run_id, reason.split(",")[0]) for run_id, reason in found] == [
        ("r0", "the metric is nan"),
        ("r1", "iteration 1: 9 is worse than 2"),
    ]


# Optuna's pruners


def _as_optuna_prunes(pruner: optuna.pruners.BasePruner, curves: list[list[float]]) -> set[str]:
    """Run the curves in Optuna itself, one trial after the other, each to its end or until it is pruned."""
    study = optuna.create_study(study_name="sweep", pruner=pruner, direction="minimize")
    pruned: set[str] = set()
    for index, values in enumerate(curves):
        trial = study.ask()
        for step, value in enumerate(values, 1):
            trial.report(value, step)
            if trial.should_prune():
                pruned.add(f"r{index}")
                break
        study.tell(
            trial,
            state=optuna.trial.TrialState.PRUNED if f"r{index}" in pruned else None,
            values=None if f"r{index}" in pruned else values[-1],
        )
    return pruned


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("MedianPruner", {"n_startup_trials": 2}),
        ("PercentilePruner", {"percentile": 40.0, "n_startup_trials": 2}),
        ("SuccessiveHalvingPruner", {"min_resource": 2, "reduction_factor": 2}),
        ("HyperbandPruner", {"min_resource": 1, "max_resource": 9}),
        ("ThresholdPruner", {"upper": 1.2}),
        ("PatientPruner", {"wrapped_pruner": "MedianPruner", "patience": 2}),
        ("PatientPruner", {"wrapped_pruner": {"pruner": "SuccessiveHalvingPruner"}, "patience": 1}),
        ("NopPruner", {}),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_pruner_ends_the_run_that_optuna_would_have_pruned(name: str, args: dict[str, Any]) -> None:
    from launch_sdk.specs.pruners import make_pruner

    logging.getLogger("optuna").setLevel(logging.ERROR)
    curves = [[1 / (step + 1) + step / 20 + (7 * index % 10) / 10 for step in range(12)] for index in range(10)]
    expected = _as_optuna_prunes(make_pruner(name, args), curves)
    rule = _rule({"type": "optuna", "pruner": name, "args": args})
    ended: dict[str, int] = {}
    found: set[str] = set()
    for index in range(len(curves)):  # the sweep as it goes: earlier runs have ended, this one has logged everything
        histories = [_after(i, values, ended.get(f"r{i}")) for i, values in enumerate(curves[:index])]
        histories += _one(index, curves[index])
        for run_id, reason in rule.decide(histories):
            assert run_id == f"r{index}"
            found.add(run_id)
            ended[run_id] = int(reason.split("iteration ")[1].split()[0])
    assert found == expected
    assert (name == "NopPruner") == (not expected)


def _one(index: int, values: list[float]) -> list[History]:
    times = [index * 100.0 + step for step in range(len(values))]
    return [History(f"r{index}", index, Curve.of_values(values, times))]


def _after(index: int, values: list[float], pruned_at: int | None) -> History:
    kept = values[:pruned_at] if pruned_at else values
    (history,) = _one(index, kept)
    state = RunState.STOPPED if pruned_at else RunState.FINISHED
    return History(history.run_id, index, history.curve, state, index * 100.0 + 50)


# A function of the user's


def _write(directory: Path, text: str) -> Path:
    (directory / "stop.py").write_text(text)
    return directory


def test_a_function_of_the_users_decides(tmp_path: Path) -> None:
    (tmp_path / "limits.py").write_text("LIMIT = 2\n")
    text = """
from limits import LIMIT

def decide(histories):
    for run in histories:
        if run.values and run.values[-1] > LIMIT:
            yield run.run_id, f"{run.values[-1]} is too much\\nfor step {run.curve.steps[-1]}"
"""
    rule = _rule({"type": "python", "source": "stop.py:decide"}, directory=_write(tmp_path, text))
    over = History("r2", 2, Curve.of_values([9]), RunState.FINISHED)
    assert _reasons(rule, [*_running([1], [1, 3]), over]) == {"r1": "3.0 is too much for step 1"}


@pytest.mark.parametrize("body", ["return 1 / 0", "return [('r0',)]", "return 3"])
def test_a_function_that_fails_ends_no_run_and_says_so(
    tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = _write(tmp_path, f"def decide(histories):\n    {body}\n")
    rule = _rule({"type": "python", "source": "stop.py:decide"}, directory=directory)
    assert _reasons(rule, _running([1])) == {}
    assert "stop.py:decide failed and ended no run" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "stop.py is not in the folder of the program"),
        ("decide = 3", "stop.py has no function decide; write def decide(histories): ..."),
        (
            "import nothing_like_it",
            "stop.py cannot be imported: ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        ("def decide(:", "stop.py cannot be imported: SyntaxError"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_said(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        _write(tmp_path, text)
    with pytest.raises(InvalidSpecError) as caught:
        _rule({"type": "python", "source": "stop.py:decide"}, directory=tmp_path)
    assert said in str(caught.value)


# The law


class TestAsha(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "asha"}, goal)


class TestAshaPromotion(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "asha", "form": "promotion", "min_iter": 2}, goal)


class TestMedian(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "median"}, goal)


class TestPlateau(EarlyStopContract):
    compares = False

    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "plateau", "patience": 3}, goal)


class TestThreshold(EarlyStopContract):
    compares = False

    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "threshold", "worse_than": 0.9, "min_iter": 2}, goal)


class TestNotFinite(EarlyStopContract):
    compares = False

    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "nan"}, goal)


class TestOptunaSuccessiveHalving(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "optuna", "pruner": "SuccessiveHalvingPruner"}, goal)


class TestOptunaMedian(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule({"type": "optuna", "pruner": "MedianPruner", "args": {"n_startup_trials": 1}}, goal)


class TestSeveral(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule([{"type": "hyperband", "min_iter": 3}, {"type": "median"}], goal)


COMPARING: list[tuple[dict[str, Any], int]] = [
    ({"type": "hyperband", "min_iter": 2}, 2),
    ({"type": "hyperband", "max_iter": 18, "s": 2, "strict": False}, 2),
    ({"type": "asha", "min_iter": 3, "eta": 2}, 3),
    ({"type": "asha", "min_iter": 2, "form": "promotion"}, 2),
    ({"type": "median", "min_iter": 3, "min_runs": 1}, 3),
]
sweeps = st.lists(
    st.tuples(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=12), st.booleans()),
    max_size=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(sweep=sweeps, shuffled=st.randoms(use_true_random=False), goal=st.sampled_from(["minimize", "maximize"]))
def test_any_sweep_is_decided_alike_in_any_order_and_no_run_ends_before_its_time(
    sweep: list[tuple[list[float], bool]], shuffled: Any, goal: Goal
) -> None:
    histories = [
        History(f"r{i}", i, Curve.of_values(values), RunState.RUNNING if running else RunState.FINISHED, 99.0)
        for i, (values, running) in enumerate(sweep)
    ]
    other_order = histories.copy()
    shuffled.shuffle(other_order)
    for options, min_iter in COMPARING:
        rule = _rule(options, goal)
        decisions = _reasons(rule, histories)
        assert _reasons(rule, other_order) == decisions
        counts = {history.run_id: history.curve.count for history in histories}
        assert all(counts[run_id] >= min_iter for run_id in decisions)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    length=st.integers(1, 40),
    by=st.floats(0.0, 1.0),
    goal=st.sampled_from(["minimize", "maximize"]),
)
def test_the_best_run_is_never_ended(seed: int, length: int, by: float, goal: Goal) -> None:
    from random import Random

    histories = learning_curves(Random(seed), 10, length)  # noqa: S311  # a sweep, not a secret
    choose, sign = (min, -1) if goal == "minimize" else (max, 1)
    best: list[float] = []
    while there := [v for each in histories if (v := each.curve.at(len(best) + 1)) is not None]:
        best.append(choose(there) + sign * by)
    late = [1e6 + step for step in range(len(best))]
    for times in ([float(step) for step in range(len(best))], late):
        leader = History("best", 99, Curve.of_values(best, times))
        for options, _ in COMPARING:
            assert "best" not in _reasons(_rule(options, goal), [leader, *histories])
