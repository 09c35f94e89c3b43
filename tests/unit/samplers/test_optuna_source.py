"""Code of the user's that says what to search: conditional parameters, studies, samplers, pruners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document
from launch_sdk.specs.optuna_spec import OptunaSpec
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.early_stop import Curve, History, make_early_stop
from launch_sdk.sweeps.planning import Launch, plan
from launch_sdk.sweeps.samplers import Observation, sampler_of
from launch_sdk.sweeps.samplers.optuna_search import OptunaSampler
from launch_sdk.sweeps.samplers.optuna_source import OptunaSource, load_optuna_source
from launch_sdk.sweeps.samplers.protocol import Sampler

CONDITIONAL = """
from choices import KINDS

def search_space(trial):
    kind = trial.suggest_categorical("kind", KINDS)
    if kind == "tree":
        trial.suggest_int("depth", 1, 3)
    else:
        trial.suggest_categorical("solver", ["a", "b"])
    return {"fixed": {"kind": kind}}
"""
OBJECTIVE = """
import optuna

def objective(trial):
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    for step in range(10**9):
        trial.report(lr, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return lr
"""
WANDBS = """
import optuna

def objective(trial):
    database = trial.suggest_categorical("database", ["small", "medium", "large"])
    if database in ["small", "large"]:
        trial.suggest_int("batch_size", 16, 64)
        trial.suggest_categorical("randomize", [True, False])
    else:
        trial.suggest_int("batch_size", 64, 256)
    return -1

def sampler():
    return optuna.samplers.NSGAIISampler(population_size=10, crossover_prob=0.2, seed=1000000)

def pruner():
    return optuna.pruners.ThresholdPruner(upper=5.0)
"""


def write(folder: Path, text: str, **changes: Any) -> tuple[SweepSpec, Path]:
    (folder / "search.py").write_text(text)
    (folder / "choices.py").write_text("KINDS = ['tree', 'line']\n")
    document = {
        "method": "optuna",
        "program": "train.py",
        "metric": {"name": "loss"},
        "optuna": {"optuna_source": "search.py"},
    }
    return parse_sweep(Document(document | changes)), folder


def load(folder: Path, text: str, **changes: Any) -> tuple[SweepSpec, OptunaSource]:
    spec, code = write(folder, text, **changes)
    source = load_optuna_source(spec, code)
    assert source is not None
    return spec, source


def refusal(folder: Path, text: str, **changes: Any) -> str:
    def first_point() -> None:
        spec, source = load(folder, text, **changes)
        sampler_of(spec, source).suggest(spec.space, [], 0)

    with pytest.raises(InvalidSpecError) as caught:
        first_point()
    return str(caught.value)


def points_of(sampler: Sampler, spec: SweepSpec, runs: int) -> list[dict[str, Any]]:
    observations: list[Observation] = []
    for index in range(runs):
        parameters = sampler.suggest(spec.space, observations, index)
        if parameters is None:
            break
        observations.append(Observation(index, parameters, float(index % 3), "finished"))
    return [dict(one.parameters) for one in observations]


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", "BruteForceSampler", "NSGAIISampler"])
def test_a_conditional_space_is_gone_through_once_and_then_ends(tmp_path: Path, sampler: str) -> None:
    block = {"optuna_source": "search.py", "sampler": {"type": sampler}}
    spec, source = load(tmp_path, CONDITIONAL, optuna=block)
    points = points_of(sampler_of(spec, source), spec, 50)
    trees = [point["depth"] for point in points if point["kind"] == "tree"]
    lines = [point["solver"] for point in points if point["kind"] == "line"]
    assert (sorted(trees), sorted(lines), len(points)) == ([1, 2, 3], ["a", "b"], 5)
    assert all(point["fixed"] == {"kind": point["kind"]} for point in points)


def test_the_same_code_and_history_give_the_same_point_after_a_restart(tmp_path: Path) -> None:
    text = """
def search_space(trial):
    for n in range(trial.suggest_int("n", 1, 4)):
        trial.suggest_float(f"x{n}", 0, 1)
"""
    spec, source = load(tmp_path, text)
    points = points_of(sampler_of(spec, source), spec, 12)
    _, again = load(tmp_path, text)
    told = [Observation(index, point, float(index % 3), "finished") for index, point in enumerate(points[:11])]
    assert sampler_of(spec, again).suggest(spec.space, told, 11) == points[11]
    assert len({len(point) for point in points}) > 1


def test_an_objective_is_left_at_its_first_report(tmp_path: Path) -> None:
    spec, source = load(tmp_path, OBJECTIVE)
    points = points_of(sampler_of(spec, source), spec, 3)
    assert [list(point) for point in points] == [["lr"]] * 3


def test_the_optuna_file_of_wandbs_examples_is_searched_with_its_sampler_and_pruner(tmp_path: Path) -> None:
    spec, source = load(tmp_path, WANDBS)
    points = points_of(sampler_of(spec, source), spec, 15)
    assert type(source.sampler).__name__ == "NSGAIISampler"
    assert len({tuple(point.values()) for point in points}) == 15, "its constant seed makes no two runs the same"
    assert all(("randomize" in point) == (point["database"] != "medium") for point in points)
    rule = make_early_stop(spec.early_stop, goal="minimize", pruner=source.pruner)
    assert rule is not None
    histories = [History("r0", 0, Curve.of_values([9.0])), History("r1", 1, Curve.of_values([1.0]))]
    assert [tuple(one) for one in rule.decide(histories)] == [("r0", "ThresholdPruner: pruned at iteration 1 with 9")]
    assert spec.needs_values


def test_a_pruner_of_the_users_that_fails_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "import optuna\ndef search_space(trial):\n    trial.suggest_float('x', 0, 1)\n"
        "class Mine(optuna.pruners.BasePruner):\n    def prune(self, study, trial):\n        return 1 / 0\n"
        "def pruner():\n    return Mine()\n"
    )
    _, source = load(tmp_path, text)
    rule = make_early_stop((), goal="minimize", pruner=source.pruner)
    assert rule is not None
    assert list(rule.decide([History("r0", 0, Curve.of_values([9.0]))])) == []
    assert "Mine failed and ended no run: ZeroDivisionError" in caplog.text


def test_a_study_brings_its_sampler_and_its_results(tmp_path: Path) -> None:
    text = """
import optuna

def search_space(trial):
    trial.suggest_float("x", 0.0, 1.0)

def study():
    made = optuna.create_study(sampler=optuna.samplers.TPESampler(n_startup_trials=5, seed=1))
    space = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    for x in (0.1, 0.3, 0.5, 0.7, 0.705, 0.71, 0.9):
        made.add_trial(optuna.create_trial(params={"x": x}, distributions=space, value=(x - 0.7) ** 2))
    return made
"""
    spec, source = load(tmp_path, text)
    assert sampler_of(spec, source).suggest(spec.space, [], 0) is not None
    sampler = OptunaSampler(OptunaSpec(), "minimize", 0, source)
    study = sampler.study_of(spec.space, [])
    assert [trial.params["x"] for trial in study.get_trials()] == [0.1, 0.3, 0.5, 0.7, 0.705, 0.71, 0.9]
    assert vars(study.sampler)["_n_startup_trials"] == 5


def test_parameters_of_the_file_and_of_the_code_are_searched_together(tmp_path: Path) -> None:
    text = "def search_space(trial):\n    trial.suggest_int('batch', 1, trial.params['n'])\n"
    spec, source = load(tmp_path, text, parameters={"n": {"min": 2, "max": 9}, "c": {"value": 1}})
    for point in points_of(sampler_of(spec, source), spec, 10):
        assert set(point) == {"n", "c", "batch"}
        assert 1 <= point["batch"] <= point["n"]


def test_a_sampler_of_the_users_own_is_asked(tmp_path: Path) -> None:
    text = """
import optuna

class Mine(optuna.samplers.RandomSampler):
    def __init__(self):
        super().__init__()
        self.seen = 0
    def after_trial(self, study, trial, state, values):
        self.seen += 1
    def sample_independent(self, study, trial, name, distribution):
        return min(0.1 * self.seen + 0.01 * len(study.get_trials(states=[optuna.trial.TrialState.RUNNING])), 1.0)

def search_space(trial):
    trial.suggest_float("x", 0.0, 1.0)

def sampler():
    return Mine()
"""
    spec, source = load(tmp_path, text)
    assert [one["x"] for one in points_of(sampler_of(spec, source), spec, 3)] == pytest.approx([0.01, 0.01, 0.01])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_of_that_name\n", "cannot be imported: in search.py:1: ModuleNotFoundError"),
        ("x = (\n", "cannot be imported: in search.py: SyntaxError"),
        ("raise SystemExit(3)\n", "cannot be imported: in search.py:1: SystemExit: 3"),
        ("x = 1\n", "search.py has none of the functions search_space, objective, study, sampler, pruner"),
        ("def sampler():\n    return 3\n", "nothing to search: search.py has no search_space(trial)"),
        ("def search_space(trial):\n    pass\n", "search.py: asks for no parameter"),
        ("def search_space(trial):\n    trial.x\n", "search_space(trial) failed in search.py:2: AttributeError"),
        ("def objective(trial):\n    1 / 0\n", "objective(trial) failed before it asked for anything, in search.py:2"),
        (
            "def search_space(trial):\n    trial.suggest_float('x', 2, 1)\n",
            "search_space(trial) failed in search.py:2: ValueError",
        ),
        ("def search_space(trial):\n    trial.suggest_int('1 x', 1, 2)\n", "'1 x' is no parameter name"),
        (
            "def search_space(trial):\n    trial.suggest_int('x', 1, 2)\n    return {'y': {1, 2}}\n",
            "y is a set, which no JSON can hold",
        ),
        (
            "def search_space(trial):\n    pass\ndef sampler():\n    return 3\n",
            "sampler() in search.py gives a int; it must give a sampler of Optuna's",
        ),
        (
            "import optuna\ndef objective(t): pass\ndef study(): return optuna.create_study(direction='maximize')",
            "study() in search.py is to maximize, but the metric's goal is to minimize",
        ),
        (
            "def search_space(trial):\n    pass\ndef study():\n    raise KeyError('db')\n",
            "study() failed in search.py:4: KeyError: 'db'",
        ),
    ],
)
def test_what_is_wrong_with_the_code_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


def test_a_file_that_is_not_there_or_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    code, outside = tmp_path / "code", tmp_path / "outside.py"
    code.mkdir()
    outside.write_text(CONDITIONAL)
    assert "search.py is not in the code" in refusal_of(code)
    (code / "search.py").symlink_to(outside)
    assert "leads out of the code of the sweep's program" in refusal_of(code)


def refusal_of(code: Path) -> str:
    document = {
        "method": "optuna",
        "program": "t.py",
        "metric": {"name": "l"},
        "optuna": {"optuna_source": "search.py"},
    }
    with pytest.raises(InvalidSpecError) as caught:
        load_optuna_source(parse_sweep(Document(document)), code)
    return str(caught.value)


def test_runs_of_before_that_lack_what_the_code_asks_for_do_not_count(tmp_path: Path) -> None:
    spec, source = load(tmp_path, CONDITIONAL)
    strangers = [Observation(-2, {}, 1.0, "finished"), Observation(-1, {"kind": "tree", "depth": 99}, 1.0, "finished")]
    assert sampler_of(spec, source).suggest(spec.space, strangers, 0) is not None


BESIDE = """
def search_space(trial):
    return {"kind": trial.suggest_categorical("kind", ["tree", "line"]), "added": 1}
"""


def test_first_points_of_the_file_go_with_what_the_code_asks_for_and_adds(tmp_path: Path) -> None:
    named = {"a": {"min": 1, "max": 9}, "b": {"min": 1, "max": 9}}
    spec, source = load(tmp_path, BESIDE, parameters=named, initial=[{"a": 7, "b": 2}, {"a": 8}], run_cap=3)
    sampler = sampler_of(spec, source)
    runs = [action for action in plan(spec, [], sampler) if isinstance(action, Launch)]
    assert [set(run.parameters) for run in runs] == [{"a", "b", "kind", "added"}] * 3
    assert [runs[0].parameters["a"], runs[0].parameters["b"], runs[1].parameters["a"]] == [7, 2, 8]
    seen = [Observation(run.index, run.parameters, 1.0, "finished") for run in runs]
    assert isinstance(sampler, OptunaSampler)
    assert [trial.params["a"] for trial in sampler.study_of(spec.space, seen).trials][:2] == [7, 8]


def test_a_first_point_names_only_what_stands_under_parameters(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match=r"initial\[0\]\.kind: is no parameter of the sweep; name it under"):
        write(tmp_path, BESIDE, initial=[{"kind": "tree"}])
