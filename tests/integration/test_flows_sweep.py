"""Sweeps over a user's own Prefect flows, deployed as any Prefect flow is, on our queue and on Prefect's own pool."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Home, eventually

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

FLOWS = """
from __future__ import annotations
import time
from prefect import flow
from pydantic import BaseModel
import launch_sdk as launch

class Optimizer(BaseModel):
    lr: float = 0.1
    momentum: float = 0.5

class Model(BaseModel):
    width: int = 4
    optimizer: Optimizer = Optimizer()

def loss_of(x: float, model: Model) -> float:
    return (x - 2) ** 2 + model.optimizer.lr

@flow
def number(x: float, model: Model = Model()) -> float:
    return loss_of(x, model)

@flow
async def mapping(x: float, model: Model = Model()) -> dict:
    return {"loss": loss_of(x, model), "note": "text is no metric"}

@launch.job(project="tests")
@flow
def logging(x: float, model: Model = Model()):
    for step in range(3):
        launch.log({"loss": loss_of(launch.config["x"], model) + 2 - step})

@flow
@launch.job
async def logging_async(x: float, model: Model = Model()) -> float:
    launch.log({"accuracy": x})
    return loss_of(x, model)

@launch.job
@flow
def patient(x: float):
    for step in range(10 if x == 1.0 else 300):
        launch.log({"loss": x + 1 / (step + 1)})
        time.sleep(0.2)

@flow
async def silent(x: float, model: Model = Model()) -> None:
    pass
"""
NAMES = {
    name: name.replace("_", "-") for name in ("number", "mapping", "logging", "logging_async", "patient", "silent")
}


def deploy(api_url: str, folder: Path, pool: str, functions: list[str]) -> None:
    """Register flows as `prefect deploy` does, through Prefect's own client."""
    script = f"""
import asyncio
from prefect.client.orchestration import get_client
import pipeline

async def main():
    async with get_client() as client:
        for name in {functions!r}:
            flow = getattr(pipeline, name)
            await client.create_deployment(
                await client.create_flow(flow), {pool!r}, work_pool_name={pool!r}, entrypoint=f"pipeline.py:{{name}}",
                pull_steps=[{{"prefect.deployments.steps.set_working_directory": {{"directory": {str(folder)!r}}}}}],
                parameter_openapi_schema=flow.parameters.model_dump(), enforce_parameter_schema=True)

asyncio.run(main())
"""
    environment = {"PREFECT_API_URL": api_url, "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "pipeline.py").write_text(FLOWS)
    return folder


@pytest.fixture(scope="module")
def queue(home: Home, folder: Path) -> Iterator[str]:
    """A queue of its own, with the flows deployed on it and an agent that serves it."""
    created = home.run("launch", "queue", "create", "flows")
    assert created.returncode == 0, created.stderr
    deploy(home.api_url, folder, "flows", list(NAMES))
    agent = home.start("launch-agent", "--queues", "flows", "--max-jobs", "2")
    yield "flows"
    agent.terminate()
    agent.communicate(timeout=60)


def sweep(home: Home, folder: Path, flow: str, pool: str, queue: str, **more: Any) -> Any:
    document = {
        "job": f"{flow}/{pool}",
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {
            "x": {"values": [1.0, 2.0]},
            "model": {"parameters": {"optimizer": {"parameters": {"lr": {"values": [0.25, 0.5]}}}}},
        },
        "scheduler": {"num_workers": 2},
        **more,
    }
    path = folder / f"{flow}.yaml"
    path.write_text(json.dumps(document))
    result = home.json("launch-sweep", str(path), "--queue", queue, timeout_s=400)
    result["error"] = home.json("launch", "run", "show", result["scheduler"]["run_id"])["error"]
    return result


@pytest.mark.parametrize("function", ["number", "mapping", "logging", "logging_async"])
def test_a_sweep_finds_the_best_parameters_of_an_existing_deployment(
    home: Home, folder: Path, queue: str, function: str
) -> None:
    result = sweep(home, folder, NAMES[function], queue, queue)
    assert result["state"] == "finished", result["error"]
    assert [run["state"] for run in result["runs"]] == ["finished"] * 4
    assert result["best"]["metric"] == 0.25
    assert result["best"]["parameters"] == {"x": 2.0, "model": {"optimizer": {"lr": 0.25}}}


def test_what_a_job_logged_and_what_it_returned_are_one_summary(home: Home, folder: Path, queue: str) -> None:
    result = sweep(home, folder, NAMES["logging_async"], queue, queue, run_cap=1)
    run = home.json("launch", "run", "show", result["runs"][0]["run_id"])
    assert run["summary"] == {"accuracy": 1.0, "loss": 1.25}


def test_text_that_a_flow_returns_is_no_part_of_its_summary(home: Home, folder: Path, queue: str) -> None:
    result = sweep(home, folder, NAMES["mapping"], queue, queue, run_cap=1)
    assert home.json("launch", "run", "show", result["runs"][0]["run_id"])["summary"] == {"loss": 1.25}


def test_a_flow_that_returns_nothing_is_told_of_after_its_first_run(home: Home, folder: Path, queue: str) -> None:
    result = sweep(home, folder, NAMES["silent"], queue, queue, run_cap=2, scheduler={"num_workers": 1})
    assert result["best"] is None
    parent = result["scheduler"]["run_id"]
    with httpx.Client(base_url=home.api_url) as http:
        labels = http.get(f"/flow_runs/{parent}").raise_for_status().json()["labels"]
    assert "none logged the metric 'loss'" in labels["launch.notices"]


def test_a_flow_that_logs_while_it_runs_is_ended_early(home: Home, folder: Path, queue: str) -> None:
    rule = {"type": "threshold", "worse_than": 4, "min_iter": 3}
    points = {"x": {"values": [5.0, 1.0]}}
    result = sweep(home, folder, "patient", queue, queue, parameters=points, early_terminate=rule)
    assert [run["state"] for run in result["runs"]] == ["stopped", "finished"], result["error"]
    assert result["runs"][0]["stop_reason"] == "iteration 3: 5.333 is worse than 4, the threshold"
    assert 5.0 < result["runs"][0]["metric"] <= 5 + 1 / 3


def test_a_flow_that_logs_nothing_while_it_runs_cannot_be_ended_early_which_is_said(
    home: Home, folder: Path, queue: str
) -> None:
    result = sweep(home, folder, "number", queue, queue, run_cap=1, early_terminate={"type": "nan"})
    (notice,) = result["notices"]
    assert notice.startswith("No run can be ended early: run 0 has finished and did not log 'loss' while it ran.")


def test_a_parameter_that_the_flow_does_not_have_ends_the_sweep_with_its_name(
    home: Home, folder: Path, queue: str
) -> None:
    result = sweep(home, folder, "number", queue, queue, parameters={"learning_rat": {"values": [1.0]}})
    assert result["state"] == "failed"
    run = home.json("launch", "run", "show", result["scheduler"]["run_id"])
    assert "learning_rat" in run["error"]
    assert "Traceback" not in "\n".join(home.json("launch", "run", "logs", result["scheduler"]["run_id"]))


def test_prefects_own_worker_runs_the_children_on_its_own_kind_of_pool(home: Home, folder: Path, queue: str) -> None:
    with httpx.Client(base_url=home.api_url) as http:
        aggregate = http.get("/collections/views/aggregate-worker-metadata").raise_for_status().json()
        template = aggregate["prefect"]["process"]["default_base_job_configuration"]
        body = {"name": "stock", "type": "process", "base_job_template": template}
        http.post("/work_pools/", json=body).raise_for_status()
    deploy(home.api_url, folder, "stock", ["number", "logging_async"])
    worker = home.start(
        *("prefect", "worker", "start", "--pool", "stock", "--type", "process", "--limit", "2"),
        cwd=folder,
        PREFECT_API_URL=home.api_url,
        PREFECT_WORKER_QUERY_SECONDS="1",
    )
    try:
        for function in ("number", "logging_async"):
            result = sweep(home, folder, NAMES[function], "stock", queue, run_cap=2)
            assert result["state"] == "finished", result["error"]
            assert sorted(run["metric"] for run in result["runs"]) == [0.25, 1.25]
    finally:
        worker.terminate()
        worker.communicate(timeout=60)
    eventually(lambda: worker.returncode is not None, "the worker ended")
