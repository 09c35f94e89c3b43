"""`key=value` words of a command line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.assignments import parse_assignments, parse_overrides


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["lr=0.1"], {"lr": 0.1}),
        (["lr=1e-3"], {"lr": 1e-3}),
        (["a=true", "b=null", "c=none", "d="], {"a": True, "b": None, "c": "none", "d": ""}),
        (["a.b.c=1", "a.b.d=2"], {"a": {"b": {"c": 1, "d": 2}}}),
        ([r"a\.b=1"], {"a.b": 1}),
        (["a=1", "a=2"], {"a": 2}),
        (["a=[1, x, {b: 2}]"], {"a": [1, "x", {"b": 2}]}),
        (["a=x=y"], {"a": "x=y"}),
        (["a=[1"], {"a": "[1"}),
        (["a=@home"], {"a": "@home"}),
        (["a='1'"], {"a": "1"}),
        (["a={}", "a.b=1"], {"a": {"b": 1}}),
    ],
)
def test_words_become_typed_nested_values(words: list[str], values: dict[str, Any]) -> None:
    assert parse_assignments(words, "--set") == values


@pytest.mark.parametrize("word", ["lr", "=1", ".a=1", "a..b=1", "a.=1", ""])
def test_a_word_that_is_no_assignment_is_named(word: str) -> None:
    with pytest.raises(InvalidSpecError, match="must be key=value"):
        parse_assignments([word], "--set")


def test_every_bad_word_is_told_at_once() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        parse_assignments(["x", "a=1", "a.b=2", "=3"], "--set")
    assert [fault.message.split(" ")[0] for fault in caught.value.faults] == ["'x'", "'a.b=2':", "'=3'"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.b=1", "a=2"], "'a=2': contradicts a.b: it would replace the whole of 'a'"),
        (["a.b=1", "a={c: 1}"], "contradicts a.b"),
        (["m.a.b=1", "m.a=2"], "contradicts m.a.b: it would replace the whole of 'a'"),
        (["files.x.yaml.a.b=1", "files.x.yaml.a=2"], "contradicts a.b"),
    ],
)
def test_a_value_for_a_group_that_has_values_contradicts_them(words: list[str], told: str) -> None:
    with pytest.raises(InvalidSpecError, match="Leave one of them out") as caught:
        parse_overrides(words, "--set")
    assert told in str(caught.value)


@given(st.text("a.b\\=[{:'& \n1e-", max_size=15))
@settings(deadline=None, max_examples=200, derandomize=True)
def test_any_word_is_read_or_refused(word: str) -> None:
    try:
        assert isinstance(parse_assignments([word], "--set"), dict)
    except InvalidSpecError as error:
        assert error.faults[0].path == "--set"  # noqa: PT017  # either outcome is right


def test_a_backslash_makes_a_dot_or_a_backslash_part_of_a_key_in_the_config_and_in_files() -> None:
    words = [r"a\.b.c\\.d=1", r"files.x.yaml.a\.b.c\\.d=1"]
    nested = {"a.b": {"c\\": {"d": 1}}}
    assert parse_overrides(words, "--set") == (nested, {"x.yaml": nested})


def test_a_value_for_a_config_file_as_a_whole_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match=r"name a key in the file, as in files\.c\.yaml\.KEY=5"):
        parse_overrides(["files.c.yaml=5"], "--set")
    assert parse_overrides([r"files.c\.yaml=5"], "--set") == ({"files": {"c.yaml": 5}}, {})
