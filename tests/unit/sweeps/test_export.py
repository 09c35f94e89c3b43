"""The results of a sweep as rows and files."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.errors import ConflictError
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import Metric
from launch_sdk.sweeps.export import data_frame, flat_rows, nested_rows, write_csv, write_json, write_parquet
from launch_sdk.sweeps.runs import SweepRun

if TYPE_CHECKING:
    from pathlib import Path

LOSS = Metric("loss")
RUNS = [
    SweepRun(1, 0, "b", "run b", RunState.FAILED, {"lr": 1, "tag": None}, error='it said "no",\ntwice'),
    SweepRun(0, 0, "old", "cut short", RunState.LOST, {"lr": 0.1}),
    SweepRun(
        0,
        1,
        "a",
        "run a",
        RunState.FINISHED,
        {"lr": 0.1, "model": {"sizes": [1, 2], "act": "relu"}},
        {"loss": 0.5, "worst": float("inf")},
        started=10.0,
        ended=12.5,
    ),
]


def _csv(runs: list[SweepRun]) -> list[dict[str, str]]:
    stream = io.StringIO()
    write_csv(flat_rows(LOSS, runs), stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue())))


def test_csv_has_a_row_for_each_index_and_a_column_for_each_value() -> None:
    first, second = _csv(RUNS)
    assert (first["index"], first["attempt"], first["run_id"], first["state"]) == ("0", "1", "a", "finished")
    assert (first["metric"], first["duration_s"], first["parameters.lr"]) == ("0.5", "2.5", "0.1")
    assert (first["parameters.model.act"], json.loads(first["parameters.model.sizes"])) == ("relu", [1, 2])
    assert (first["summary.loss"], first["summary.worst"]) == ("0.5", "inf")
    assert (second["error"], second["metric"], second["parameters.model.act"]) == ('it said "no",\ntwice', "", "")
    assert list(first)[:6] == ["index", "attempt", "run_id", "name", "state", "metric"]


def test_json_keeps_nesting_and_has_no_number_that_json_lacks() -> None:
    stream = io.StringIO()
    write_json(nested_rows(LOSS, RUNS), stream)
    rows: list[Any] = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert rows[0]["parameters"] == {"lr": 0.1, "model": {"sizes": [1, 2], "act": "relu"}}
    assert rows[0]["summary"]["worst"] == {"$number": "inf"}


def test_a_sweep_without_runs_gives_an_empty_file() -> None:
    assert _csv([]) == []
    stream = io.StringIO()
    write_json(nested_rows(None, []), stream)
    assert stream.getvalue() == "[]\n"


def test_a_missing_pandas_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConflictError, match="needs pandas and pyarrow: pip install pandas pyarrow"):
        data_frame(flat_rows(LOSS, RUNS))
    with pytest.raises(ConflictError, match="Parquet needs pandas"):
        write_parquet(flat_rows(LOSS, RUNS), tmp_path / "runs.parquet")


def test_a_data_frame_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    frame = data_frame(flat_rows(LOSS, RUNS))
    assert list(frame["state"]) == ["finished", "failed"]
    pytest.importorskip("pyarrow", reason="pyarrow is optional")
    mixed = [*RUNS, SweepRun(2, 0, "c", "run c", RunState.FINISHED, {"lr": "auto"})]
    write_parquet(flat_rows(LOSS, mixed), tmp_path / "runs.parquet")
    read = pandas.read_parquet(tmp_path / "runs.parquet")
    assert list(read["parameters.lr"]) == ["0.1", "1", "auto"]
    assert list(read["index"]) == [0, 1, 2]
