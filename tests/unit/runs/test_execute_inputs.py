"""A run of a job: what is no input is refused before its program starts, and its config files are written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.inputs import JobInputs, infer_inputs
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking import protocol

PROGRAM = """
import launch_sdk as launch
launch.manage_config_file("conf/train.yaml")
text = open("conf/train.yaml").read()
with launch.init(config={"lr": 0.1}) as run:
    launch.manage_config(include=["lr"])
    run.log({"lr": run.config.lr})
    print(text)
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    (directory / "conf").mkdir(parents=True)
    (directory / "train.py").write_text(PROGRAM)
    (directory / "conf/train.yaml").write_text("seed: 1  # of everything\nname: a\n")
    return directory


def _inputs() -> dict[str, Any]:
    file: dict[str, Any] = {"include": [], "exclude": [], "schema": None, "values": {"seed": 1, "name": "a"}}
    own: dict[str, Any] = {"include": [["lr"]], "exclude": [], "schema": None}
    declared: dict[str, Any] = {"config": own, "files": {"conf/train.yaml": file}}
    return infer_inputs(declared, {"lr": 0.1, "hidden": 1}).to_dict()


def _execute(spec: RunSpec) -> tuple[Outcome, RunDirectory, list[str]]:
    run, lines = RunDirectory.of("one"), list[str]()
    identity = {protocol.RUN_ID: "one"}
    outcome = asyncio.run(execute(spec, run, store=RunStore.local(), identity=identity, on_lines=lines.extend))
    return outcome, run, lines


def test_the_program_finds_its_config_file_written_and_the_tree_of_the_user_is_left_alone(code: Path) -> None:
    files = {"./conf/train.yaml": {"seed": 7}}
    spec = RunSpec(str(code), ("train.py",), config={"lr": 1}, files=files, job="net", inputs=_inputs())
    outcome, run, lines = _execute(spec)
    assert outcome.succeeded, outcome.error
    assert outcome.summary == {"lr": 1}
    assert lines[:2] == ["seed: 7  # of everything", "name: a"]
    assert (code / "conf/train.yaml").read_text() == "seed: 1  # of everything\nname: a\n"
    given = json.loads((run.path / protocol.OVERRIDES).read_text())
    assert given["checked"] is True
    declared = protocol.read_snapshot(run.path).inputs
    assert declared is not None
    assert declared["files"]["conf/train.yaml"]["values"] == {"seed": 7, "name": "a"}


def test_what_is_no_input_is_refused_before_the_program_starts(code: Path) -> None:
    spec = RunSpec(
        str(code),
        ("train.py",),
        config={"lr": "x", "hidden": 2},
        files={"conf/train.yaml": {"sed": 1}, "other.yaml": {"a": 1}},
        job="net",
        inputs=_inputs(),
    )
    with pytest.raises(InvalidSpecError) as caught:
        _execute(spec)
    text = str(caught.value)
    assert text.startswith("The run of job 'net' has 4 faults:")
    assert "config.hidden: is no input; inputs are lr" in text
    assert "config.lr: must be number, not 'x'" in text
    assert "files.conf/train.yaml.sed: is no input; the nearest is seed" in text
    assert "files.other.yaml: is no input" in text
    assert not RunDirectory.of("one").output.exists()


def test_a_run_of_no_job_takes_any_value_and_its_program_refuses_what_it_declares_to_be_none(code: Path) -> None:
    outcome, _, _ = _execute(RunSpec(str(code), ("train.py",), config={"hidden": 2}))
    assert outcome.exit_code == 1
    assert outcome.error is not None
    assert "config.hidden: is no input; inputs are lr" in outcome.error


def test_a_run_of_no_job_holds_what_is_given_for_a_file_against_what_the_file_held_before(code: Path) -> None:
    (code / "conf/train.yaml").write_text("seed: 1\no: {lr: 1e-4, wd: 0.1, betas: [1, 2], none: null}\n")
    wrong = {"o": {"lrr": 1, "wd": "abc", "betas": [1, "x"], "deep": {"$delete": True}}, "seed": {"a": 1}}
    outcome, run, _ = _execute(RunSpec(str(code), ("train.py",), files={"./conf/train.yaml": wrong}))
    assert outcome.exit_code == 1
    assert outcome.error is not None
    assert outcome.error.splitlines()[-5:] == [
        "  files.conf/train.yaml.o.lrr: is no input; the nearest is o.lr",
        "  files.conf/train.yaml.o.wd: must be number, not 'abc'",
        "  files.conf/train.yaml.o.betas[1]: must be integer, not 'x'",
        "  files.conf/train.yaml.o.deep: is no input; inputs are seed, o.lr, o.wd, o.betas, o.none",
        "  files.conf/train.yaml.seed: must be integer, not a group of keys",
    ]
    held = {"seed": 1, "o": {"lr": 1e-4, "wd": 0.1, "betas": [1, 2], "none": None}}
    assert protocol.read_overrides(run.path).file_values == {"conf/train.yaml": held}
    right = {"o": {"lr": 0.5, "wd": 2, "betas": {"$delete": True}, "none": {"a": 1}}, "seed": 3}
    outcome, _, lines = _execute(RunSpec(str(code), ("train.py",), files={"conf/train.yaml": right}))
    assert outcome.succeeded, outcome.error
    assert "betas" not in "".join(lines)


def test_a_config_file_that_is_not_there_is_told_before_the_program_starts(code: Path) -> None:
    with pytest.raises(NotFoundError, match=r"It holds conf/train\.yaml"):
        _execute(RunSpec(str(code), ("train.py",), files={"train.yaml": {"a": 1}}))
    with pytest.raises(InvalidSpecError, match="leads out of"):
        _execute(RunSpec(str(code), ("train.py",), files={"../train.yaml": {"a": 1}}))


def test_a_copy_is_no_hard_link_to_what_the_store_keeps(code: Path) -> None:
    source = RunStore.local().put_directory(code).source
    spec = RunSpec(source, ("train.py",), files={"conf/train.yaml": {"seed": 9}})
    assert _execute(spec)[0].succeeded
    again = RunSpec(source, ("train.py",))
    assert _execute(again)[2][0] == "seed: 1  # of everything"


def test_a_job_without_inputs_takes_nothing(code: Path) -> None:
    with pytest.raises(InvalidSpecError, match="the job takes no run config"):
        _execute(RunSpec(str(code), ("train.py",), config={"lr": 1}, inputs=JobInputs().to_dict()))
