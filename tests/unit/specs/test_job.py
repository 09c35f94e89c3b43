"""What a job is called, what its form is, and which of a form's values are overrides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.deletions import gathered
from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.specs.job import Job, check_name, checked, parse_reference, suggested_name
from launch_sdk.specs.job_form import form_schema, touched, without_defaults
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.validation import violations

PACKED = "sha256:" + "0" * 64
CONFIG: dict[str, Any] = {
    "type": "object",
    "properties": {
        "trainer": {
            "type": "object",
            "properties": {
                "lr": {"type": "number", "minimum": 0, "default": 0.1},
                "layers": {"type": "array", "default": [1, 2]},
            },
            "additionalProperties": False,
        },
        "fast": {"type": "boolean", "default": False},
        "token": {"type": "string", "format": "secret", "label": "API token"},
    },
    "additionalProperties": False,
}
FILE: dict[str, Any] = {
    "type": "object",
    "properties": {"depth": {"type": "integer", "default": 3}},
    "additionalProperties": False,
}
SPEC = RunSpec(
    PACKED, ("train.py",), ("--quiet",), job="digits", inputs={"config": CONFIG, "files": {"conf/m.yaml": FILE}}
)


@pytest.mark.parametrize("name", ["digits", "0", "a.b-c_D", "x" * 128])
def test_a_name_of_letters_digits_dots_dashes_and_underscores_is_taken(name: str) -> None:
    check_name(name)
    assert parse_reference(name) == (name, "latest")
    assert parse_reference(f"{name}:v3") == (name, "v3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is no name of a job"),
        ("a/b", "is no name of a job"),
        ("-x", "is no name of a job"),
        ("é", "is no name of a job"),
        ("a\n", "is no name of a job"),
        ("x" * 129, "128 are the most"),
        ("run-job", "a flow of the product's own"),
        ("run-sweep", "a flow of the product's own"),
    ],
)
def test_any_other_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_name(name)


@pytest.mark.parametrize(
    ("entry_point", "project", "name"),
    [
        (("train.py",), None, "train"),
        (("src/fit model.py", "--x"), "my project", "my-project-fit-model"),
        (("torchrun", "main.py"), None, "main"),
        (("./run.sh",), None, "run"),
        (("é.py",), None, "job"),
        (("train.py",), "p" * 200, "p" * 128),
    ],
)
def test_a_job_without_a_name_is_called_after_its_project_and_program(
    entry_point: tuple[str, ...], project: str | None, name: str
) -> None:
    assert suggested_name(RunSpec(PACKED, entry_point, project=project)) == name
    check_name(name)


def test_everything_wrong_with_a_run_of_a_job_is_told_at_once() -> None:
    job = Job("digits", "default", SPEC)
    with pytest.raises(InvalidSpecError) as refused:
        job.spec_with({"trainer": {"lr": -1, "rl": 1}, "fast": "yes"}, {"conf/n.yaml": {"depth": 1}})
    assert {fault.path for fault in refused.value.faults} == {
        "config.trainer.lr",
        "config.trainer.rl",
        "config.fast",
        "files.conf/n.yaml",
    }
    spec = job.spec_with({"trainer": {"lr": 1}}, {"conf/m.yaml": {"depth": 4}}, name="n")
    assert (spec.config, spec.files, spec.args, spec.name) == (
        {"trainer": {"lr": 1}},
        {"conf/m.yaml": {"depth": 4}},
        ("--quiet",),
        "n",
    )
    assert job.spec_with({}, {}, args=["--loud"]).args == ("--loud",)


def test_everything_wrong_with_a_name_and_the_aliases_is_told_at_once() -> None:
    with pytest.raises(InvalidSpecError) as refused:
        check_name("a/b", ["latest", "v12", "v01", "mine", "-x", "y" * 129])
    assert [fault.path for fault in refused.value.faults] == ["name", *["alias"] * 5]
    told = str(refused.value)
    for text in ("a-b would do", "'latest' is always the newest", "'v12' is the name of a version", "'-x' is no alias"):
        assert text in told
    check_name("digits", ["mine", "version", "v", "v1.0", "Best_2"])


def _accepts(spec: RunSpec, parameters: dict[str, Any]) -> bool:
    return not violations(form_schema(spec), parameters)


def test_the_form_has_a_group_for_the_config_one_for_each_file_and_the_arguments() -> None:
    schema = form_schema(SPEC)
    fields = schema["properties"]
    assert list(fields) == ["config", "files", "args"]
    assert [field["position"] for field in fields.values()] == [0, 1, 2]
    assert fields["args"]["default"] == ["--quiet"]
    assert fields["files"]["properties"]["conf/m.yaml"]["title"] == "conf/m.yaml"
    token = fields["config"]["properties"]["token"]
    assert (token["format"], token["title"]) == ("password", "API token")
    assert CONFIG["properties"]["token"]["format"] == "secret"


@pytest.mark.parametrize(
    ("parameters", "is_taken"),
    [
        ({}, True),
        ({"config": {"trainer": {"lr": 1}}, "files": {"conf/m.yaml": {"depth": 1}}, "args": ["x"]}, True),
        ({"source": PACKED, "entry_point": ["train.py"], "inputs": {}, "job": "digits", "name": "n"}, True),
        ({"config": {"trainer": {"lr": "1"}}}, False),
        ({"config": {"nope": 1}}, False),
        ({"files": {"other.yaml": {}}}, False),
        ({"files": {"conf/m.yaml": {"depth": 1.5}}}, False),
        ({"lr": 1}, False),
        ({"args": "x"}, False),
    ],
)
def test_the_schema_takes_inputs_and_what_makes_the_job_and_nothing_else(
    parameters: dict[str, Any], is_taken: bool
) -> None:
    assert _accepts(SPEC, parameters) is is_taken


FORMS: dict[str, Any] = {
    "anyOf": [
        {"type": "object", "required": ["n", "kind"], "properties": {"n": {"type": "integer"}, "kind": {"const": "a"}}},
        {"type": "null"},
    ]
}
REQUIRING: dict[str, Any] = {
    "type": "object",
    "required": ["n", "opt", "model", "path", "either"],
    "minProperties": 3,
    "dependentRequired": {"n": ["path"]},
    "if": {"required": ["n"]},
    "then": {"required": ["opt"]},
    "properties": {
        "n": {"type": "integer"},
        "opt": {"type": "object", "required": ["lr"], "properties": {"lr": {"type": "number"}}},
        "model": FORMS,
        "path": {"type": "string"},
        "either": {"oneOf": FORMS["anyOf"]},
    },
}
RECORDED = {"n": 3, "opt": {"lr": 0.1}, "model": {"n": 1, "kind": "a"}, "path": "x", "either": {"n": 2, "kind": "a"}}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"n": 4},
        {"opt": {"lr": 1}},
        {"opt": {}},
        {"model": {"n": 2}},
        {"model": None},
        {"either": {"n": 7}},
    ],
)
def test_the_server_requires_nothing_that_the_program_has_already(given: dict[str, Any]) -> None:
    declared: dict[str, Any] = {"config": {"include": [], "exclude": [], "schema": REQUIRING}, "files": {}}
    inputs = infer_inputs(declared, RECORDED)
    assert _accepts(RunSpec(PACKED, inputs=inputs.to_dict()), {"config": given})
    assert inputs.faults(given, {}) == []


def test_keys_to_be_removed_from_a_file_come_to_the_server_beside_its_values() -> None:
    mark = {"$delete": True}
    files = {"conf/m.yaml": {"depth": mark, "opt": {"lr": 1, "eps": mark}, "new": {}, "gone": {"deep": mark}}}
    values = gathered(files["conf/m.yaml"])
    paths = [["depth"], ["opt", "eps"], ["gone", "deep"]]
    assert values == {"opt": {"lr": 1}, "new": {}, "$delete": paths}
    assert RunSpec.from_dict(RunSpec(PACKED, files={"conf/m.yaml": values}).to_dict()).files == files
    assert gathered({"depth": 1}) == {"depth": 1}
    given = replace(SPEC, files={"conf/m.yaml": {"depth": mark}})
    assert _accepts(SPEC, {"files": {path: gathered(values) for path, values in given.files.items()}})
    assert not _accepts(SPEC, {"files": given.to_parameters()["files"]})
    assert not _accepts(SPEC, {"config": {"$delete": [["fast"]]}})


def test_a_whole_number_for_an_integer_is_given_as_one() -> None:
    number, integer = {"type": "number"}, {"type": "integer"}
    several = {"anyOf": [{"type": "object", "properties": {"n": integer}}, {"type": "null"}]}
    fields = {"n": integer, "x": number, "o": {"anyOf": [integer, {"type": "null"}]}, "l": {"items": integer}}
    fields |= {"either": {"type": ["integer", "number"]}, "model": several, "g": {"properties": {"n": integer}}}
    schema = {"type": "object", "properties": fields}
    spec = RunSpec(PACKED, inputs={"config": schema, "files": {"c.yaml": schema}})
    given = {"n": 8.0, "x": 8.0, "o": 8.0, "l": [1.0], "either": 8.0, "model": {"n": 8.0}, "g": {"n": 8.0, "q": 8.0}}
    wanted = {"n": 8, "x": 8.0, "o": 8, "l": [1], "either": 8.0, "model": {"n": 8}, "g": {"n": 8, "q": 8.0}}
    made = checked(replace(spec, config=given, files={"./c.yaml": given}))
    assert repr(made.config) == repr(wanted)
    assert repr(made.files["./c.yaml"]) == repr(wanted)
    assert repr(Job("digits", "default", spec).spec_with({"n": 8.0}, {}).config) == repr({"n": 8})


@pytest.mark.parametrize("inputs", [None, SPEC.inputs])
def test_nothing_can_be_removed_from_the_run_config(inputs: Any) -> None:
    given = {"trainer": {"lr": {"$delete": True}}, "fast": True}
    with pytest.raises(InvalidSpecError) as caught:
        checked(RunSpec(PACKED, config=given, job="digits", inputs=inputs))
    assert [fault.path for fault in caught.value.faults] == ["config.trainer.lr"]
    assert "is for the keys of config files" in str(caught.value)


def test_the_server_requires_what_nothing_gives() -> None:
    plain = {key: value for key, value in REQUIRING.items() if key != "if"}
    declared: dict[str, Any] = {"config": {"include": [], "exclude": [], "schema": plain}, "files": {}}
    spec = RunSpec(PACKED, inputs=infer_inputs(declared, {"n": 3, "either": None, "model": None}).to_dict())
    assert not _accepts(spec, {"config": {"path": "x"}})
    assert not _accepts(spec, {"config": {"path": "x", "opt": {}}})
    assert not _accepts(spec, {"config": {"path": "x", "opt": {"lr": 1}, "model": {"n": "1"}}})
    assert _accepts(spec, {"config": {"path": "x", "opt": {"lr": 1}}})


def test_a_job_that_has_not_run_yet_takes_anything() -> None:
    assert _accepts(RunSpec(PACKED), {"config": {"x": [1]}, "files": {"a.yaml": {"b": 1}}})


def test_a_job_whose_config_is_no_input_has_no_field_for_it_and_takes_none() -> None:
    spec = RunSpec(PACKED, inputs={"config": None, "files": {}})
    assert list(form_schema(spec)["properties"]) == ["args"]
    assert _accepts(spec, {"config": {}, "files": {}})
    assert not _accepts(spec, {"config": {"x": 1}})
    assert not _accepts(spec, {"files": {"a.yaml": {"b": 1}}})


def test_values_that_a_form_sends_back_as_they_were_override_nothing() -> None:
    sent = RunSpec(
        PACKED,
        config={"trainer": {"lr": 0.1, "layers": [1, 2]}, "fast": True, "token": "t"},
        files={"conf/m.yaml": {"depth": 3}},
        inputs=SPEC.inputs,
    )
    meant = touched(sent)
    assert (meant.config, meant.files) == ({"fast": True, "token": "t"}, {})
    assert touched(RunSpec(PACKED, config={"x": 1})).config == {"x": 1}


@pytest.mark.parametrize(
    ("value", "default", "is_kept"),
    [(1, 1.0, False), (True, 1, True), (0, False, True), (None, None, False), ([1], [1], False), ("1", 1, True)],
)
def test_a_value_is_the_default_if_it_is_equal_and_of_its_kind(value: Any, default: Any, is_kept: bool) -> None:
    schema = {"type": "object", "properties": {"x": {"default": default}}}
    assert without_defaults({"x": value}, schema) == ({"x": value} if is_kept else {})
