"""Two schemas declared of the same values."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from jsonschema import Draft202012Validator

from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.tracking.added_schemas import added_schemas


def _fits(schema: dict[str, Any], value: Any) -> bool:
    return not list(Draft202012Validator(schema).iter_errors(value))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportUnknownVariableType]


def test_names_and_keywords_of_both_stand_side_by_side_at_any_depth() -> None:
    first = {
        "type": "object",
        "title": "A",
        "properties": {"m": {"properties": {"lr": {"minimum": 0}}}},
        "required": ["m"],
    }
    second = {"type": "object", "title": "B", "properties": {"m": {"properties": {"lr": {"maximum": 1}, "x": {}}}}}
    before = deepcopy((first, second))
    assert added_schemas(first, second) == {
        "type": "object",
        "title": "B",
        "properties": {"m": {"properties": {"lr": {"minimum": 0, "maximum": 1}, "x": {}}}},
        "required": ["m"],
    }
    assert (first, second) == before


def test_what_differs_is_held_against_both() -> None:
    both = added_schemas({"properties": {"a": {"minimum": 0}}}, {"properties": {"a": {"minimum": 3}}})
    assert both == {"properties": {"a": {"allOf": [{"minimum": 0}, {"minimum": 3}]}}}
    root = added_schemas({"minProperties": 1}, {"minProperties": 2})
    assert root == {"allOf": [{"minProperties": 1}, {"minProperties": 2}]}


def test_definitions_of_the_same_name_are_kept_apart() -> None:
    def one(least: int, name: str) -> dict[str, Any]:
        return {"properties": {name: {"$ref": "#/$defs/N"}}, "$defs": {"N": {"minimum": least}}}

    apart = added_schemas(one(0, "a"), one(5, "b"))
    assert [_fits(apart, value) for value in ({"a": 1, "b": 5}, {"a": -1}, {"b": 4})] == [True, False, False]
    same = added_schemas(one(0, "a"), one(5, "a"))
    assert [_fits(same, {"a": value}) for value in (5, 4)] == [True, False]


def test_a_job_has_the_inputs_of_both() -> None:
    schema = added_schemas(
        {"properties": {"a": {"type": "integer"}}, "additionalProperties": False},
        {"properties": {"b": {"type": "string"}}, "additionalProperties": False},
    )
    inputs = infer_inputs({"config": {"include": [], "exclude": [], "schema": schema}, "files": {}}, {})
    assert inputs.config is not None
    assert set(inputs.config["properties"]) == {"a", "b"}
    assert len(inputs.faults({"a": "x", "b": 1, "c": 1}, {})) == 3
