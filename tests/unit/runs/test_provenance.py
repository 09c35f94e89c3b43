"""Who gave each value of the config of a program that does not tell it itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.runs.provenance import tell_provenance
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def _recorded(run: RunDirectory, *records: dict[str, Any]) -> None:
    run.records.write_text("".join(json.dumps({"time": 1.0, **record}) + "\n" for record in records))


def test_what_was_recorded_first_is_of_init_what_came_later_of_the_script_and_overrides_are_theirs(
    run: RunDirectory,
) -> None:
    protocol.write_overrides(run.path, {"net": {"a.b": 5}, "ignored": 1}, layer="sweep")
    _recorded(
        run,
        {"config": {"net": {"a.b": 5, "depth": 2}, "ignored": 3, "gone": 1, "group": {}}},
        {"config": {"net": {"depth": 3}, "late": [1]}, "removed": [["gone"]]},
    )
    tell_provenance(run)
    assert run.provenance() == {
        r"net.a\.b": [{"layer": "sweep", "value": 5, "hides": "unknown"}],
        "net.depth": [{"layer": "init", "value": 2}, {"layer": "script", "value": 3}],
        "ignored": [{"layer": "init", "value": 3}],
        "group": [{"layer": "init", "value": {}}],
        "late": [{"layer": "script", "value": [1]}],
    }


def test_what_a_program_told_itself_stays_and_nothing_is_told_of_one_without_a_config(run: RunDirectory) -> None:
    tell_provenance(run)
    _recorded(run, {"log": {"loss": 1}, "step": 0})
    tell_provenance(run)
    assert not (run.path / protocol.PROVENANCE).exists()
    (run.path / protocol.PROVENANCE).write_text("{}")
    _recorded(run, {"config": {"lr": 1}})
    tell_provenance(run)
    assert (run.path / protocol.PROVENANCE).read_text() == "{}"
