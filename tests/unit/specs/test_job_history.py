"""Versions of a job: what they are called, when content is the same, and what changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.specs.job import content_digest, is_unchanged
from launch_sdk.specs.job_history import JobHistory, JobVersion, changes, described, refuse_deletion
from launch_sdk.specs.run_spec import RunSpec

LR: dict[str, Any] = {"type": "number", "default": 0.1}
DEPTH: dict[str, Any] = {"type": "object", "properties": {"depth": {"type": "integer"}}}


def inputs(**properties: Any) -> dict[str, Any]:
    return {"config": {"type": "object", "properties": properties}, "files": {"m.yaml": DEPTH}}


SPEC = RunSpec("sha256:" + "0" * 64, ("train.py",), inputs=inputs(trainer={"properties": {"lr": LR}}, seed={}))
HISTORY = JobHistory(
    "digits",
    "default",
    [JobVersion(3, None), JobVersion(0, SPEC), JobVersion(2, replace(SPEC, args=("--x",)), 5.0), JobVersion(1, None)],
    {"mine": 0, "best": 0},
)


def test_versions_are_newest_first_and_the_newest_is_latest() -> None:
    assert [(one.version, one.aliases) for one in HISTORY.versions] == [("v2", ("latest",)), ("v0", ("best", "mine"))]
    assert HISTORY.next_number == 4
    assert {alias: HISTORY.find(alias).number for alias in ("latest", "v2", "v0", "mine")} == {
        "latest": 2,
        "v2": 2,
        "v0": 0,
        "mine": 0,
    }
    assert HISTORY.before(HISTORY.latest) == HISTORY.find("v0")
    assert HISTORY.before(HISTORY.find("v0")) is None


@pytest.mark.parametrize(
    ("alias", "told"),
    [("v1", "Version 'v1' of job 'digits' is deleted"), ("v9", "has no 'v9'"), ("v02", "has no"), ("Mine", "has no")],
)
def test_what_is_missing_is_told_with_all_that_there_is(alias: str, told: str) -> None:
    with pytest.raises(NotFoundError, match=f"{told}.*there are 'latest', 'best', 'mine', 'v2', 'v0'"):
        HISTORY.find(alias)


def test_content_is_what_runs_not_what_one_run_is_given_nor_the_name_of_the_job() -> None:
    assert content_digest(replace(SPEC, config={"x": 1}, name="n", job="other")) == content_digest(SPEC)
    for other in (replace(SPEC, args=("x",)), replace(SPEC, inputs=None), replace(SPEC, project="p")):
        assert content_digest(other) != content_digest(SPEC)


def test_the_same_files_of_another_commit_are_the_same_content() -> None:
    tree, other = "a" * 40, "b" * 40
    one = replace(SPEC, source=f"git+sha256:{'1' * 64}#{tree}")
    assert is_unchanged(one, replace(SPEC, source=f"git+sha256:{'2' * 64}#{tree}"))
    assert not is_unchanged(one, replace(SPEC, source=f"git+sha256:{'1' * 64}#{other}"))
    assert not is_unchanged(one, replace(SPEC, source=f"git+sha256:{'1' * 64}#{tree}:deep"))


def test_code_whose_inputs_nobody_knows_yet_is_the_code_that_it_was() -> None:
    assert is_unchanged(SPEC, replace(SPEC, inputs=None))
    assert not is_unchanged(replace(SPEC, inputs=None), SPEC)
    assert not is_unchanged(SPEC, replace(SPEC, inputs=None, args=("x",)))


def test_changes_name_what_runs_and_each_input_by_its_path() -> None:
    after = replace(
        SPEC,
        source="sha256:" + "1" * 64,
        entry_point=("other.py",),
        inputs=inputs(trainer={"properties": {"lr": {**LR, "default": 0.2}, "steps": {}}}),
    )
    assert changes(SPEC, after) == [
        {"what": "source", "before": SPEC.source, "after": after.source},
        {"what": "entry_point", "before": ["train.py"], "after": ["other.py"]},
        {"what": "inputs.config.trainer.lr", "before": LR, "after": {**LR, "default": 0.2}},
        {"what": "inputs.config.seed", "before": {}, "after": None},
        {"what": "inputs.config.trainer.steps", "before": None, "after": {}},
    ]
    assert changes(SPEC, SPEC) == []
    [learned] = changes(replace(SPEC, inputs=None), SPEC)
    assert (learned["what"], learned["before"]) == ("inputs", None)


def test_only_what_is_meant_can_be_deleted() -> None:
    for alias in ("v0", "v2", "mine"):
        refuse_deletion(HISTORY, HISTORY.find(alias), alias)
    with pytest.raises(ConflictError, match="Name the version: launch job delete digits:v2; or delete the whole job"):
        refuse_deletion(HISTORY, HISTORY.latest, "latest")
    single = replace(HISTORY, known=[JobVersion(0, SPEC)])
    refuse_deletion(single, single.latest, "mine")
    with pytest.raises(ConflictError, match="'v0' is the only version of job 'digits'"):
        refuse_deletion(single, single.latest, "v0")


def test_the_page_of_a_job_lists_its_newest_versions() -> None:
    many = replace(HISTORY, known=[JobVersion(number, SPEC, 0.0) for number in range(25)])
    text = described(many)
    assert text.startswith("Job digits, version v24: train.py\n")
    assert "| v24 | latest | train.py | 1970-01-01 00:00 UTC |" in text
    assert ("| v5 |" in text, "| v4 |" in text, "and 5 before them" in text) == (True, False, True)
