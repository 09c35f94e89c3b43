"""What a job takes: made from one of its runs, and held against what it is given."""

from __future__ import annotations

import enum
import time
from typing import Any, Literal

import pydantic
import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.input_schema import defaults
from launch_sdk.specs.inputs import JobInputs, infer_inputs, split_file_parameter

_Plain = dict[str, Any]

_SEED = {
    "trainer": {
        "learning_rate": 0.01,
        "batch_size": 32,
        "model": "resnet",
        "dataset": "cifar10",
        "private": {"key": "value"},
    },
    "seed": 42,
}


_NO_INTEGER = "is no number that a job can be given: the server checks JSON, in which an integer has at most 64 bits"
_NO_NUMBER = "is no number that a job can be given: the server checks JSON, which has no NaN and no infinity"


def _declared(**declaration: Any) -> dict[str, Any]:
    return {"config": {"include": [], "exclude": [], "schema": None, **declaration}, "files": {}}


def _faults(inputs: JobInputs, config: dict[str, Any], files: dict[str, Any] | None = None) -> list[str]:
    return [str(fault) for fault in inputs.faults(config, files or {})]


def _properties(inputs: JobInputs) -> dict[str, Any]:
    assert inputs.config is not None
    return inputs.config["properties"]


def test_the_whole_config_is_the_input_of_a_job_that_declares_nothing() -> None:
    inputs = infer_inputs(None, {"lr": 0.1, "model": {"layers": 3, "names": ["a"], "nothing": {}}, "note": None})
    properties = _properties(inputs)
    assert properties["lr"] == {"title": "lr", "type": "number", "default": 0.1}
    assert properties["note"] == {"title": "note", "default": None}
    model = properties["model"]
    assert set(model["properties"]) == {"layers", "names"}
    assert model["properties"]["names"]["items"] == {"type": "string"}
    assert model["additionalProperties"] is False
    assert _faults(inputs, {"lr": 1, "model": {"layers": 4}, "note": [1]}) == []
    assert _faults(inputs, {"lrr": 1}) == ["config.lrr: is no input; the nearest is lr"]


def test_a_job_that_recorded_no_config_takes_any() -> None:
    assert _faults(infer_inputs(None, {}), {"a": {"b": 1}}) == []


def test_the_example_of_the_documentation_has_exactly_its_four_inputs() -> None:
    inputs = infer_inputs(_declared(include=[["trainer"]], exclude=[["trainer", "private"]]), _SEED)
    assert set(_properties(inputs)) == {"trainer"}
    types = {name: one["type"] for name, one in _properties(inputs)["trainer"]["properties"].items()}
    assert types == {"learning_rate": "number", "batch_size": "integer", "model": "string", "dataset": "string"}
    given = {"seed": 1, "trainer": {"private": {"key": 1}, "batch_size": True, "learning_rate": 1}}
    known = "inputs are trainer.learning_rate, trainer.batch_size, trainer.model, trainer.dataset"
    assert _faults(inputs, given) == [
        f"config.seed: is no input; {known}",
        f"config.trainer.private.key: is no input; {known}",
        "config.trainer.batch_size: must be integer, not True",
    ]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"trainer": 3}, "config.trainer: must be object, not 3"),
        ({"trainer": {"model": {"a": 1}}}, "config.trainer.model: must be string, not {'a': 1}"),
        ({"trainer": {"model": None}}, "config.trainer.model: must be string, not null"),
        (
            {"trainer": {"learning_rate": float("nan")}},
            f"config.trainer.learning_rate: nan {_NO_NUMBER}",
        ),
        (
            {"seed": 12345678901234567890},
            f"config.seed: 12345678901234567890 {_NO_INTEGER}",
        ),
        ({"trainer": {}}, None),
        ({"seed": {}}, "config.seed: must be integer, not {}"),
        ({"trainer": {"private": {}}}, None),
        ({"trainer": {"more": {}}}, "config.trainer.more: is no input; the nearest is trainer.model"),
        ({"trainer": {"learning_rate": 1, "batch_size": 2.0}}, None),
    ],
)
def test_a_value_must_be_of_the_recorded_type(given: dict[str, Any], fault: str | None) -> None:
    assert _faults(infer_inputs(None, _SEED), given) == ([fault] if fault else [])


def test_a_declaration_of_files_alone_leaves_the_run_config_out() -> None:
    one: _Plain = {"include": [], "exclude": [], "schema": None, "values": {"lr": 0.1}}
    inputs = infer_inputs({"config": None, "files": {"conf/a.yaml": one}}, {"lr": 1})
    assert inputs.config is None
    assert _faults(inputs, {"lr": 2}) == ["config.lr: is no input: the job takes no run config"]
    assert _faults(inputs, {"lr": {}}) == ["config.lr: is no input: the job takes no run config"]
    assert _faults(inputs, {"lr": {"x": {}}}) == ["config.lr.x: is no input: the job takes no run config"]
    assert _faults(inputs, {}, {"conf/a.yaml": {"nope": {}}}) == ["files.conf/a.yaml.nope: is no input; inputs are lr"]
    assert _faults(inputs, {}, {"./conf/a.yaml": {"lr": 2}}) == []
    assert _faults(inputs, {}, {"conf/a.yaml": {"lr": "x"}}) == ["files.conf/a.yaml.lr: must be number, not 'x'"]
    assert _faults(inputs, {}, {"a.yaml": {"lr": 1}}) == ["files.a.yaml: is no input; the nearest is conf/a.yaml"]
    assert _faults(JobInputs(), {}, {"a.yaml": {}}) == ["files.a.yaml: is no input: the job takes no config file"]


def test_a_declared_schema_of_no_object_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match=r"config\.schema/type: must be 'object'"):
        infer_inputs(_declared(schema={"type": "string"}), {"a": 1})


def test_each_file_has_its_own_include_and_exclude() -> None:
    tree = {"key1": 1, "key2": 2, "key3": {"key4": {"key6": 6, "key7": 7}, "key5": 5}}
    one: _Plain = {
        "include": [["key1"], ["key3"]],
        "exclude": [["key3", "key4"]],
        "schema": None,
        "values": tree,
    }
    schema = infer_inputs({"config": None, "files": {"a.json": one}}, {}).files["a.json"]
    assert set(schema["properties"]) == {"key1", "key3"}
    assert set(schema["properties"]["key3"]["properties"]) == {"key5"}


def test_a_file_whose_values_nobody_could_read_takes_any() -> None:
    one: _Plain = {"include": [], "exclude": [], "schema": None, "values": None}
    inputs = infer_inputs({"config": None, "files": {"a.yaml": one}}, {})
    assert _faults(inputs, {}, {"a.yaml": {"x": {"y": 1, "z": float("inf")}}}) == []


def test_a_number_that_pyyaml_takes_for_text_may_be_given_as_a_number() -> None:
    values = {"lr": "3e-4", "g": {"eps": "1.5e5"}, "name": "e4"}
    one: _Plain = {"include": [], "exclude": [], "schema": None, "values": values}
    inputs = infer_inputs({"config": None, "files": {"a.yaml": one, "a.json": one}}, {})
    assert _faults(inputs, {}, {"a.yaml": {"lr": 1e-5, "g": {"eps": 3}}}) == []
    assert _faults(inputs, {}, {"a.yaml": {"lr": "1e-5"}}) == []
    assert _faults(inputs, {}, {"a.yaml": {"lr": True}}) == ["files.a.yaml.lr: must be number or string, not True"]
    assert len(_faults(inputs, {}, {"a.yaml": {"name": 1}, "a.json": {"lr": 1e-5}})) == 2


def test_of_such_a_file_only_what_is_included_is_taken() -> None:
    one: _Plain = {"include": [["x", "y", "z"], ["x", "y"]], "exclude": [], "schema": None, "values": None}
    inputs = infer_inputs({"config": None, "files": {"a.yaml": one}}, {})
    assert _faults(inputs, {}, {"a.yaml": {"x": {"y": {"deep": 1}}}}) == []
    assert len(_faults(inputs, {}, {"a.yaml": {"x": {"z": 1}, "q": 1}})) == 2


def test_a_value_of_a_file_may_be_deleted_if_it_is_an_input() -> None:
    one: _Plain = {
        "include": [],
        "exclude": [["b"]],
        "schema": {"required": ["c"]},
        "values": {"a": 1, "b": 2, "c": {"d": 3}},
    }
    inputs = infer_inputs({"config": None, "files": {"a.json": one}}, {})
    mark = {"$delete": True}
    assert _faults(inputs, {}, {"a.json": {"a": mark}}) == []
    assert _faults(inputs, {}, {"a.json": {"b": mark}}) == ["files.a.json.b: is no input; inputs are a, c.d"]
    assert _faults(inputs, {}, {"a.json": {"c": mark}}) == ["files.a.json.c: is required and has no value"]


def test_a_path_with_dots_in_its_keys_is_told_as_it_is_written() -> None:
    inputs = infer_inputs(_declared(exclude=[["a.b"]]), {"a.b": 1, "a": {"b": 2}})
    assert _faults(inputs, {"a.b": 2}) == ["config.a\\.b: is no input; the nearest is a.b"]


class _Optimizer(pydantic.BaseModel):
    """How steps are made."""

    kind: Literal["adam", "sgd"] = "adam"
    momentum: float | None = None


class _Color(enum.IntEnum):
    RED = 1


class _Trainer(pydantic.BaseModel):
    lr: float = pydantic.Field(0.1, gt=0, le=1, title="Learning rate", description="Size of a step")
    name: str = pydantic.Field(pattern="^[a-z]+$", json_schema_extra={"label": "Name", "placeholder": "resnet"})
    token: pydantic.SecretStr
    color: _Color = _Color.RED
    optimizer: _Optimizer = _Optimizer()
    layers: list[int] = [1]


def _of_trainer(config: dict[str, Any]) -> JobInputs:
    return infer_inputs(_declared(schema=_Trainer.model_json_schema()), config)


def test_a_declared_schema_is_laid_over_the_recorded_config_without_references() -> None:
    properties = _properties(_of_trainer({"lr": 0.5, "name": "net", "token": "hush", "extra": 1}))
    assert "$ref" not in str(properties)
    lr = {
        "title": "Learning rate",
        "description": "Size of a step",
        "default": 0.5,
        "exclusiveMinimum": 0,
        "maximum": 1,
    }
    assert properties["lr"] == {**lr, "type": "number"}
    assert properties["name"]["default"] == "net"
    assert properties["name"]["placeholder"] == "resnet"
    assert properties["extra"] == {"title": "extra", "type": "integer", "default": 1}
    assert properties["optimizer"]["properties"]["kind"]["enum"] == ["adam", "sgd"]
    assert properties["optimizer"]["description"] == "How steps are made."


def test_the_recorded_value_of_a_secret_is_in_no_schema_and_no_message() -> None:
    inputs = _of_trainer({"name": "net", "token": "hush"})
    assert "hush" not in str(inputs.to_dict())
    assert _faults(inputs, {"lr": 0.2}) == []
    assert _faults(inputs, {"token": 98765}) == ["config.token: must be string, not the secret given"]


def test_every_violation_of_a_schema_is_told_at_once() -> None:
    given = {
        "lr": 2,
        "name": "R2",
        "color": 5,
        "optimizer": {"kind": "adm", "momentum": "x"},
        "layers": ["a"],
        "nam": 1,
    }
    assert _faults(_of_trainer({"name": "net", "token": "t"}), given) == [
        "config.nam: is no input; the nearest is name",
        "config.color: must be one of 1, not 5",
        "config.layers[0]: must be integer, not 'a'",
        "config.lr: must be at most 1, not 2",
        "config.name: must match '^[a-z]+$', not 'R2'",
        "config.optimizer.kind: must be one of 'adam', 'sgd', not 'adm'",
        "config.optimizer.momentum: must be number or null, not 'x'",
    ]


def test_what_is_required_and_has_no_recorded_value_must_be_given() -> None:
    inputs = _of_trainer({"lr": 0.5})
    assert _faults(inputs, {"lr": 0.2}) == ["config.name: is required and has no value"]
    assert _faults(inputs, {"name": "net"}) == []  # no record keeps a secret: the program may have one


def test_what_is_required_and_was_recorded_need_not_be_given_whatever_the_record_holds() -> None:
    schema: _Plain = {"required": ["lr", "path", "model", "more"], "properties": {"path": {"type": "string"}}}
    schema["properties"] |= {"model": {"required": ["depth", "width"]}}
    recorded = {"lr": float("nan"), "path": None, "model": {"depth": 2}}
    inputs = infer_inputs(_declared(schema=schema), recorded)
    wanted = ["config.more: is required and has no value", "config.model.width: is required and has no value"]
    assert _faults(inputs, {}) == wanted
    assert _faults(inputs, {"model": {"width": 3}, "more": "any"}) == []


def test_what_a_file_requires_and_does_not_hold_must_be_given() -> None:
    declared: _Plain = {"include": [], "exclude": [], "schema": {"required": ["a", "b"]}}
    known = infer_inputs({"config": None, "files": {"x.yaml": {**declared, "values": {"a": 1}}}}, {})
    assert _faults(known, {}) == ["files.x.yaml.b: is required and has no value"]
    assert _faults(known, {}, {"x.yaml": {"b": 2}}) == []
    unread = infer_inputs({"config": None, "files": {"x.yaml": {**declared, "values": None}}}, {})
    assert _faults(unread, {}) == []


def test_a_default_that_its_own_schema_refuses_is_left_out_and_is_no_fault_of_the_user() -> None:
    schema: _Plain = {"properties": {"lr": {"maximum": 1}, "n": {"type": "string"}}}
    inputs = infer_inputs(_declared(schema=schema), {"lr": 5.0, "n": 3})
    assert _properties(inputs)["lr"] == {"title": "lr", "type": "number", "maximum": 1}
    assert "default" not in _properties(inputs)["n"]
    assert _faults(inputs, {}) == []


def test_a_closed_schema_takes_its_own_names_only_and_exclude_beats_it() -> None:
    schema: _Plain = {
        "additionalProperties": False,
        "properties": {"a": {}, "b": {}, "g": {"properties": {"x": {}, "y": {}}}},
    }
    inputs = infer_inputs(_declared(schema=schema, exclude=[["b"], ["g", "y"]]), {"a": 1, "c": 2})
    assert set(_properties(inputs)) == {"a", "g"}
    assert set(_properties(inputs)["g"]["properties"]) == {"x"}


def test_exclude_reaches_into_the_forms_that_a_value_may_have() -> None:
    schema: _Plain = {"properties": {"g": {"anyOf": [{"properties": {"x": {}, "y": {}}}, {"type": "null"}]}}}
    inputs = infer_inputs(_declared(schema=schema, exclude=[["g", "y"]]), {})
    assert _faults(inputs, {"g": None}) == []
    assert _faults(inputs, {"g": {"x": 1}}) == []
    assert _faults(inputs, {"g": {"y": 1}}) != []


def test_rules_over_several_values_hold_together_with_the_defaults() -> None:
    schema: _Plain = {
        "if": {"properties": {"kind": {"const": "sgd"}}},
        "then": {"properties": {"lr": {"minimum": 1}}},
    }
    inputs = infer_inputs(_declared(schema=schema), {"kind": "adam", "lr": 0.1})
    assert _faults(inputs, {"lr": 0.2}) == []
    assert _faults(inputs, {"kind": "sgd", "lr": 0.2}) != []


def test_wandb_marks_of_required_fields_are_understood() -> None:
    schema: _Plain = {
        "type": "object",
        "properties": {"a": {"type": "string", "required": True}, "b": {"required": False}},
    }
    inputs = infer_inputs(_declared(schema=schema), {})
    assert _faults(inputs, {}) == ["config.a: is required and has no value"]


def test_a_one_element_all_of_is_lifted_and_what_stands_beside_it_wins() -> None:
    schema: _Plain = {"$defs": {"O": {"type": "object", "title": "O", "properties": {"x": {"type": "integer"}}}}}
    schema["properties"] = {"o": {"allOf": [{"$ref": "#/$defs/O"}], "title": "Own"}}
    one = _properties(infer_inputs(_declared(schema=schema), {"o": {"x": 3}}))["o"]
    assert one["title"] == "Own"
    assert one["properties"]["x"]["default"] == 3
    assert "allOf" not in one


def test_a_multi_select_is_kept_as_it_is() -> None:
    select = {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "uniqueItems": True, "maxItems": 2}
    inputs = infer_inputs(_declared(schema={"properties": {"tags": select}}), {"tags": ["a"]})
    assert _properties(inputs)["tags"] == {"title": "tags", **select, "default": ["a"]}
    assert _faults(inputs, {"tags": ["c"]}) == ["config.tags[0]: must be one of 'a', 'b', not 'c'"]


def test_a_schema_that_refers_to_itself_takes_anything_where_it_begins_again() -> None:
    node = {"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}}}
    inputs = infer_inputs(
        _declared(schema={"$defs": {"Node": node}, "properties": {"head": {"$ref": "#/$defs/Node"}}}), {}
    )
    assert _faults(inputs, {"head": {"name": "a", "next": {"name": 3}}}) == []
    assert _faults(inputs, {"head": {"name": 3}}) == ["config.head.name: must be string, not 3"]


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"$ref": "file:///etc/passwd"}, "'file:///etc/passwd' leads out of the schema and is not fetched"),
        (
            {"items": {"$ref": "https://x.org/a.json#/b"}},
            "config.schema/items/$ref: 'https://x.org/a.json#/b' leads out",
        ),
        ({"$ref": "#/$defs/None"}, "'#/$defs/None' leads to nothing"),
        ({"$ref": 3}, "3 leads out"),
        ({"properties": {"a": {"type": "floot"}}}, "config.schema/properties/a/type: 'floot'"),
        ({"minItems": 1.5}, "1.5 is not of type 'integer'"),
        ({"properties": {"a": {"pattern": "(a"}}}, "is no regular expression"),
        ({"patternProperties": {"[": {}}}, "is no regular expression"),
        ({"minimum": float("inf")}, "inf is no number that JSON can hold"),
        ({"unevaluatedProperties": False}, "is not supported; use additionalProperties"),
        ({"$dynamicRef": "#a"}, "use $ref"),
        ([], "must be a JSON Schema object, not list"),
    ],
)
def test_a_schema_that_cannot_be_trusted_is_refused_by_name(schema: Any, fault: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        infer_inputs(_declared(schema=schema), {})
    assert fault in str(caught.value)


def test_references_that_would_explode_are_refused_soon() -> None:
    definitions: _Plain = {"d0": {"type": "string"}}
    for i in range(1, 40):
        below = {"$ref": f"#/$defs/d{i - 1}"}
        definitions[f"d{i}"] = {"properties": {"a": below, "b": below}}
    started = time.monotonic()
    with pytest.raises(InvalidSpecError, match="is larger than 10000 schemas"):
        infer_inputs(_declared(schema={"$defs": definitions, "$ref": "#/$defs/d39"}), {})
    assert time.monotonic() - started < 2


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: _Plain = {}
    for _ in range(200):
        schema: _Plain = {"not": schema}
    with pytest.raises(InvalidSpecError, match="deeper than 64"):
        infer_inputs(_declared(schema=schema), {})


@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_does_not_end_is_a_fault_not_a_hang(keyword: str) -> None:
    slow = "^(a|aa)+$"
    schema: _Plain = {
        "properties": {"a": {"pattern": slow} if keyword == "pattern" else {"patternProperties": {slow: {}}}}
    }
    text = "a" * 60 + "!"
    inputs = infer_inputs(_declared(schema=schema), {})
    started = time.monotonic()
    assert "takes too long" in _faults(inputs, {"a": text if keyword == "pattern" else {text: 1}})[0]
    assert time.monotonic() - started < 5


def test_values_nested_too_deeply_are_a_fault() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    schema: _Plain = {"type": "array"}
    schema["items"] = {"$ref": "#/$defs/L"}
    inputs = infer_inputs(_declared(schema={"$defs": {"L": schema}, "properties": {"a": {"$ref": "#/$defs/L"}}}), {})
    assert len(_faults(inputs, {"a": deep})) <= 1


def test_a_malformed_record_is_refused_with_every_fault() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        infer_inputs({"config": 3, "files": {"a.yaml": {"include": "x", "exclude": [["a", 1]]}}}, {})
    assert [fault.path for fault in caught.value.faults] == ["config", "files.a.yaml.include", "files.a.yaml.exclude"]
    with pytest.raises(InvalidSpecError, match="by path"):
        infer_inputs({"files": [1]}, {})


def test_the_plain_form_is_read_back() -> None:
    one: _Plain = {"include": [], "exclude": [], "schema": None, "values": {"lr": 0.1}}
    inputs = infer_inputs({**_declared(), "files": {"a.yaml": one}}, {"a": {"b": 1}})
    assert JobInputs.from_dict(inputs.to_dict()) == inputs
    assert JobInputs.from_dict({}) == JobInputs()


def test_a_malformed_plain_form_is_refused_with_every_fault() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        JobInputs.from_dict({"config": {"type": 3}, "files": {"a.yaml": []}, "fles": {}})
    assert {fault.path for fault in caught.value.faults} == {"config/type", "files.a.yaml", "fles"}
    with pytest.raises(InvalidSpecError, match="mapping of schemas"):
        JobInputs.from_dict({"files": [1]})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("files.config.yaml.optimizer.lr", ("config.yaml", ("optimizer", "lr"))),
        ("files.conf/train.yaml.lr", ("conf/train.yaml", ("lr",))),
        ("files../conf.toml.a", ("conf.toml", ("a",))),
        (r"files.a.json.l\.r.x", ("a.json", ("l.r", "x"))),
        (r"files.train\.json.yaml.lr", ("train.json.yaml", ("lr",))),
        ("files.a.yml.b.json.c", ("a.yml", ("b", "json", "c"))),
        ("files.config.yaml", None),
        ("files.config.yaml.", None),
        ("files.config.yaml.a..b", None),
        ("files.config.yaml.a\\", ("config.yaml", ("a\\",))),
        ("files..yaml.a", None),
        ("files.lr", None),
        ("lr", None),
    ],
)
def test_a_parameter_of_a_file_names_its_file_and_its_keys(name: str, expected: Any) -> None:
    assert split_file_parameter(name) == expected


def test_what_was_recorded_is_the_default_and_the_schemas_own_only_where_nothing_was() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    properties = {
        "lr": {"type": "number", "default": 0.1},
        "seed": {"type": "integer", "default": 7},
        "odd": {"type": "integer", "default": 8},
        "net": {**inner, "default": {"a": 1, "b": 2}},
    }
    own: _Plain = {"include": [], "exclude": [], "schema": {"type": "object", "properties": properties}}
    config = infer_inputs({"config": own, "files": {}}, {"lr": 0.5, "odd": "text", "net": {"a": 5}}).config
    assert config is not None
    assert defaults(config) == {"lr": 0.5, "seed": 7, "net": {"a": 5, "b": 2}}
    assert "default" not in config["properties"]["net"]


def test_a_closed_schema_judges_only_what_was_given() -> None:
    layer = {"properties": {"width": {"type": "integer"}}, "additionalProperties": False}
    schema = {"properties": {"lr": {"type": "number"}, "layer": layer}, "additionalProperties": False}
    config = {"lr": 0.5, "seed": 1, "layer": {"width": 1, "own": 2}}
    inputs = infer_inputs(_declared(schema=schema), config)
    assert _faults(inputs, {"lr": 0.2, "layer": {"width": 2}}) == []
    known = "inputs are lr, layer.width"
    assert _faults(inputs, {"seed": 2, "layer": {"own": 1}}) == [
        f"config.seed: is no input; {known}",
        f"config.layer.own: is no input; {known}",
    ]
    closed: _Plain = {"allOf": [{"properties": {"width": {}}, "additionalProperties": False}, {"minProperties": 0}]}
    inputs = infer_inputs(_declared(schema={"properties": {"layer": {**closed, "default": config["layer"]}}}), config)
    assert _faults(inputs, {"layer": {"width": 3}}) == []
    assert _faults(inputs, {"layer": {"own": 3}}) == ["config.layer: takes no 'own'"]


@pytest.mark.parametrize("paths", [{"include": [["a", "b"]]}, {"exclude": [["a", "secret"]]}])
@pytest.mark.parametrize("values", [{"a": {"b": 1, "secret": 2}, "c": {"d": 1}}, None])
def test_a_group_of_which_a_part_is_no_input_is_not_removed(paths: dict[str, Any], values: Any) -> None:
    one: _Plain = {"include": [], "exclude": [], "schema": None, "values": values, **paths}
    inputs = infer_inputs({"config": None, "files": {"c.yaml": one}}, {})
    if values is not None or "include" in paths:  # nothing is known of the file otherwise: the program refuses it
        fault = "files.c.yaml.a: cannot be removed, for not all in it is input; inputs in it are a.b"
        assert _faults(inputs, {}, {"c.yaml": {"a": {"$delete": True}}}) == [fault]
    assert _faults(inputs, {}, {"c.yaml": {"a": {"b": {"$delete": True}}}}) == []
