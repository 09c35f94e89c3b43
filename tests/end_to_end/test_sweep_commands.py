"""`launch-sweep` as a user types it: a real server, a real agent, real programs."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Home, eventually

PROGRAM = """
import os, sys, time
import launch_sdk as launch

with launch.init(config={"x": 0, "out": "", "seconds": 0.0, "fail_at": -1}) as run:
    config = run.config
    if config["out"]:
        open(f"{config['out']}/started-{config['x']}-{os.getpid()}", "x").close()
    print("working on", config["x"], flush=True)
    if config["x"] == config["fail_at"]:
        raise ValueError(f"no luck with {config['x']}")
    for step in range(5):
        time.sleep(config["seconds"] / 5)
        run.log({"loss": abs(config["x"] - 3) + 1 / (step + 1)})
    if config["out"]:
        open(f"{config['out']}/ended-{config['x']}-{os.getpid()}", "x").close()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM)
    (tmp_path / "out").mkdir()
    return folder


def write_sweep(project: Path, *, points: int = 6, workers: int = 2, **more: Any) -> Path:
    out = project.parent / "out"
    parameters = {"x": {"values": list(range(points))}, "out": {"value": str(out)}}
    parameters |= {name: {"value": value} for name, value in more.pop("constants", {}).items()}
    document = {
        "program": "train.py",
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "scheduler": {"num_workers": workers},
        "parameters": parameters,
        **more,
    }
    path = project / "sweep.yaml"
    path.write_text(json.dumps(document))
    return path


def marks(project: Path, kind: str) -> list[int]:
    """The points whose program has started (or ended), once for each time."""
    return sorted(int(path.name.split("-")[1]) for path in (project.parent / "out").glob(f"{kind}-*"))


def programs_of(project: Path) -> list[int]:
    """Process ids of the training programs that run now."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"train.py" in words and any(str(project.parent / "out").encode() in word for word in words):
            found.append(int(entry.name))
    return found


def test_a_sweep_runs_every_point_once_and_says_the_best(home: Home, project: Path) -> None:
    sweep = write_sweep(project)
    done = home.run("launch-sweep", str(sweep), "--json")
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["state"] == "finished"
    assert [run["index"] for run in view["runs"]] == list(range(6))
    assert {run["state"] for run in view["runs"]} == {"finished"}
    assert view["best"]["parameters"]["x"] == 3
    assert view["best"]["metric"] == pytest.approx(0.2)
    assert marks(project, "started") == marks(project, "ended") == list(range(6))
    assert "6/6 done" in done.stderr
    assert f"launch {view['best']['run_id']}" in done.stderr
    assert view["url"] in done.stderr.replace("\n", "")

    shown = home.json("launch", "sweep", "show", view["sweep_id"])
    assert shown["best"] == view["best"]
    again = home.run("launch", view["best"]["run_id"], "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["summary"]["loss"] == view["best"]["metric"]


def test_ctrl_c_stops_the_runs_and_a_resume_completes_the_sweep(home: Home, project: Path) -> None:
    sweep = write_sweep(project, constants={"seconds": 4.0})
    process = home.start("launch-sweep", str(sweep), "--json")
    eventually(lambda: len(programs_of(project)) == 2, "two programs should run")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert not programs_of(project)
    view = json.loads(out)
    assert f"--resume_id {view['sweep_id']}" in err
    assert view["state"] == "cancelled"

    resumed = home.run("launch-sweep", "--resume_id", view["sweep_id"], "--json")
    assert resumed.returncode == 0, resumed.stderr
    after = json.loads(resumed.stdout)
    assert [(run["index"], run["parameters"]["x"], run["state"]) for run in after["runs"]] == [
        (i, i, "finished") for i in range(6)
    ]
    assert marks(project, "ended") == list(range(6))


def test_a_sweep_whose_parent_was_killed_resumes_with_no_run_lost_repeated_or_skipped(
    home: Home, project: Path
) -> None:
    sweep = write_sweep(project, points=8, constants={"seconds": 3.0})
    process = home.start("launch-sweep", str(sweep), "--json")
    eventually(lambda: programs_of(project), "its runs should start")
    sweep_id = home.json("launch", "sweep", "list", "--limit", "1")[0]["sweep_id"]
    parent = home.json("launch", "sweep", "show", sweep_id)["scheduler"]["pid"]
    eventually(lambda: len(marks(project, "ended")) >= 2 and len(programs_of(project)) == 2, "two should have ended")
    os.kill(parent, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"--resume_id {sweep_id}" in err

    resumed = home.run("launch-sweep", "--resume_id", sweep_id, "--json")
    assert resumed.returncode == 0, resumed.stderr
    view = json.loads(resumed.stdout)
    assert [(run["index"], run["state"]) for run in view["runs"]] == [(i, "finished") for i in range(8)]
    assert marks(project, "started") == marks(project, "ended") == list(range(8))  # those that ran were taken up


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def agents_of(home: Home) -> list[int]:
    """Process ids of the agents and their warm processes that serve this home."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"launch_sdk.cli.launch_agent" in command and f"LAUNCH_HOME={home.path}".encode() in environment:
            found.append(int(entry.name))
    return found


def test_two_sweeps_at_once_do_not_end_one_another(home: Home, project: Path, tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.mkdir()
    (short / "train.py").write_text(PROGRAM)
    (short / "out").mkdir()
    first = home.start("launch-sweep", str(write_sweep(short, points=2, constants={"seconds": 2.0})), "--json")
    eventually(lambda: programs_of(short), "the first sweep should run")
    second = home.run("launch-sweep", str(write_sweep(project, points=8, constants={"seconds": 1.0})), "--json")
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert json.loads(out)["state"] == "finished"
    assert second.returncode == 0, second.stderr
    assert {run["state"] for run in json.loads(second.stdout)["runs"]} == {"finished"}


@pytest.mark.parametrize("delay_s", [0.0, 0.3])
def test_a_sweep_that_is_stopped_while_its_runs_start_leaves_none_behind(
    home: Home, project: Path, delay_s: float
) -> None:
    process = home.start("launch-sweep", str(write_sweep(project, workers=3, constants={"seconds": 30.0})))
    assert process.stderr is not None
    line = next(line for line in iter(process.stderr.readline, "") if "Created sweep" in line)
    sweep_id = line.split("Created sweep ")[1].split(":")[0]
    with httpx.Client(base_url=home.api_url, timeout=30) as http:
        tags = {"flow_runs": {"tags": {"all_": [f"sweep:{sweep_id}"]}}}

        def runs() -> list[dict[str, Any]]:
            return http.post("/flow_runs/filter", json=tags).raise_for_status().json()

        def one_is_starting() -> bool:
            return any(run["state_type"] == "PENDING" and "launch.index" in run["labels"] for run in runs())

        eventually(one_is_starting, "a run should be starting", 90)
        time.sleep(delay_s)
        (parent,) = [run for run in runs() if "launch-sweep" in run["tags"]]
        state = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        http.post(f"/flow_runs/{parent['id']}/set_state", json=state).raise_for_status()
        process.communicate(timeout=90)
        assert {run["state_type"] for run in runs()} == {"CANCELLED"}
    assert not programs_of(project)


def test_a_finished_sweep_cannot_be_resumed(home: Home, project: Path) -> None:
    view = home.json("launch-sweep", str(write_sweep(project, points=1)))
    refused = home.run("launch-sweep", "--resume_id", view["sweep_id"])
    assert refused.returncode == 2
    assert "has finished" in refused.stderr


def test_a_metric_that_is_never_logged_is_said_after_the_first_finished_run(home: Home, project: Path) -> None:
    sweep = write_sweep(project, points=5, workers=1, metric={"name": "accuracy"}, constants={"seconds": 1.0})
    process = home.start("launch-sweep", str(sweep), "--json")
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if "accuracy" in line and "logged" in line:
            break
    assert len(marks(project, "started")) <= 3, "said early, not at the end"
    out, err = process.communicate(timeout=90)
    assert json.loads(out)["best"] is None, err


def test_a_bayesian_sweep_without_its_metric_fails_after_three_runs(home: Home, project: Path) -> None:
    parameters = {"x": {"min": 0.0, "max": 1.0}, "out": {"value": str(project.parent / "out")}}
    sweep = write_sweep(project, method="tpe", run_cap=20, metric={"name": "acc"}, parameters=parameters)
    done = home.run("launch-sweep", str(sweep), "--json")
    assert done.returncode == 1
    view = json.loads(done.stdout)
    assert view["state"] == "failed"
    assert len(view["runs"]) <= 6
    assert "none logged the metric 'acc'" in view["message"]
    assert "loss" in view["message"]


def test_a_script_that_fails_at_once_ends_the_sweep_with_its_last_lines(home: Home, project: Path) -> None:
    (project / "train.py").write_text("print('getting ready')\nraise SystemExit('the data set is missing')\n")
    done = home.run("launch-sweep", str(write_sweep(project, points=20)), "--json")
    assert done.returncode == 1
    view = json.loads(done.stdout)
    assert view["state"] == "failed"
    assert len(view["runs"]) <= 5
    assert "the data set is missing" in view["message"]
    assert "Traceback" not in done.stderr


def test_one_failed_run_does_not_end_a_sweep(home: Home, project: Path) -> None:
    view = home.json("launch-sweep", str(write_sweep(project, constants={"fail_at": 2})))
    assert view["state"] == "finished"
    assert {run["index"]: run["state"] for run in view["runs"]}[2] == "failed"
    assert "no luck with 2" in next(run["error"] for run in view["runs"] if run["index"] == 2)


def test_a_queue_without_an_agent_is_said_within_seconds(home: Home, project: Path) -> None:
    home.run("launch", "queue", "create", "unattended")
    process = home.start("launch-sweep", str(write_sweep(project)), "--queue", "unattended")
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any("No agent polls queue 'unattended'" in line for line in lines)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_detach_returns_at_once_and_the_sweep_goes_on(home: Home, project: Path) -> None:
    view = home.json("launch-sweep", str(write_sweep(project, points=2)), "--detach")
    assert view["state"] in {"queued", "starting", "running"}
    done = eventually(
        lambda: (now := home.json("launch", "sweep", "show", view["sweep_id"]))["state"] == "finished" and now,
        "the sweep should finish by itself",
    )
    assert len(done["runs"]) == 2


def test_target_reached_ends_the_sweep_early(home: Home, project: Path) -> None:
    sweep = write_sweep(project, points=50, workers=1, metric={"name": "loss", "goal": "minimize", "target": 1.3})
    view = home.json("launch-sweep", str(sweep))
    assert view["state"] == "finished"
    assert len(view["runs"]) == 3
    assert "reached the target" in view["message"]


def test_a_sweep_is_paused_resumed_stopped_exported_and_deleted(home: Home, project: Path) -> None:
    sweep = write_sweep(project, points=16, constants={"seconds": 2.5, "fail_at": 0})
    sweep_id = home.json("launch-sweep", str(sweep), "--detach")["sweep_id"]
    eventually(lambda: len(programs_of(project)) == 2, "two programs should run")
    assert home.json("launch", "sweep", "pause", sweep_id)["state"] == "paused"
    eventually(lambda: not programs_of(project), "what runs should end by itself")
    time.sleep(2.5)  # longer than the sweep sleeps
    paused = home.json("launch", "sweep", "show", sweep_id)
    assert paused["state"] == "paused"
    assert {run["state"] for run in paused["runs"]} == {"failed", "finished"}
    started = marks(project, "started")
    assert 2 <= len(started) < 16

    home.run("launch", "sweep", "resume", sweep_id)
    eventually(lambda: programs_of(project), "the sweep should go on")
    assert home.json("launch", "sweep", "stop", sweep_id)["state"] == "stopping"
    stopped = eventually(
        lambda: (now := home.json("launch", "sweep", "show", sweep_id))["state"] == "stopped" and now,
        "the sweep should end with its runs",
    )
    assert len(started) < len(stopped["runs"]) < 16
    assert {run["state"] for run in stopped["runs"]} == {"failed", "finished"}

    best = home.json("launch", "sweep", "best", sweep_id)
    assert best["index"] == stopped["best"]["index"]
    config = home.run("launch", "sweep", "best", sweep_id, "--config")
    (project / "best.yaml").write_text(config.stdout)
    (project / "repeat.py").write_text(re.sub(r"config=\{.*\}", 'config="best.yaml"', PROGRAM))
    repeated = home.json("launch", str(project), "-E", "repeat.py")
    assert repeated["summary"]["loss"] == best["metric"]
    home.run("launch", "sweep", "export", sweep_id, "-o", str(project / "runs.csv"))
    with (project / "runs.csv").open(newline="") as file:
        assert [int(row["parameters.x"]) for row in csv.DictReader(file)] == list(range(len(stopped["runs"])))

    again = home.run("launch", "sweep", "rerun-failed", sweep_id, "--wait", "--json")
    after = json.loads(again.stdout)
    assert (after["state"], len(after["runs"])) == ("finished", 16), again.stderr
    assert marks(project, "started").count(0) == 2
    assert home.run("launch", "sweep", "delete", sweep_id).returncode == 0
    gone = home.run("launch", "sweep", "show", sweep_id)
    assert (gone.returncode, "does not exist" in gone.stderr) == (2, True)


LIMITED = """
import json, pathlib, sys, time
import launch_sdk as launch

parameters = json.load(open(sys.argv[1]))
with launch.init(config={"x": 0, "epochs": 1}) as run:
    seen = pathlib.Path(parameters["out"], f"seen-{run.config.x}")
    if run.config.x == 1 and not seen.exists():
        seen.touch()
        sys.exit("not yet")
    run.log({"loss": run.config.x, "epochs": run.config.epochs})
    time.sleep(60 if run.config.x == 0 else 0)
"""


def test_initial_points_retries_and_time_caps_hold_on_real_runs(home: Home, project: Path) -> None:
    (project / "train.py").write_text(LIMITED)
    more: dict[str, Any] = {
        "command": ["${interpreter}", "${program}", "${args_json_file}"],
        "initial": [{"x": 2}],
        "shuffle": True,
        "retries": 1,
        "max_failed": 0,
        "max_run_time": 4,
        "launch": {"overrides": {"run_config": {"epochs": 7, "x": 99}}},  # what the sweep varies is above it
    }
    view = home.json("launch-sweep", str(write_sweep(project, points=3, **more)))
    assert (view["state"], view["runs"][0]["parameters"]["x"]) == ("finished", 2), view
    by_x = {run["parameters"]["x"]: run for run in view["runs"]}
    assert {x: run["state"] for x, run in by_x.items()} == {0: "stopped", 1: "finished", 2: "finished"}
    assert by_x[0]["stop_reason"] == "its max_run_time of 4.0 s is over"
    assert view["best"]["parameters"]["x"] == 0
    assert home.json("launch", "run", "show", by_x[1]["run_id"])["summary"]["epochs"] == 7


def test_a_new_file_moves_a_resumed_sweep_to_another_queue_and_raises_its_cap(home: Home, project: Path) -> None:
    sweep_id = home.json("launch-sweep", str(write_sweep(project, points=4, run_cap=1)))["sweep_id"]
    home.run("launch", "queue", "create", "elsewhere")
    agent = home.start_writing(project.parent / "agent.log", "launch-agent", "--queues", "elsewhere")
    more = project / "more.yaml"
    more.write_text("run_cap: 3\nmethod: random\nscheduler: {num_workers: 1}\n")
    resumed = home.run("launch-sweep", str(more), "--resume_id", sweep_id, "-q", "elsewhere", "--json")
    view = json.loads(resumed.stdout)
    assert (view["state"], view["queue"], view["method"]) == ("finished", "elsewhere", "grid"), resumed.stderr
    assert f"keeps its own method: what {more} says of that is ignored" in resumed.stderr
    assert marks(project, "started") == [0, 1, 2]
    queues = [home.json("launch", "run", "show", run["run_id"])["queue"] for run in view["runs"]]
    assert queues == ["default", "elsewhere", "elsewhere"]

    prior = [word for run in view["runs"] for word in ("--prior_run", run["run_id"])]
    last = home.json("launch-sweep", str(write_sweep(project, points=4)), "-q", "elsewhere", *prior)
    assert [run["parameters"]["x"] for run in last["runs"]] == [3]
    assert home.run("launch", "sweep", "delete", sweep_id).returncode == 0
    assert sweep_id not in home.run("launch", "sweep", "list", "--json").stdout
    agent.send_signal(signal.SIGINT)
    agent.wait(60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.yaml"], "missing.yaml"),
        (["--resume_id", "deadbeef"], "'deadbeef' does not exist"),
        ([], "name a sweep FILE"),
    ],
)
def test_wrong_use_is_told_in_one_message(home: Home, arguments: list[str], said: str) -> None:
    done = home.run("launch-sweep", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_program_names_the_scripts_that_are_there(home: Home, project: Path) -> None:
    done = home.run("launch-sweep", str(write_sweep(project, program="trian.py")))
    assert done.returncode == 2
    assert "train.py" in done.stderr


def test_a_server_that_cannot_be_reached_is_said(home: Home, project: Path) -> None:
    sweep = write_sweep(project)
    done = home.run("launch-sweep", str(sweep), PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 2
    assert "http://127.0.0.1:9/api cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
