"""The config object: a dict at every depth, whose locked leaves stay what the launch made them."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import warnings
from argparse import Namespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import launch_sdk as launch
from launch_sdk.tracking.changes import ConfigChangedError
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.config_root import add_layer, listen, override, provenance
from launch_sdk.tracking.config_view import ReadOnlyConfigError
from launch_sdk.tracking.notices import LaunchWarning
from launch_sdk.tracking.protocol import config_update, merge, read_snapshot

_NAMES = st.sampled_from(["a", "b", "c"])
_NESTED = st.recursive(st.integers(), lambda inner: st.dictionaries(_NAMES, inner, max_size=3), max_leaves=6)
_TREES = st.dictionaries(_NAMES, _NESTED, max_size=3)


@dataclasses.dataclass
class _Model:
    layers: int
    names: list[str]


def test_items_and_attributes_are_the_same_at_every_depth() -> None:
    config = Config({"model": {"head": {"dropout": 0.5}}})
    config.model.head.dropout = 0.1
    config["model"]["head"]["width"] = 8
    config.fresh = {"a": {"b": 1}}
    config.fresh.a.c = 2
    assert config == {"model": {"head": {"dropout": 0.1, "width": 8}}, "fresh": {"a": {"b": 1, "c": 2}}}


def test_a_config_serves_wherever_a_dict_does() -> None:
    config = Config({"model": {"layers": 2}})
    assert isinstance(config["model"], dict)
    assert dict(**config["model"]) == {"layers": 2}
    assert json.loads(json.dumps(config)) == config
    assert {**config} == config


@pytest.mark.parametrize(
    "values",
    [
        {"layers": 3, "names": ["x"]},
        Namespace(layers=3, names=["x"]),
        _Model(3, ["x"]),
        [("layers", 3), ("names", ["x"])],
        Config(layers=3, names=["x"]),
    ],
)
def test_every_kind_of_values_is_accepted(values: Any) -> None:
    assert Config(values) == {"layers": 3, "names": ["x"]}
    if not isinstance(values, list):
        assert Config(model=values).model.layers == 3


@pytest.mark.parametrize("values", [3, _Model, [1, 2], json])
def test_what_a_config_cannot_come_from_is_refused(values: Any) -> None:
    with pytest.raises(TypeError, match="a config comes from a dict"):
        Config(values)


def test_a_key_that_is_no_text_is_refused() -> None:
    config: Any = Config()
    with pytest.raises(TypeError, match="must be text, not 3"):
        config[3] = 1


def test_a_missing_attribute_names_what_there_is() -> None:
    config = Config({"model": {"layers": 1}})
    with pytest.raises(AttributeError, match=r"config\.model has no 'width'; it has layers"):
        _ = config.model.width
    with pytest.raises(KeyError):
        _ = config["absent"]
    assert getattr(config, "absent", 7) == 7
    assert config.get("absent", 7) == 7


def test_values_of_the_script_keep_their_type() -> None:
    betas = (0.9, 0.99)
    assert Config(betas=betas).betas is betas


def test_update_replaces_a_nested_mapping_and_setdefaults_fills_it() -> None:
    config = Config({"model": {"a": 1, "b": 2}})
    config.setdefaults({"model": {"a": 9, "c": 3}, "lr": 0.1})
    assert config == {"model": {"a": 1, "b": 2, "c": 3}, "lr": 0.1}
    config.update({"model": {"d": 4}}, allow_val_change=True, lr=0.2)
    assert config == {"model": {"d": 4}, "lr": 0.2}


def test_deleting_works_as_in_a_dict() -> None:
    config = Config({"a": 1, "b": {"c": 2}, "d": 3, "e": 4})
    del config["a"]
    del config.d
    assert config.pop("b") == {"c": 2}
    assert config.pop("b", None) is None
    assert config.popitem() == ("e", 4)
    assert config == {}
    with pytest.raises(KeyError):
        config.pop("b")
    with pytest.raises(AttributeError):
        del config.absent


def test_a_node_survives_its_own_assignment() -> None:
    config = Config({"model": {"layers": {"n": 1}}})
    config.model = config.model
    config.model = config.model.layers
    assert config == {"model": {"n": 1}}


def _pickled(config: Any) -> Any:
    return pickle.loads(pickle.dumps(config))  # noqa: S301  # it was written in the same line


@pytest.mark.parametrize("copied", [pytest.param(way) for way in (copy.copy, copy.deepcopy, _pickled)])
def test_a_copy_is_plain_and_apart(copied: Any) -> None:
    config = Config({"model": {"layers": [1]}})
    other = copied(config)
    other["model"]["layers"] = 2
    assert [type(node) for node in (other, other["model"])] == [dict, dict]
    assert config == {"model": {"layers": [1]}}


def test_a_removed_node_no_longer_reaches_the_listener() -> None:
    config = Config({"model": {"head": {"a": 1}}})
    head = config.model.head
    del config["model"]
    heard: list[Any] = []
    listen(config, lambda changed, removed: heard.append((changed, removed)))
    head.a = 2
    assert heard == []
    assert config == {}


def test_one_call_is_one_edit_for_the_listener() -> None:
    config = Config({"a": 1, "model": {"x": 1, "y": 2}})
    heard: list[Any] = []
    listen(config, lambda changed, removed: heard.append((changed, removed)))
    config.update({"b": 2, "model": {"y": 3}})
    assert heard == [({"b": 2, "model": {"y": 3}}, [["model", "x"]])]


@given(_TREES, st.lists(st.tuples(st.sampled_from(["set", "update", "delete", "defaults"]), _NAMES, _TREES)))
def test_what_the_listener_hears_adds_up_to_the_config(start: Any, edits: list[Any]) -> None:
    config = Config(start)
    rebuilt: dict[str, Any] = {}
    merge(rebuilt, config)
    listen(config, lambda changed, removed: config_update(rebuilt, {"config": changed, "removed": removed}))
    for kind, name, values in edits:
        if kind == "set":
            config[name] = values.get("a", values)
        elif kind == "update":
            config.update(values)
        elif kind == "defaults":
            config.setdefaults(values)
        elif isinstance(config.get(name), Config):
            config[name].clear()
        else:
            config.pop(name, None)
    assert rebuilt == config


@given(_TREES, _TREES)
def test_overrides_are_merged_deeply_over_the_scripts_values(script: Any, overrides: Any) -> None:
    before, after = Config(), Config(script)
    override(before, overrides)
    add_layer(before, script)
    override(after, overrides)
    expected: dict[str, Any] = copy.deepcopy(script)
    _put_leaves(expected, overrides)
    assert after == expected
    for path, value in _paths(overrides):
        node: Any = before
        for key in path:
            node = node[key]
        assert node == value


def _paths(values: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in values.items():
        found += _paths(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]
    return found


def _put_leaves(into: Any, values: Any) -> None:
    for path, value in _paths(values):
        node = into
        for key in path[:-1]:
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        node[path[-1]] = value


def test_a_locked_leaf_keeps_its_value_and_warns_once() -> None:
    config = Config({"lr": 0.1, "model": {"layers": 3, "width": 8}})
    override(config, {"lr": 0.5, "model": {"layers": 9}})
    with pytest.warns(LaunchWarning, match=r"config 'lr' is locked: the launch set it to 0\.5") as caught:
        config.lr = 0.2
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config["lr"] = 0.3
        config.lr = 0.5
        config.model.width = 16
    with pytest.warns(LaunchWarning, match=r"config 'model\.layers' is locked"):
        config.model = "small"
    assert config == {"lr": 0.5, "model": {"layers": 9, "width": 16}}


def test_replacing_a_mapping_keeps_its_locked_leaves() -> None:
    config = Config()
    override(config, {"model": {"layers": 9, "head": {"dropout": 0.1}}})
    add_layer(config, {"model": {"layers": 3, "width": 8}, "lr": 1})
    assert config == {"model": {"layers": 9, "head": {"dropout": 0.1}, "width": 8}, "lr": 1}


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        (4, 8.0, 8),
        ([1, 2], [3.0], [3]),
        (4, 8.5, 8.5),
        (4.0, 8.0, 8.0),
        (True, 8.0, 8.0),
        (None, 8.0, 8.0),
        (4, 8, 8),
    ],
)
def test_a_whole_number_in_place_of_an_integer_is_one(own: Any, given: Any, expected: Any) -> None:
    first, later = Config({"a": {"n": own}}), Config()
    override(first, {"a": {"n": given}})
    override(later, {"a": {"n": given}})
    seen: list[Any] = []
    listen(later, lambda changed, _: seen.append(changed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        later.a = {"n": own}
    for config in (first, later):
        assert repr(config.a.n) == repr(expected)
        assert repr(provenance(config)["a.n"][-1]["value"]) == repr(expected)
    assert repr(seen) == repr([{"a": {"n": expected}}] if repr(given) != repr(expected) else [])


def test_a_locked_leaf_cannot_be_deleted() -> None:
    config = Config({"model": {"layers": 1, "width": 2}})
    override(config, {"model": {"layers": 9}})
    with pytest.warns(LaunchWarning, match="is locked"):
        del config["model"]
    config.model.clear()
    assert config == {"model": {"layers": 9}}


def test_a_later_override_wins_over_an_earlier_one() -> None:
    config = Config()
    override(config, {"model": {"layers": 1}})
    override(config, {"model": "small"})
    assert config == {"model": "small"}


def _doubled(value: Any) -> Any:
    return value * 2


def _is_two(value: Any) -> Any:
    return value == 2


_READERS: list[Any] = [
    float,
    bool,
    int,
    str,
    list,
    len,
    hash,
    copy.copy,
    copy.deepcopy,
    pickle.dumps,
    _doubled,
    _is_two,
]


def test_one_key_may_be_set_to_another_value_at_any_time() -> None:
    with launch.init(config={"dropout": 0.5, "train": {"epochs": 2}}) as run:
        run.config["dropout"] = 0.2
        run.config.train.epochs = 4
        run.config["batch_size"] = 32
        run.config.update({"dropout": 0.1, "lr": 0.3})
        assert run.config == {"dropout": 0.1, "train": {"epochs": 4}, "batch_size": 32, "lr": 0.3}
    assert read_snapshot(run.dir).config == run.config


def test_before_init_a_write_below_a_group_that_is_not_there_makes_it() -> None:
    launch.config["train"]["epochs"] = 4
    launch.config["train"]["sizes"]["first"] = 8
    launch.config["other"].lr = 0.1
    launch.config["third"].update({"a": 1}, b=2)
    expected = {"train": {"epochs": 4, "sizes": {"first": 8}}, "other": {"lr": 0.1}, "third": {"a": 1, "b": 2}}
    run = launch.init()
    assert run.config == expected
    with pytest.raises(KeyError, match="config has no 'absent'; it has train, other, third"):
        _ = run.config["absent"]["epochs"]


@pytest.mark.parametrize("read", _READERS)
def test_before_init_reading_a_key_that_is_not_there_is_a_key_error(read: Any) -> None:
    launch.config.lr = 1
    with pytest.raises(KeyError, match="the config has no 'epochs' yet"):
        read(launch.config["epochs"])
    with pytest.raises(AttributeError, match="the config has no 'epochs' yet, so 'x' cannot be read"):
        _ = launch.config["epochs"].x
    with pytest.raises(AttributeError, match="config has no 'epochs'; it has lr"):
        _ = launch.config.epochs
    assert repr(launch.config["epochs"]) == "<the config has no 'epochs' yet>"
    assert launch.config == {"lr": 1}
    assert "epochs" not in launch.config
    assert launch.config.get("epochs") is None


def test_dashes_around_a_key_are_no_part_of_it() -> None:
    config = Config({"--lr": 0.1, "-b-": 2, "--": 3, "batch-size": 4, "model": {"-x-": 1}})
    assert config == {"lr": 0.1, "b": 2, "--": 3, "batch-size": 4, "model": {"-x-": 1}}
    assert config["--lr"] == 0.1
    config.setdefaults({"--lr": 9, "--new": 5})
    assert config.setdefault("--new", 6) == 5
    assert config.pop("--new") == 5
    del config["--b"]
    override(config, {"--lr": 7})
    add_layer(config, {"-lr": 8})
    assert config == {"lr": 7, "--": 3, "batch-size": 4, "model": {"-x-": 1}}


def test_changes_are_refused_where_the_script_says_so_and_all_are_named() -> None:
    config = Config({"lr": 0.1, "model": {"layers": 2, "width": 8}, "locked": 1})
    override(config, {"locked": 5})
    with pytest.raises(ConfigChangedError) as caught:
        config.update({"lr": 0.2, "model": {"layers": 3, "width": 8}, "new": 1, "locked": 6}, allow_val_change=False)
    assert str(caught.value).splitlines() == [
        "config 'lr' is 0.1 and may not become 0.2",
        "config 'model.layers' is 2 and may not become 3",
        "allow_val_change is False; call config.update(..., allow_val_change=True) to change it",
    ]
    assert config == {"lr": 0.1, "model": {"layers": 2, "width": 8}, "locked": 5}
    config.update({"lr": 0.1, "new": 1}, allow_val_change=False)
    config.update({"lr": 0.2}, allow_val_change=None)
    assert (config.lr, config.new) == (0.2, 1)


def test_init_with_allow_val_change_false_keeps_values_from_being_assigned() -> None:
    config = launch.init(config={"lr": 0.1, "model": {"layers": 2}}, allow_val_change=False).config
    with pytest.raises(ConfigChangedError, match=r"config 'lr' is 0\.1 and may not become 0\.2"):
        config.lr = 0.2
    with pytest.raises(ValueError, match=r"config 'model\.layers' is 2"):
        config.model.layers = 3
    config.lr = 0.1
    config.epochs = 3
    config.update({"lr": 0.3}, allow_val_change=True)
    assert config == {"lr": 0.3, "model": {"layers": 2}, "epochs": 3}
    assert launch.init(config={"lr": 1}, allow_val_change=True).config == {"lr": 1}


def test_persist_records_what_changed_inside_a_list() -> None:
    with launch.init(config={"sizes": [1], "model": {"sizes": [2]}}) as run:
        run.config.sizes.append(3)
        assert read_snapshot(run.dir).config["sizes"] == [1]
        run.config.persist()
        assert read_snapshot(run.dir).config["sizes"] == [1, 3]
        run.config.model.sizes.append(4)
        run.config.model.persist()
        assert read_snapshot(run.dir).config == {"sizes": [1, 3], "model": {"sizes": [2, 4]}}
    Config(a=1).persist()


def test_the_static_config_is_the_same_and_cannot_be_written() -> None:
    run = launch.init(config={"lr": 0.1, "model": {"sizes": [[1], 2]}})
    static: Any = run.config_static
    run.config.lr = 0.2
    assert static == run.config == {"lr": 0.2, "model": {"sizes": [[1], 2]}}
    assert (static.lr, static["model"].sizes, len(static), list(static)) == (0.2, [[1], 2], 2, ["lr", "model"])
    static.model.sizes[0].append(3)
    assert run.config.model.sizes == [[1], 2]
    assert pickle.loads(pickle.dumps(static)) == run.config  # noqa: S301  # it was written in the same line
    for write in (
        lambda: static.__setitem__("lr", 1),
        lambda: setattr(static, "lr", 1),
        lambda: setattr(static.model, "sizes", 1),
        lambda: static.__delitem__("lr"),
        lambda: static.update(lr=1),
        lambda: static.pop("lr"),
    ):
        with pytest.raises(ReadOnlyConfigError, match=r"run\.config_static can only be read; write to run\.config"):
            write()
    with pytest.raises(AttributeError, match="config has no 'absent'"):
        _ = static.absent
    assert run.config == {"lr": 0.2, "model": {"sizes": [[1], 2]}}


def test_the_views_of_a_dict_show_everything() -> None:
    config = Config({"lr": 0.1, "_hidden": 1})
    assert (list(config.keys()), list(config.values()), list(config.items()), len(config)) == (
        ["lr", "_hidden"],
        [0.1, 1],
        [("lr", 0.1), ("_hidden", 1)],
        2,
    )
    assert dict(config) == config == {"lr": 0.1, "_hidden": 1}


def test_a_value_that_is_in_itself_is_refused_by_its_place_and_nothing_of_it_is_taken() -> None:
    endless: dict[str, Any] = {"lr": 1, "net": {"depth": 2}}
    endless["net"]["again"] = [endless]  # lists are values as a whole
    launch.init(config={"fine": endless}).finish()
    endless["net"]["back"] = endless["net"]
    with pytest.raises(ValueError, match=r"config 'net\.back' is nested in itself"):
        launch.init(config=endless)
    config = Config()
    with pytest.raises(ValueError, match=r"'net\.back' is nested in itself"):
        config.update({"net": endless["net"]})
    with pytest.raises(ValueError, match=r"'a\.net\.back' is nested in itself"):
        config.a = {"net": endless["net"]}
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep}
    with pytest.raises(ValueError, match=r"config 'x\.a\.a\.\.\.' is nested more than 100 deep"):
        config.x = deep
    assert config == {}
