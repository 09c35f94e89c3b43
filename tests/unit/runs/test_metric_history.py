"""Following one metric in a run's records."""

from __future__ import annotations

import json
from pathlib import Path

from launch_sdk.runs.metric_history import MetricHistory


def _append(records: Path, *lines: dict[str, object]) -> None:
    with records.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_only_new_values_are_news(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    history = MetricHistory(records, "loss")
    assert history.news() is None
    _append(records, {"time": 1.5, "config": {}}, {"time": 2.0, "step": 0, "log": {"loss": 0.5}})
    assert history.news() is not None
    _append(records, {"time": 2.5, "step": 1, "log": {"accuracy": 0.5}}, {"time": 3, "summary": {"loss": 9}})
    assert history.news() is None
    assert history.text() == history.curve.to_text()
    _append(records, {"time": 3.5, "step": 1, "log": {"loss": {"$number": "nan"}}})
    assert history.news() is not None
    assert [(point.step, point.time) for point in history.curve] == [(0, 2.0), (1, 3.5)]
    assert history.curve.count == 1


def test_dots_lead_into_nested_values_and_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    history = MetricHistory(records, "val.loss")
    for step, value in enumerate([{"loss": 1}, {"loss": "high"}, {"loss": True}, 3, {"loss": 2.5}]):
        _append(records, {"time": step, "step": step, "log": {"val": value}})
    history.look()
    assert list(history.curve.values) == [1.0, 2.5]
