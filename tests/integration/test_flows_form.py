"""Runs and sweeps that are started, cancelled and resumed from the Prefect UI, by the calls of its pages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Home, eventually

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

PROGRAM = """
import os, signal, subprocess, sys, time
import launch_sdk as launch

with launch.init(config={"x": 0, "seconds": 0, "pids": ""}) as run:
    config = run.config
    if config["pids"]:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        for pid in (os.getpid(), child.pid):
            open(f"{config['pids']}/{pid}", "x").close()
    run.log({"loss": config["x"]})
    time.sleep(config["seconds"])
"""
TERMINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Ui:
    """What the pages of the Prefect UI call."""

    def __init__(self, home: Home) -> None:
        self.http = httpx.Client(base_url=home.api_url)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def custom_run(self, deployment: str, parameters: dict[str, Any]) -> str:
        found = self.http.get(f"/deployments/name/{deployment}").raise_for_status().json()
        body = {"state": {"type": "SCHEDULED"}, "parameters": parameters, "enforce_parameter_schema": True}
        return self.post(f"/deployments/{found['id']}/create_flow_run", body)["id"]

    def run(self, run_id: str) -> Any:
        return self.http.get(f"/flow_runs/{run_id}").raise_for_status().json()

    def ended(self, run_id: str, timeout_s: float = 200) -> Any:
        def look() -> Any:
            run = self.run(run_id)
            return run if run["state"]["type"] in TERMINAL else None

        return eventually(look, f"flow run {run_id} ended", timeout_s)

    def children(self, sweep_id: str) -> list[Any]:
        body = {"flow_runs": {"tags": {"all_": [f"sweep:{sweep_id}"]}}, "sort": "NAME_ASC", "limit": 50}
        found = self.post("/flow_runs/filter", body)
        return [run for run in found if "launch-sweep" not in run["tags"]]

    def logs(self, run_id: str) -> str:
        body = {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200, "offset": 0}
        return "\n".join(line["message"] for line in self.post("/logs/filter", body))

    def cancel(self, run_id: str) -> None:
        self.post(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})


@pytest.fixture(scope="module")
def queue(home: Home) -> Iterator[str]:
    assert home.run("launch", "queue", "create", "forms").returncode == 0
    agent = home.start("launch-agent", "--queues", "forms", "--max-jobs", "2")
    yield "forms"
    agent.terminate()
    agent.communicate(timeout=60)


@pytest.fixture
def ui(home: Home) -> Iterator[Ui]:
    ui = Ui(home)
    yield ui
    ui.http.close()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM)
    return folder


def grid(points: int, **constants: Any) -> dict[str, Any]:
    return {
        "program": "train.py",
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {"x": {"values": list(range(points))}}
        | {name: {"value": value} for name, value in constants.items()},
        "scheduler": {"num_workers": 2},
    }


def test_a_program_in_a_local_directory_runs_from_the_form(ui: Ui, queue: str, code: Path) -> None:
    parameters = {"source": str(code), "entry_point": ["train.py"], "config": {"x": 7}}
    run = ui.ended(ui.custom_run(f"run-job/{queue}", parameters))
    assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
    assert json.loads(run["labels"]["launch.summary"]) == {"loss": 7}


def test_a_sweep_runs_from_the_form_with_nothing_but_its_document_and_directory(
    home: Home, ui: Ui, queue: str, code: Path
) -> None:
    run_id = ui.custom_run(f"run-sweep/{queue}", {"sweep": grid(3), "source": str(code)})
    run = ui.ended(run_id)
    sweep_id = run_id.replace("-", "")[-8:]
    assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
    assert {"launch-sweep", f"sweep:{sweep_id}"} <= set(run["tags"])
    children = ui.children(sweep_id)
    assert [child["parameters"]["config"]["x"] for child in children] == [0, 1, 2]
    assert {child["parameters"]["source"] for child in children} == {run["labels"]["launch.source"]}
    shown = home.json("launch", "sweep", "show", sweep_id)
    assert shown["state"] == "finished"
    assert shown["best"]["metric"] == 0


def test_a_copy_of_a_sweeps_run_is_a_sweep_of_its_own(ui: Ui, queue: str, code: Path) -> None:
    first = ui.ended(ui.custom_run(f"run-sweep/{queue}", {"sweep": grid(1), "source": str(code)}))
    copy_id = ui.custom_run(f"run-sweep/{queue}", first["parameters"])
    copy = ui.ended(copy_id)
    assert copy["state"]["type"] == "COMPLETED", copy["state"]["message"]
    assert first["parameters"]["sweep_id"] != copy["parameters"]["sweep_id"] == copy_id.replace("-", "")[-8:]
    assert len(ui.children(copy["parameters"]["sweep_id"])) == 1


def test_a_sweep_without_the_directory_of_its_program_fails_with_what_to_do(ui: Ui, queue: str) -> None:
    run_id = ui.custom_run(f"run-sweep/{queue}", {"sweep": grid(1)})
    run = ui.ended(run_id)
    assert run["state"]["type"] == "FAILED"
    assert "give the directory that holds train.py" in run["state"]["message"]
    assert "Traceback" not in ui.logs(run_id)


def is_alive(pid: str) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_cancelling_a_sweep_in_the_ui_ends_every_program_and_a_resume_uses_the_same_code(
    home: Home, ui: Ui, queue: str, code: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    parameters = {"sweep": grid(4, seconds=600, pids=str(pids)), "source": str(code)}
    run_id = ui.custom_run(f"run-sweep/{queue}", parameters)
    eventually(lambda: len(list(pids.iterdir())) == 4, "two programs run, each with one of its own", 120)
    ui.cancel(run_id)
    programs = [path.name for path in pids.iterdir()]
    eventually(lambda: not any(map(is_alive, programs)), f"the programs {programs} ended", 20)
    run = ui.ended(run_id, 60)
    children = ui.children(run_id.replace("-", "")[-8:])
    assert run["state"]["type"] == "CANCELLED", run["state"]
    assert [child["state"]["type"] for child in children] == ["CANCELLED"] * len(children)
    for logged in (run, *children):
        assert "Traceback" not in ui.logs(logged["id"])

    source = run["labels"]["launch.source"]
    shutil.rmtree(code)
    sweep_id = run_id.replace("-", "")[-8:]
    watching = home.start("launch-sweep", "--resume_id", sweep_id)
    try:
        eventually(lambda: len(list(pids.iterdir())) == 8, "the resumed sweep runs programs", 120)
        started = ui.children(sweep_id)
        assert {child["parameters"]["source"] for child in started} == {source}
    finally:
        ui.cancel(run_id)
        watching.communicate(timeout=120)
    assert ui.ended(run_id)["state"]["type"] == "CANCELLED"
