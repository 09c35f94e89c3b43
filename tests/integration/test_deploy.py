"""`prefect.yaml` and the product's own commands register the same deployments; Prefect's own worker runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import REPOSITORY, Home, eventually

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

COMPARED = (
    "entrypoint",
    "pull_steps",
    "work_pool_name",
    "work_queue_name",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "version",
    "description",
    "parameters",
    "job_variables",
    "path",
)


def deployments(home: Home) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with httpx.Client(base_url=home.api_url) as http:
        for flow in ("run-job", "run-sweep"):
            answer = http.get(f"/deployments/name/{flow}/default").raise_for_status().json()
            found[flow] = {key: answer[key] for key in COMPARED}
            if not answer["parameter_openapi_schema"].get("definitions"):
                answer["parameter_openapi_schema"].pop("definitions", None)  # an empty one says the same as none
    return found


def delete_deployments(home: Home) -> None:
    with httpx.Client(base_url=home.api_url) as http:
        for flow in ("run-job", "run-sweep"):
            answer = http.get(f"/deployments/name/{flow}/default")
            if answer.is_success:
                http.delete(f"/deployments/{answer.json()['id']}").raise_for_status()


def ensure_default_queue(home: Home) -> None:
    created = home.run("launch", "queue", "create", "default")
    assert created.returncode == 0 or "exists" in created.stderr, created.stderr


def deploy(home: Home) -> None:
    done = home.run("prefect", "--no-prompt", "deploy", "--all", PREFECT_API_URL=home.api_url)
    assert done.returncode == 0, done.stdout + done.stderr


def start_run(home: Home, flow: str, parameters: dict[str, Any]) -> str:
    """Do what the form of the Prefect UI does."""
    with httpx.Client(base_url=home.api_url) as http:
        deployment = http.get(f"/deployments/name/{flow}/default").raise_for_status().json()
        body = {"state": {"type": "SCHEDULED"}, "parameters": parameters, "enforce_parameter_schema": True}
        answer = http.post(f"/deployments/{deployment['id']}/create_flow_run", json=body)
    return answer.raise_for_status().json()["id"]


def test_prefect_deploy_registers_what_the_product_itself_registers(home: Home) -> None:
    ensure_default_queue(home)
    delete_deployments(home)
    deploy(home)
    deployed = deployments(home)
    delete_deployments(home)
    agent = home.start("launch-agent", "--queues", "default")
    try:
        eventually(lambda: _both_there(home), "the agent registered the deployments", 120)
    finally:
        agent.terminate()
        agent.communicate(timeout=60)
    assert deployed == deployments(home)
    fields = deployed["run-sweep"]["parameter_openapi_schema"]["properties"]
    assert all(field.get("description") for field in fields.values()), "the form explains each field"
    assert deployed["run-job"]["pull_steps"] == [
        {"prefect.deployments.steps.set_working_directory": {"directory": str(REPOSITORY)}}
    ]


def agents(home: Home) -> list[str]:
    return [agent["name"] for agent in home.json("launch", "agent", "list") if "default" in agent["queues"]]


def end_agents(home: Home) -> None:
    """End the agents that other tests have left, for they would be quicker than a worker of Prefect's own."""
    for name in agents(home):
        home.run("launch", "agent", "stop", name)
    eventually(lambda: not agents(home), "the agents should end")


def _both_there(home: Home) -> bool:
    with httpx.Client(base_url=home.api_url) as http:
        return all(http.get(f"/deployments/name/{flow}/default").is_success for flow in ("run-job", "run-sweep"))


def test_prefects_own_worker_runs_the_products_deployments(home: Home, tmp_path: Path) -> None:
    ensure_default_queue(home)
    (tmp_path / "train.py").write_text(
        "import launch_sdk as launch\nwith launch.init(config={'x': 1}) as run: run.log({'loss': run.config['x']})\n"
    )
    if not _both_there(home):
        deploy(home)
    end_agents(home)
    worker = home.start(
        *("prefect", "worker", "start", "--pool", "default", "--type", "process", "--name", "stock"),
        cwd=tmp_path,
        PREFECT_API_URL=home.api_url,
        PREFECT_WORKER_QUERY_SECONDS="1",
    )
    sweep = {
        "program": "train.py",
        "method": "grid",
        "metric": {"name": "loss"},
        "parameters": {"x": {"values": [3, 2]}},
    }
    try:
        eventually(lambda: "stock" in agents(home), "the worker should be there", 120)
        run_id = start_run(home, "run-sweep", {"sweep": sweep, "source": str(tmp_path)})
        view = eventually(lambda: _ended(home, run_id), "the sweep ended", 300)
    finally:
        worker.terminate()
        worker.communicate(timeout=60)
        # For 90 s after its last heartbeat others would wait for this worker.
        httpx.delete(f"{home.api_url}/work_pools/default/workers/stock").raise_for_status()
    assert view["state"]["type"] == "COMPLETED", view["state"]
    assert home.json("launch", "sweep", "show", run_id[-8:])["best"]["metric"] == 2


def _ended(home: Home, run_id: str) -> Any:
    run = httpx.get(f"{home.api_url}/flow_runs/{run_id}").raise_for_status().json()
    return run if run["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None
