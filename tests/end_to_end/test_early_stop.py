"""Runs that are ended early: a real server, a real agent, real programs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Home

PROGRAM = """
import time
import launch_sdk as launch

with launch.init(config={"x": 1.0}) as run:
    for step in range(25 if run.config["x"] == 1.0 else 150):
        run.log({"loss": run.config["x"] + 1 / (step + 1)})
        time.sleep(0.2)
"""
FLOW_RULE = """
from limits import LIMIT

def decide(histories):
    return [(run.run_id, f"{run.values[-1]:g} is above {LIMIT}") for run in histories if run.values[-1:] > [LIMIT]]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM)
    return folder


def _sweep(project: Path, rule: Any, points: list[float]) -> Path:
    path = project / "sweep.yaml"
    document: dict[str, Any] = {
        "program": "train.py",
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "early_terminate": rule,
        "parameters": {"x": {"values": points}},
        "scheduler": {"num_workers": 2},
    }
    path.write_text(json.dumps(document))
    return path


def _seconds_to_end(home: Home, run_id: str) -> float:
    """Measure on the server how long a run went on after it was asked to end."""
    answer = httpx.get(f"{home.api_url}/flow_run_states/", params={"flow_run_id": run_id})
    when = {state["type"]: datetime.fromisoformat(state["timestamp"]) for state in answer.json()}
    return (when["CANCELLED"] - when["CANCELLING"]).total_seconds()


def test_hyperband_ends_bad_runs_within_two_seconds_and_gives_their_places_to_others(home: Home, project: Path) -> None:
    sweep = _sweep(project, {"type": "hyperband", "min_iter": 3}, [1.0, 5.0, 7.0])
    done = home.run("launch-sweep", str(sweep), "--json")
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    runs = view["runs"]
    assert [run["state"] for run in runs] == ["finished", "stopped", "stopped"]
    assert view["best"]["index"] == 0
    assert runs[0]["stop_reason"] is None
    for run in runs[1:]:
        assert "is worse than" in run["stop_reason"]
        assert run["stop_reason"].startswith("band ")
        logged = 1 / (run["metric"] - run["parameters"]["x"])
        assert 3 <= round(logged) < 150, "what it had logged counts, and it had not come to its end"
        assert _seconds_to_end(home, run["run_id"]) < 2.0
        assert f"Run {run['index']} stopped: {run['stop_reason']}" in done.stderr
    shown = home.run("launch", "sweep", "show", view["sweep_id"])
    assert f"Run 1 stopped: {runs[1]['stop_reason']}" in shown.stdout
    assert _why_in_the_artifact(home, view) == {run["index"]: run["stop_reason"] or "" for run in runs}


def _why_in_the_artifact(home: Home, view: dict[str, Any]) -> dict[int, str]:
    """Read the column of the table in the Prefect UI, without what keeps it from being read as markdown."""
    wanted = {"artifacts": {"key": {"any_": [f"sweep-{view['sweep_id']}-runs"]}}}
    (artifact,) = httpx.post(f"{home.api_url}/artifacts/filter", json=wanted).json()
    return {row["run"]: row["why"].replace("\u2060", "") for row in json.loads(artifact["data"])}


def test_a_threshold_and_a_function_of_the_users_end_runs(home: Home, project: Path) -> None:
    (project / "stop.py").write_text(FLOW_RULE)
    (project / "limits.py").write_text("LIMIT = 100.0\n")
    rules = [
        {"type": "threshold", "worse_than": 50, "min_iter": 5},
        {"type": "python", "source": "stop.py:decide"},
    ]
    view = home.json("launch-sweep", str(_sweep(project, rules, [60.0, 200.0, 1.0])))
    assert [run["state"] for run in view["runs"]] == ["stopped", "stopped", "finished"]
    reasons = [run["stop_reason"] for run in view["runs"]]
    assert reasons[0] == "iteration 5: 60.2 is worse than 50, the threshold"
    assert "worse than 50" in reasons[1] or reasons[1].endswith("is above 100.0")
    assert reasons[2] is None


def test_a_functions_file_that_is_not_there_is_said_before_anything_starts(home: Home, project: Path) -> None:
    sweep = _sweep(project, [{"type": "nan"}, {"type": "python", "source": "stop.py:decide"}], [1.0])
    done = home.run("launch-sweep", str(sweep))
    assert done.returncode == 2
    assert "early_terminate[1].source: stop.py does not exist in" in done.stderr
    assert "Traceback" not in done.stderr
