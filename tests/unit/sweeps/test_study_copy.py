"""A sweep as a study of Optuna's."""

from __future__ import annotations

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import load_study
from optuna.trial import TrialState

from launch_sdk.specs.document import Document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.curve import Curve
from launch_sdk.sweeps.runs import SweepRun
from launch_sdk.sweeps.study_copy import study_storage

SPEC = parse_sweep(
    Document(
        {
            "program": "t.py",
            "method": "random",
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {
                "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
                "depth": {"min": 1, "max": 5},
                "x": {"distribution": "normal", "mu": 0, "sigma": 1},
                "q": {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25},
                "model": {"parameters": {"layers": {"values": [[1, 2], [3]]}, "bias": {"values": [False, None, 0]}}},
            },
        }
    )
)


def _run(index: int, state: RunState, score: float | None = None, **more: Any) -> SweepRun:
    values = {"lr": 0.01, "depth": 2, "x": 7.5, "q": 0.5, "model": {"layers": [3], "bias": False}}
    summary = {} if score is None else {"score": score}
    ended = 20.0 if state.is_terminal else None
    return SweepRun(index, 0, f"r{index}", "", state, values, summary, started=10.0, ended=ended, **more)


def test_every_run_is_a_trial_with_its_state_values_and_distributions() -> None:
    runs = [
        _run(0, RunState.FINISHED, 0.5, curve=Curve.of_values([0.25, float("nan"), 0.5])),
        _run(1, RunState.STOPPED, 0.25, stop_reason="band 3", curve=Curve.of_values([0.25])),
        _run(2, RunState.FAILED, error="no luck"),
        _run(3, RunState.RUNNING),
        _run(4, RunState.QUEUED),
        _run(5, RunState.FINISHED),
        _run(6, RunState.FINISHED, float("nan")),
        _run(8, RunState.LOST),
    ]
    study = load_study(study_name="sweep-1", storage=study_storage("sweep-1", SPEC, runs))
    assert [trial.state for trial in study.trials] == [
        *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING),
        *(TrialState.FAIL, TrialState.FAIL, TrialState.FAIL),
    ]
    first = study.trials[0]
    assert first.params == {"lr": 0.01, "depth": 2, "x": 7.5, "q": 0.5, "model.layers": "[3]", "model.bias": False}
    assert first.distributions["lr"] == FloatDistribution(1e-4, 1.0, log=True)
    assert first.distributions["depth"] == IntDistribution(1, 5)
    assert first.distributions["x"].single() is False
    assert first.distributions["model.layers"] == CategoricalDistribution(["[1,2]", "[3]"])
    assert first.intermediate_values == {1: 0.25, 2: 0.5}
    assert (study.best_trial.number, study.best_value, study.user_attrs) == (0, 0.5, {"metric": "score"})
    assert study.trials[1].user_attrs["stop_reason"] == "band 3"
    assert study.trials[2].user_attrs["error"] == "no luck"
    assert study.trials[7].user_attrs["index"] == 8


def test_parameters_that_a_search_space_in_code_or_a_scheduler_adds_are_shown_as_wide_as_their_runs() -> None:
    document = {
        "program": "t.py",
        "method": "grid",
        "metric": {"name": "loss"},
        "parameters": {"a": {"values": [1, 2]}},
    }
    added: list[dict[str, Any]] = [
        {"kind": "tree", "model": {"depth": 3}},
        {"kind": "linear", "model": {"depth": 5, "c": 0.5}},
    ]
    runs = [
        SweepRun(index, 0, f"r{index}", "", RunState.FINISHED, {"a": 1, **more}, {"loss": 1.0})
        for index, more in enumerate(added)
    ]
    storage = study_storage("s", parse_sweep(Document(document)), runs)
    first, second = load_study(study_name="s", storage=storage).trials
    assert first.params == {"a": 1, "kind": "tree", "model.depth": 3}
    assert second.params == {"a": 1, "kind": "linear", "model.depth": 5, "model.c": 0.5}
    assert second.distributions["kind"] == CategoricalDistribution(["tree", "linear"])
    assert second.distributions["model.depth"] == IntDistribution(3, 5)


def test_a_sweep_without_runs_or_metric_is_a_study_too() -> None:
    spec = parse_sweep(Document({"program": "t.py", "method": "grid", "parameters": {"a": {"values": [1, 2]}}}))
    assert load_study(study_name="s", storage=study_storage("s", spec, [])).trials == []
    odd = SweepRun(0, 0, "r", "", RunState.FINISHED, {"a": 3}, {"loss": 1.0})
    (trial,) = load_study(study_name="s", storage=study_storage("s", spec, [odd])).trials
    assert (trial.state, trial.params) == (TrialState.FAIL, {})
