"""Config files: their two forms, where they are found, and what is said of one that cannot be read."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import launch_sdk as launch
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.config_files import (
    ConfigFileError,
    ConfigFileMissingError,
    read_config_file,
    read_layers,
)
from launch_sdk.tracking.notices import LaunchWarning

if TYPE_CHECKING:
    from conftest import Script


THREE_FAULTS = (
    r"wandb_version is 2; this reads version 1 only\n.*a\.yaml: the key 1 must be text; put it in quotes\n"
    r".*'lr' has a 'desc' and no 'value' beside it"
)


def _write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def test_entries_of_both_forms_stand_side_by_side() -> None:
    text = """
wandb_version: 1
_wandb: {value: {cli_version: 0.16.0}}
epochs: {desc: Number of epochs to train over, value: 100}
batch_size:
  desc: null
  value: 32
lr: 1e-3
model: {layers: 2, value: 3, note: no entry of the long form}
empty: {value: null}
"""
    assert read_config_file(_write("config-defaults.yaml", text)) == {
        "epochs": 100,
        "batch_size": 32,
        "lr": 0.001,
        "model": {"layers": 2, "value": 3, "note": "no entry of the long form"},
        "empty": None,
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conf.json", '{"lr": 0.1, "model": {"layers": 2}}'),
        ("conf.toml", "lr = 0.1\n[model]\nlayers = 2\n"),
        ("conf.yml", "lr: 0.1\nmodel: {layers: 2}\n"),
        ("conf", "\ufefflr: 0.1\nmodel: {layers: 2}\n"),
    ],
)
def test_yaml_json_and_toml_are_told_apart_by_their_names(name: str, text: str) -> None:
    assert read_config_file(_write(name, text)) == {"lr": 0.1, "model": {"layers": 2}}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "lr: 1\nepochs: [1,\nb: 2\n", r"a\.yaml, line 4, is not valid YAML: .*expected ',' or '\]'"),
        ("a.yaml", "lr: 1\nlr: 2\n", r"config file a\.yaml, line 2, is not valid YAML: 'lr' is given twice"),
        ("a.yaml", "day: 2020-99-99\n", r"line 1, is not valid YAML: month must .*; put the value in quotes"),
        ("a.yaml", "a: \x00\n", r"config file a\.yaml is not valid YAML: .*not allowed"),
        ("a.json", '{"lr": 1,\n "b" 2}', r"config file a\.json is not valid JSON: .*line 2 column 6"),
        ("a.toml", "lr = \n", r"config file a\.toml is not valid TOML: .*line 1"),
        ("a.yaml", "[1, 2]", r"config file a\.yaml must hold 'key: value' entries, not a list"),
        ("a.yaml", "wandb_version: 2\n1: x\nlr: {desc: rate}\n", THREE_FAULTS),
        ("a.yaml", "a: &x [*x]\n", r"'a' is nested more than 100 deep, or in itself"),
        ("a.json", "[" * 100_000, "config file a.json is nested too deeply"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_all_its_faults(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigFileError, match=message) as caught:
        read_config_file(_write(name, text))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_file_that_is_not_there_is_a_missing_file() -> None:
    for use in (read_config_file, launch.init, launch.config.update):
        with pytest.raises(
            FileNotFoundError, match=r"config file conf\.yaml does not exist \(the working directory is /"
        ):
            use("conf.yaml")
    with pytest.raises(ValueError, match=r"config file \. cannot be read: Is a directory"):
        read_config_file(".")


def test_a_file_that_is_no_text_is_refused() -> None:
    Path("a.yaml").write_bytes(b"lr: \xff\n")
    with pytest.raises(ConfigFileError, match="is not UTF-8 text: byte 4"):
        read_config_file("a.yaml")


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_is_warned_of(text: str) -> None:
    _write("config-defaults.yaml", text)
    with pytest.warns(LaunchWarning, match=r"config file config-defaults\.yaml is empty"):
        run = launch.init(config={"lr": 0.1})
    assert run.config == {"lr": 0.1}


def test_files_are_merged_deeply_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    _write("config-defaults.yaml", "n: {a: 1, b: 2, c: 3, d: 4}\n")
    _write("one.yaml", "n: {value: {b: 20, c: 30, d: 40}}\n")
    _write("two.json", '{"n": {"c": 300, "d": 400}}')
    _write("three.toml", "n = {d = 4000}\n")
    monkeypatch.setenv("LAUNCH_CONFIG_PATHS", "one.yaml")
    monkeypatch.setattr(sys, "argv", ["train.py", "--lr", "1", "--configs", "two.json, three.toml"])
    run = launch.init(config={"n": {"e": 5}})
    assert run.config == {"n": {"a": 1, "b": 20, "c": 300, "d": 4000, "e": 5}}
    assert [layer for layer, _ in run.config.explain("n.d").layers] == [
        "config-defaults.yaml",
        "one.yaml",
        "two.json",
        "three.toml",
    ]


def test_configs_may_stand_anywhere_and_several_times_and_are_left_on_the_command_line() -> None:
    for name in ("a", "b", "c"):
        _write(f"{name}.yaml", f"{name}: 1\n")
    argv = ["train.py", "--configs=a.yaml", "x", "--configs", "b.yaml", "--", "--configs", "c.yaml"]
    assert read_layers({}, argv) == [("a.yaml", {"a": 1}), ("b.yaml", {"b": 1})]
    assert len(argv) == 8


def test_a_file_that_is_named_twice_counts_where_it_is_named_last() -> None:
    _write("a.yaml", "lr: 1\n")
    _write("b.yaml", "lr: 2\n")
    assert [name for name, _ in read_layers({"LAUNCH_CONFIG_PATHS": "a.yaml,b.yaml,a.yaml"}, [])] == [
        "b.yaml",
        "a.yaml",
    ]


def test_a_file_that_is_called_like_a_layer_is_not_taken_for_it() -> None:
    assert read_layers({"LAUNCH_CONFIG_PATHS": _write("script", "lr: 1\n")}, []) == [("./script", {"lr": 1})]


def test_an_option_configs_of_the_scripts_own_is_left_to_it() -> None:
    with pytest.warns(LaunchWarning, match="--configs atari,large names no .* files; it is left to the script"):
        assert read_layers({}, ["train.py", "--configs", "atari,large"]) == []
    assert read_layers({}, ["train.py", "--configs"]) == []
    for words in (["--configs", ""], ["--configs="], ["--configs", " , "]):
        with pytest.warns(LaunchWarning, match="--configs '.*' names no config file; none is read for it"):
            assert read_layers({}, ["train.py", *words]) == []
    assert read_layers({}, ["train.py", "--configs-dir", "x"]) == []


def test_all_faults_of_all_files_are_named_at_once() -> None:
    _write("a.yaml", "- 1\n")
    with pytest.raises(ConfigFileError, match=r"(?s)config file a\.yaml must.*config file b\.yaml does not exist"):
        read_layers({"LAUNCH_CONFIG_PATHS": "a.yaml"}, ["train.py", "--configs=b.yaml"])
    with pytest.raises(ConfigFileMissingError, match=r"(?s)b\.yaml does not exist.*c\.yaml does not exist"):
        read_layers({}, ["train.py", "--configs=b.yaml,c.yaml"])


def test_a_broken_defaults_file_can_be_mended_and_init_called_again() -> None:
    _write("config-defaults.yaml", "lr: [\n")
    with pytest.raises(ConfigFileError, match="not valid YAML"):
        launch.init()
    _write("config-defaults.yaml", "lr: 1\n")
    assert launch.init().config == {"lr": 1}


def test_a_file_name_serves_init_update_and_setdefaults() -> None:
    _write("special.yaml", "lr: 0.1\n")
    assert Config("special.yaml") == {"lr": 0.1}
    run = launch.init(config=Path("special.yaml"))
    assert run.config == {"lr": 0.1}
    assert run.config.explain("lr").layer == "init"
    run.config.setdefaults(_write("more.yaml", "lr: 1\nepochs: 2\n"))
    assert run.config == {"lr": 0.1, "epochs": 2}


def test_a_defaults_file_and_init_of_a_file_go_together() -> None:
    _write("config-defaults.yaml", "lr: 1\nepochs: 2\n")
    assert launch.init(config=_write("mine.yaml", "lr: {value: 5}\n")).config == {"lr": 5, "epochs": 2}


def test_without_config_files_none_is_opened_and_one_look_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    real = os.path.lexists

    def look(path: Any) -> bool:
        looked.append(str(path))
        return real(path)

    monkeypatch.setattr(os.path, "lexists", look)
    launch.init()
    assert looked == ["config-defaults.yaml"]


def test_without_pyyaml_only_a_yaml_file_is_an_error_and_it_says_what_to_do(script: Script) -> None:
    code = """
    import sys
    sys.modules["yaml"] = None
    import launch_sdk as launch
    launch.init(config="conf.json")
    assert launch.config.lr == 0.1
    try:
        launch.config.update("conf.yaml")
    except ValueError as error:
        print(error)
    """
    (script.directory / "conf.json").write_text('{"lr": 0.1}')
    (script.directory / "conf.yaml").write_text("lr: 0.1")
    result = script.run(code)
    assert result.stderr == ""
    assert "config file conf.yaml is YAML, and PyYAML is not installed: pip install pyyaml, or write" in result.stdout


def test_a_script_with_argparse_reads_the_config_files_and_its_own_options(script: Script) -> None:
    code = """
    import argparse
    import launch_sdk as launch
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    options, _ = parser.parse_known_args()
    launch.init(config=options)
    """
    (script.directory / "big.yaml").write_text("width: 512\nlr: 9\n")
    (script.directory / "train.py").write_text("")
    result = script.run(f"import sys; sys.argv += ['--configs', 'big.yaml', '--lr', '0.5']\n{_dedented(code)}")
    assert result.stderr == ""
    assert script.snapshot().config == {"width": 512, "lr": 0.5}


def _dedented(code: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in code.splitlines())


def test_reading_a_good_file_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_config_file(_write("a.yaml", "a: &x {b: 1}\nc: {<<: *x, b: 2}\n")) == {"a": {"b": 1}, "c": {"b": 2}}


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


def test_a_file_whose_aliases_stand_for_more_than_fits_is_refused_at_once() -> None:
    with pytest.raises(ConfigFileError, match="more than 100000 values, its aliases written out"):
        read_config_file(_write("bomb.yaml", BOMB))
