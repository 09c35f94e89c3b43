"""Schedulers of one's own, tried without a server: what each hook may do, and what becomes of one that misbehaves."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import launch_sdk as launch
from launch_sdk.errors import InvalidSpecError
from launch_sdk.scheduling.scheduler import Scheduler
from launch_sdk.scheduling.sweep_run import SweepRun
from launch_sdk.specs.run_state import RunState
from launch_sdk.testing.scheduler_trial import SchedulerTrial, try_scheduler
from tests.conftest import REPOSITORY

EXAMPLES = REPOSITORY / "examples" / "schedulers"
SEED = {  # Sweeps on Launch, "Wandb Scheduler", without its two jobs
    "description": "Launch sweep config using a scheduler job",
    "scheduler": {"num_workers": 8},
    "method": "grid",
    "parameters": {"param1": {"min": 0, "max": 10}},
}
OPEN = {"metric": {"name": "loss"}, "run_cap": 6, "parameters": {"x": {"min": 0.0, "max": 1.0}}}


def loss(parameters: Mapping[str, Any]) -> float:
    return abs(next(iter(parameters.values())) - 0.25)


def curve(parameters: Mapping[str, Any]) -> Iterator[float]:
    for step in range(4):
        yield parameters["x"] + 1 / (step + 1)


def test_the_names_are_where_users_look_for_them() -> None:
    assert launch.Scheduler is Scheduler
    assert launch.SweepRun is SweepRun


def test_a_scheduler_that_changes_nothing_runs_the_method_of_its_sweep() -> None:
    trial = try_scheduler(Scheduler, SEED, lambda _: [1.0, 2.0])
    assert trial.outcome == "finished"
    assert [run.parameters for run in trial.runs] == [{"param1": value} for value in range(11)]
    assert trial.most_at_once == 8


class Counting(Scheduler):
    calls: list[str]

    def __init__(self, sweep: Mapping[str, Any]) -> None:
        super().__init__(sweep)
        self.calls = calls

    def _poll(self) -> None:
        self.calls.append(f"poll {self.num_active_runs}")

    def _get_next_sweep_run(self, worker_id: int) -> SweepRun | None:
        self.calls.append(f"next {worker_id}")
        return self.suggest()

    def _load_state(self) -> None:
        self.calls.append(f"load {len(self.runs)}")

    def _exit(self) -> None:
        self.calls.append("exit")


calls: list[str] = []


def test_poll_comes_once_in_every_cycle_before_the_free_workers_are_asked_for() -> None:
    calls.clear()
    sweep = SEED | {"scheduler": {"num_workers": 2}, "parameters": {"a": {"values": [1, 2, 3]}}}
    assert try_scheduler(Counting, sweep, lambda _: 1.0).outcome == "finished"
    assert calls == [
        *("load 0", "poll 0", "next 0", "next 1"),
        *("poll 2", "poll 0", "next 0", "next 1"),
        *("poll 1", "next 1", "poll 0", "next 0", "exit"),
    ]


class Own(Scheduler):
    """Walks towards zero; keeps where it is."""

    def _load_state(self) -> None:
        self.at = self.saved_state["at"] if self.saved_state else 1.0

    def _save_state(self) -> Any:
        return {"at": self.at}

    def _get_next_sweep_run(self, worker_id: int) -> SweepRun | None:
        if len(self.runs) >= self.settings["length"]:
            return None
        self.at /= 2
        return SweepRun(id=f"step-{len(self.runs)}", args={"x": {"value": self.at}}, worker_id=worker_id)


def own(length: int, **more: Any) -> dict[str, Any]:
    scheduler = {"num_workers": 1, "settings": {"length": length}}
    return {"metric": {"name": "loss"}, "parameters": OPEN["parameters"], "scheduler": scheduler, **more}


def test_a_class_may_choose_everything_and_the_sweep_finishes_when_it_has_no_more() -> None:
    trial = try_scheduler(Own, own(3), loss)
    assert [run.parameters["x"] for run in trial.runs] == [0.5, 0.25, 0.125]
    assert (trial.outcome, trial.reason) == ("finished", "its scheduler had no more after 3 runs")
    assert trial.best is not None
    assert trial.best.parameters == {"x": 0.25}
    assert trial.state == {"at": 0.125}


def test_a_resumed_scheduler_knows_every_run_and_its_state() -> None:
    first = try_scheduler(Own, own(2), loss)
    again = try_scheduler(Own, own(4), loss, runs=first.runs, state=first.state)
    assert [run.parameters["x"] for run in again.runs] == [0.5, 0.25, 0.125, 0.0625]


def test_first_points_come_before_the_scheduler_and_what_they_lack_is_its_own() -> None:
    class Both(Scheduler):
        def _get_next_sweep_run(self, worker_id: int) -> SweepRun | None:
            del worker_id
            return (
                None if len(self.runs) > 2 else SweepRun(args={"x": {"value": 0.25}, "own": {"value": len(self.runs)}})
            )

    space = {"x": {"min": 0.0, "max": 1.0}, "y": {"values": [1, 2]}}
    trial = try_scheduler(Both, own(3, initial=[{"x": 1.0, "y": 2}, {"y": 1}]) | {"parameters": space}, loss)
    tried = [{"x": 1.0, "y": 2}, {"x": 0.25, "own": 1, "y": 1}, {"x": 0.25, "own": 2}]
    assert (trial.outcome, [run.parameters for run in trial.runs]) == ("finished", tried)


class Ending(Scheduler):
    def _poll(self) -> None:
        if len(self.runs) == 2:
            getattr(self, self.settings["how"])("seen enough")

    def _get_next_sweep_run(self, worker_id: int) -> Mapping[str, Any]:
        return {"x": 0.5 + worker_id / 10}


@pytest.mark.parametrize(("how", "outcome"), [("stop_sweep", "stopped"), ("fail_sweep", "failed")])
def test_a_scheduler_can_end_its_sweep_which_keeps_its_runs(how: str, outcome: str) -> None:
    trial = try_scheduler(Ending, OPEN | {"scheduler": {"num_workers": 2, "settings": {"how": how}}}, curve)
    assert (trial.outcome, trial.reason) == (outcome, "seen enough")
    assert [run.state for run in trial.runs] == [RunState.FINISHED] * 2


class Pruning(Scheduler):
    def _poll(self) -> None:
        for run in self.runs:
            if run.parameters["x"] > 0.5 and run.is_alive and len(self._get_metrics_from_run(run.id)) == 2:
                assert self._stop_run(run.id, "above the\nrest")
        assert not self._stop_run("nobody")
        assert self.at_runcap is (len(self.runs) == 6)


def test_a_run_is_ended_early_with_its_reason_and_its_values_count() -> None:
    trial = try_scheduler(Pruning, OPEN | {"method": "random", "scheduler": {"num_workers": 3}}, curve)
    assert len(trial.runs) == 6
    for run in trial.runs:
        expected = (RunState.STOPPED, 2) if run.parameters["x"] > 0.5 else (RunState.FINISHED, 4)
        assert (run.state, run.curve.count) == expected
    assert {run.stop_reason for run in trial.runs if run.stop_reason} == {"above the rest"}


class Failing(Scheduler):
    def __init__(self, sweep: Mapping[str, Any]) -> None:
        super().__init__(sweep)
        self._break("__init__")

    def _break(self, hook: str) -> None:
        if self.settings["in"] == hook and len(self.runs) >= self.settings.get("after", 0):
            raise ValueError("no\nluck")

    def _load_state(self) -> None:
        self._break("_load_state")

    def _poll(self) -> None:
        self._break("_poll")

    def _save_state(self) -> Any:
        self._break("_save_state")
        return None

    def _exit(self) -> None:
        self._break("_exit")

    def _get_next_sweep_run(self, worker_id: int) -> Any:
        del worker_id
        self._break("_get_next_sweep_run")
        return self.settings.get("give") or self.suggest()


def failing(hook: str, **settings: Any) -> SchedulerTrial:
    scheduler = {"num_workers": 2, "settings": {"in": hook, **settings}}
    return try_scheduler(Failing, OPEN | {"method": "random", "scheduler": scheduler}, curve)


@pytest.mark.parametrize("hook", ["__init__", "_load_state", "_poll", "_get_next_sweep_run"])
def test_a_hook_that_raises_fails_the_sweep_with_its_name_and_its_words(hook: str) -> None:
    trial = failing(hook)
    told = f"The scheduler Failing failed in {hook}: ValueError: no luck"
    assert (trial.outcome, trial.reason, trial.runs) == ("failed", told, [])


@pytest.mark.parametrize("hook", ["_poll", "_get_next_sweep_run"])
def test_the_runs_that_go_on_when_it_raises_end_by_themselves(hook: str) -> None:
    trial = failing(hook, after=2)
    assert trial.outcome == "failed"
    assert [run.state for run in trial.runs] == [RunState.FINISHED] * 2


@pytest.mark.parametrize("hook", ["_save_state", "_exit"])
def test_a_state_that_cannot_be_saved_and_a_failed_exit_take_nothing_from_the_sweep(
    hook: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = failing(hook)
    assert (trial.outcome, len(trial.runs)) == ("finished", 6)
    assert "ValueError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (7, "it returned int; return a SweepRun, a mapping of parameters, or None"),
        ("x=1", "it returned str"),
        (SweepRun({}), "it returned a run without parameters; return None for no run"),
        ({"x": object()}, "x is object"),
        ({"x": [1, {"y": object}]}, "x[1].y is type"),
    ],
)
def test_what_is_no_run_is_told(given: object, said: str) -> None:
    class Odd(Scheduler):
        def _get_next_sweep_run(self, worker_id: int) -> Any:
            del worker_id
            return given

    trial = try_scheduler(Odd, OPEN, loss)
    assert trial.outcome == "failed"
    assert said in trial.reason
    assert "_get_next_sweep_run" in trial.reason


def test_one_run_cannot_be_returned_twice() -> None:
    class Twice(Scheduler):
        def __init__(self, sweep: Mapping[str, Any]) -> None:
            super().__init__(sweep)
            self.one = SweepRun(parameters={"x": 0.5})

        def _get_next_sweep_run(self, worker_id: int) -> SweepRun:
            del worker_id
            return self.one

    trial = try_scheduler(Twice, OPEN, loss)
    assert "it returned run 0 again" in trial.reason
    assert len(trial.runs) == 1


def test_without_a_method_there_is_nothing_to_suggest_which_is_told() -> None:
    trial = try_scheduler(Scheduler, OPEN, loss)
    assert trial.outcome == "failed"
    assert "method: custom has no suggestions of its own" in trial.reason


def test_the_faults_of_a_sweep_file_are_told_before_anything_runs() -> None:
    with pytest.raises(InvalidSpecError, match="metric"):
        try_scheduler(Scheduler, {"method": "bayes", "parameters": {"x": {"min": 0.0, "max": 1.0}}}, loss)


def example(name: str) -> Any:
    path = EXAMPLES / name / f"{name}.py"
    found = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[module.__name__] = module
    found.loader.exec_module(module)
    return module


def test_the_example_in_the_place_of_wandbs_scheduler_goes_through_a_grid(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    kind = example("wandb_scheduler").WandbScheduler
    trial = try_scheduler(kind, EXAMPLES / "wandb-sweep.yaml", lambda parameters: [(parameters["x"] - 3) ** 2])
    assert (trial.outcome, trial.most_at_once, [run.parameters["x"] for run in trial.runs]) == (
        *("finished", 2),
        [1, 2, 3, 4],
    )
    assert trial.best is not None
    assert trial.best.parameters == {"x": 3}
    assert "worker 0 gets {'x': 1}" in caplog.messages


def test_the_example_with_optuna_searches_prunes_and_resumes() -> None:
    kind = example("optuna_scheduler").OptunaScheduler

    def program(parameters: Mapping[str, Any]) -> Iterator[float]:
        for step in range(5):
            yield (parameters["x"] - 3) ** 2 + 1 / (step + 1)

    sweep: dict[str, Any] = {
        "metric": {"name": "loss"},
        "run_cap": 25,
        "parameters": {"x": {"min": -10.0, "max": 10.0}, "m": {"parameters": {"d": {"values": [1, 2]}}}},
        "scheduler": {"num_workers": 2, "settings": {"sampler": {"args": {"seed": 1}}}},
    }
    trial = try_scheduler(kind, sweep, program)
    assert (trial.outcome, len(trial.runs), trial.most_at_once) == ("finished", 25, 2)
    assert trial.best is not None
    assert abs(trial.best.parameters["x"] - 3) < 1.5
    pruned = [run for run in trial.runs if run.state is RunState.STOPPED]
    assert pruned
    assert all("MedianPruner: pruned after" in (run.stop_reason or "") for run in pruned)
    more = try_scheduler(kind, sweep | {"run_cap": 27}, program, runs=trial.runs, state=trial.state)
    assert (more.outcome, len(more.runs)) == ("finished", 27)
    assert [run.parameters for run in more.runs[:25]] == [run.parameters for run in trial.runs]


def test_a_sampler_that_optuna_does_not_have_is_told() -> None:
    kind = example("optuna_scheduler").OptunaScheduler
    settings = {"sampler": {"type": "system"}}
    sweep = OPEN | {"scheduler": {"settings": settings}}
    trial = try_scheduler(kind, sweep, loss)
    assert "failed in __init__: ValueError: 'system' is none of" in trial.reason


def test_a_path_reads_a_sweep_file(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("method: grid\nparameters: {a: {values: [1, 2]}}\n")
    assert len(try_scheduler(Scheduler, tmp_path / "sweep.yaml", loss).runs) == 2


def test_a_sweep_whose_runs_never_log_the_metric_fails_after_three() -> None:
    def nothing(_: Mapping[str, Any]) -> list[float]:
        return []

    trial = try_scheduler(Own, own(9), nothing)
    assert (trial.outcome, len(trial.runs)) == ("failed", 3)
    assert "none logged the metric 'loss'" in trial.reason


SOURCE = """
def search_space(trial):
    if trial.suggest_categorical("kind", ["tree", "linear"]) == "tree":
        trial.suggest_int("depth", 1, 3)
"""


def test_suggest_is_what_a_search_space_in_code_gives(tmp_path: Path) -> None:
    (tmp_path / "search.py").write_text(SOURCE)
    (tmp_path / "sweep.yaml").write_text(
        "{method: optuna, optuna: {optuna_source: search.py}, metric: {name: loss}, scheduler: {num_workers: 2}}"
    )
    trial = try_scheduler(Scheduler, tmp_path / "sweep.yaml", lambda parameters: float(parameters.get("depth", 9)))
    assert trial.outcome == "finished", trial.reason
    kinds = sorted((run.parameters["kind"], run.parameters.get("depth", 0)) for run in trial.runs)
    assert kinds == [("linear", 0), ("tree", 1), ("tree", 2), ("tree", 3)]
    assert trial.best is not None
    assert trial.best.parameters == {"kind": "tree", "depth": 1}


def test_a_search_space_in_code_that_fails_is_the_failure_of_the_scheduler_that_asked(tmp_path: Path) -> None:
    (tmp_path / "search.py").write_text("def search_space(trial):\n    raise KeyError('depth')\n")
    (tmp_path / "sweep.yaml").write_text("{method: optuna, optuna: {optuna_source: search.py}, metric: {name: loss}}")
    trial = try_scheduler(Scheduler, tmp_path / "sweep.yaml", lambda _: 1.0)
    assert trial.outcome == "failed"
    assert "_get_next_sweep_run" in trial.reason
    assert "search.py:2: KeyError: 'depth'" in trial.reason
