"""Queues of containers as people use them: commands, a server, an agent, and a real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Home, eventually
from tests.engines import BASE, containers_of, engine, image_with_packages, shell_image

LEARNING = "launch-tests-sklearn:1"
AWAY = "unix:///nowhere/docker.sock"
VICTIMS = ("agent", "flow", "all")
TELLS = """
import json, os
import launch_sdk as launch

with launch.init(config={"x": 0}) as run:
    run.log({"x": run.config.x, "user": os.getuid()})
    where = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    limit = open(where if os.path.exists(where) else "/sys/fs/cgroup/memory.max").read().strip()
    print(json.dumps({"limit": limit, "in": os.path.exists("/mnt/launch/run"), "env": sorted(os.environ)}))
"""
MADE = """
import sys
from launch_sdk.client import LaunchClient
from launch_sdk.specs.document import parse_document
from launch_sdk.specs.queue_config import parse_queue_config
from prefect_docker import DockerHost
from prefect_docker.credentials import DockerRegistryCredentials
import yaml
with LaunchClient() as client:
    DockerHost(base_url=sys.argv[2]).save("nowhere")
    DockerRegistryCredentials(username="me", password="hunter2", registry_url="http://localhost:1").save("own")
    for name, config in yaml.safe_load(sys.argv[1]).items():
        client.create_queue(name, parse_queue_config(parse_document(yaml.safe_dump(config)), "me"))
"""


def container(**args: Any) -> dict[str, Any]:
    return {"resource": "container", "resource_args": args}


@pytest.fixture(scope="module")
def boxes(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Queues of containers, one agent for most of them, and that agent's log."""
    shell, folder = shell_image(engine().api), tmp_path_factory.mktemp("agent")
    queues = {
        "crates": container(image=BASE, memory="{{memory}}")
        | {"template_variables": {"memory": {"type": "string", "default": "512m"}}},
        "crates-root": {"resource": "local-container", "resource_args": {"local-container": {"user_id": 0}}},
        "beside-crates": {},
        "away": container(image=BASE, engine="nowhere"),
        "builds": container(),
        "own-registry": container(registry="own"),
        "learning": container(image=LEARNING, cpus=1),
    }
    killed = {f"killed-{victim}": container(image=shell) for victim in VICTIMS}
    words = [sys.executable, "-c", MADE, json.dumps(queues | killed), AWAY]
    subprocess.run(words, env=home.environment | {"PREFECT_API_URL": home.api_url}, check=True, timeout=90)
    process = home.start_writing(folder / "log", "launch-agent", "--queues", ",".join(queues), "--max-jobs", "2")
    eventually(lambda: "serves" in (folder / "log").read_text(), "the agent should start")
    yield folder / "log"
    process.send_signal(signal.SIGINT)
    process.wait(30)


def code(folder: Path, text: str = TELLS) -> str:
    (folder / "code").mkdir()
    (folder / "code" / "main.py").write_text(text)
    return str(folder / "code")


def test_runs_of_a_queue_of_containers_run_in_its_image_whatever_their_submitter_says(
    home: Home, boxes: Path, tmp_path: Path
) -> None:
    assert boxes.exists()
    folder = code(tmp_path)
    done = home.run(
        "launch", "-q", "crates", folder, "-s", "x=2", "-r", "process", "--set-var", "memory=300m", AGENT="1"
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert (said["limit"], said["in"]) == (str(300 << 20), True)
    assert not [name for name in said["env"] if name.startswith("PREFECT_")]
    refused = home.run("launch", "-q", "crates", folder, "--set-var", "memory=none")
    assert refused.returncode == 2
    assert "resource_args.memory: must be a size" in refused.stderr


def test_a_run_names_its_container_on_any_queue_by_options_and_by_a_launch_config(
    home: Home, boxes: Path, tmp_path: Path
) -> None:
    assert boxes.exists()
    folder = code(tmp_path)
    config = {
        "uri": folder,
        "queue": "beside-crates",
        "docker": {"docker_image": BASE, "user_id": 1234},
        "resource_args": {"local-container": {"memory": "256m", "env": ["OWN=1"]}},
    }
    by_file = home.json("launch", "-c", json.dumps(config))
    assert (by_file["state"], by_file["summary"]) == ("finished", {"x": 0, "user": 1234})
    by_option = home.run("launch", "-q", "beside-crates", "-B", BASE, "-R", '{"-m": "200m"}', "-A", "e=A=b", folder)
    assert by_option.returncode == 0, by_option.stderr
    said = json.loads(next(line for line in by_option.stdout.splitlines() if line.startswith("{")))
    assert said["limit"] == str(200 << 20)
    assert "A" in said["env"]
    root = home.run("launch", "-c", json.dumps(config | {"docker": {"docker_image": BASE, "user_id": 0}}))
    assert root.returncode == 1
    assert "root is for queues whose owner allows it; queue 'beside-crates' does not" in root.stderr + root.stdout
    allowed = home.json("launch", "-q", "crates-root", "-d", BASE, folder)
    assert allowed["summary"] == {"x": 0, "user": 0}


def test_an_image_is_run_by_itself_here_and_on_a_queue_and_repeated(home: Home, boxes: Path, tmp_path: Path) -> None:
    assert boxes.exists()
    image = shell_image(engine().api)
    here = home.run("launch", "-d", image, "-E", "sh -c 'echo here as; id -u'", cwd=tmp_path)
    assert here.returncode == 0, here.stderr
    assert here.stdout.splitlines()[-2:] == ["here as", "1000"]
    queued = home.json("launch", "-q", "beside-crates", "-d", image, "-E", "sh -c 'echo queued'")
    assert queued["state"] == "finished"
    assert queued["parameters"]["source"] == f"image:{image}"
    again = home.run("launch", queued["run_id"], "-q", "beside-crates")
    assert "queued" in again.stdout.splitlines(), again.stderr


def test_an_engine_or_registry_block_is_used_and_what_is_wrong_is_said_where_people_look(
    home: Home, boxes: Path, tmp_path: Path
) -> None:
    told = f"The Docker engine at {AWAY} is not there"
    run_id = home.json("launch", "-q", "away", code(tmp_path), "--detach")["run_id"]
    assert f"Queue 'away': {told}" in boxes.read_text()
    shown = home.json("launch", "queue", "show", "away")
    assert [text for text in shown["trouble"].values() if told in text]
    (item,) = home.json("launch", "queue", "items", "away")
    assert (item["run_id"], item["state"]) == (run_id, "queued")
    assert told in item["waits"]
    pulled = home.run("launch", "-q", "own-registry", "-d", "localhost:1/none:1", "-E", "true")
    assert pulled.returncode == 1
    assert "it was asked for as 'me'" in pulled.stderr
    assert "hunter2" not in pulled.stderr + pulled.stdout + boxes.read_text()


def test_what_a_stopped_run_has_built_is_gone_from_the_engine(home: Home, boxes: Path, tmp_path: Path) -> None:
    folder, stamp = code(tmp_path), f"stop-{os.urandom(8).hex()}"
    text = f"FROM {BASE}\nENV STAMP={stamp}\nCOPY . .\nRUN echo now it sleeps; sleep 150\n"
    (Path(folder) / "Dockerfile.launch").write_text(text)
    run_id = str(home.json("launch", "-q", "builds", folder, "--detach")["run_id"])
    notes = home.path / "builds"

    def made() -> list[str]:
        names: list[str] = engine().api.images(all=True, quiet=True, filters={"label": "launch.layers"})
        return [name for name in names if stamp in json.dumps(engine().api.inspect_image(name)["Config"])]

    eventually(lambda: len(made()) == 2, "the build should come to its last command", 60)  # ENV and COPY
    assert list(notes.glob(f"{run_id}.*"))
    assert home.run("launch", "run", "stop", run_id).returncode == 0
    eventually(lambda: not list(notes.glob(f"{run_id}.*")), f"nothing should be left: {boxes.read_text()[-500:]}", 40)
    assert made() == []


TICKS = """#!/bin/sh
echo "start $LAUNCH_ATTEMPT" >> "$LAUNCH_CHECKPOINT_DIR/notes"
if [ "$LAUNCH_ATTEMPT" = 1 ]; then
  while :; do echo "tick $LAUNCH_ATTEMPT" >> "$LAUNCH_CHECKPOINT_DIR/notes"; sleep 0.05; done
fi
echo "end $LAUNCH_ATTEMPT" >> "$LAUNCH_CHECKPOINT_DIR/notes"
"""


def flow_run(home: Home, run_id: str) -> Any:
    return httpx.get(f"{home.api_url}/flow_runs/{run_id}").raise_for_status().json()


def process_of(home: Home, run_id: str) -> int:
    return int(flow_run(home, run_id)["infrastructure_pid"].split(":")[1])


def test_a_run_whose_processes_are_killed_starts_again_and_its_old_container_is_gone_by_then(
    home: Home, boxes: Path, tmp_path: Path
) -> None:
    assert boxes.exists()
    folder = code(tmp_path, "")
    (Path(folder) / "run.sh").write_text(TICKS)
    agents: dict[str, subprocess.Popen[str]] = {}

    def agent(victim: str, number: int = 1) -> None:
        log = tmp_path / f"{victim}-{number}.log"
        with log.open("w") as output:
            agents[victim] = subprocess.Popen(
                [str(Path(sys.executable).with_name("launch-agent")), "--queues", f"killed-{victim}"],
                env=home.environment | {"PREFECT_WORKER_HEARTBEAT_SECONDS": "2"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
            )

    try:
        for victim in VICTIMS:
            agent(victim)
        words = ("launch", "-E", "sh run.sh", "--detach", folder, "-q")
        runs = {victim: str(home.json(*words, f"killed-{victim}")["run_id"]) for victim in VICTIMS}
        notes = {name: home.path / "runs" / run_id / "checkpoints" / "notes" for name, run_id in runs.items()}
        for name, path in notes.items():
            eventually(
                lambda path=path: path.exists() and "tick 1" in path.read_text(), f"{name}: attempt 1 should run"
            )
        pids = {name: process_of(home, run_id) for name, run_id in runs.items()}
        guard = int(Path(f"/proc/{pids['all']}/stat").read_text().rpartition(")")[2].split()[1])
        for pid in (agents["agent"].pid, pids["flow"], guard, pids["all"], agents["all"].pid):
            os.kill(pid, signal.SIGKILL)
        for victim in ("agent", "all"):
            agents[victim].wait(20)
            agent(victim, 2)
        for name, run_id in runs.items():
            ended = lambda run_id=run_id: flow_run(home, run_id)["state"]["type"] == "COMPLETED"  # noqa: E731
            eventually(ended, f"{name}: attempt 2 should finish", 90)
    finally:
        for process in agents.values():
            process.send_signal(signal.SIGINT)
        for process in agents.values():
            process.wait(30)
    for name, run_id in runs.items():
        said = notes[name].read_text().splitlines()
        assert said[-2:] == ["start 2", "end 2"], f"{name}: the first attempt ran beside the second"
        assert containers_of(engine().api, run_id) == []
        assert not list((home.path / "containers").glob(f"{run_id}*"))
        assert '"ending": "lost"' in flow_run(home, run_id)["labels"]["launch.attempts"]


@pytest.fixture(scope="module")
def learning(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with scikit-learn, and nothing of ours or Prefect's."""
    folder = tmp_path_factory.mktemp("learning")
    return image_with_packages(engine().api, LEARNING, folder, ["scikit-learn"])


def test_the_sweep_of_the_quickstart_runs_unchanged_on_a_queue_of_containers(
    home: Home, boxes: Path, learning: str
) -> None:
    assert boxes.exists()
    sweep_id = home.json("launch-sweep", "examples/digits/sweep.yaml", "--queue", "learning", "--detach")["sweep_id"]
    wanted = {"flow_runs": {"tags": {"all_": [f"sweep:{sweep_id}"]}, "state": {"type": {"any_": ["COMPLETED"]}}}}

    def finished() -> int:
        return httpx.post(f"{home.api_url}/flow_runs/count", json=wanted).raise_for_status().json()

    eventually(lambda: finished() >= 4, f"four runs should finish with {learning}", 120)
    home.run("launch", "sweep", "stop", sweep_id)
    view = home.json("launch", "sweep", "show", sweep_id)
    assert view["best"]["metric"] > 0.5
    assert not [one for one in view["runs"] if one["state"] == "failed"]


CHOOSES = """
import os
import launch_sdk as launch

class Boxed(launch.Scheduler):
    def _get_next_sweep_run(self, worker_id):
        print("in a container:", os.path.exists("/mnt/launch/run"), os.environ.get("GIVEN"), flush=True)
        return {"x": len(self.runs)} if len(self.runs) < 2 else None

if __name__ == "__main__":
    Boxed.main()
"""


def test_the_scheduler_of_a_sweep_runs_in_the_container_that_its_file_names(
    home: Home, boxes: Path, tmp_path: Path
) -> None:
    assert boxes.exists()
    for name, text in (("chooses", CHOOSES), ("trains", TELLS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(text)
    made = home.run("launch", "job", "create", "code", str(tmp_path / "chooses"), "-E", "chooses.py", "-n", "boxed")
    assert made.returncode == 0, made.stderr
    sweep = {
        "program": "trains.py",
        "method": "custom",
        "metric": {"name": "x", "goal": "maximize"},
        "parameters": {"x": {"min": 0, "max": 9}},
        "scheduler": {
            "job": "boxed",
            "num_workers": 2,
            "docker_image": BASE,
            "resource": "local-container",
            "resource_args": {"env": ["GIVEN=yes"], "memory": "256m"},
        },
        "launch": {"base_image": BASE, "resource_args": {"memory": "200m"}},
    }
    (tmp_path / "trains" / "sweep.yaml").write_text(json.dumps(sweep))
    words = ("launch-sweep", str(tmp_path / "trains" / "sweep.yaml"), "-q", "beside-crates")
    done = home.run(*words, "--json", "--wait", timeout_s=90)
    view = json.loads(done.stdout)
    assert view["state"] == "finished", done.stderr
    assert sorted(one["parameters"]["x"] for one in view["runs"]) == [0, 1]
    output = (home.path / "runs" / view["scheduler"]["run_id"] / "scheduler" / "output.log").read_text()
    assert "in a container: True yes" in output
    run = view["runs"][0]["run_id"]
    assert str(200 << 20) in (home.path / "runs" / run / "output.log").read_text()
    assert containers_of(engine().api, view["scheduler"]["run_id"]) == []
