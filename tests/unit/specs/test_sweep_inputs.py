"""Parameters of a sweep that stand in config files, and the check of a whole space against a job's inputs."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.assignments import parse_overrides
from launch_sdk.specs.document import Document
from launch_sdk.specs.inputs import JobInputs
from launch_sdk.specs.space import Space, parse_parameters
from launch_sdk.specs.sweep_inputs import space_faults, split_parameters

INPUTS = JobInputs(
    {
        "type": "object",
        "properties": {
            "lr": {"type": "number", "minimum": 0, "maximum": 1},
            "batch": {"type": "integer"},
            "opt": {"enum": ["adam", "sgd"]},
            "trainer": {"type": "object", "properties": {"steps": {"type": "integer"}}, "additionalProperties": False},
        },
        "additionalProperties": False,
    },
    {
        "conf/m.yaml": {
            "type": "object",
            "properties": {"depth": {"type": "integer", "maximum": 9}},
            "additionalProperties": False,
        }
    },
)


def _space(parameters: dict[str, Any]) -> Space:
    space, faults = parse_parameters(Document({"parameters": parameters}))
    assert not faults
    return space


@pytest.mark.parametrize(
    ("parameters", "config", "files"),
    [
        ({"lr": 1, "a": {"b": 2}}, {"lr": 1, "a": {"b": 2}}, {}),
        ({"files.c.yaml.lr": 1, "lr": 2}, {"lr": 2}, {"c.yaml": {"lr": 1}}),
        (
            {"files.conf/t.json.a.b": 1, "files.conf/t.json.a.c": 2},
            {},
            {"conf/t.json": {"a": {"b": 1, "c": 2}}},
        ),
        ({"files": {"c.yaml": {"a": {"b": 1}}}}, {}, {"c.yaml": {"a": {"b": 1}}}),
        ({"files": {"c.yaml": {"a": 1}, "count": 3}}, {"files": {"count": 3}}, {"c.yaml": {"a": 1}}),
        ({"files": {"count": 3}}, {"files": {"count": 3}}, {}),
        ({"files.count": 3}, {"files.count": 3}, {}),
        ({"files": 3}, {"files": 3}, {}),
    ],
)
def test_a_parameter_goes_into_the_config_or_into_a_file(
    parameters: dict[str, Any], config: dict[str, Any], files: dict[str, Any]
) -> None:
    assert split_parameters(parameters) == (config, files)


def test_a_sweep_file_may_name_files_flat_or_nested() -> None:
    parameters = {
        "files.conf/m.yaml.depth": {"values": [1, 2]},
        "files": {"parameters": {"conf/n.yaml": {"parameters": {"a": {"value": 1}}}}},
    }
    space = _space(parameters)
    assert {path for path, _ in space} == {("files.conf/m.yaml.depth",), ("files", "conf/n.yaml", "a")}
    _, faults = parse_parameters(Document({"parameters": {"conf/m.yaml": {"value": 1}}}))
    assert "is no parameter name" in faults[0].message


def test_values_of_files_are_set_from_the_command_line() -> None:
    words = ["lr=0.1", "files.conf/m.yaml.depth=4", "files.conf/m.yaml.a.b=x", "files.t.toml.x=true", "files.count=3"]
    config, files = parse_overrides(words, "--set")
    assert config == {"lr": 0.1, "files": {"count": 3}}
    assert files == {"conf/m.yaml": {"depth": 4, "a": {"b": "x"}}, "t.toml": {"x": True}}
    with pytest.raises(InvalidSpecError) as refused:
        parse_overrides(["x", "files.m.yaml.a=1", "files.m.yaml.a.b=2"], "--set")
    assert len(refused.value.faults) == 2


GOOD: dict[str, Any] = {
    "lr": {"min": 0.0, "max": 1.0},
    "batch": {"values": [1, 2]},
    "opt": {"value": "sgd"},
    "trainer": {"parameters": {"steps": {"min": 1, "max": 5}}},
    "files.conf/m.yaml.depth": {"min": 1, "max": 9},
}


def test_a_space_within_the_inputs_has_no_fault() -> None:
    assert space_faults(INPUTS, _space(GOOD)) == []


@pytest.mark.parametrize(
    ("parameters", "path", "message"),
    [
        ({"rate": {"value": {}}}, ("rate",), "is no input"),
        ({"lr": {"value": {}}}, ("lr",), "must be number, not {}"),
        ({"rate": {"value": 1}}, ("rate",), "is no input; inputs are lr, batch"),
        ({"lr": {"min": 0.0, "max": 2.0}}, ("lr",), "must be at most 1, not 2.0"),
        ({"lr": {"distribution": "normal", "mu": 5.0}}, ("lr",), "must be at"),
        ({"batch": {"min": 1.0, "max": 2.5}}, ("batch",), "must be integer, not 2.5"),
        ({"opt": {"values": ["adam", "lbfgs"]}}, ("opt",), "must be one of 'adam', 'sgd', not 'lbfgs'"),
        ({"trainer": {"parameters": {"step": {"value": 1}}}}, ("trainer", "step"), "the nearest is trainer.steps"),
        ({"files.conf/m.yaml.depth": {"min": 1, "max": 10}}, ("files.conf/m.yaml.depth",), "must be at most 9, not 10"),
        ({"files.conf/n.yaml.depth": {"value": 1}}, ("files.conf/n.yaml.depth",), "the nearest is conf/m.yaml"),
    ],
)
def test_a_parameter_that_the_job_does_not_take_is_named(
    parameters: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    found = space_faults(INPUTS, _space({**GOOD, **parameters}))
    assert {where for where, _ in found} == {path}
    assert message in found[0][1]


def test_all_faults_of_a_space_come_at_once() -> None:
    space = _space({"a": {"value": 1}, "lr": {"values": ["x", 7]}, "opt": {"value": 3}})
    assert sorted(path for path, _ in space_faults(INPUTS, space)) == [("a",), ("lr",), ("lr",), ("opt",)]
