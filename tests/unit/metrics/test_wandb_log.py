"""Reading what the real W&B client writes, whole, torn and damaged."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.metrics.protobuf import MalformedError, Message
from launch_sdk.metrics.wandb_file import BLOCK_BYTES, LogReader
from launch_sdk.metrics.wandb_records import Translator
from launch_sdk.tracking.protocol import Snapshot


def _parsed(record: bytes) -> Any:
    """Read a record with the client's own classes."""
    from wandb.proto import wandb_internal_pb2

    parsed: Any = cast("Any", wandb_internal_pb2).Record()
    parsed.ParseFromString(record)
    return parsed


def _snapshot(log: bytes, chunk: int = 1 << 16) -> Snapshot:
    reader, translator, snapshot = LogReader(), Translator(), Snapshot()
    for at in range(0, len(log), chunk):
        for record in translator.translate(reader.feed(log[at : at + chunk])):
            snapshot.apply(record)
    assert not reader.refused
    assert not reader.damaged
    return snapshot


def test_every_record_is_what_the_clients_own_classes_read(wandb_log: bytes) -> None:
    records = list(LogReader().feed(wandb_log))
    parsed = [_parsed(record) for record in records]
    assert len(wandb_log) > 3 * BLOCK_BYTES
    assert [one.num for one in parsed] == list(range(1, len(parsed) + 1))  # none is missing, none is twice
    for raw, theirs in zip(records, parsed, strict=True):
        ours = Message(raw)
        assert ours.integer(1) == theirs.num
        if theirs.WhichOneof("record_type") == "history":
            items = [(i.texts(2), i.text(16)) for i in ours.message(2).messages(1)]
            assert items == [(list(i.nested_key), i.value_json) for i in theirs.history.item]
            assert ours.message(2).message(2).integer(1) == theirs.history.step.num


def test_history_summary_config_and_end_arrive_as_the_script_logged_them(wandb_log: bytes) -> None:
    rows = [r for r in Translator().translate(LogReader().feed(wandb_log)) if "log" in r]
    assert [row["step"] for row in rows] == list(range(121))
    plain = {key: value for key, value in rows[2]["log"].items() if key not in {"n", "text"}}
    assert plain == {"loss": 1 / 3, "k.d": True, "none": None, "inf": -math.inf, "large": 2.0**70, "val": 98}
    assert rows[2]["log"]["n"]["a"] == 2
    assert math.isnan(rows[2]["log"]["n"]["b"]["c"])
    snapshot = _snapshot(wandb_log)
    assert snapshot.config == {"trainer": {"layers": 2}, "seed": 42}
    assert snapshot.exit_code == 0
    assert snapshot.last_step == 120
    assert snapshot.summary["val"] == {"min": 0}
    assert snapshot.summary["best"] == {"step": 3}
    assert snapshot.summary["page"] == "y" * 100_000
    assert not [key for key in snapshot.summary if key.startswith("_")]


def test_the_size_of_the_pieces_in_which_a_log_arrives_does_not_matter(wandb_log: bytes) -> None:
    whole = _snapshot(wandb_log, len(wandb_log))
    for chunk in (1000, 4096, BLOCK_BYTES - 1, BLOCK_BYTES):
        part = _snapshot(wandb_log, chunk)
        assert json.dumps(part.summary, sort_keys=True) == json.dumps(whole.summary, sort_keys=True)
        assert part.config == whole.config


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_torn_log_gives_what_comes_before_the_tear(wandb_log: bytes, data: st.DataObject) -> None:
    whole = list(LogReader().feed(wandb_log))
    end = data.draw(st.integers(0, len(wandb_log)))
    reader = LogReader()
    torn = list(reader.feed(wandb_log[:end]))
    assert torn == whole[: len(torn)]
    assert torn + list(reader.feed(wandb_log[end:])) == whole


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_log_loses_the_damaged_records_and_breaks_nothing(wandb_log: bytes, data: st.DataObject) -> None:
    damaged = bytearray(wandb_log)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=300))
        damaged[at : at + len(patch)] = patch
    reader = LogReader()
    known = set(LogReader().feed(wandb_log))
    read = list(reader.feed(bytes(damaged)))
    assert set(read) <= known  # the checksums let nothing else through
    Translator().translate(read)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    try:
        message = Message(data)
    except MalformedError:
        return
    for number in range(20):
        assert isinstance(message.integer(number), int)
        assert isinstance(message.number(number), float)
        assert isinstance(message.text(number), str)
        assert isinstance(message.zigzag(number), int)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_records_are_translated_without_an_error(records: list[bytes]) -> None:
    Translator().translate(records)


def test_another_file_is_refused() -> None:
    reader = LogReader()
    assert list(reader.feed(b"SQLite format 3\0" * 4)) == []
    assert reader.refused


def test_a_summary_that_the_script_set_beats_the_rows_and_typed_values_are_read() -> None:
    from wandb.proto import wandb_internal_pb2

    pb = cast("Any", wandb_internal_pb2)
    row = pb.Record(history=pb.HistoryRecord(step=pb.HistoryStep(num=7)))
    row.history.item.add(nested_key=["loss"], number=0.5)
    row.history.item.add(nested_key=["count"], integer=-3)
    row.history.item.add(nested_key=["done"], boolean=True)
    row.history.item.add(nested_key=["word"], text="fine")
    row.history.item.add(nested_key=["list"], json="[1]")
    row.history.item.add(nested_key=["broken"], value_json="{")
    own = pb.Record(summary=pb.SummaryRecord())
    own.summary.update.add(key="loss", value_json="0.25")
    log, summary = Translator().translate([row.SerializeToString(), own.SerializeToString()])
    assert log["step"] == 7
    assert log["log"] == {"loss": 0.5, "count": -3, "done": True, "word": "fine", "list": [1]}
    assert summary["summary"] == {"loss": 0.25}
