"""Scripts that know nothing of us in real sweeps: three for the real W&B client, and some with no SDK at all.

None has an account; a proxy that counts stands where the network would be, and nobody may knock at it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.tracking.protocol import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Home

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

LOOP = """
import wandb

wandb.login()
wandb.init(project="demo", config={"lr": 0.5, "epochs": 3})
for epoch in range(wandb.config.epochs):
    wandb.log({"loss": (wandb.config["lr"] - 0.1) ** 2 + 1 / (epoch + 1)})
wandb.summary["best"] = (wandb.config.lr - 0.1) ** 2
wandb.finish()
"""

ARGPARSE = """
import argparse
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("-lr", "--learning_rate", type=float, default=0.001)
parser.add_argument("--epochs", type=int, default=4)
run = wandb.init(project="config_example", config=parser.parse_args())
run.define_metric("epoch")
run.define_metric("val/*", step_metric="epoch")
run.define_metric("score", summary="max")
for epoch in range(wandb.config["epochs"]):
    run.log({"epoch": epoch, "val/acc": epoch / 10, "score": epoch * wandb.config["learning_rate"],
             "nested": {"train": {"loss": 1 - wandb.config["learning_rate"] - epoch / 100}}})
run.log({"score": -1.0})
"""

INPUTS = """
import yaml
import wandb
from wandb.sdk import launch

# Required for launch sdk use.
wandb.require("core")

launch.manage_config_file("config.yaml", include=["optimizer"])
with open("config.yaml", "r") as f:
    file = yaml.safe_load(f)

config = {
    "trainer": {
        "learning_rate": 0.01,
        "batch_size": 32,
        "model": "resnet",
        "dataset": "cifar10",
        "private": {"key": "value"},
    },
    "seed": 42,
}

with wandb.init(config=config) as run:
    launch.manage_wandb_config(include=["trainer"], exclude=["trainer.private"])
    overrides = launch.load_wandb_config()
    assert overrides["trainer"]["learning_rate"] == run.config["trainer"]["learning_rate"]
    run.log({"loss": run.config["trainer"]["learning_rate"] + file["optimizer"]["decay"]})
"""

PRINTS = """
import sys
lr = float(sys.argv[1].removeprefix("--lr="))
for epoch in range(3):
    print(f"Epoch {epoch}/3 - loss: {lr / (epoch + 1):.4f} - acc: 0.5")
"""

ROWS = """
import csv, json, sys
lr = float(sys.argv[1].removeprefix("--lr="))
with open("log.csv", "w", newline="") as table, open("eval.jsonl", "w") as lines:
    writer = csv.writer(table)
    writer.writerow(["epoch", "loss"])
    for epoch in range(3):
        writer.writerow([epoch, lr / (epoch + 1)])
        print(json.dumps({"step": epoch, "eval": {"acc": epoch / 10}}), file=lines)
"""

EVENTS = """
import sys
from tensorboardX import SummaryWriter
lr = float(sys.argv[1].removeprefix("--lr="))
with SummaryWriter("runs/today") as writer:
    for step in range(3):
        writer.add_scalar("train/loss", lr / (step + 1), step)
"""


@pytest.fixture(scope="module")
def network() -> Iterator[tuple[dict[str, str], list[bytes]]]:
    """Variables that lead every request to a proxy, and what has been asked of it."""
    asked: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(200))

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    proxies = {"HTTPS_PROXY": url, "https_proxy": url, "HTTP_PROXY": "", "NO_PROXY": "127.0.0.1,localhost"}
    yield {**proxies, "WANDB_BASE_URL": "https://api.wandb.ai"}, asked
    server.shutdown(socket.SHUT_RDWR)
    server.close()


class Sweeping:
    """Runs sweeps of scripts in a folder."""

    def __init__(self, home: Home, folder: Path, variables: dict[str, str]) -> None:
        self.home = home
        self.folder = folder
        self.variables = variables

    def __call__(self, script: str, sweep: str, **files: str) -> dict[str, Any]:
        (self.folder / "train.py").write_text(script)
        for name, text in files.items():
            (self.folder / name.replace("_", ".")).write_text(text)
        (self.folder / "sweep.yaml").write_text(
            f"program: train.py\nmethod: grid\nscheduler: {{num_workers: 2}}\n{sweep}"
        )
        variables: dict[str, Any] = {**self.variables}
        done = self.home.run("launch-sweep", "sweep.yaml", "--json", cwd=self.folder, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run_directory(self, run: dict[str, Any]) -> RunDirectory:
        return RunDirectory(self.home.path / "runs" / run["run_id"])


@pytest.fixture
def sweep(home: Home, tmp_path: Path, network: tuple[dict[str, str], list[bytes]]) -> Sweeping:
    return Sweeping(home, tmp_path, network[0])


def test_a_wandb_loop_with_config_log_and_summary_runs_unchanged(
    sweep: Sweeping, network: tuple[dict[str, str], list[bytes]]
) -> None:
    done = sweep(LOOP, "metric: {name: best, goal: minimize}\nparameters: {lr: {values: [0.1, 0.9]}}\n")
    assert done["best"]["parameters"] == {"lr": 0.1}
    assert done["best"]["metric"] == 0
    run = sweep.run_directory(done["runs"][1])
    assert [(row["_step"], row["loss"]) for row in run.history()] == [
        (epoch, pytest.approx(0.64 + 1 / (epoch + 1))) for epoch in range(3)
    ]
    assert read_snapshot(run.path).config == {"lr": 0.9, "epochs": 3}
    by_sweep = {"layer": "sweep", "value": 0.9, "hides": "unknown"}
    assert run.provenance() == {"lr": [by_sweep], "epochs": [{"layer": "init", "value": 3}]}
    assert network[1] == []


def test_a_wandb_script_with_argparse_defined_metrics_and_nested_values_runs_unchanged(sweep: Sweeping) -> None:
    parameters = "parameters: {learning_rate: {values: [0.1, 0.5]}}\n"
    done = sweep(ARGPARSE, f"metric: {{name: score, goal: maximize}}\n{parameters}")
    assert done["best"]["parameters"] == {"learning_rate": 0.5}
    assert done["best"]["metric"] == 1.5  # the highest, as the script has defined; not the last
    run = sweep.run_directory(done["runs"][0])
    assert run.history()[3]["nested"] == {"train": {"loss": pytest.approx(0.87)}}
    assert run.history()[3]["val/acc"] == pytest.approx(0.3)


def test_a_wandb_script_that_declares_inputs_runs_unchanged(sweep: Sweeping) -> None:
    done = sweep(
        INPUTS,
        "metric: {name: loss, goal: minimize}\n"
        "parameters: {trainer: {parameters: {learning_rate: {values: [0.1, 0.2]}}}}\n",
        config_yaml="optimizer:\n  decay: 0.5\nother: 1\n",
    )
    assert done["best"]["parameters"] == {"trainer": {"learning_rate": 0.1}}
    assert done["best"]["metric"] == pytest.approx(0.6)
    snapshot = read_snapshot(sweep.run_directory(done["runs"][0]).path)
    assert snapshot.config["trainer"]["model"] == "resnet"
    assert snapshot.inputs == {
        "config": {"include": [["trainer"]], "exclude": [["trainer", "private"]], "schema": None},
        "files": {
            "config.yaml": {
                "include": [["optimizer"]],
                "exclude": [],
                "schema": None,
                "values": {"optimizer": {"decay": 0.5}, "other": 1},
            }
        },
    }


SAMPLE = """
import wandb
from wandb.sdk import launch

# Required for launch sdk use.
wandb.require("core")

config = {
    "trainer": {
        "learning_rate": 0.01,
        "batch_size": 32,
        "model": "resnet",
        "dataset": "cifar10",
        "private": {
            "key": "value",
        },
    },
    "seed": 42,
}


with wandb.init(config=config):
    launch.manage_wandb_config(
        include=["trainer"],
        exclude=["trainer.private"],
    )
    # Etc.
"""


def test_a_job_made_of_a_run_of_the_documentations_sample_has_exactly_its_four_inputs_with_their_types(
    home: Home, tmp_path: Path, network: tuple[dict[str, str], list[bytes]]
) -> None:
    (tmp_path / "train.py").write_text(SAMPLE)
    variables: dict[str, Any] = {**network[0]}
    agent = home.start("launch-agent", "--queues", "default", **variables)
    try:
        run = home.json("launch", str(tmp_path), "-E", "train.py", "-q")
        refused = home.run("launch", str(tmp_path), "-E", "train.py", "-q", "-s", "seed=5", "--json")
    finally:
        agent.send_signal(signal.SIGINT)
        agent.communicate(timeout=60)
    assert run["state"] == "finished", run["error"]
    failed = json.loads(refused.stdout)
    assert failed["state"] == "failed"
    message = (
        "InputError: The launch gave what is no input of this program:\n  config.seed: is no input; inputs are trainer."
    )
    assert message in failed["error"]
    assert home.run("launch", "job", "create", "--run", run["run_id"], "-n", "sample").returncode == 0
    inputs = home.json("launch", "job", "describe", "sample")["inputs"]
    trainer = inputs["config"]["properties"].pop("trainer")
    assert (inputs["config"]["properties"], inputs["files"]) == ({}, {})
    assert {name: one["type"] for name, one in trainer["properties"].items()} == {
        "learning_rate": "number",
        "batch_size": "integer",
        "model": "string",
        "dataset": "string",
    }
    for word in ("trainer.private.key=x", "seed=1", "trainer.batch_size=a"):
        assert home.run("launch", "--job", "sample", "-s", word, "--dry-run").returncode == 2
    assert home.run("launch", "--job", "sample", "-s", "trainer.learning_rate=1", "--dry-run").returncode == 0
    assert network[1] == []


@pytest.mark.parametrize(
    ("script", "metric", "sources"),
    [
        (PRINTS, "loss", [{"stdout": r"Epoch (?P<step>\d+)/.* loss: (?P<loss>\S+)"}]),
        (ROWS, "loss", [{"file": "log.csv", "step": "epoch"}, {"file": "eval.jsonl"}]),
        (EVENTS, "train/loss", [{"tensorboard": "runs/*"}]),
    ],
    ids=["prints", "writes-rows", "writes-event-files"],
)
def test_a_script_with_no_sdk_drives_a_sweep(
    sweep: Sweeping, script: str, metric: str, sources: list[dict[str, str]]
) -> None:
    done = sweep(
        script,
        f"metric: {{name: {metric}, goal: minimize}}\nparameters: {{lr: {{values: [0.3, 0.6]}}}}\n"
        f"metric_sources: {json.dumps(sources)}\n",
    )
    assert done["best"]["parameters"] == {"lr": 0.3}
    assert done["best"]["metric"] == pytest.approx(0.1, abs=1e-6)
    rows = [row for row in sweep.run_directory(done["runs"][1]).history() if metric in row]
    assert [(row["_step"], row[metric]) for row in rows] == [
        (step, pytest.approx(0.6 / (step + 1), abs=1e-4)) for step in range(3)
    ]
