"""RunSpec: the round trip through its plain form, and every fault of a bad one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.run_spec import RunSpec, split_entry_point
from launch_sdk.specs.run_state import RunState

WORDS = st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), max_size=4)


@given(entry=WORDS, args=WORDS, config=st.dictionaries(st.text(max_size=4), st.integers(), max_size=3))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_the_plain_form_is_read_back(entry: list[str], args: list[str], config: dict[str, int]) -> None:
    spec = RunSpec("here", ("main.py", *entry), tuple(args), config, name="n", project="p")
    assert RunSpec.from_dict(spec.to_dict()) == spec


def test_null_in_place_of_values_is_no_values() -> None:
    nothing: Any = None
    spec = RunSpec("here", config=nothing, files=nothing)
    assert spec == RunSpec("here")
    assert spec.to_parameters()["config"] == {}
    assert RunSpec.from_dict({"source": "here", "config": None, "files": None}) == spec


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"source": ""}, "source: must name a directory"),
        ({"source": 3}, "source: must name a directory"),
        ({"source": "a\0"}, "source: holds a NUL character"),
        ({"entry_point": []}, "entry_point: must name the program"),
        ({"entry_point": [""]}, "entry_point: must name the program"),
        ({"entry_point": "  "}, "entry_point: must name the program"),
        ({"entry_point": ["../x.py"]}, "'../x.py' leads out of the source"),
        ({"entry_point": ["a\0"]}, "entry_point: word 0 holds a NUL character"),
        ({"entry_point": "a b\0"}, "entry_point: word 1 holds a NUL character"),
        ({"args": 3}, "args: must be a list of words"),
        ({"args": [3]}, "args: must be a list of words"),
        ({"config": [1]}, "config: must be a mapping, not list"),
        ({"environment": "moon"}, "'moon' is unknown; known are current"),
        ({"environment": "../requirements.txt"}, "leads out of the source"),
        ({"environment": "/etc/requirements.txt"}, "leads out of the source"),
        ({"environment": "-r.txt"}, "leads out of the source"),
        ({"environment": 3}, "3 is unknown"),
        ({"lock": []}, "must be what a run recorded of its environment"),
        ({"name": 3}, "name: must be text"),
        ({"name": "a\0b"}, "name: holds a NUL character"),
        ({"project": ["a"]}, "project: must be text"),
        ({"entrypoint": "x"}, "entrypoint: unknown; known are"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        RunSpec.from_dict({"source": "here", **change})
    assert [fault for fault in caught.value.faults if expected in str(fault)], str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        RunSpec.from_dict({"args": 3, "config": 3, "environment": "x", "name": 3})
    assert {fault.path for fault in caught.value.faults} == {"source", "args", "config", "environment", "name"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("train.py", ("train.py",)), ("python -m 'my pkg' --x='a b'", ("python", "-m", "my pkg", "--x=a b"))],
)
def test_an_entry_point_is_split_as_on_a_command_line(text: str, words: tuple[str, ...]) -> None:
    assert split_entry_point(text) == words


@pytest.mark.parametrize("text", ["", "   ", "python 'x"])
def test_an_entry_point_that_cannot_be_split_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpecError):
        split_entry_point(text)


def test_states_with_a_result_are_terminal() -> None:
    assert {state for state in RunState if not state.is_terminal} == {
        *(RunState.QUEUED, RunState.STARTING, RunState.RUNNING, RunState.STOPPING, RunState.PAUSED)
    }
    assert all(state.is_terminal for state in RunState if state.has_result)


def test_the_names_of_states_are_those_of_the_public_json() -> None:
    assert [state.value for state in RunState] == [
        *("queued", "starting", "running", "stopping", "finished", "stopped", "cancelled", "failed", "lost"),
        "paused",
    ]
