"""Layers of a config: what is in force, who gave it, what it hides, and what the run writes of that."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import launch_sdk as launch
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.config_root import add_layer, listen, override, provenance
from launch_sdk.tracking.key_paths import join_path, split_path
from launch_sdk.tracking.notices import LaunchWarning
from launch_sdk.tracking.protocol import (
    PROVENANCE,
    RUN_DIR,
    config_update,
    merge,
    read_provenance,
    write_overrides,
)

FILES = ["config-defaults.yaml", "big.yaml"]
ORDER = [*FILES, "init", "script", "sweep", "launch"]
_NAMES = st.sampled_from(["a", "b", "c"])
_NESTED = st.recursive(st.integers(0, 9), lambda inner: st.dictionaries(_NAMES, inner, max_size=3), max_leaves=6)
_TREES = st.dictionaries(_NAMES, _NESTED, max_size=3)
_VALUES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 9), max_size=2)
_GROUPS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(_NAMES, _VALUES, max_size=2)
_SHAPED = st.tuples(_VALUES, _GROUPS).map(lambda parts: parts[0] | parts[1])
_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "update", "delete", "defaults", "below", "init", "sweep", "launch"]), _NAMES, _TREES
    ),
    max_size=8,
)


def _apply(config: Config, edit: tuple[str, str, Any]) -> None:  # one line for each kind of edit
    kind, name, values = edit
    if kind == "set":
        config[name] = values.get("a", values)
    elif kind == "below" and isinstance(config.get(name), Config):
        config[name][name] = 7
    elif kind == "update":
        config.update(values)
    elif kind == "defaults":
        config.setdefaults(values)
    elif kind == "delete":
        config.pop(name, None)
    elif kind == "init":
        add_layer(config, values)
    elif kind in ("sweep", "launch"):
        override(config, values, kind)


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _leaves(values: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in values.items():
        found |= _leaves(value, (*path, key)) if isinstance(value, dict) and value else {(*path, key): value}
    return found


@pytest.mark.filterwarnings("ignore::launch_sdk.tracking.notices.LaunchWarning")
@given(_TREES, _EDITS)
def test_the_last_layer_of_each_leaf_gave_its_value_whatever_the_order_of_edits(files: Any, edits: list[Any]) -> None:
    config = Config()
    add_layer(config, files, FILES[0])
    for edit in edits:
        _apply(config, edit)
    said = provenance(config)
    assert {split_path(path): layers[-1]["value"] for path, layers in said.items()} == _leaves(config)
    for path, layers in said.items():
        names = [ORDER.index(layer["layer"]) for layer in layers]
        assert names == sorted(set(names))
        assert config.explain(path).layers == [(layer["layer"], layer["value"]) for layer in layers]


@pytest.mark.filterwarnings("ignore::launch_sdk.tracking.notices.LaunchWarning")
@given(_EDITS, _TREES, _TREES, _EDITS)
def test_locked_leaves_never_change(before: list[Any], sweep: Any, launched: Any, after: list[Any]) -> None:
    config = Config()
    for edit in before:
        if edit[0] not in ("sweep", "launch"):
            _apply(config, edit)
    override(config, launched, "launch")
    override(config, sweep, "sweep")
    expected: dict[str, Any] = {}
    merge(expected, sweep)
    merge(expected, launched)
    leaves = {path: value for path, value in _leaves(expected).items() if value != {}}
    for edit in [*before, *after]:
        if edit[0] not in ("sweep", "launch"):
            _apply(config, edit)
        assert {path: _at(config, path) for path in leaves} == leaves


@pytest.mark.filterwarnings("ignore::launch_sdk.tracking.notices.LaunchWarning")
@given(_TREES, _EDITS)
def test_what_the_listener_hears_of_any_edit_adds_up_to_the_config(start: Any, edits: list[Any]) -> None:
    config = Config(start)
    rebuilt: dict[str, Any] = deepcopy(start)
    listen(config, lambda changed, removed: config_update(rebuilt, {"config": changed, "removed": removed}))
    for edit in edits:
        _apply(config, edit)
    assert rebuilt == config


@given(st.lists(_TREES, min_size=4, max_size=4))
def test_each_layer_is_merged_deeply_over_those_below_and_hides_what_they_said(values: list[Any]) -> None:
    config = Config()
    given_before = deepcopy(values)
    for layer, said in zip([*FILES, "init"], values, strict=False):
        add_layer(config, said, layer)
    override(config, values[3], "launch")
    assert values == given_before
    merged: dict[str, Any] = {}
    for said in values[:3]:
        merge(merged, said)
    for path, value in _leaves(values[3]).items():
        if value != {}:
            _put(merged, path, value)
    assert config == merged
    layers = dict(zip([*FILES, "init", "launch"], values, strict=True))
    for path, found in provenance(config).items():
        for layer in found[:-1]:
            assert layer["value"] == _at(layers[layer["layer"]], split_path(path))


def _put(into: Any, path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(into.get(key), dict):
            into[key] = {}
        into = into[key]
    into[path[-1]] = value


@given(_SHAPED, _SHAPED, _SHAPED)
def test_merging_is_associative_where_a_key_is_a_group_or_a_value_in_all(a: Any, b: Any, c: Any) -> None:
    def merged(*layers: Any) -> Any:
        into: dict[str, Any] = {}
        for layer in layers:
            merge(into, layer)
        return into

    before = deepcopy((a, b, c))
    assert merged(a, merged(b, c)) == merged(merged(a, b), c) == merged(a, b, c)
    assert (a, b, c) == before


@given(_TREES, _TREES)
def test_the_right_side_of_a_merge_wins_and_the_left_one_keeps_the_rest(a: Any, b: Any) -> None:
    merged: dict[str, Any] = {}
    for layer in (a, b):
        merge(merged, layer)
    for path, value in _leaves(b).items():
        if value != {}:
            assert _at(merged, path) == value
    for key in a.keys() - b.keys():
        assert merged[key] == a[key]


@given(st.lists(st.text(alphabet="ab.\\", max_size=4), min_size=1, max_size=4))
def test_a_path_written_as_text_is_read_again(keys: list[str]) -> None:
    assert split_path(join_path(keys)) == tuple(keys)


def test_a_backslash_before_a_plain_letter_stands_for_itself() -> None:
    assert split_path(r"a\b.c\.d") == (r"a\b", "c.d")


def _explained() -> Config:
    config = Config()
    add_layer(config, {"epochs": 10, "model": {"layers": 2, "width": 8}}, "config-defaults.yaml")
    add_layer(config, {"epochs": 100, "net.lr": 0.1})
    override(config, {"epochs": 3, "model": {"layers": 9}}, "sweep")
    return config


def test_explain_says_the_layer_of_a_value_and_what_it_hides_layer_by_layer() -> None:
    config = _explained()
    with pytest.warns(LaunchWarning, match="the sweep set it to 3"):
        config.epochs = 50
    epochs = config.explain("epochs")
    assert (epochs.value, epochs.layer) == (3, "sweep")
    assert epochs.layers == [("config-defaults.yaml", 10), ("init", 100), ("script", 50), ("sweep", 3)]
    assert epochs.hidden == [("script", 50), ("init", 100), ("config-defaults.yaml", 10)]
    assert str(epochs).splitlines() == [
        "epochs = 3, from sweep",
        "  hides 50, from script",
        "  hides 100, from init",
        "  hides 10, from config-defaults.yaml",
    ]


def test_explain_of_a_group_explains_each_of_its_values() -> None:
    config = _explained()
    model = config.explain("model")
    assert model.value == {"layers": 9, "width": 8}
    assert model.layer == "sweep"
    assert [leaf.path for leaf in model.leaves] == ["model.layers", "model.width"]
    assert repr(model).splitlines() == [
        "model.layers = 9, from sweep",
        "  hides 2, from config-defaults.yaml",
        "model.width = 8, from config-defaults.yaml",
    ]
    model.layers[0][1].clear()
    assert config.explain("model.layers").layers == [("config-defaults.yaml", 2), ("sweep", 9)]


def test_explain_goes_from_any_node_and_reads_escaped_dots() -> None:
    config = _explained()
    assert config.model.explain("layers").path == "model.layers"
    assert config.explain(r"net\.lr").value == 0.1
    with pytest.raises(KeyError, match=r"the config has no 'model\.height'; it has layers, width"):
        config.model.explain("height")


def test_what_a_script_assigns_hides_what_init_gave_and_init_what_was_assigned_before_it() -> None:
    launch.config.epochs = 4
    with launch.init(config={"epochs": 5, "lr": 0.1}) as run:
        assert run.config.explain("epochs").layers == [("init", 5)]
        run.config.lr = 0.2
        assert run.config.explain("lr").layers == [("init", 0.1), ("script", 0.2)]


def test_a_run_writes_where_its_values_come_from_at_its_start_and_at_its_end(tmp_path: Path) -> None:
    Path("config-defaults.yaml").write_text("lr: 0.5\nnet.work: {value: {a.b: [1]}}\n")
    with launch.init(config={"lr": 0.1}) as run:
        document = json.loads((Path(run.dir) / PROVENANCE).read_text())
        assert document["version"] == 1
        assert document["values"] == {
            "lr": [{"layer": "config-defaults.yaml", "value": 0.5}, {"layer": "init", "value": 0.1}],
            r"net\.work.a\.b": [{"layer": "config-defaults.yaml", "value": [1]}],
        }
        run.config.lr = 0.2
    assert read_provenance(run.dir)["lr"] == [("config-defaults.yaml", 0.5), ("init", 0.1), ("script", 0.2)]
    assert read_provenance(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"values": 3}', '{"values": {"a": 3, "b": [], "c": [1]}}'])
def test_a_provenance_of_another_shape_is_read_as_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / PROVENANCE).write_text(text)
    assert read_provenance(tmp_path) == {}


def test_a_sweep_beats_the_script_and_a_launch_beats_the_sweep_in_either_order() -> None:
    for layers in (("sweep", "launch"), ("launch", "sweep")):
        config = Config()
        add_layer(config, {"n": {"a": 9, "q": 0}, "epochs": 100})
        for layer in layers:
            override(config, {"epochs": {"sweep": 50, "launch": 3}[layer], "n": {"b": 77}}, layer)
        assert config == {"n": {"a": 9, "q": 0, "b": 77}, "epochs": 3}
        assert config.explain("epochs").layers == [("init", 100), ("sweep", 50), ("launch", 3)]


def test_init_is_merged_deeply_over_the_files_and_lists_are_replaced() -> None:
    config = Config()
    add_layer(config, {"n": {"a": 1, "b": 2}, "sizes": [1, 2, 3]}, "config-defaults.yaml")
    add_layer(config, {"n": {"a": 9}, "sizes": [4]})
    assert config == {"n": {"a": 9, "b": 2}, "sizes": [4]}


def test_the_message_of_a_locked_value_names_the_layer_that_locked_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    write_overrides(tmp_path, {"lr": 0.5}, layer="sweep")
    run = launch.init(config={"lr": 0.1})
    with pytest.warns(LaunchWarning, match=re.escape("config 'lr' is locked: the sweep set it to 0.5")):
        run.config.update({"lr": 0.2}, allow_val_change=True)
    assert run.config.explain("lr").layers == [("init", 0.1), ("script", 0.2), ("sweep", 0.5)]


def test_a_locked_list_that_was_changed_in_place_is_put_back_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    write_overrides(tmp_path, {"model": {"sizes": [1, [2]]}})
    run = launch.init(config={"model": {"sizes": [5]}})
    run.config.model.sizes[1].append(3)
    with pytest.warns(LaunchWarning, match=r"config 'model\.sizes' is locked: the launch set it to \[1, \[2\]\]"):
        run.finish()
    assert run.config == {"model": {"sizes": [1, [2]]}}
    assert read_provenance(tmp_path) == {"model.sizes": [("init", [5]), ("launch", [1, [2]])]}


def test_overrides_of_a_layer_of_another_name_count_as_a_launchs() -> None:
    config = Config(lr=1)
    override(config, {"lr": 2}, "scheduler")
    assert config.explain("lr").layers == [("script", 1), ("launch", 2)]


def test_without_a_run_directory_of_a_supervisor_nothing_is_overridden(tmp_path: Path) -> None:
    write_overrides(tmp_path, {"lr": 0.5})
    with launch.init(config={"lr": 0.1}) as run:
        assert run.config.lr == 0.1
