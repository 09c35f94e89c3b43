"""The sweep files of Sweeps on Launch as they stand, and schedulers of one's own, on real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import REPOSITORY, Home, eventually
from tests.unit.specs.test_sweep_spec import ADVANCED, BASIC

EXAMPLES = REPOSITORY / "examples" / "schedulers"
HELLO = """
import sys, time
import launch_sdk as launch

with launch.init(config={"learning_rate": 0.01, "epochs": 2, "param1": 0}) as run:
    print("Hello", dict(run.config), flush=True)
    run.log({"loss_metric": abs(run.config["learning_rate"] - 0.005) + abs(run.config["epochs"] - 7)})
    time.sleep(0.5)
"""
SLOW = """
import sys, time
import launch_sdk as launch

class Slow(launch.Scheduler):
    def _load_state(self):
        self.given = (self.saved_state or {}).get("given", 0)
        print("knows", len(self.runs), "runs and gave", self.given, flush=True)

    def _save_state(self):
        return {"given": self.given}

    def _get_next_sweep_run(self, worker_id):
        if len(self.runs) == self.settings.get("fails_after"):
            raise RuntimeError("no idea what comes next")
        if len(self.runs) == 4:
            return None
        self.given += 1
        return {"x": len(self.runs)}

if __name__ == "__main__":
    Slow.main()
"""
TRAIN = """
import time
import launch_sdk as launch

with launch.init(config={"x": 0}) as run:
    run.log({"loss": run.config.x})
    time.sleep(1.5)
"""


@pytest.fixture(scope="module")
def hello(home: Home, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job with the name that the specification's files have."""
    folder = tmp_path_factory.mktemp("hello")
    (folder / "hello.py").write_text(HELLO)
    made = home.run("launch", "job", "create", "code", str(folder), "-E", "hello.py", "-n", "Hello-World-2")
    assert made.returncode == 0, made.stderr
    return "Hello-World-2"


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.fixture(scope="module")
def advanced(home: Home, hello: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The sweep of the specification's file with a scheduler job and a grid."""
    assert hello
    sweep = write(tmp_path_factory.mktemp("advanced"), "launch-sweep-config.yaml", ADVANCED)
    done = home.run("launch-sweep", str(sweep), "--queue", "default", "--entity", "me", "--project", "demo", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_advanced_file_runs_as_it_stands(home: Home, hello: str, advanced: dict[str, Any]) -> None:
    assert sorted(run["parameters"]["param1"] for run in advanced["runs"]) == list(range(11))
    rows = home.json("launch", "sweep", "export", advanced["sweep_id"])
    moments = sorted([(row["started"], 1) for row in rows] + [(row["ended"], -1) for row in rows])
    assert max(sum(step for _, step in moments[: at + 1]) for at in range(len(moments))) <= 8
    parameters = home.json("launch", "run", "show", advanced["runs"][0]["run_id"])["parameters"]
    assert (parameters["project"], parameters["job"]) == ("demo", hello)


def test_the_dashboard_of_a_sweep_is_there_until_ctrl_c(home: Home, advanced: dict[str, Any]) -> None:
    process = home.start("launch", "sweep", "dashboard", advanced["sweep_id"], "--json")
    assert process.stdout is not None
    text = "".join(iter(process.stdout.readline, "}\n"))
    url = json.loads(text + "}")["url"]
    (study,) = httpx.get(f"{url}/api/studies", timeout=30).raise_for_status().json()["study_summaries"]
    assert study["study_name"] == advanced["name"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (0, False), err


def test_the_basic_file_runs_as_it_stands_until_it_is_cancelled(home: Home, hello: str, tmp_path: Path) -> None:
    assert hello
    sweep = write(tmp_path, "launch-sweep-config.yaml", BASIC)
    started = home.run("launch-sweep", str(sweep), "--detach", "--json")
    assert started.returncode == 0, started.stderr
    assert "scheduler.docker_image, scheduler.resource change nothing here" in started.stderr
    sweep_id = json.loads(started.stdout)["sweep_id"]
    eventually(lambda: home.json("launch", "sweep", "show", sweep_id)["best"], "a run should have ended")
    assert home.json("launch", "sweep", "cancel", sweep_id)["method"] == "bayes"


@pytest.mark.parametrize(("example", "runs", "words"), [("wandb", 4, "worker 0 gets {'x': 1}"), ("optuna", 6, "")])
def test_an_example_is_made_a_job_by_running_it_and_drives_a_sweep(
    home: Home, tmp_path: Path, example: str, runs: int, words: str
) -> None:
    folder = tmp_path / "schedulers"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    kind = {"wandb": "CustomWandbScheduler", "optuna": "OptunaScheduler"}[example]
    file = folder / f"{example}_scheduler" / f"{example}_scheduler.py"
    made = run_python(home, file, "--project", "demo", "--entity", "me", "--name", kind)
    assert f"scheduler:\n  job: job-{kind}" in made
    view = home.json("launch-sweep", str(folder / f"{example}-sweep.yaml"))
    assert (view["state"], len(view["runs"])) == ("finished", runs), view["message"]
    logs = "\n".join(home.json("launch", "run", "logs", view["scheduler"]["run_id"])) if words else ""
    assert words in logs


def run_python(home: Home, file: Path, *words: str) -> str:
    command = [sys.executable, str(file), *words]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def slow(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program, and a job of a scheduler."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "scheduler").mkdir()
    run_python(home, write(folder / "scheduler", "slow.py", SLOW), "--name", "slow-chooser")
    write(folder, "train.py", TRAIN)
    return folder


def sweep_of(folder: Path, **settings: Any) -> str:
    document = {
        "program": "train.py",
        "metric": {"name": "loss"},
        "scheduler": {"job": "me/demo/job-slow-chooser:latest", "num_workers": 2, "settings": settings},
        "parameters": {"x": {"min": 0, "max": 9}},
    }
    return str(write(folder, "slow.json", json.dumps(document)))


def test_a_killed_parent_or_scheduler_is_resumed_with_its_state_and_no_run_is_lost_or_repeated(
    home: Home, slow: Path
) -> None:
    sweep_id = home.json("launch-sweep", sweep_of(slow), "--detach")["sweep_id"]
    view = eventually(
        lambda: (now := home.json("launch", "sweep", "show", sweep_id))["best"] and now, "a run should have ended"
    )
    os.kill(view["scheduler"]["pid"], signal.SIGKILL)
    eventually(lambda: not schedulers_of(home), "no scheduler should outlive its sweep", 30)
    resumed = home.start("launch-sweep", "--resume_id", sweep_id, "--json")
    pid = eventually(lambda: schedulers_of(home), "the scheduler should have been started again").pop()
    os.kill(pid, signal.SIGKILL)
    out, err = resumed.communicate(timeout=60)
    assert resumed.returncode == 1, err
    failed = json.loads(out)
    assert failed["state"] == "failed"
    assert "The scheduler job-slow-chooser:v0 has ended: slow.py was ended by signal 9" in failed["message"]
    assert {run["state"] for run in failed["runs"]} == {"finished"}

    last = home.run("launch-sweep", "--resume_id", sweep_id, "--json")
    assert last.returncode == 0, last.stderr
    whole = json.loads(last.stdout)
    assert [run["parameters"]["x"] for run in whole["runs"]] == [0, 1, 2, 3]
    assert whole["message"] == "its scheduler had no more after 4 runs"
    assert {run["state"] for run in whole["runs"]} == {"finished"}


def schedulers_of(home: Home) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words, variables = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"slow.py" in words and f"LAUNCH_HOME={home.path}".encode() in variables:
                found.append(int(entry.name))
    return found


def test_a_scheduler_that_raises_fails_its_sweep_in_words_and_its_runs_are_kept(home: Home, slow: Path) -> None:
    done = home.run("launch-sweep", sweep_of(slow, fails_after=2), "--json")
    assert done.returncode == 1
    view = json.loads(done.stdout)
    assert view["state"] == "failed"
    told = "failed in _get_next_sweep_run: RuntimeError: no idea what comes next"
    assert told in view["message"]
    assert told in view["notices"][0]
    assert {run["state"] for run in view["runs"]} == {"finished"}
    assert "Traceback" not in done.stderr


def test_a_scheduler_that_does_not_exist_is_told_before_anything_starts(home: Home, slow: Path) -> None:
    sweep = write(slow, "none.yaml", Path(sweep_of(slow)).read_text().replace("slow-chooser", "nobody"))
    done = home.run("launch-sweep", str(sweep))
    assert done.returncode == 2
    assert "job-nobody" in done.stderr
