"""What a job takes of a run that was launched with values: the config of its program without these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import launch_sdk
from launch_sdk.job_making import with_inputs
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.specs.inputs import JobInputs
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SCHEMA = {"type": "object", "properties": {"lr": {"type": "number"}, "x": {"type": "integer"}}, "required": ["lr", "x"]}


def _config_inputs(run: RunDirectory, declared: dict[str, Any] | None = None) -> dict[str, Any]:
    recorded = protocol.read_snapshot(run.path).config
    made = with_inputs(RunSpec("sha256:0"), declared, recorded, run.provenance()).inputs
    assert made is not None
    return made["config"]


def test_values_of_the_launch_are_neither_inputs_nor_defaults_nor_the_programs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(protocol.RUN_DIR, str(tmp_path))
    protocol.write_overrides(tmp_path, {"lr": 0.9, "x": 5, "net": {"depth": 7, "bogus": 1}, "only": {"k": 1}}, {})
    with launch_sdk.init(config={"lr": 0.1, "net": {"depth": 2, "width": 3}}) as run:
        assert (run.config.lr, run.config.x) == (0.9, 5)
    schema = _config_inputs(RunDirectory(tmp_path))
    assert set(schema["properties"]) == {"lr", "net"}
    assert schema["properties"]["lr"]["default"] == 0.1
    net = schema["properties"]["net"]["properties"]
    assert {name: one["default"] for name, one in net.items()} == {"depth": 2, "width": 3}
    declared: dict[str, Any] = {"config": {"include": [], "exclude": [], "schema": SCHEMA}, "files": {}}
    inputs = JobInputs(_config_inputs(RunDirectory(tmp_path), declared))
    assert [fault.path for fault in inputs.faults({}, {})] == ["config.x"]


def test_a_value_that_may_hide_another_stays_an_input_without_a_default(tmp_path: Path) -> None:
    said = [{"layer": "launch", "value": 0.9, "hides": "unknown"}]
    document = {"version": 1, "values": {"lr": said, "seed": [{"layer": "init", "value": 1}]}}
    protocol.write_atomically(tmp_path, protocol.PROVENANCE, protocol.dumps(document))
    recorded = {"lr": 0.9, "seed": 1}
    made = with_inputs(RunSpec("sha256:0"), None, recorded, RunDirectory(tmp_path).provenance()).inputs
    assert made is not None
    fields = made["config"]["properties"]
    assert fields == {
        "lr": {"title": "lr", "type": "number"},
        "seed": {"title": "seed", "type": "integer", "default": 1},
    }
