"""A script of W&B in an environment made for it, which holds the client and nothing of ours."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Home

PROGRAM = """
import importlib.util, sys
import wandb
from wandb.sdk import launch

with wandb.init(config={"lr": 0.5, "other": 1}) as run:
    launch.manage_wandb_config(include=["lr"])
    run.config.update({"lr": 9.0}, allow_val_change=True)
    for epoch in range(3):
        run.log({"loss": run.config.lr / (epoch + 1)})
    run.summary["made"] = importlib.util.find_spec("prefect") is None and sys.prefix != sys.base_prefix
"""


def test_what_it_is_given_logs_and_declares_is_seen_there_too(home: Home, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "requirements.txt").write_text(f"wandb=={version('wandb')}\n")
    words = ("launch", str(tmp_path), "-E", "train.py", "--environment", "auto", "-s", "lr=0.2", "--json")
    done = home.run(*words, LAUNCH_HOME=str(tmp_path / "home"))
    view = json.loads(done.stdout)
    assert view["state"] == "finished", done.stderr
    assert view["summary"] == {"loss": 0.2 / 3, "made": True}
    assert view["config"] == {"lr": 0.2, "other": 1}
    inputs = (tmp_path / "home" / "runs" / view["run_id"] / "records.jsonl").read_text()
    assert '"include":[["lr"]]' in inputs.replace(" ", "")
