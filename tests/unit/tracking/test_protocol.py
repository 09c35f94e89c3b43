"""The reader of a run directory: incremental, tolerant of torn lines and garbage."""

from __future__ import annotations

import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_sdk.tracking import protocol
from launch_sdk.tracking.protocol import (
    config_update,
    merge,
    read_overrides,
    read_records,
    read_snapshot,
    summary_update,
    write_overrides,
)
from launch_sdk.tracking.values import dumps


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_file_that_is_not_there_yet_has_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "records.jsonl") == ([], 0)


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    _append(path, b'{"log":{"a":1}}\n')
    first, offset = read_records(path)
    _append(path, b'{"log":{"a":2}}\n{"log":{"a":3}}\n')
    second, end = read_records(path, offset)
    assert first == [{"log": {"a": 1}}]
    assert second == [{"log": {"a": 2}}, {"log": {"a": 3}}]
    assert read_records(path, end) == ([], path.stat().st_size)


def test_a_torn_last_line_is_left_for_the_next_read(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    _append(path, b'{"log":{"a":1}}\n{"log":{"a"')
    first, offset = read_records(path)
    assert first == [{"log": {"a": 1}}]
    assert first.skipped == 0
    _append(path, b":2}}\n")
    assert read_records(path, offset)[0] == [{"log": {"a": 2}}]


def test_lines_that_are_no_records_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    _append(path, b'\xff\xfe\n{"log":{"a":\n\n[1]\n"text"\n\x00\x00\n' + b"[" * 100_000 + b'\n{"log":{"a":1}}\n')
    records, _ = read_records(path)
    assert records == [{"log": {"a": 1}}]
    assert records.skipped == 6


def test_a_pipe_or_a_device_in_place_of_the_records_neither_blocks_nor_goes_on_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_records(tmp_path / "pipe") == ([], 0)
    assert read_records("/dev/zero", 7) == ([], 7)


@given(st.lists(st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text())), st.integers(1, 40))
def test_records_read_in_any_portions_are_the_same(tmp_path_factory: Any, logs: list[Any], portion: int) -> None:
    path: Path = tmp_path_factory.mktemp("run") / "records.jsonl"
    data = "".join(f"{dumps({'log': values})}\n" for values in logs).encode()
    found: list[Any] = []
    offset = 0
    for start in range(0, len(data), portion):
        _append(path, data[start : start + portion])
        records, offset = read_records(path, offset)
        found.extend(record["log"] for record in records)
    assert found == logs


def test_the_summary_holds_the_last_write_of_each_key() -> None:
    records: list[dict[str, Any]] = [
        {"log": {"loss": 1.0, "acc": 0.1}, "step": 0},
        {"summary": {"best": 1.0, "loss": 5.0}},
        {"log": {"loss": 0.5}, "step": 1},
        {"log": {"val": {"loss": 1}}},
        {"log": {"val": {"acc": 2}}},
        {"log": "nonsense"},
        {"finish": {"exit_code": 0}},
    ]
    expected = {"loss": 0.5, "acc": 0.1, "best": 1.0, "val": {"loss": 1, "acc": 2}}
    step_by_step: dict[str, Any] = {}
    for record in records:
        summary_update(step_by_step, record)
    assert step_by_step == expected


def test_a_set_object_replaces_and_a_logged_one_is_merged() -> None:
    summary: dict[str, Any] = {}
    for record in ({"log": {"v": {"a": 1}}}, {"summary": {"v": {"b": 2}}}):
        summary_update(summary, record)
    assert summary == {"v": {"b": 2}}


def test_removed_paths_go_before_new_values_come() -> None:
    config: dict[str, Any] = {"model": {"a": 1, "b": 2}, "x": 1}
    config_update(config, {"removed": [["model"], ["absent", "y"], ["x"], [], "x"], "config": {"model": {"c": 3}}})
    assert config == {"model": {"c": 3}}


def test_merging_replaces_lists_and_scalars_and_does_not_share_objects() -> None:
    into: dict[str, Any] = {"a": {"b": 1}, "c": [1, 2], "d": 3}
    values: dict[str, Any] = {"a": {"e": 2}, "c": [3], "d": {"f": {}}}
    merge(into, values)
    merge(into, {"d": {"f": {"g": 1}}})
    assert into == {"a": {"b": 1, "e": 2}, "c": [3], "d": {"f": {"g": 1}}}
    assert values["d"] == {"f": {}}


def test_overrides_come_back(tmp_path: Path) -> None:
    write_overrides(tmp_path, {"lr": math.inf, "model": {"$number": 3}}, {"conf.yaml": {"a": 1}})
    overrides = read_overrides(tmp_path)
    assert overrides.config == {"lr": math.inf, "model": {"$number": 3}}
    assert overrides.files == {"conf.yaml": {"a": 1}}
    assert [entry.name for entry in tmp_path.iterdir()] == [protocol.OVERRIDES]


def test_without_a_file_there_are_no_overrides(tmp_path: Path) -> None:
    overrides = read_overrides(tmp_path)
    assert (overrides.config, overrides.files) == ({}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a version 1"),
        ('{"version": 2}', "is not a version 1"),
        ('{"version": 1, "config": []}', "'config' must be an object"),
        ('{"version": 1, "files": 3}', "'files' must be an object"),
    ],
)
def test_overrides_that_cannot_be_read_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / protocol.OVERRIDES).write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_overrides(tmp_path)
    assert str(tmp_path / protocol.OVERRIDES) in str(caught.value)


def test_a_snapshot_is_rebuilt_from_the_records_alone(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"time": 1.0, "config": {"lr": 0.1, "model": {"layers": 3}}},
        {"time": 2.0, "step": 4, "log": {"loss": 0.5}},
        {"time": 3.0, "step": 2, "log": {"late": 1}},
        {"time": 4.0, "config": {"model": {"layers": 5}}},
        {"time": 5.0, "finish": {"exit_code": 3}},
    ]
    _append(tmp_path / protocol.RECORDS, "".join(f"{dumps(line)}\n" for line in lines).encode() + b"garbage\n")
    snapshot = read_snapshot(tmp_path)
    assert snapshot.config == {"lr": 0.1, "model": {"layers": 5}}
    assert snapshot.summary == {"loss": 0.5, "late": 1}
    assert (snapshot.exit_code, snapshot.last_step, snapshot.skipped) == (3, 4, 1)


def test_a_run_that_goes_on_after_its_finish_record_is_not_finished(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [{"config": {}}, {"finish": {"exit_code": 1}}, {"config": {}}]
    _append(tmp_path / protocol.RECORDS, "".join(f"{dumps(line)}\n" for line in lines).encode())
    assert read_snapshot(tmp_path).exit_code is None


def test_snapshot_files_serve_where_there_are_no_records(tmp_path: Path) -> None:
    (tmp_path / protocol.CONFIG).write_text('{"lr": 0.1}')
    (tmp_path / protocol.SUMMARY).write_text('{"loss": 1}')
    snapshot = read_snapshot(tmp_path)
    assert (snapshot.config, snapshot.summary, snapshot.metadata) == ({"lr": 0.1}, {"loss": 1}, {})


def _example(language: str) -> str:
    document = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "protocol.md").read_text(encoding="utf-8")
    return document.split(f"```{language}\n")[1].split("```")[0]


def test_the_program_in_the_protocols_document_speaks_the_protocol(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], protocol.RUN_DIR: str(tmp_path)}
    subprocess.run(["sh", "-euc", _example("sh")], env=environment, check=True)
    snapshot = read_snapshot(tmp_path)
    assert (snapshot.summary, snapshot.last_step, snapshot.skipped) == ({"loss": 0.7}, 2, 0)


def test_the_examples_in_the_protocols_document_are_read_as_it_says(tmp_path: Path) -> None:
    (tmp_path / protocol.RECORDS).write_text(_example("text"))
    (tmp_path / protocol.OVERRIDES).write_text(_example("json"))
    snapshot = read_snapshot(tmp_path)
    assert snapshot.config == {"lr": 0.1, "model": {"layers": 5}}
    assert math.isnan(snapshot.summary.pop("loss"))
    assert snapshot.summary == {"acc": 0.5, "best_acc": 0.5}
    assert (snapshot.exit_code, snapshot.skipped) == (0, 0)
    assert read_overrides(tmp_path).files == {"conf/train.yaml": {"seed": 3}}
