"""examples/flows, as its README says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Home

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


def test_the_example_is_deployed_by_prefect_and_swept_over(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    shutil.copytree(REPOSITORY / "examples" / "flows", folder, ignore=shutil.ignore_patterns("__pycache__"))
    created = home.run("launch", "queue", "create", "default")
    assert created.returncode == 0 or "exists" in created.stderr, created.stderr
    deployed = home.run("prefect", "--no-prompt", "deploy", "--all", cwd=folder, PREFECT_API_URL=home.api_url)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr

    fitted = home.json("launch-sweep", "fit.yaml", cwd=folder, timeout_s=300)
    assert fitted["state"] == "finished"
    errors = {run["parameters"]["degree"]: run["metric"] for run in fitted["runs"]}
    assert errors[1] > errors[3] > 0
    assert fitted["best"]["metric"] == min(errors.values())

    trained = home.json("launch-sweep", "train.yaml", cwd=folder, timeout_s=300)
    assert [run["state"] for run in trained["runs"]] == ["finished"] * 4
    assert trained["best"]["metric"] < 1
    run = home.json("launch", "run", "show", trained["best"]["run_id"])
    assert set(run["summary"]) == {"loss", "val_loss"}
