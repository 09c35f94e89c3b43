"""Which leaves of a config a pair of include and exclude covers, and how its paths are written."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_sdk.tracking.input_paths import PathFilter, file_key, leaves, nearest, split_prefix
from launch_sdk.tracking.input_types import infer_schema, is_of_type
from launch_sdk.tracking.key_paths import join_path

_KEYS = st.sampled_from(["a", "b", "ab", "a.b", "\\", "x\\.y", "c"])
_PATHS = st.lists(st.lists(_KEYS, max_size=3).map(tuple), max_size=3)
_VALUES = st.none() | st.integers() | st.lists(st.integers(), max_size=2)
_TREES = st.dictionaries(
    _KEYS, st.recursive(_VALUES, lambda inner: st.dictionaries(_KEYS, inner, max_size=3), max_leaves=8), max_size=4
)
_SMALL: dict[str, Any] = {"number": 9, "nested": {"list": ["a", "b", "c"], "text": "xyz"}}
_DEEP: dict[str, Any] = {"key1": 1, "key2": {"key3": 3, "key4": {"key5": 5, "key6": {"key7": 7, "key8": 8}}}}
_WIDE: dict[str, Any] = {"key1": 1, "key2": 2, "key3": {"key4": {"key6": 6, "key7": 7}, "key5": 5}}
_SEED: dict[str, Any] = {
    "trainer": {
        "learning_rate": 0.01,
        "batch_size": 32,
        "model": "resnet",
        "dataset": "cifar10",
        "private": {"key": 1},
    },
    "seed": 42,
}
_FOUR = {key: value for key, value in _SEED["trainer"].items() if key != "private"}


def _filter(include: list[str], exclude: list[str]) -> PathFilter:
    return PathFilter(map(split_prefix, include), map(split_prefix, exclude))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("path", ("path",)),
        ("path.with.dot", ("path", "with", "dot")),
        (r"path\.with\.esc.dot", ("path.with.esc", "dot")),
        (r"path\.with.esc\.dot", ("path.with", "esc.dot")),
        (r"path.with\.esc.dot", ("path", "with.esc", "dot")),
        ("", ()),
        (".a", ("", "a")),
        ("a..b", ("a", "", "b")),
        ("a.", ("a",)),
        (r"a\b.c", (r"a\b", "c")),
        (r"a\\.b", ("a\\", "b")),
    ],
)
def test_a_path_is_split_at_its_dots_unless_they_are_escaped(text: str, keys: tuple[str, ...]) -> None:
    assert split_prefix(text) == keys


def test_a_path_that_ends_in_a_single_backslash_is_refused() -> None:
    with pytest.raises(ValueError, match="ends in a single backslash"):
        split_prefix("a.b\\")


@given(st.lists(st.text(min_size=1), min_size=1).map(tuple))
def test_a_path_that_was_joined_is_split_into_the_same_keys(keys: tuple[str, ...]) -> None:
    assert split_prefix(join_path(keys)) == keys


@pytest.mark.parametrize(  # pyright: ignore[reportUnknownArgumentType]  # an empty list has no type
    ("tree", "include", "exclude", "result"),
    [
        (_SMALL, ["number", "nested.list"], [], {"number": 9, "nested": {"list": ["a", "b", "c"]}}),
        (_SMALL, [], ["number", "nested.list"], {"nested": {"text": "xyz"}}),
        (_SMALL, ["nested"], ["nested.text"], {"nested": {"list": ["a", "b", "c"]}}),
        (
            _DEEP,
            ["key2"],
            ["key2.key4.key6.key8", "key2.key3"],
            {"key2": {"key4": {"key5": 5, "key6": {"key7": 7}}}},
        ),
        (_WIDE, ["key1", "key3.key4"], ["key3.key4.key6"], {"key1": 1, "key3": {"key4": {"key7": 7}}}),
        (_WIDE, ["key1", "key3"], ["key3.key4"], {"key1": 1, "key3": {"key5": 5}}),
        (_SEED, ["trainer"], ["trainer.private"], {"trainer": _FOUR}),
    ],
)
def test_the_filter_keeps_what_is_included_and_not_excluded(
    tree: dict[str, Any], include: list[str], exclude: list[str], result: dict[str, Any]
) -> None:
    assert _filter(include, exclude).filter(tree) == result


def test_without_paths_everything_is_an_input_and_empty_dicts_vanish() -> None:
    assert _filter([], []).filter({"a": {"b": {}}, "c": [], "d": {"e": None}}) == {"c": [], "d": {"e": None}}


def test_a_prefix_is_whole_keys() -> None:
    assert _filter(["train"], []).filter({"trainer": 1, "train": {"lr": 2}}) == {"train": {"lr": 2}}


def test_the_empty_path_is_a_prefix_of_everything() -> None:
    assert _filter([""], []).filter(_SMALL) == _SMALL
    assert _filter([], [""]).filter(_SMALL) == {}


def test_a_list_is_a_leaf() -> None:
    assert _filter(["a.0"], []).filter({"a": [1, 2]}) == {}


def test_an_escaped_dot_names_one_key() -> None:
    tree = {"trainer.private": 1, "trainer": {"private": 2}}
    assert _filter([], [r"trainer\.private"]).filter(tree) == {"trainer": {"private": 2}}
    assert _filter([], ["trainer.private"]).filter(tree) == {"trainer.private": 1}


@given(_TREES, _PATHS, _PATHS)
def test_the_result_is_within_the_input_which_stays_as_it_was(
    tree: dict[str, Any], include: list[tuple[str, ...]], exclude: list[tuple[str, ...]]
) -> None:
    before = copy.deepcopy(tree)
    result = PathFilter(include, exclude).filter(tree)
    assert tree == before
    assert {path for path, _ in leaves(result)} <= {path for path, _ in leaves(tree)}
    assert PathFilter(include, exclude).filter(result) == result


@given(_TREES, _PATHS, _PATHS)
def test_exclude_wins_whatever_is_included(
    tree: dict[str, Any], include: list[tuple[str, ...]], exclude: list[tuple[str, ...]]
) -> None:
    for path, _ in leaves(PathFilter(include, exclude).filter(tree)):
        assert not any(path[: len(one)] == one for one in exclude)
        assert not include or any(path[: len(one)] == one for one in include)


@given(_TREES, _PATHS, _PATHS)
def test_what_covers_a_group_says_so_of_each_leaf_below_it(
    tree: dict[str, Any], include: list[tuple[str, ...]], exclude: list[tuple[str, ...]]
) -> None:
    paths = PathFilter(include, exclude)
    for path, _ in leaves(tree):
        for end in range(len(path) + 1):
            if paths.covers_all_below(path[:end]):
                assert paths.covers(path)
            if paths.covers(path):
                assert paths.covers_some_below(path[:end])


@pytest.mark.parametrize(
    ("given_path", "key"),
    [("./x.yaml", "x.yaml"), ("a//./b.json", "a/b.json"), ("/a.toml", "/a.toml"), ("a..b", "a..b")],
)
def test_a_file_has_one_name(given_path: str, key: str) -> None:
    assert file_key(given_path) == key


def test_near_names_are_told_else_some_names() -> None:
    names = ["trainer.learning_rate", "model.depth", "seed"]
    assert nearest("trainer.learnin_rate", names) == "the nearest is trainer.learning_rate"
    assert nearest("depth", names) == "the nearest is model.depth"
    assert nearest("zzz", names) == "inputs are trainer.learning_rate, model.depth, seed"
    assert nearest("zzz", [f"n{i}" for i in range(10)]).endswith("n7 and 2 more")
    assert nearest("zzz", []) == "there is none"


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (0.1, {"type": "number", "default": 0.1}),
        (True, {"type": "boolean", "default": True}),
        (3, {"type": "integer", "default": 3}),
        ("a", {"type": "string", "default": "a"}),
        (None, {"default": None}),
        ([1, 2.5], {"type": "array", "items": {"type": "number"}, "default": [1, 2.5]}),
        ((1, "a"), {"type": "array", "default": [1, "a"]}),
        (float("nan"), {"type": "number"}),
        (2**80, {"type": "integer"}),
        (b"x", {}),
    ],
)
def test_the_type_of_a_value_is_a_schema_with_the_value_as_default(value: Any, schema: dict[str, Any]) -> None:
    assert infer_schema(value) == schema


@pytest.mark.parametrize(
    ("value", "name", "fits"),
    [
        (1, "number", True),
        (True, "integer", False),
        (True, "number", False),
        (2.0, "integer", True),
        (2.5, "integer", False),
        ("1", "number", False),
        (1, None, True),
        (None, "string", False),
        ([], "array", True),
        ({}, "object", True),
    ],
)
def test_an_integer_may_stand_for_a_number_and_a_boolean_for_neither(value: Any, name: str | None, fits: bool) -> None:
    assert is_of_type(value, name) is fits
