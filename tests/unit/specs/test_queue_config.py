"""What the owner of a queue decides, and what a submitter may choose."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.placement import Placement, Priority, parse_priority, parse_variables
from launch_sdk.specs.queue_config import (
    EXPANDED,
    NEEDED,
    QueueConfig,
    check_queue_name,
    parse_queue_config,
    read_queue_config,
)

WHOLE = """
description: two GPUs
access: private
resource: process
resource_args:
  env:
    THREADS: "{{threads}}"
    RATE: at {{rate}} for ${run_id} of ${queue_name}
    WHERE: "{{ where }}"
    PLAIN: 3
    DATA_DIR:
template_variables:
  threads: {type: integer, default: 4, minimum: 1, maximum: 16}
  rate: {schema: {type: number, default: 0.5, exclusiveMinimum: 0}, description: how fast}
  where: {type: string, enum: [here, there], default: here}
"""


def config(**variables: dict[str, Any]) -> QueueConfig:
    env = {name.upper(): f"{{{{{name}}}}}" for name in variables}
    return parse_queue_config(Document({"resource_args": {"env": env}, "template_variables": variables}), "me")


def faults_of(text: str) -> list[str]:
    with pytest.raises(InvalidSpecError) as caught:
        parse_queue_config(parse_document(text), "me")
    return [str(fault) for fault in caught.value.faults]


def refusal(wanted: QueueConfig, **values: Any) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        wanted.environment("gpu", values)
    return str(caught.value)


def test_a_file_says_what_programs_get_and_what_submitters_may_choose() -> None:
    whole = parse_queue_config(parse_document(WHOLE), "me")
    assert (whole.description, whole.access, whole.owner) == ("two GPUs", "private", "me")
    assert whole.environment("gpu", {"threads": "8", "where": "there"}) == {
        "THREADS": "8",
        "RATE": "at 0.5 for ${run_id} of ${queue_name}",
        "WHERE": "there",
        "PLAIN": "3",
        EXPANDED: "RATE",
        NEEDED: "DATA_DIR",
    }
    assert QueueConfig.from_dict(whole.to_dict()) == whole


def test_what_a_queue_shows_is_a_file_that_makes_it_again() -> None:
    whole = parse_queue_config(parse_document(WHOLE), "me")
    shown = {key: value for key, value in whole.to_json().items() if key != "owner"}
    assert parse_queue_config(Document(shown), "me") == whole


def test_a_variable_whose_value_nobody_chose_is_left_out_of_what_the_prefect_ui_starts() -> None:
    wanted = config(a={"type": "string"}, b={"type": "integer", "default": 0})
    assert wanted.default_environment() == {"B": "0"}
    assert "a: has no default; choose it: --set-var a=VALUE" in refusal(wanted)


# W&B's rules for --set-var, one by one.


def test_a_word_without_an_equals_sign_is_refused_and_a_value_may_hold_some() -> None:
    assert parse_variables(["a=b=c", "url=x?y=1", "empty="]) == {"a": "b=c", "url": "x?y=1", "empty": ""}
    with pytest.raises(InvalidSpecError) as caught:
        parse_variables(["k", "=v", "fine=1"])
    assert [fault.message for fault in caught.value.faults] == [
        "must be in the format --set-var KEY=VALUE, instead got: k",
        "must be in the format --set-var KEY=VALUE, instead got: =v",
    ]


def test_a_variable_that_the_queue_does_not_have_is_refused() -> None:
    assert "Queue 'gpu' does not support overriding b; it has a" in refusal(
        config(a={"type": "string", "default": "x"}), b="1"
    )
    assert "it has no template variables" in refusal(QueueConfig(), b="1")


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        ("integer", "8", "8"),
        ("integer", "-3", "-3"),
        ("integer", 8.0, "8"),
        ("number", "0.25", "0.25"),
        ("number", "1e-3", "0.001"),
        ("number", 3, "3.0"),
        ("string", "8", "8"),
        ("string", " as it is ", " as it is "),
        ("string", 8, "8"),
    ],
)
def test_a_value_is_given_its_variables_type(kind: str, given: object, text: str) -> None:
    assert config(a={"type": kind}).environment("gpu", {"a": given}) == {"A": text}


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *[("integer", value) for value in ("x", "", "1.5", 1.5, True, None, [1], "1_0", "٣", "0x10", "9" * 40)],
        *[("number", value) for value in ("x", "", "nan", "inf", True, None, "1_0.0")],
        *[("string", value) for value in (True, None, {"a": 1})],
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, given: object) -> None:
    assert f"Value for a must be of type {kind}" in refusal(config(a={"type": kind}), a=given)


def test_bounds_enums_lengths_and_patterns_hold_and_every_fault_is_told_at_once() -> None:
    wanted = config(
        low={"type": "integer", "minimum": 1},
        high={"type": "number", "exclusiveMaximum": 1.0},
        one={"type": "string", "enum": ["x", "y"]},
        short={"type": "string", "maxLength": 2},
        shape={"type": "string", "pattern": "^[a-z]+$"},
    )
    told = refusal(wanted, low=0, high="1.0", one="z", short="abc", shape="A", more=1)
    assert "has 6 faults" in told
    for part in ("low: 0 is less than", "high: 1.0 is greater", "one: 'z' is not one of", "short:", "shape:", "more"):
        assert part in told
    fitting = {"low": 1, "high": 0.5, "one": "x", "short": "ab", "shape": "a"}
    assert wanted.environment("gpu", fitting)["LOW"] == "1"


def test_a_pattern_that_never_ends_ends() -> None:
    wanted = config(a={"type": "string", "pattern": "^(a|a|aa)+$"})
    assert "a: " in refusal(wanted, a="a" * 5000 + "b")


# What a submitter writes is a value, never a template.


@pytest.mark.parametrize("value", ["${HOME}", "${run_id}", "{{ $HOME }}", "{{ prefect.variables.secret }}", "{{a}}"])
def test_a_submitter_can_write_neither_macros_nor_templates(value: str) -> None:
    assert "may hold neither {{ nor ${" in refusal(config(a={"type": "string"}), a=value)


def test_an_owner_cannot_hand_out_the_agents_environment_by_a_macro_either() -> None:
    (told,) = faults_of("resource_args: {env: {A: '${HOME}'}}")
    assert "${HOME} is no macro; there are ${run_id}, ${run_name}, ${project_name}, ${queue_name}" in told
    (told,) = faults_of("resource_args: {env: {A: '{{ $HOME }}'}}")
    assert "{{ must open the name of a variable" in told


def test_every_fault_of_a_file_is_told_at_once_with_its_line() -> None:
    text = """\
describtion: x
access: secret
resource: kubernetes
resource_args:
  volumes: [/]
  env:
    PREFECT_API_URL: x
    1A: x
    B: [1]
    C: "{{unknown}}"
template_variables:
  n: {type: integer, minimum: 5, maximum: 1}
  m: {type: integer, default: x}
  o: {type: integer, pattern: x}
  p: {type: object}
  q: {type: string, pattern: "("}
  r: {type: string, enum: []}
"""
    told = faults_of(text)
    for line, part in {
        1: "describtion: has no meaning here; what has is description, access",
        2: "access: must be shared or private",
        3: "resource: 'kubernetes' is not supported",
        5: "volumes: has no meaning here; what has is env",
        7: "PREFECT_API_URL: names that begin with PREFECT_ or LAUNCH_",
        8: "is no name of a variable",
        9: "must be text, a number, or nothing",
        10: "{{unknown}} is in no template_variables",
        12: "5 is above maximum 1",
        13: "'x' is not of type integer",
        14: "unknown key of a integer",
        15: "type must be string, integer, number",
        16: "is no regular expression",
        17: "must be a list of at least one value",
    }.items():
        assert any(fault.startswith(f"line {line}: ") and part in fault for fault in told), (line, part, told)


def test_a_variable_that_stands_nowhere_is_a_mistake() -> None:
    assert "stands nowhere in resource_args" in faults_of("template_variables: {n: {type: integer}}")[0]


def test_names_alone_are_what_the_agent_must_have_and_w_and_bs_nesting_is_taken() -> None:
    text = '{"resource_args": {"local-process": {"env": ["A", "B"]}}}'
    assert read_queue_config(text, "me").env == {"A": None, "B": None}


@pytest.mark.parametrize("name", ["", "-x", "a/b", "a b", "..", "x" * 65, "prefect-pool", "ü"])
def test_a_queue_needs_a_name_that_the_server_takes(name: str) -> None:
    with pytest.raises(InvalidSpecError):
        check_queue_name(name)


def test_a_private_queue_is_its_owners() -> None:
    private = QueueConfig(owner="ann")
    private.require_access("q", "ann")
    with pytest.raises(InvalidSpecError, match="'q' is private to 'ann', and you are 'bob'"):
        private.require_access("q", "bob")


@pytest.mark.parametrize(("text", "wanted"), [("critical", 0), ("High", 1), (2, 2), ("3", 3), (0, 0)])
def test_priorities_have_names_and_w_and_bs_numbers(text: object, wanted: int) -> None:
    assert parse_priority(text) == wanted


@pytest.mark.parametrize("text", ["urgent", 4, -1, "", True, None, 1.5])
def test_what_is_no_priority_is_refused_with_those_there_are(text: object) -> None:
    with pytest.raises(InvalidSpecError, match="critical, high, medium, low"):
        parse_priority(text)


def test_a_placement_that_says_nothing_is_the_default() -> None:
    assert Placement().is_default
    assert not Placement(Priority.LOW).is_default
