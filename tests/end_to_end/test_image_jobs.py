"""Images as jobs, and images that start their own runs: a real server, an agent or Prefect's own worker, an engine."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.containers.base_images import present
from tests.conftest import Home, eventually
from tests.engines import BASE, containers_of, engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IMAGE = "launch-tests-job"
PROGRAM = """
import os, sys
import launch_sdk as launch
with launch.init(config={"lr": 0.1, "steps": 3}) as run:
    print("started", os.getuid(), sys.argv[1:])
    run.log({"loss": run.config["lr"]})
"""
TRAIN = """
import os, sys
import colorama
import launch_sdk as launch

try:
    import prefect
except ImportError:
    prefect = None
with launch.init(config={"lr": 0.1}) as run:
    run.log({"loss": run.config["lr"]})
    leaked = [name for name in os.environ if name.startswith("PREFECT_")]
    print("ran", sys.executable, os.getuid(), prefect, leaked, colorama.__version__)
"""


def image_of_a_program(tag: str) -> str:
    """Make an image that starts a program by itself."""
    name = f"{IMAGE}:{tag}"
    content = io.BytesIO()
    files = {
        "program.py": PROGRAM,
        "Dockerfile": f'FROM {BASE}\nCOPY program.py /\nENTRYPOINT ["python3", "/program.py"]\n',
    }
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    content.seek(0)
    said = list(engine().api.build(fileobj=content, custom_context=True, tag=name, decode=True, rm=True))
    assert present(engine().api, name) is not None, said
    return name


@pytest.fixture(scope="module")
def agent(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An agent on a queue of containers."""
    engine()
    config = tmp_path_factory.mktemp("queue") / "queue.yaml"
    config.write_text(f"resource: container\nresource_args: {{builder: {{base_image: '{BASE}'}}}}\n")
    made = home.run("launch", "queue", "create", "imaged", "-c", str(config))
    assert made.returncode == 0, made.stderr
    process = home.start("launch-agent", "--queues", "imaged", "--max-jobs", "2")
    yield
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


@pytest.mark.usefixtures("agent")
def test_an_image_is_a_job_under_its_own_name_and_tag(home: Home) -> None:
    name = image_of_a_program("good")
    made = home.json(
        "launch", "job", "create", "image", name, "-q", "imaged", "-d", "Trains **nothing**.", "-a", "mine"
    )
    assert (made["name"], made["version"], made["is_new"]) == (f"job-{IMAGE}", "v0", True)
    assert sorted(made["aliases"]) == ["good", "latest", "mine"]
    run = home.json("launch", "--job", f"job-{IMAGE}:good", "-s", "lr=0.5", "-a", "fast=1")
    assert (run["state"], run["summary"]) == ("finished", {"loss": 0.5}), run
    assert "started 1000 ['--fast=1']" in home.run("launch", "run", "logs", run["run_id"]).stdout
    shown = home.run("launch", "job", "describe", f"job-{IMAGE}").stdout
    assert "Trains **nothing**." in shown
    assert "steps" in shown  # its first run has said what it takes
    assert containers_of(engine().api, run["run_id"]) == []


@pytest.mark.usefixtures("agent")
def test_a_sweep_over_an_image_gives_its_program_the_parameters(home: Home, tmp_path: Path) -> None:
    sweep = {
        "image_uri": image_of_a_program("good"),
        "method": "grid",
        "metric": {"name": "loss"},
        "command": ["${env}", "${args}"],
        "parameters": {"lr": {"values": [0.5, 0.2]}},
    }
    (tmp_path / "sweep.yaml").write_text(json.dumps(sweep))
    view = home.json("launch-sweep", str(tmp_path / "sweep.yaml"), "-q", "imaged")
    assert (view["state"], view["best"]["parameters"], view["best"]["metric"]) == ("finished", {"lr": 0.2}, 0.2), view
    assert "started 1000 ['--lr=0.2']" in home.run("launch", "run", "logs", view["best"]["run_id"]).stdout


@pytest.mark.usefixtures("agent")
def test_a_job_of_code_keeps_how_its_image_is_got(home: Home, tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Own").write_text(f"FROM {BASE}\nWORKDIR /app\nCOPY run.py .\nENV OF_DOCKERFILE=1\n")
    (tmp_path / "docker" / "run.py").write_text("import os; print('made by', os.environ['OF_DOCKERFILE'], os.getcwd())")
    words = ["-D", "Own", "-b", "docker", "-E", "python3 run.py", "-n", "kept-own", "-q", "imaged"]
    made = home.run("launch", "job", "create", "code", str(tmp_path), *words)
    assert made.returncode == 0, made.stderr
    run = home.json("launch", "--job", "kept-own")
    assert run["state"] == "finished", run
    assert "made by 1 /app" in home.run("launch", "run", "logs", run["run_id"]).stdout
    replayed = home.json("launch", run["run_id"], "-q", "imaged")
    assert replayed["state"] == "finished", replayed
    assert "building" not in home.run("launch", "run", "logs", replayed["run_id"]).stdout


def test_prefects_own_docker_worker_runs_an_image_that_brings_its_launcher(home: Home, tmp_path: Path) -> None:
    engine()
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "requirements.txt").write_text("colorama==0.4.6\n")
    prefect = str(Path(sys.executable).with_name("prefect"))
    environment = home.environment | {"PREFECT_API_URL": home.api_url, "PREFECT_HOME": str(tmp_path / "prefect")}

    def call(*words: str, timeout_s: float = 60.0) -> str:
        done = subprocess.run(
            [prefect, *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
        )
        return done.stdout

    call("work-pool", "create", "tests-docker", "--type", "docker")
    words = ("-E", "train.py", "--base-image", BASE, "--tag", "launch-tests-run:1", "--name", "in-docker")
    unsafe = '{"privileged": true, "volumes": ["/:/host"], "mem_limit": "1g", "nonsense": 1}'
    unsafe_call = home.run("launch", "image", "build", str(tmp_path), *words, "--pool", "tests-docker", "-R", unsafe)
    assert unsafe_call.returncode == 2
    assert "Step" not in unsafe_call.stderr  # before anything is built
    for told in ("Unsafe option 'privileged'", "Unsafe option 'volumes'", "has no such variable"):
        assert told in unsafe_call.stderr
    more = ("--pool", "tests-docker", "-R", '{"mem_limit": "1g"}')
    built = home.json("launch", "image", "build", str(tmp_path), *words, *more, timeout_s=300)
    assert (built["deployment"], built["image"], built["is_pushed"]) == (
        "run-job/in-docker",
        "launch-tests-run:1",
        False,
    )
    submitted = home.json("launch", "--job", "run-job/in-docker", "-s", "config.lr=0.5", "--detach")
    call("worker", "start", "--pool", "tests-docker", "--type", "docker", "--run-once", timeout_s=180)
    run: Any = eventually(lambda: _ended(home, submitted["run_id"]), "the run does not end")
    assert (run["state"], run["summary"]) == ("finished", {"loss": 0.5}), run
    logs = home.run("launch", "run", "logs", submitted["run_id"]).stdout
    assert "ran /opt/environment/bin/python 1000 None [] 0.4.6" in logs
    known = json.dumps([engine().api.history(built["image"]), engine().api.inspect_image(built["image"])])
    assert "PREFECT_API" not in known


def _ended(home: Home, run_id: str) -> Any:
    run = home.json("launch", "run", "show", run_id)
    return run if run["state"] in {"finished", "failed"} else None
