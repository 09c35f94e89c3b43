"""The samples of "Manage job inputs", each as a process of its own, with only their import lines changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.tracking.protocol import RUN_DIR, Snapshot, read_snapshot, write_overrides

PROJECT_ROOT = Path(__file__).resolve().parents[3]

RECONFIGURE_THE_RUN = """\
import launch_sdk as wandb
import launch_sdk as launch

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
"""  # noqa: W291  # as it stands in the document

ACCESS_RUN_CONFIG = """\
import launch_sdk as launch

run_config_overrides = launch.load_wandb_config()
"""

RECONFIGURE_A_FILE = """\
import yaml
import launch_sdk as wandb
import launch_sdk as launch

# Required for launch sdk use.
wandb.require("core")

launch.manage_config_file("config.yaml")

with open("config.yaml", "r") as f:
    config = yaml.safe_load(f)

with wandb.init(config=config):
    # Etc.
    pass
"""

CONFIG_YAML = """\
learning_rate: 0.01
batch_size: 32
model: resnet
dataset: cifar10
"""

TYPES = {"learning_rate": "number", "batch_size": "integer", "model": "string", "dataset": "string"}


class _Sample:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run_dir = directory / "the-run"
        self.run_dir.mkdir()
        (directory / "config.yaml").write_text(CONFIG_YAML)

    def run(self, code: str, more: str = "", config: Any = None, files: Any = None) -> subprocess.CompletedProcess[str]:
        if config is not None or files is not None:
            write_overrides(self.run_dir, config or {}, files)
        (self.directory / "train.py").write_text(code + more)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_ROOT), RUN_DIR: str(self.run_dir)}
        return subprocess.run(
            [sys.executable, "train.py"],
            cwd=self.directory,
            env=environment,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def snapshot(self) -> Snapshot:
        return read_snapshot(self.run_dir)


@pytest.fixture
def sample(tmp_path: Path) -> _Sample:
    return _Sample(tmp_path)


def _types(properties: dict[str, Any]) -> dict[str, str]:
    return {name: one["type"] for name, one in properties.items()}


def test_sample_1_reconfigure_the_run_has_exactly_its_four_inputs_and_types(sample: _Sample) -> None:
    done = sample.run(RECONFIGURE_THE_RUN)
    assert done.returncode == 0, done.stderr
    snapshot = sample.snapshot()
    inputs = infer_inputs(snapshot.inputs, snapshot.config)
    assert inputs.config is not None
    assert list(inputs.config["properties"]) == ["trainer"]
    assert _types(inputs.config["properties"]["trainer"]["properties"]) == TYPES
    assert inputs.files == {}


def test_sample_1_takes_its_four_inputs_and_nothing_else(sample: _Sample) -> None:
    assert sample.run(RECONFIGURE_THE_RUN, config={"trainer": {"learning_rate": 1, "model": "vit"}}).returncode == 0
    trainer = sample.snapshot().config["trainer"]
    assert (trainer["learning_rate"], trainer["model"], trainer["batch_size"]) == (1, "vit", 32)
    refused = sample.run(RECONFIGURE_THE_RUN, config={"seed": 1, "trainer": {"private": {"key": "x"}}})
    assert refused.returncode == 1
    assert "config.seed: is no input" in refused.stderr
    assert "config.trainer.private.key: is no input" in refused.stderr


def test_sample_2_access_run_config_inputs_gives_what_was_given(sample: _Sample) -> None:
    shown = "import json; print(json.dumps(run_config_overrides))"
    assert json.loads(sample.run(ACCESS_RUN_CONFIG, shown).stdout) == {}
    done = sample.run(ACCESS_RUN_CONFIG, shown, config={"trainer": {"batch_size": 64}})
    assert json.loads(done.stdout) == {"trainer": {"batch_size": 64}}


def test_sample_3_reconfigure_a_file_makes_it_the_only_input(sample: _Sample) -> None:
    done = sample.run(RECONFIGURE_A_FILE)
    assert done.returncode == 0, done.stderr
    snapshot = sample.snapshot()
    inputs = infer_inputs(snapshot.inputs, snapshot.config)
    assert inputs.config is None
    assert _types(inputs.files["config.yaml"]["properties"]) == TYPES
    assert (sample.directory / "config.yaml").read_text() == CONFIG_YAML


def test_sample_3_with_manage_wandb_config_has_run_config_inputs_too(sample: _Sample) -> None:
    more = "    launch.manage_wandb_config(include=['model'])\n"
    assert sample.run(RECONFIGURE_A_FILE, more).returncode == 0
    snapshot = sample.snapshot()
    inputs = infer_inputs(snapshot.inputs, snapshot.config)
    assert inputs.config is not None
    assert list(inputs.config["properties"]) == ["model"]
    assert list(inputs.files) == ["config.yaml"]


def test_sample_4_access_config_file_inputs_reads_the_patched_file(sample: _Sample) -> None:
    from launch_sdk.runs.config_files import patch_files

    files = {"config.yaml": {"batch_size": 64}}
    patch_files(sample.directory, files)  # as the supervisor does in the run's copy
    done = sample.run(RECONFIGURE_A_FILE, files=files)
    assert done.returncode == 0, done.stderr
    assert sample.snapshot().config == {
        "learning_rate": 0.01,
        "batch_size": 64,
        "model": "resnet",
        "dataset": "cifar10",
    }
