"""A script that somebody starts by hand, and what `launch` makes of its run directory on a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.tracking import protocol
from tests.conftest import Home, eventually
from tests.end_to_end.test_launch_commands import agent, new_queue

if TYPE_CHECKING:
    import pytest

SCRIPT = """
import sys
import launch_sdk as launch
with launch.init(config={"lr": 0.5}, register="by-hand") as run:
    launch.manage_config(include=["lr"])
    seed = int(open(run.use_file("seed.txt")).read())
    run.log({"loss": seed * run.config.lr, "args": len(sys.argv)})
"""


def started_by_hand(home: Home, folder: Path) -> Path:
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    (folder / "seed.txt").write_text("8")
    (folder / ".gitignore").write_text("seed.txt\n")
    environment = {key: value for key, value in home.environment.items() if key != "LAUNCH_DISABLE_CODE"}
    subprocess.run([sys.executable, "train.py", "a"], cwd=folder, env=environment, check=True, timeout=60)
    (run_dir,) = (folder / "launch").glob("run-*")
    eventually(lambda: protocol.read_code(run_dir).get("source"), "the code should be captured")
    eventually((run_dir / "environment.json").is_file, "the packages should be recorded")
    return run_dir


def test_a_script_started_by_hand_goes_through_a_queue_and_becomes_a_job(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = started_by_hand(home, tmp_path / "work")
    kept = tmp_path / run_dir.name
    shutil.copytree(run_dir, kept)
    shutil.rmtree(tmp_path / "work")
    queue = new_queue(home, "by-hand")
    monkeypatch.setenv("LAUNCH_REGISTER_JOBS", "1")  # of the agent
    with agent(home, "--queues", queue):
        view = home.json("launch", "-q", queue, str(kept), "-s", "lr=0.25")
        assert view["summary"] == {"loss": 2.0, "args": 2}
        again = home.json("launch", "-q", queue, view["run_id"])  # what the replay used is known to the server
        assert again["summary"] == {"loss": 2.0, "args": 2}
        job = home.json("launch", "job", "create", "--run", str(kept), "-n", "of-a-script", "-q", queue)
        assert list(job["inputs"]["config"]["properties"]) == ["lr"]
        assert home.json("launch", "job", "describe", "by-hand")["source"] == view["parameters"]["source"]
        (tmp_path / "unasked.py").write_text("print('no word of jobs')")
        home.json("launch", "-q", queue, str(tmp_path), "-E", "unasked.py")
        assert home.json("launch", "job", "describe", "unasked")["version"] == "v0"
        stored = [path for path in (home.path / "store" / "files").iterdir() if path.read_bytes() == b"8"]
        for path in stored:
            os.unlink(path)  # noqa: PTH108
        refused = home.run("launch", str(kept))
    assert refused.returncode == 2
    assert "seed.txt: cannot be had from file://" in refused.stderr
    assert "Traceback" not in refused.stderr
