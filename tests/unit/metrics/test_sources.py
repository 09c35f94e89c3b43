"""Metrics of programs without an SDK: from their output, from files of rows, from event files."""

from __future__ import annotations

import json
import math
import os
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorboardX import SummaryWriter
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import RecordWriter as EventWriter

from launch_sdk.metrics import places
from launch_sdk.metrics.collector import collector_of
from launch_sdk.metrics.lines import MAX_LINE_BYTES
from launch_sdk.metrics.numbers import as_step, parse_number
from launch_sdk.runs.run_directory import RunDirectory

if TYPE_CHECKING:
    from pathlib import Path


class Collecting:
    """A run directory whose sources are read when a test says so."""

    def __init__(self, path: Path, *sources: dict[str, Any]) -> None:
        self.run = RunDirectory(path)
        self.run.work.mkdir(parents=True, exist_ok=True)
        self.notices: list[str] = []
        self.collector = collector_of(
            sources,
            run_dir=self.run.path,
            work=self.run.work,
            records=self.run.records,
            output=self.run.output,
            declarations="wandb.jsonl",
            on_notice=self.notices.append,
        )

    def look(self, *, at_end: bool = False) -> list[dict[str, Any]]:
        self.collector.look(at_end=at_end)
        return [{key: value for key, value in row.items() if key != "_time"} for row in self.run.history()]

    def end(self) -> list[dict[str, Any]]:
        rows = self.look(at_end=True)
        self.collector.close()
        return rows


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "LOOK_EVERY_S", 0.0)


def test_named_groups_of_a_pattern_are_metrics_and_the_group_step_is_the_step(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"stdout": r"epoch (?P<step>\d+).*loss=(?P<loss>\S+)( acc=(?P<acc>\S+))?"})
    run.run.output.write_text("hello\nepoch 3: loss=0.5, acc=12%\nepoch 4: loss=nan\nepoch 5: lo")
    first, second = run.look()
    assert first == {"loss": 0.5, "acc": 12, "_step": 3}
    assert math.isnan(second["loss"])
    with run.run.output.open("a") as output:
        output.write("ss=1e-3")  # the last line has no end
    assert run.look() == run.look()
    assert run.end()[2:] == [{"loss": 0.001, "_step": 5}]


def test_lines_without_a_step_are_steps_of_their_own_and_progress_bars_count_too(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"stdout": r"loss=(?P<loss>\S+)"})
    run.run.output.write_bytes(b"10% loss=3\r20% loss=2\r\nloss=1 val_loss=9\n")
    assert run.end() == [{"loss": 3, "_step": 0}, {"loss": 2, "_step": 1}, {"loss": 1, "_step": 2}]


def test_what_is_no_number_is_told_once(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"stdout": r"loss=(?P<loss>\S+)"})
    run.run.output.write_text("loss=high\nloss=low\nloss=1\n")
    assert run.end() == [{"loss": 1, "_step": 0}]
    assert len(run.notices) == 1
    assert "loss is 'high', which is no number" in run.notices[0]


def test_a_catastrophic_pattern_is_given_up_and_said_so(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"stdout": r"(?P<x>(a|aa|aaa|b?a)+)+\1*(c|d)(?P<y>[0-9])$"})
    run.run.output.write_text(("a" * 5000 + "!\n") * 50)
    started = time.monotonic()
    assert run.end() == []
    assert time.monotonic() - started < 5
    assert "takes too long on the program's lines and is given up" in run.notices[0]


def test_rows_of_json_lines_are_followed_while_the_file_grows(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"file": "out/metrics.jsonl", "step": "epoch"})
    assert run.look() == []  # it is not there yet
    path = run.run.work / "out" / "metrics.jsonl"
    path.parent.mkdir()
    path.write_text('{"epoch": 2, "loss": 0.5, "val": {"acc": NaN}}\nno json\n[1]\n{"epoch": 3, "lo')
    (row,) = run.look()
    assert math.isnan(row.pop("val")["acc"])
    assert row == {"loss": 0.5, "_step": 2}
    with path.open("a") as file:
        file.write('ss": 0.25}')
    assert run.end()[1:] == [{"loss": 0.25, "_step": 3}]
    assert run.notices == [
        "launch: metric source file out/metrics.jsonl: it holds lines that are no row; they are left out."
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_rows_of_a_csv_file_have_the_names_of_its_header(tmp_path: Path, delimiter: str) -> None:
    run = Collecting(tmp_path, {"file": "metrics.csv"})
    lines = [["step", "loss", "note", "acc"], ["10", "0.5", '"good, really"', ""], ["20", "0.25", "", "1"]]
    (run.run.work / "metrics.csv").write_text("\ufeff" + "\r\n".join(delimiter.join(line) for line in lines) + "\r\n")
    assert run.end() == [{"loss": 0.5, "note": "good, really", "_step": 10}, {"loss": 0.25, "acc": 1, "_step": 20}]


def test_a_file_that_is_written_again_with_each_row_gives_each_row_once(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"file": "metrics.csv"})
    path = run.run.work / "metrics.csv"
    lines = ["loss", "3", "3", "1"]
    for count in range(1, 5):
        draft = path.with_suffix(".new")
        draft.write_text("".join(f"{line}\n" for line in lines[:count]))
        draft.replace(path)
        run.look()
    assert [row["loss"] for row in run.look()] == [3, 3, 1]
    path.write_text("loss\n7\n")  # shorter, and another one: a new beginning
    assert [row["loss"] for row in run.end()] == [3, 3, 1, 7]


def test_wildcards_stand_for_every_file_that_appears(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"file": "logs/version_*/metrics.csv"})
    for version in range(2):
        directory = run.run.work / "logs" / f"version_{version}"
        directory.mkdir(parents=True)
        (directory / "metrics.csv").write_text(f"loss\n{version}\n")
        run.look()
    assert [row["loss"] for row in run.end()] == [0, 1]


def test_a_link_out_of_the_programs_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text('{"password": 1}\n')
    run = Collecting(tmp_path / "run", {"file": "metrics.jsonl"}, {"file": "d/*.jsonl"}, {"tensorboard": "d"})
    (run.run.work / "metrics.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (run.run.work / "d").symlink_to(tmp_path)
    assert run.end() == []


def test_a_pipe_in_place_of_a_file_blocks_nothing(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"file": "metrics.jsonl"})
    os.mkfifo(run.run.work / "metrics.jsonl")
    assert run.end() == []


def test_a_line_without_an_end_is_left_out_and_what_follows_is_read(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"file": "metrics.jsonl"})
    (run.run.work / "metrics.jsonl").write_text("x" * (3 * MAX_LINE_BYTES) + '\n{"loss": 1}\n')
    assert run.end() == [{"loss": 1, "_step": 0}]


def test_scalars_of_event_files_have_their_steps_and_their_directory_as_prefix(tmp_path: Path) -> None:
    run = Collecting(tmp_path, {"tensorboard": "logs"})
    with SummaryWriter(str(run.run.work / "logs")) as writer:
        for step in range(3):
            cast("Any", writer).add_scalar("loss", 1 / 2**step, step * 10)
            cast("Any", writer).add_scalar("acc", float("nan"), step * 10)
        cast("Any", writer).add_text("note", "no scalar")
    with SummaryWriter(str(run.run.work / "logs" / "eval")) as writer:
        cast("Any", writer).add_scalar("loss", 4.0, 5)
    rows = run.end()
    assert [(row["_step"], row["loss"]) for row in rows if "loss" in row] == [(0, 1.0), (10, 0.5), (20, 0.25)]
    assert [(row["_step"], row["eval/loss"]) for row in rows if "eval/loss" in row] == [(5, 4.0)]
    assert not [row for row in rows if any("note" in key for key in row)]


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ({"dtype": 1, "float_val": [0.5]}, 0.5),
        ({"dtype": 1, "tensor_content": b"\0\0\0\x3f"}, 0.5),
        ({"dtype": 2, "double_val": [0.25]}, 0.25),
        ({"dtype": 3, "int_val": [-3]}, -3),
        ({"dtype": 9, "int64_val": [2**40]}, 2**40),
        ({"dtype": 19, "tensor_content": b"\0\x38"}, 0.5),
        ({"dtype": 1, "float_val": [0.5, 0.6]}, None),
        ({"dtype": 7, "string_val": [b"text"]}, None),
    ],
)
def test_a_tensor_of_one_element_is_a_scalar(tmp_path: Path, tensor: dict[str, Any], value: float | None) -> None:
    run = Collecting(tmp_path, {"tensorboard": "logs"})
    (run.run.work / "logs").mkdir()
    event = cast("Any", event_pb2).Event(wall_time=5.0, step=3)
    added = event.summary.value.add(tag="loss")
    for name, given_value in tensor.items():
        field = getattr(added.tensor, name)
        field.extend(given_value) if isinstance(given_value, list) else setattr(added.tensor, name, given_value)
    writer = cast("Any", EventWriter)(str(run.run.work / "logs" / "events.out.tfevents.1"))
    writer.write(event.SerializeToString())
    writer.close()
    assert run.end() == ([] if value is None else [{"loss": value, "_step": 3}])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=500), name=st.sampled_from(["m.jsonl", "m.csv", "events.out.tfevents.1"]))
def test_any_bytes_in_any_source_do_no_harm(tmp_path: Path, data: bytes, name: str) -> None:
    run = Collecting(
        tmp_path, {"file": "m.jsonl"}, {"file": "m.csv"}, {"tensorboard": "."}, {"stdout": r"(?P<x>\S+) (?P<step>\S+)"}
    )
    (run.run.work / name).write_bytes(data)
    run.run.output.write_bytes(data)
    (run.run.path / "wandb.jsonl").write_bytes(data)
    run.end()
    assert not [notice for notice in run.notices if "no longer read" in notice]


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=20), st.floats(), st.integers(), st.booleans(), st.none()))
def test_steps_and_numbers_are_read_from_anything(value: Any) -> None:
    step = as_step(value)
    assert step is None or 0 <= step < 2**63
    parse_number(str(value))


def test_declared_inputs_add_up_and_an_odd_declaration_is_passed_over(tmp_path: Path) -> None:
    run = Collecting(tmp_path)
    told: list[Any] = [
        {"config": True, "include": ["trainer", r"a\.b.c"], "exclude": [], "schema": {"type": "object"}},
        {"config": True, "include": [], "exclude": ["trainer.private", "x\\y"], "schema": None},
        {"config": True, "include": [], "exclude": [], "schema": {"properties": {"trainer": {}}}},
        {"file": "./conf/a.yaml", "text": "lr: 0.1\n", "include": [], "exclude": ["b"], "schema": None},
        {"file": "b.json", "text": "{", "include": None, "exclude": 3, "schema": 4},
        {"file": 3}, [], "x",
    ]  # fmt: skip
    (run.run.path / "wandb.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told) + "no json\n")
    run.end()
    from launch_sdk.tracking.protocol import read_snapshot

    assert read_snapshot(run.run.path).inputs == {
        "config": {
            "include": [["trainer"], ["a.b", "c"]],
            "exclude": [["trainer", "private"], ["x\\y"]],
            "schema": {"type": "object", "properties": {"trainer": {}}},
        },
        "files": {
            "conf/a.yaml": {"include": [], "exclude": [["b"]], "schema": None, "values": {"lr": 0.1}},
            "b.json": {"include": [], "exclude": [], "schema": None, "values": None},
        },
    }


def test_runs_one_after_the_other_go_on_counting_wherever_they_are_written_and_that_is_told_once(
    tmp_path: Path, wandb_log: bytes
) -> None:
    run = Collecting(tmp_path)
    first = run.run.path / "wandb" / "offline-run-1-a" / "run-a.wandb"
    second = run.run.work / "elsewhere" / "run-b.wandb"
    for path in (first, second):
        path.parent.mkdir(parents=True)
        path.write_bytes(wandb_log)
        if path is second:
            (run.run.path / "wandb.jsonl").write_text(json.dumps({"log": str(second)}) + "\n")
        assert run.notices == []
        rows = run.look(at_end=True)
    assert [row["_step"] for row in rows] == list(range(242))
    run.end()
    (notice,) = run.notices
    assert notice.startswith("launch: this program starts more than one W&B run. They are recorded as one")


def test_a_file_that_is_no_log_of_wandb_is_said_to_be_none(tmp_path: Path) -> None:
    run = Collecting(tmp_path)
    path = run.run.path / "wandb" / "run-1-a" / "run-a.wandb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    assert run.end() == []
    assert "run-a.wandb is not a log of W&B" in run.notices[0]
