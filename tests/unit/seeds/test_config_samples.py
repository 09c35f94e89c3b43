"""The specification's own samples of the run config, each as it stands in a process of its own.

Only the import line is another: `import launch_sdk as wandb`. Many samples are fragments. What the text around them
takes for granted stands before them, such as `from absl import flags`, or the sample that they continue. Three are
misprinted in the specification; each of these tests says what was put right.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.tracking.protocol import RUN_DIR, read_records, read_snapshot, write_overrides

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[3]
DEADLINE_S = 60.0
IMPORT = "import launch_sdk as wandb\n"

SET_AT_INITIALIZATION = """
import launch_sdk as wandb

# Define a config dictionary object
config = {
    "hidden_layer_sizes": [32, 64],
    "kernel_sizes": [3],
    "activation": "ReLU",
    "pool_sizes": [2],
    "dropout": 0.5,
    "num_classes": 10,
}

# Pass the config dictionary when you initialize W&B
run = wandb.init(project="config_example", config=config)
"""
FIRST_CONFIG = {
    "hidden_layer_sizes": [32, 64],
    "kernel_sizes": [3],
    "activation": "ReLU",
    "pool_sizes": [2],
    "dropout": 0.5,
    "num_classes": 10,
}
READ_VALUES = """
# Access values with the key as the index value
hidden_layer_sizes = wandb.config["hidden_layer_sizes"]
kernel_sizes = wandb.config["kernel_sizes"]
activation = wandb.config["activation"]

# Python dictionary get() method
hidden_layer_sizes = wandb.config.get("hidden_layer_sizes")
kernel_sizes = wandb.config.get("kernel_sizes")
activation = wandb.config.get("activation")
"""
ARGPARSE_EXPERIMENT = """
# config_experiment.py
import launch_sdk as wandb
import argparse
import numpy as np
import random


# Training and evaluation demo code
def train_one_epoch(epoch, lr, bs):
    acc = 0.25 + ((epoch / 30) + (random.random() / 10))
    loss = 0.2 + (1 - ((epoch - 1) / 10 + random.random() / 5))
    return acc, loss


def evaluate_one_epoch(epoch):
    acc = 0.1 + ((epoch / 20) + (random.random() / 10))
    loss = 0.25 + (1 - ((epoch - 1) / 10 + random.random() / 6))
    return acc, loss


def main(args):
    # Start a W&B Run
    run = wandb.init(project="config_example", config=args)

    # Access values from config dictionary and store them
    # into variables for readability
    lr = wandb.config["learning_rate"]
    bs = wandb.config["batch_size"]
    epochs = wandb.config["epochs"]

    # Simulate training and logging values to W&B
    for epoch in np.arange(1, epochs):
        train_acc, train_loss = train_one_epoch(epoch, lr, bs)
        val_acc, val_loss = evaluate_one_epoch(epoch)

        wandb.log(
            {
                "epoch": epoch,
                "train_acc": train_acc,
                "train_loss": train_loss,
                "val_acc": val_acc,
                "val_loss": val_loss,
            }
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )

    parser.add_argument("-b", "--batch_size", type=int, default=32, help="Batch size")
    parser.add_argument(
        "-e", "--epochs", type=int, default=50, help="Number of training epochs"
    )
    parser.add_argument(
        "-lr", "--learning_rate", type=int, default=0.001, help="Learning rate"
    )

    args = parser.parse_args()
    main(args)
"""
SET_THROUGHOUT = (
    SET_AT_INITIALIZATION
    + """
# Update config after you initialize W&B
wandb.config["dropout"] = 0.2
wandb.config.epochs = 4
wandb.config["batch_size"] = 32
"""
)
UPDATE_SEVERAL = """
wandb.init(config={"epochs": 4, "batch_size": 32})
# later
wandb.config.update({"lr": 0.1, "channels": 16})
"""
ABSL_FLAGS = """
flags.DEFINE_string("model", None, "model to run")  # name, default, help

wandb.config.update(flags.FLAGS)  # adds absl flags to config
"""
DEFAULTS_FILE = """\
# config-defaults.yaml
# sample config defaults file
epochs:
  desc: Number of epochs to train over
  value: 100
batch_size:
  desc: Size of each mini-batch
  value: 32
"""
FILE_AND_DICTIONARY = """
hyperparameter_defaults = dict(
    dropout=0.5,
    batch_size=100,
    learning_rate=0.001,
)

config_dictionary = dict(
    yaml=my_yaml_file,
    params=hyperparameter_defaults,
)

wandb.init(config=config_dictionary)
"""
TENSORFLOW_FLAGS = """
wandb.init()
wandb.config.epochs = 4

flags = tf.app.flags
flags.DEFINE_string("data_dir", "/tmp/data")
flags.DEFINE_integer("batch_size", 128, "Batch size.")
wandb.config.update(flags.FLAGS)  # add tensorflow flags as config
"""
# TensorFlow's flags have been absl's own for years, and TensorFlow itself no longer has `tf.app`. This stands for it:
# absl's module, in which the sample may leave out the help text of its first flag.
TENSORFLOW = """
from types import SimpleNamespace
import absl.flags

def DEFINE_string(name, default, help="", **more):
    return absl.flags.DEFINE_string(name, default, help, **more)

names = vars(absl.flags) | {"DEFINE_string": DEFINE_string}
tf = SimpleNamespace(app=SimpleNamespace(flags=SimpleNamespace(**names)))
"""
DATASET_IDENTIFIER = """
wandb.config.update({"dataset": "ab131"})
"""
KEY_VALUE_PAIRS = """
wandb.config.update({"my_param": 10, "learning_rate": 0.3, "model_architecture": "B"})
"""
BASIC_USAGE = """
wandb.config.epochs = 4
wandb.init()
for x in range(wandb.config.epochs):
# train
"""
INIT_SETS_CONFIG = """
wandb.init(config={"epochs": 4, "batch_size": 32})
for x in range(wandb.config.epochs):
# train
"""
NESTED = """
wandb.config['train']['epochs'] = 4
wandb.init()
for x in range(wandb.config['train']['epochs']):
# train
"""
ALL_ABSL_FLAGS = """
flags.DEFINE_string('model', None, 'model to run') # name, default, help
wandb.config.update(flags.FLAGS) # adds all absl flags to config
"""
ARGPARSE_FLAGS = """
wandb.init()
wandb.config.epochs = 4

parser = argparse.ArgumentParser()
parser.add_argument('-b', '--batch-size', type=int, default=8, metavar='N',
help='input batch size for training (default: 8)')
args = parser.parse_args()
wandb.config.update(args)
"""
TENSORFLOW_FLAGS_OF_THE_REFERENCE = """
flags = tf.app.flags
flags.DEFINE_string('data_dir', '/tmp/data')
flags.DEFINE_integer('batch_size', 128, 'Batch size.')
wandb.config.update(flags.FLAGS)  # adds all of the tensorflow flags to config
"""
OF_THE_TENSORFLOW_FLAGS = {"data_dir": "/tmp/data", "batch_size": 128}  # noqa: S108  # the sample's own, never opened
SPECIAL_FILE = 'wandb.init(config="special_config.yaml")\n'
COUNT_THE_LOOP = "    wandb.log({'x': x})\n"


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[..., Any]:
    """Run a sample and give the config that its run recorded."""

    def run(code: str, *arguments: str) -> Any:
        (tmp_path / "the-run").mkdir(exist_ok=True)
        (tmp_path / "sample.py").write_text(code)
        result = subprocess.run(
            [sys.executable, "sample.py", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), RUN_DIR: str(tmp_path / "the-run")},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""
        snapshot = read_snapshot(tmp_path / "the-run")
        assert snapshot.exit_code == 0
        return snapshot.config

    return run


def _steps(directory: Path) -> int:
    records, _ = read_records(directory / "the-run" / "records.jsonl")
    return sum("log" in record for record in records)


def test_configure_experiments_set_the_configuration_at_initialization(config_of: Callable[..., Any]) -> None:
    assert config_of(SET_AT_INITIALIZATION) == FIRST_CONFIG


def test_configure_experiments_access_the_values_from_the_dictionary(config_of: Callable[..., Any]) -> None:
    check = "assert (hidden_layer_sizes, kernel_sizes, activation) == ([32, 64], [3], 'ReLU')\n"
    assert config_of(SET_AT_INITIALIZATION + READ_VALUES + check) == FIRST_CONFIG


def test_configure_experiments_set_the_configuration_with_argparse(
    config_of: Callable[..., Any], tmp_path: Path
) -> None:
    expected = {"batch_size": 16, "epochs": 5, "learning_rate": 0.001}
    assert config_of(ARGPARSE_EXPERIMENT, "-b", "16", "--epochs", "5") == expected
    assert _steps(tmp_path) == 4
    assert read_snapshot(tmp_path / "the-run").summary["epoch"] == 4


def test_configure_experiments_with_argparse_under_a_sweep(config_of: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "the-run").mkdir()
    write_overrides(tmp_path / "the-run", {"epochs": 3, "learning_rate": 0.1}, layer="sweep")
    assert config_of(ARGPARSE_EXPERIMENT) == {"batch_size": 32, "epochs": 3, "learning_rate": 0.1}
    assert _steps(tmp_path) == 2


def test_configure_experiments_set_the_configuration_throughout_your_script(config_of: Callable[..., Any]) -> None:
    assert config_of(SET_THROUGHOUT) == FIRST_CONFIG | {"dropout": 0.2, "epochs": 4, "batch_size": 32}


def test_configure_experiments_update_multiple_values_at_a_time(config_of: Callable[..., Any]) -> None:
    assert config_of(IMPORT + UPDATE_SEVERAL) == {"epochs": 4, "batch_size": 32, "lr": 0.1, "channels": 16}


def test_configure_experiments_absl_flags(config_of: Callable[..., Any]) -> None:
    before = IMPORT + "from absl import flags\nwandb.init()\n"
    assert config_of(before + ABSL_FLAGS) == {"model": None}


def test_configure_experiments_file_based_configs(config_of: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "config-defaults.yaml").write_text(DEFAULTS_FILE)
    assert config_of(IMPORT + "wandb.init()\n") == {"epochs": 100, "batch_size": 32}


def test_configure_experiments_overwrite_a_config_defaults_file(config_of: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "config-defaults.yaml").write_text(DEFAULTS_FILE)
    assert config_of(IMPORT + "wandb.init(config={'epochs': 5})\n") == {"epochs": 5, "batch_size": 32}


def test_configure_experiments_load_config_files_with_the_argument_configs(
    config_of: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "config-defaults.yaml").write_text(DEFAULTS_FILE)
    (tmp_path / "large.yaml").write_text("batch_size: {value: 512}\n")
    (tmp_path / "long.yaml").write_text("epochs: 900\n")
    arguments = ("--configs", "large.yaml,long.yaml")
    assert config_of(IMPORT + "wandb.init()\n", *arguments) == {"epochs": 900, "batch_size": 512}


def test_configure_experiments_example_use_case_for_file_based_configs(config_of: Callable[..., Any]) -> None:
    before = IMPORT + "my_yaml_file = {'dataset': 'digits'}\n"
    assert config_of(before + FILE_AND_DICTIONARY) == {
        "yaml": {"dataset": "digits"},
        "params": {"dropout": 0.5, "batch_size": 100, "learning_rate": 0.001},
    }


def test_configure_experiments_tensorflow_v1_flags(config_of: Callable[..., Any]) -> None:
    assert config_of(IMPORT + TENSORFLOW + TENSORFLOW_FLAGS) == OF_THE_TENSORFLOW_FLAGS | {"epochs": 4}


def test_configure_experiments_dataset_identifier(config_of: Callable[..., Any]) -> None:
    assert config_of(IMPORT + "wandb.init()\n" + DATASET_IDENTIFIER) == {"dataset": "ab131"}


def test_configure_experiments_key_value_pairs(config_of: Callable[..., Any]) -> None:
    expected = {"my_param": 10, "learning_rate": 0.3, "model_architecture": "B"}
    assert config_of(IMPORT + "wandb.init()\n" + KEY_VALUE_PAIRS) == expected


def test_config_reference_basic_usage(config_of: Callable[..., Any], tmp_path: Path) -> None:
    assert config_of(IMPORT + BASIC_USAGE + COUNT_THE_LOOP) == {"epochs": 4}
    assert _steps(tmp_path) == 4


def test_config_reference_using_init_to_set_config(config_of: Callable[..., Any], tmp_path: Path) -> None:
    """Its first line is printed as a list item: `- `wandb.init(config={"epochs"` - 4, "batch_size": 32})`."""
    assert config_of(IMPORT + INIT_SETS_CONFIG + COUNT_THE_LOOP) == {"epochs": 4, "batch_size": 32}
    assert _steps(tmp_path) == 4


def test_config_reference_nested_configs(config_of: Callable[..., Any], tmp_path: Path) -> None:
    """Its first line lacks a quote: `['epochs] = 4`."""
    assert config_of(IMPORT + NESTED + COUNT_THE_LOOP) == {"train": {"epochs": 4}}
    assert _steps(tmp_path) == 4


def test_config_reference_nested_configs_over_a_defaults_file(config_of: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "config-defaults.yaml").write_text("train: {value: {epochs: 2, lr: 1e-3}}\n")
    assert config_of(IMPORT + NESTED + COUNT_THE_LOOP) == {"train": {"epochs": 4, "lr": 0.001}}


def test_config_reference_using_absl_flags(config_of: Callable[..., Any]) -> None:
    """Its quotes are printed as typographic ones."""
    before = IMPORT + "from absl import flags\nwandb.init()\n"
    assert config_of(before + ALL_ABSL_FLAGS) == {"model": None}


def test_config_reference_argparse_flags(config_of: Callable[..., Any]) -> None:
    assert config_of(IMPORT + "import argparse\n" + ARGPARSE_FLAGS, "-b", "9") == {"epochs": 4, "batch_size": 9}


def test_config_reference_using_tensorflow_flags(config_of: Callable[..., Any]) -> None:
    before = IMPORT + TENSORFLOW + "wandb.init()\n"
    assert config_of(before + TENSORFLOW_FLAGS_OF_THE_REFERENCE) == OF_THE_TENSORFLOW_FLAGS


def test_config_reference_a_config_file_with_your_custom_name(config_of: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "special_config.yaml").write_text(DEFAULTS_FILE)
    assert config_of(IMPORT + SPECIAL_FILE) == {"epochs": 100, "batch_size": 32}


def test_config_reference_persist(config_of: Callable[..., Any], tmp_path: Path) -> None:
    code = "run = wandb.init(config={'sizes': [1]})\nrun.config['sizes'].append(2)\nwandb.config.persist()\n"
    assert config_of(IMPORT + code) == {"sizes": [1, 2]}
    provenance = json.loads((tmp_path / "the-run" / "provenance.json").read_text())
    assert provenance["values"] == {"sizes": [{"layer": "init", "value": [1, 2]}]}
