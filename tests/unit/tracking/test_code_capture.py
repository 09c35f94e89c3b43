"""What starts the capture of a script's code; the capture itself is in tests/unit/runs/test_script_capture.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import launch_sdk as launch
from launch_sdk.tracking import protocol
from launch_sdk.tracking.code_capture import is_wanted, notices


@pytest.mark.parametrize(
    ("save_code", "environ", "wanted"),
    [
        (None, {}, True),
        (None, {"LAUNCH_DISABLE_CODE": "true"}, False),
        (None, {"LAUNCH_DISABLE_CODE": "False", "WANDB_DISABLE_CODE": "0"}, True),
        (None, {"WANDB_DISABLE_CODE": "true"}, False),
        (True, {"LAUNCH_DISABLE_CODE": "true"}, True),
        (False, {}, False),
        (True, {"LAUNCH_RUN_DIR": "/runs/1"}, False),
    ],
)
def test_a_supervisor_then_the_script_then_the_environment_decide(
    save_code: bool | None, environ: dict[str, str], wanted: bool
) -> None:
    assert is_wanted(save_code, environ) is wanted


@pytest.mark.parametrize("executable", ["/usr/bin/blender", "", "/nowhere/python"])
def test_a_capture_that_cannot_be_started_harms_no_script(
    executable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    with launch.init(save_code=True) as run:
        run.log({"a": 1})
    about = protocol.read_code(run.dir)["capture"]
    assert about["state"] == "failed"
    assert "launch: the code of this run was not captured: the process that" in capsys.readouterr().err
    assert (Path(run.dir) / "environment.json").is_file()


def test_a_script_without_standard_error_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    run = launch.init(save_code=True)
    monkeypatch.setattr(sys, "stderr", None)
    run.finish()
    assert protocol.read_snapshot(run.dir).exit_code == 0


def test_a_few_files_that_are_left_out_are_named_and_the_others_counted() -> None:
    code: dict[str, Any] = {"left_out": {f"{number}.pem": "looks like a secret" for number in range(5)}}
    assert notices(code)[0] == "not in the captured code: 0.pem (looks like a secret)"
    assert notices(code)[3:] == ["not in the captured code: 2 more files, see code.json of the run directory"]
    assert notices({}) == notices({"capture": "?", "left_out": 3}) == []
