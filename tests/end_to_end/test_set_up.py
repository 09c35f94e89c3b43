"""What a newcomer does first: the set-up, the quickstart, an installed wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Home

pytestmark = pytest.mark.slow


def test_the_set_up_does_nothing_the_second_time() -> None:
    done = subprocess.run([REPOSITORY / "scripts" / "setup"], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == done.stderr == ""


def test_the_constraints_hold_versions_and_hashes_only() -> None:
    text = (REPOSITORY / "constraints.txt").read_text()
    assert "://" not in text
    assert all(line.startswith(("    --hash=sha256:", "#")) or "==" in line for line in text.splitlines())


@pytest.mark.timeout(400)
def test_the_quickstart_ends_well_above_the_defaults_of_its_script(home: Home, tmp_path: Path) -> None:
    alone = subprocess.run(
        [sys.executable, REPOSITORY / "examples" / "digits" / "train.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "val_accuracy" in alone.stdout
    (summary,) = tmp_path.glob("launch/run-*/summary.json")
    default = json.loads(summary.read_text())["val_accuracy"]

    done = subprocess.run(
        [REPOSITORY / "scripts" / "quickstart", "--json"],
        env=home.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=390,
    )
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["state"] == "finished"
    assert len(view["runs"]) >= 20
    assert view["best"]["metric"] > default + 0.02
    assert not [notice for notice in view["notices"] if "TPE suggests it instead" in notice]
    assert f"launch {view['best']['run_id']}" in done.stderr

    again = home.json("launch", view["best"]["run_id"])
    assert again["summary"]["val_accuracy"] == view["best"]["metric"]


@pytest.mark.timeout(300)
def test_an_installed_wheel_runs_beside_a_project_with_flows_of_its_own(home: Home, tmp_path: Path) -> None:
    """The wheel carries flows and blocks as data: it neither breaks a user's `flows` package nor is broken by it."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True, text=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if not name.startswith("launch_sdk-")} == {"launch_sdk"}
    assert "launch_sdk/_project/flows/run_job.py" in names
    checked = subprocess.run(
        [sys.executable, "-m", "check_wheel_contents", str(wheel)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout

    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    project = tmp_path / "project"
    (project / "flows").mkdir(parents=True)
    (project / "flows" / "__init__.py").write_text("MINE = True\n")
    (project / "main.py").write_text(
        "import flows, launch_sdk as launch\n"
        "with launch.init(config={'x': 1}) as run:\n    run.log({'mine': int(flows.MINE), 'x': run.config.x})\n"
    )
    (project / "sweep.yaml").write_text(
        "{program: main.py, method: grid, metric: {name: x}, scheduler: {num_workers: 1},"
        " parameters: {x: {values: [1, 2]}}}"
    )
    launcher = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); from launch_sdk.cli.launch_sweep import main; main()"
    )
    environment = {**os.environ, "LAUNCH_HOME": str(home.path), "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", launcher, str(project / "sweep.yaml"), "--json"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert [run["state"] for run in view["runs"]] == ["finished", "finished"]
    shown = home.json("launch", "run", "show", view["best"]["run_id"])
    assert shown["summary"] == {"mine": 1, "x": 1}
