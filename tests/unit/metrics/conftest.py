"""A log that the real W&B client has written, once for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import math
import wandb

with wandb.init(config={"trainer": {"lr": 0.1}, "seed": 42}) as run:
    run.define_metric("val", summary="min")
    for step in range(120):
        run.log({"loss": 1 / (step + 1), "n": {"a": step, "b": {"c": math.nan}}, "k.d": True, "none": None,
                 "inf": -math.inf, "large": 2**70, "val": abs(step - 100), "text": "x" * 300})
    run.log({"page": "y" * 100_000})
    run.summary["best"] = {"step": 3}
    run.config.update({"trainer": {"layers": 2}}, allow_val_change=True)
"""


@pytest.fixture(scope="session")
def wandb_log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a finished `.wandb` file of several blocks."""
    directory: Path = tmp_path_factory.mktemp("wandb")
    settings = {"WANDB_MODE": "offline", "WANDB_DIR": str(directory), "WANDB_RUN_ID": "real", "WANDB_SILENT": "true"}
    environment = {**os.environ, **settings, "WANDB_ERROR_REPORTING": "false"}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, cwd=directory, check=True, timeout=60)
    (log,) = directory.glob("wandb/offline-run-*/run-real.wandb")
    return log.read_bytes()
