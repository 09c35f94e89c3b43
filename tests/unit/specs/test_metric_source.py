"""The list `metric_sources`, right and wrong."""

from __future__ import annotations

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import parse_document
from launch_sdk.specs.metric_source import FileSource, StdoutSource, TensorboardSource, parse_metric_sources
from launch_sdk.specs.run_spec import RunSpec


def test_each_kind_of_source_is_read() -> None:
    sources, faults = parse_metric_sources(
        [{"stdout": r"loss=(?P<loss>\S+)"}, {"file": "m.csv", "step": "epoch"}, {"tensorboard": "logs"}]
    )
    assert not faults
    assert sources == [StdoutSource(r"loss=(?P<loss>\S+)"), FileSource("m.csv", "epoch"), TensorboardSource("logs")]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("m.csv", "must be a mapping with one of stdout, file, tensorboard"),
        ({}, "needs one of stdout, file, tensorboard"),
        ({"file": "a.csv", "tensorboard": "b"}, "has file and tensorboard; make an entry of each"),
        ({"fil": "a.csv"}, "did you mean file?"),
        ({"stdout": "loss=(", "step": "epoch"}, "is no regular expression"),
        ({"stdout": "loss=(?P<x>.)", "step": "epoch"}, "goes with file only"),
        ({"stdout": r"loss=(\S+)"}, "names no metric; put a named group around the value"),
        ({"stdout": r"(?P<step>\d+)"}, "names no metric"),
        ({"stdout": "(?P<x>a)" * 200}, "is longer than 1000 characters"),
        ({"stdout": 3}, "must be text, not 3"),
        ({"file": "/etc/passwd.csv"}, "must be relative to the program's directory"),
        ({"file": "../a.csv"}, "leads out of the program's directory"),
        ({"file": "~/a.csv"}, "must be relative"),
        ({"file": "a.parquet"}, "must end in .jsonl"),
        ({"file": "a.csv", "step": 3}, "must be the name of a column, not 3"),
        ({"tensorboard": "a/../../b"}, "leads out"),
        ({"tensorboard": "a\0b"}, "NUL"),
    ],
)
def test_a_wrong_source_says_what_would_be_right(entry: object, message: str) -> None:
    _, faults = parse_metric_sources([entry])
    assert message in "\n".join(text for _, text in faults)


def test_a_sweep_file_lists_every_fault_of_its_sources_with_its_line() -> None:
    from launch_sdk.specs.sweep_spec import parse_sweep

    text = """
program: train.py
method: random
parameters: {lr: {min: 0.0, max: 1.0}}
metric_sources:
  - stdout: 'loss='
  - file: ../m.csv
"""
    with pytest.raises(InvalidSpecError) as error:
        parse_sweep(parse_document(text, name="sweep.yaml"))
    assert [(fault.path, fault.line) for fault in error.value.faults] == [
        ("metric_sources[0].stdout", 6),
        ("metric_sources[1].file", 7),
    ]


def test_a_run_keeps_its_sources_and_refuses_wrong_ones() -> None:
    sources = [{"file": "m.csv"}]
    assert RunSpec.from_dict({"source": "x", "metric_sources": sources}).to_parameters()["metric_sources"] == sources
    with pytest.raises(InvalidSpecError, match=r"metric_sources\[0\]\.file: 'm' must end in"):
        RunSpec.from_dict({"source": "x", "metric_sources": [{"file": "m"}]})
