"""A program in an environment of its own, on a queue, and its repetition with the packages that it had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.test_launch_commands import agent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Home

PROGRAM = """
import sys
import six
import launch_sdk as launch

with launch.init() as run:
    run.summary["six"] = six.__version__
    run.summary["prefix"] = sys.prefix
"""

SWEEP = """
program: main.py
method: grid
environment: auto
parameters: {lr: {values: [1, 2]}}
"""


@pytest.mark.server
def test_a_run_on_a_queue_gets_its_packages_and_is_repeated_with_them(home: Home, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    (tmp_path / "requirements.txt").write_text("six==1.16.0\n")
    said = home.json("launch", str(tmp_path), "--environment", "auto", "--dry-run")
    assert (said["runs_in"]["from"], said["runs_in"]["requirements"]) == ("requirements.txt", ["six==1.16.0"])
    assert home.run("launch", "queue", "create", "environments").returncode == 0
    with agent(home, "-q", "environments"):
        first = home.json("launch", str(tmp_path), "--environment", "auto", "-q", "environments")
        assert (first["state"], first["summary"]["six"]) == ("finished", "1.16.0"), first["error"]
        assert first["summary"]["prefix"] == said["runs_in"]["path"]

        (tmp_path / "sweep.yaml").write_text(SWEEP)
        sweep = home.json("launch-sweep", str(tmp_path / "sweep.yaml"), "-q", "environments")
        runs = [home.json("launch", "run", "show", run["run_id"]) for run in sweep["runs"]]
        assert [run["summary"]["prefix"] for run in runs] == [said["runs_in"]["path"]] * 2

        (tmp_path / "requirements.txt").unlink()
        exact = home.json("launch", first["run_id"], "--environment", "lock", "--dry-run")
        assert exact["runs_in"]["requirements"] == ["six==1.16.0"]
        assert exact["lock"]["packages"] == [{"name": "six", "version": "1.16.0"}]

        other = home.run("launch", first["run_id"], "--environment", "current", "-q", "environments")
        assert "six 1.16.0 ->" in other.stdout + other.stderr

        (tmp_path / "requirements.txt").write_text("--no-index\nno-such-package\n")
        failed = home.json("launch", str(tmp_path), "--environment", "auto", "-q", "environments")
        assert failed["state"] == "failed"
        assert "uv said" in failed["error"]
        assert "no-such-package" in failed["error"]
        assert "Traceback" not in failed["error"]
