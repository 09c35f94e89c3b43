"""`@launch.job` on a real server: what a user's flow has inside it, and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Home

FLOWS = '''
from __future__ import annotations
import asyncio, json, os, subprocess, sys, time
import httpx
import launch_sdk as launch
from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel

class Optimizer(BaseModel):
    lr: float = 0.1
    steps: list[int] = [1, 2]

def show(**values):
    print(json.dumps(values), flush=True)

@launch.job(project="above")
@flow(version="7")
def above(x: float, optimizer: Optimizer = Optimizer(), *, tag: str = "t") -> float:
    """Say it."""
    show(config=dict(launch.config), project=launch.run.project, dir=launch.run.dir, id=str(flow_run.id))
    launch.log({"loss": x})
    return 3.5

@flow
@launch.job
async def below(x: float, optimizer: Optimizer = Optimizer()):
    await asyncio.sleep(0)
    launch.log({"loss": x})
    launch.log({"loss": x / 2})
    return {"acc": 1, "nested": {"f1": 0.5, "text": "no"}, "text": "no"}

@flow
@launch.job
def failing(x: float):
    launch.log({"loss": x})
    raise ValueError("of the user")

@launch.job
@flow
def slow(x: float):
    launch.log({"loss": x})
    address = f"{os.environ['PREFECT_API_URL']}/flow_runs/{flow_run.id}"
    deadline = time.monotonic() + 60
    while "launch.summary" not in (labels := httpx.get(address).json()["labels"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    show(while_running=labels.get("launch.summary"))

@launch.job
@flow
def with_program(x: float):
    program = "import launch_sdk as l; run = l.init(config={'x': 0}); run.log({'from_program': run.config['x']})"
    subprocess.run([sys.executable, "-c", program], check=True)

@launch.job
@flow
def outer(x: float):
    launch.log({"outer": 1})
    plain(x)
    show(still=launch.run is not None)

@launch.job
def plain(x: float = 2.0, *, y: int = 1):
    launch.log({"plain": x})
    return y

@flow
def stock(x: float, optimizer: Optimizer = Optimizer(), *, tag: str = "t") -> float:
    """Say it."""
    return 3.5
'''


class Project:
    """A folder with the flows, and a way to run a line of Python in it, with or without a server."""

    def __init__(self, folder: Path, home: Home) -> None:
        self.folder = folder
        self.home = home
        (folder / "pipeline.py").write_text(FLOWS)

    def run(self, line: str, *, server: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LAUNCH_", "PREFECT_"))}
        environment |= {"LAUNCH_HOME": str(self.home.path), "PREFECT_HOME": str(self.folder / "prefect")}
        if server:
            environment["PREFECT_API_URL"] = self.home.api_url
        else:  # Prefect starts a temporary server of its own
            environment["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "200"
        code = f"import pipeline, asyncio, json\n{line}"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def latest(self, flow: str) -> Any:
        body = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC", "limit": 1}
        return httpx.post(f"{self.home.api_url}/flow_runs/filter", json=body).raise_for_status().json()[0]

    def summary(self, flow: str) -> Any:
        return json.loads(self.latest(flow)["labels"]["launch.summary"])


@pytest.fixture
def project(tmp_path: Path, home: Home) -> Project:
    return Project(tmp_path, home)


pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


def test_a_job_has_its_parameters_as_config_and_a_directory_of_its_flow_run(project: Project) -> None:
    done = project.run("print(pipeline.above(1.5, optimizer={'lr': 1}))")
    assert done.returncode == 0, done.stderr
    seen, returned = done.stdout.splitlines()
    inside = json.loads(seen)
    assert inside["config"] == {"x": 1.5, "optimizer": {"lr": 1.0, "steps": [1, 2]}, "tag": "t"}
    assert inside["project"] == "above"
    assert inside["dir"] == str(project.home.path / "runs" / inside["id"])
    assert float(returned) == 3.5
    assert not (project.folder / "launch").exists()
    assert project.summary("above") == {"loss": 1.5, "result": 3.5}


def test_prefect_sees_a_decorated_flow_as_it_sees_a_plain_one(project: Project) -> None:
    line = (
        "from prefect.utilities.callables import parameter_schema\n"
        "for flow in (pipeline.stock, pipeline.above):\n"
        "    print(json.dumps([flow.parameters.model_dump(), flow.description, flow.isasync]))\n"
        "print(pipeline.stock.version == pipeline.below.version, pipeline.above.version)\n"
        "print(pipeline.below._entrypoint, pipeline.below.isasync)"
    )
    done = project.run(line)
    assert done.returncode == 0, done.stderr
    stock, above, versions, entrypoint = done.stdout.splitlines()
    assert stock == above
    assert versions == "True 7"
    assert entrypoint == "pipeline:below True"


def test_an_async_flow_keeps_the_numbers_of_the_dict_that_it_returns(project: Project) -> None:
    done = project.run("asyncio.run(pipeline.below(3.0))")
    assert done.returncode == 0, done.stderr
    assert project.summary("below") == {"loss": 1.5, "acc": 1, "nested": {"f1": 0.5}}


def test_a_failing_flow_keeps_what_it_logged_and_raises_its_own_error(project: Project) -> None:
    done = project.run("pipeline.failing(3.0)")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: of the user")
    assert 'raise ValueError("of the user")' in done.stderr
    run = project.latest("failing")
    assert run["state"]["message"] == "Flow run encountered an exception: ValueError: of the user"
    assert json.loads(run["labels"]["launch.summary"]) == {"loss": 3.0}
    records = (project.home.path / "runs" / run["id"] / "records.jsonl").read_text().splitlines()
    assert json.loads(records[-1])["finish"] == {"exit_code": 1}


def test_the_summary_is_on_the_server_while_the_flow_runs_and_blocks(project: Project) -> None:
    done = project.run("pipeline.slow(3.0)")
    assert done.returncode == 0, done.stderr
    assert json.loads(json.loads(done.stdout)["while_running"]) == {"loss": 3.0}


def test_a_program_that_the_flow_starts_logs_into_the_same_run(project: Project) -> None:
    done = project.run("pipeline.with_program(4.0)")
    assert done.returncode == 0, done.stderr
    assert project.summary("with-program") == {"from_program": 4.0}


def test_a_job_inside_a_job_logs_into_the_outer_run(project: Project) -> None:
    done = project.run("pipeline.outer(4.0)")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"still": True}
    assert project.summary("outer") == {"outer": 1, "plain": 4.0}


def test_a_decorated_function_without_a_flow_stays_a_function_with_a_run_beside_it(project: Project) -> None:
    done = project.run("import sys; print(pipeline.plain(y=5)); print('LAUNCH_RUN_DIR' in __import__('os').environ)")
    assert done.stdout.split() == ["5", "False"]
    (run,) = (project.folder / "launch").glob("run-*")
    assert json.loads((run / "config.json").read_text()) == {"x": 2.0, "y": 5}
    assert json.loads((run / "summary.json").read_text()) == {"plain": 2.0, "result": 5}


def test_a_decorated_function_does_not_import_prefect(project: Project) -> None:
    line = "print('prefect' in sys.modules)"
    code = f"import sys, launch_sdk as launch\n@launch.job\ndef f(): return 1\nf()\n{line}"
    (project.folder / "alone.py").write_text(code)
    done = subprocess.run([sys.executable, "alone.py"], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr


def test_a_flow_that_is_run_without_a_server_has_a_directory_beside_it_as_a_script_has(project: Project) -> None:
    done = project.run("pipeline.above(1.5)", server=False)
    assert done.returncode == 0, done.stderr
    (run,) = (project.folder / "launch").glob("run-*")
    assert json.loads((run / "summary.json").read_text()) == {"loss": 1.5, "result": 3.5}


@pytest.mark.parametrize("given", ["lambda: (yield 1)", "3", "__import__('functools').partial(print)"])
def test_what_cannot_be_a_job_is_refused_at_the_decorator(project: Project, given: str) -> None:
    done = project.run(f"import launch_sdk\nlaunch_sdk.job({given})")
    assert "TypeError: @launch.job" in done.stderr
