"""`method: optuna` as a user has it: a real server, a real agent, code of the user's that says what to search."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Home

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import launch_sdk as launch

with launch.init(config={"kind": "tree", "depth": 0, "solver": "none"}) as run:
    run.log({"loss": run.config["depth"] if run.config["kind"] == "tree" else 0.5})
"""
SEARCH = """
from choices import KINDS

def search_space(trial):
    if trial.suggest_categorical("kind", KINDS) == "tree":
        trial.suggest_int("depth", 1, 2)
    else:
        trial.suggest_categorical("solver", ["a", "b"])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "tuning").mkdir(parents=True)
    (folder / "train.py").write_text(PROGRAM)
    (folder / "tuning" / "search.py").write_text(SEARCH)
    (folder / "tuning" / "choices.py").write_text("KINDS = ['tree', 'line']\n")
    return folder


def write_sweep(project: Path, **changes: Any) -> str:
    document: dict[str, Any] = {
        "method": "optuna",
        "program": "train.py",
        "metric": {"name": "loss", "goal": "minimize"},
        "optuna": {"optuna_source": "tuning/search.py"},
        "scheduler": {"num_workers": 2},
    }
    document |= changes
    path = project / "sweep.yaml"
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    return str(path)


def test_a_conditional_space_in_code_is_searched_to_its_end(home: Home, project: Path) -> None:
    done = home.run("launch-sweep", write_sweep(project), "--json")
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    points = sorted(json.dumps(run["parameters"], sort_keys=True) for run in view["runs"])
    assert points == [
        '{"depth": 1, "kind": "tree"}',
        '{"depth": 2, "kind": "tree"}',
        '{"kind": "line", "solver": "a"}',
        '{"kind": "line", "solver": "b"}',
    ]
    assert (view["state"], view["best"]["metric"]) == ("finished", 0.5)
    assert "Sweep over what tuning/search.py says of train.py: optuna" in done.stderr
    shown = home.run("launch", "sweep", "show", view["sweep_id"])
    assert shown.returncode == 0, shown.stderr
    assert "solver=a" in shown.stdout or "solver" in shown.stdout


def test_the_code_of_a_job_says_what_to_search_and_a_fault_in_it_starts_no_run(home: Home, project: Path) -> None:
    (project / "tuning" / "broken.py").write_text("def search_space(trial):\n    trial.suggest_flot('x', 0, 1)\n")
    made = home.run("launch", "job", "create", "code", str(project), "-E", "train.py", "-n", "optuna-searched")
    assert made.returncode == 0, made.stderr
    of_job = {"program": None, "job": "optuna-searched", "run_cap": 2}
    view = home.json("launch-sweep", write_sweep(project, **of_job))
    assert (view["state"], len(view["runs"])) == ("finished", 2)
    broken = home.run(
        "launch-sweep", write_sweep(project, **of_job, optuna={"optuna_source": "tuning/broken.py"}), "--json"
    )
    assert broken.returncode == 1
    view = json.loads(broken.stdout)
    assert (view["state"], view["runs"]) == ("failed", [])
    assert "search_space(trial) failed in tuning/broken.py:2: AttributeError" in view["message"]
    assert "Traceback" not in broken.stderr


def test_what_is_wrong_with_the_block_is_told_before_anything_is_submitted(home: Home, project: Path) -> None:
    block: dict[str, Any] = {"sampler": {"type": "CmaEs", "args": {}}, "optuna_source": "tuning/nowhere.py"}
    refused = home.run("launch-sweep", write_sweep(project, optuna=block))
    assert refused.returncode == 2
    assert "optuna.sampler.type: 'CmaEs' is no sampler of Optuna's; did you mean CmaEsSampler?" in refused.stderr
    missing = home.run("launch-sweep", write_sweep(project, optuna={"optuna_source": "tuning/nowhere.py"}))
    assert missing.returncode == 2
    assert "optuna.optuna_source: tuning/nowhere.py does not exist in" in missing.stderr
