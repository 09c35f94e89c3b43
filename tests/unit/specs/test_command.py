"""W&B's macros of a sweep's command."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.specs.command import command_faults, expand_variables, render_command

# The vector of W&B's own documentation of `command`.
PARAMETERS: dict[str, Any] = {"a": True, "b": False, "c": 1, "d": None}


@pytest.mark.parametrize(
    ("macro", "words"),
    [
        ("${args}", ["--a=True", "--b=False", "--c=1", "--d=None"]),
        ("${args_no_equals}", ["--a", "True", "--b", "False", "--c", "1", "--d", "None"]),
        ("${args_no_hyphens}", ["a=True", "b=False", "c=1", "d=None"]),
        ("${args_no_boolean_flags}", ["--a", "--c=1", "--d=None"]),
        ("${args_json}", ['{"a": true, "b": false, "c": 1, "d": null}']),
        ("${args_append_hydra}", ["+a=True", "+b=False", "+c=1", "+d=None"]),
        ("${args_override_hydra}", ["++a=True", "++b=False", "++c=1", "++d=None"]),
    ],
)
def test_each_macro_gives_what_wandb_gives(macro: str, words: list[str]) -> None:
    assert render_command(["x", macro], "train.py", PARAMETERS) == ["x", *words]


def test_the_default_command_starts_the_program_with_arguments() -> None:
    assert render_command(None, "train.py", {"lr": 0.1, "s": "a b"}) == ["python", "train.py", "--lr=0.1", "--s=a b"]


def test_parameters_may_stand_inside_a_word() -> None:
    words = ["run-${lr}-${opt.name}", "${missing}", "$${lr}", "${opt.missing}", "${lr.x}"]
    rendered = render_command(words, "t.py", {"lr": 0.1, "opt": {"name": "adam"}})
    assert rendered == ["run-0.1-adam", "${missing}", "$0.1", "${opt.missing}", "${lr.x}"]


def test_booleans_none_and_nested_values_are_the_same_text_inside_a_word_as_in_arguments() -> None:
    parameters = {**PARAMETERS, "m": {"k": [1, None]}}
    words = render_command(["x", *(f"--{name}=${{{name}}}" for name in parameters)], "t.py", parameters)
    assert words == ["x", "--a=True", "--b=False", "--c=1", "--d=None", "--m={'k': [1, None]}"]
    assert render_command(["${args_json}"], "t.py", parameters)[0].endswith('"d": null, "m": {"k": [1, null]}}')


def test_a_value_with_a_macro_in_it_is_not_read_again() -> None:
    assert render_command(["${a}"], "t.py", {"a": "${b}", "b": 1}) == ["${b}"]


def test_nested_values_are_written_as_python_text() -> None:
    assert render_command(["x", "${args}"], "t.py", {"m": {"k": 1}}) == ["x", "--m={'k': 1}"]


def test_variables_of_the_submitter_are_expanded_and_unset_ones_become_their_name() -> None:
    words = ["${envvar:DATA}/x", "${envvar:UNSET_1}", "${envvar:lower}"]
    assert expand_variables(words, {"DATA": "/data"}) == ["/data/x", "UNSET_1", "${envvar:lower}"]
    assert words[0] == "${envvar:DATA}/x"


@pytest.mark.parametrize("command", [[], ["${env}"], ["${args}"], ["${env}", "${args_json}"], ["${args_json_file}"]])
def test_a_command_that_starts_nothing_is_a_fault(command: list[str]) -> None:
    assert "starts nothing" in command_faults(command)[0]


def test_an_unknown_macro_of_arguments_is_a_fault() -> None:
    assert "'${args_jsn}' is not a macro" in command_faults(["x", "${args_jsn}", "${program}"])[0]
    assert not command_faults(["x", "${args}", "${lr}"])


def test_the_macro_of_a_json_file_is_left_to_what_starts_the_run() -> None:
    command = ["${interpreter}", "${program}", "${args_json_file}"]
    assert not command_faults(command)
    assert render_command(command, "train.py", PARAMETERS) == ["python", "train.py", "${args_json_file}"]


def test_several_macros_of_arguments_are_each_written_out_and_values_that_are_false_are_kept() -> None:
    words = render_command(["${env}", "x", "${args_no_hyphens}", "--", "${args_json}"], "t.py", {"b": 0, "s": ""})
    assert words == ["x", "b=0", "s=", "--", '{"b": 0, "s": ""}']
