"""W&B's hyperband: its bands, the examples of its own tests, and its engine's decisions on random sweeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.specs.early_stop_spec import EarlyStopSpec, hyperband_bands
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import Goal
from launch_sdk.sweeps.early_stop import Curve, EarlyStop, History, make_early_stop
from launch_sdk.testing.early_stop_contract import EarlyStopContract

# What `sweeps` 0.3.0, W&B's own engine, decided about random histories: the run numbers that it ended.
DECISIONS = Path(__file__).with_name("wandb_decisions.json")

A, B, C, D, E = [10, 9], [10, 10], [10, 8, 8], [10, 7, 7], [10, 6, 6]


def _options(**options: Any) -> dict[str, Any]:
    return {"min_iter": None, "max_iter": None, "s": None, "eta": 3, "strict": True} | options


def _rule(goal: Goal = "minimize", **options: Any) -> EarlyStop:
    rule = make_early_stop([EarlyStopSpec("hyperband", _options(**options))], goal=goal)
    assert rule is not None
    return rule


def _sweep(*curves: Sequence[float], running: str) -> list[History]:
    """Make runs a, b, c, ... of which those named are running."""
    return [
        History(name, index, Curve.of_values(values), RunState.RUNNING if name in running else RunState.FINISHED)
        for index, (name, values) in enumerate(zip("abcdefgh", curves, strict=False))
    ]


def _ended(rule: EarlyStop, histories: list[History]) -> str:
    return "".join(sorted(run_id for run_id, _ in rule.decide(histories)))


@pytest.mark.parametrize(
    ("options", "bands"),
    [
        ({"max_iter": 27, "s": 2}, [3, 9]),
        ({"max_iter": 81, "s": 3}, [3, 9, 27]),
        ({"max_iter": 18, "s": 2}, [2, 6]),
        ({"max_iter": 9, "s": 2}, [1, 3]),
        ({"max_iter": 5, "eta": 2, "s": 2}, [1, 2]),
        ({"max_iter": 3, "s": 5}, [1]),
        ({"max_iter": 2, "s": 5}, []),
        ({"max_iter": 27, "s": 2, "min_iter": 5}, [3, 9]),
        ({"min_iter": 3}, [3, 9, 27, 81]),
        ({"min_iter": 3, "eta": 2}, [3, 6, 12]),
        ({"min_iter": 5, "eta": 1.5}, [5, 7, 11, 16, 25]),
    ],
)
def test_the_bands_are_those_of_wandb(options: dict[str, Any], bands: list[int]) -> None:
    found = hyperband_bands(_options(**options))
    assert found[: len(bands)] == bands
    assert len(found) == len(bands) or "max_iter" not in options


def test_bands_end_where_no_run_comes() -> None:
    found = hyperband_bands(_options(min_iter=10**14, eta=1e300))
    assert found == [10**14]


def test_a_single_run_goes_on() -> None:
    assert _ended(_rule(max_iter=5, eta=2, s=2), _sweep([10, 9], running="a")) == ""
    assert _ended(_rule(min_iter=1), _sweep([10, 9, 8], running="a")) == ""


def test_of_two_runs_the_worse_one_ends_at_once() -> None:
    assert _ended(_rule(min_iter=1), _sweep([1], [2], running="ab")) == "b"


def test_the_second_of_five_runs_passes_no_band() -> None:
    assert _ended(_rule(max_iter=5, eta=2, s=2), _sweep(A, B, C, D, E, running="bcd")) == "b"


def test_a_run_that_fails_the_first_band_ends_there() -> None:
    rule = _rule(max_iter=5, eta=2, s=2)
    assert _ended(rule, _sweep([10], [11], [10, 8, 8], [10, 7, 7], [10, 6, 6], running="bcd")) == "bc"


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
@pytest.mark.parametrize("strict", [True, False])
def test_a_run_that_has_caught_up_since_the_first_band_goes_on(goal: Goal, sign: int, *, strict: bool) -> None:
    curves = [[9], [10], [8, 8, 3], [7, 7, 4], [6, 6, 6]]  # bands 1 and 3, thresholds 7 and 4
    histories = _sweep(*([sign * value for value in curve] for curve in curves), running="bcde")
    assert _ended(_rule(goal, max_iter=9, s=2, strict=strict), histories) == "be"


def test_without_strict_the_best_value_so_far_counts() -> None:
    histories = _sweep([1, 9], [1, 8], [9, 0.5], running="c")
    rule, strict = _rule(min_iter=1, strict=False), _rule(min_iter=1)
    assert _ended(rule, histories) == ""
    assert _ended(strict, histories) == "c"


def test_ties_go_on() -> None:
    assert _ended(_rule(min_iter=1), _sweep([1], [1], [1], running="abc")) == ""


def test_a_large_value_is_good_where_the_goal_is_to_maximize() -> None:
    assert _ended(_rule("maximize", min_iter=1), _sweep([1], [2], running="ab")) == "a"


def test_values_that_are_not_finite_are_no_iterations() -> None:
    nan = float("nan")
    assert _ended(_rule(min_iter=2), _sweep([1, 1], [2, nan, nan], running="ab")) == ""
    assert _ended(_rule(min_iter=2), _sweep([1, 1], [2, nan, nan, 2], running="ab")) == "b"


def test_runs_that_have_ended_count_but_are_not_ended_again() -> None:
    assert _ended(_rule(min_iter=1), _sweep([1], [2], [3], running="c")) == "c"


def test_the_reason_names_the_band_and_both_values() -> None:
    histories = _sweep([0.9] * 8 + [0.31], [0.8] * 8 + [0.43], running="b")
    ((_, reason),) = _rule(min_iter=3, eta=3).decide(histories)
    assert reason == "band 9: 0.43 is worse than 0.31"
    ((_, relaxed),) = _rule(min_iter=3, eta=3, strict=False).decide(_sweep([0.1] * 3, [0.25, 0.3, 0.4], running="b"))
    assert relaxed == "band 3: the best so far, 0.25 is worse than 0.1"


@pytest.mark.parametrize("case", json.loads(DECISIONS.read_text()))
def test_random_sweeps_are_decided_as_wandbs_engine_decides_them(case: dict[str, Any]) -> None:
    histories = [
        History(
            str(i), i, Curve.of_values([float(v) for v in values]), RunState.RUNNING if running else RunState.FAILED
        )
        for i, (running, values) in enumerate(case["runs"])
    ]
    decided = _rule(case["goal"], **case["rule"]).decide(histories)
    assert [int(run_id) for run_id, _ in decided] == case["ended"]


class TestStrict(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule(goal, min_iter=2)


class TestRelaxed(EarlyStopContract):
    def make_rule(self, *, goal: Goal) -> EarlyStop:
        return _rule(goal, max_iter=27, s=3, strict=False)
