"""What a new file may change of a sweep that is resumed."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.sweep_change import Change, change_sweep

BEFORE: dict[str, Any] = {
    "program": "train.py",
    "method": "random",
    "command": ["python", "me", "${args}"],
    "run_cap": 3,
    "scheduler": {"num_workers": 2},
    "launch": {"queue": "cpu"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}},
}


def _change(text: str) -> Change:
    return change_sweep(BEFORE, parse_document(text, name="new.yaml"))


def test_scheduler_values_the_queue_and_limits_win() -> None:
    change = _change("scheduler: {num_workers: 9}\nlaunch: {queue: gpu}\nrun_cap: 7")
    assert change.document == BEFORE | {"scheduler": {"num_workers": 9}, "launch": {"queue": "gpu"}, "run_cap": 7}
    assert (change.ignored, change.queue, change.is_change) == ((), "gpu", True)


def test_the_same_file_again_changes_nothing() -> None:
    same = Document(BEFORE | {"parameters": {"lr": {"max": 1, "min": 0}}, "command": ["python", "$ME", "${args}"]})
    change = change_sweep(BEFORE, same, lambda words: [w.replace("$ME", "me") for w in words])
    assert (change.document, change.ignored, change.is_change) == (BEFORE, (), False)


def test_other_parameters_method_and_metric_are_named_and_ignored() -> None:
    change = _change("method: grid\nmetric: {name: loss}\nparameters: {lr: {values: [1]}}")
    assert (change.document, change.ignored) == (BEFORE, ("method", "metric", "parameters"))


def test_another_program_or_job_is_refused_with_every_other_fault() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        _change("scheduler: {num_workers: 0, numworkers: 1}\njob: digits\nprogram: other.py\nruncap: 3")
    told = [str(fault) for fault in caught.value.faults]
    assert [line.split(":")[0] for line in told] == ["line 1", "line 1", "line 2", "line 3", "line 4"]
    assert "program: a resumed sweep keeps its program, 'train.py'" in told[3]
    assert "did you mean run_cap" in told[4]


def test_the_image_of_a_sweep_is_the_job_that_was_made_of_it() -> None:
    before = {**BEFORE, "job": "job-me-trainer:v0"}
    del before["program"]
    change = change_sweep(before, Document({"image_uri": "me/trainer:1", "run_cap": 5, "metric_sources": []}))
    assert (change.document["job"], change.document["run_cap"], change.ignored) == ("job-me-trainer:v0", 5, ())
    with pytest.raises(InvalidSpecError, match="a resumed sweep keeps its job, 'job-me-trainer:v0'"):
        change_sweep(before, Document({"image_uri": "me/other:1"}))


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_sweep_file_is_refused(value: object) -> None:
    with pytest.raises(InvalidSpecError):
        change_sweep(BEFORE, Document(value))
