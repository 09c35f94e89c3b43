"""What a sweep over a job gives to its program as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.job_making import check_command, job_arguments
from launch_sdk.specs.document import parse_document
from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.specs.job import Job
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.sweep_spec import parse_sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

BARE = "{method: grid, job: plain, parameters: {lr: {values: [0.1, 0.9]}}"


def _job(recorded: Mapping[str, Any] | None, *entry_point: str) -> Job:
    inputs = None if recorded is None else infer_inputs(None, recorded).to_dict()
    words = entry_point or ("python", "plain.py")
    return Job("plain", "default", RunSpec("sha256:0", words, ("--own",), inputs=inputs))


@pytest.mark.parametrize(
    ("recorded", "more", "words"),
    [
        ({}, "", ("--own", "--lr=0.1")),
        ({}, ", launch: {overrides: {args: [-v]}}", ("--lr=0.1", "-v")),
        ({"lr": 0.5}, "", ("--own",)),
        (None, "", ("--own",)),
        ({"lr": 0.5}, ", command: ['${interpreter}', '${program}', '${args_no_hyphens}']", ("--own", "lr=0.1")),
        ({"lr": 0.5}, ", command: ['${env}', python, plain.py, '--rate=${lr}']", ("--own", "--rate=0.1")),
        ({}, ", command: ['${program}']", ("--own",)),
        ({"lr": 0.5}, ", command: ['${env}', '${args}']", ("--own", "--lr=0.1")),
    ],
)
def test_parameters_are_arguments_where_the_program_had_no_config_or_the_command_says_so(
    recorded: Mapping[str, Any] | None, more: str, words: tuple[str, ...]
) -> None:
    sweep = parse_sweep(parse_document(f"{BARE}{more}}}"))
    assert job_arguments(_job(recorded), sweep, {"lr": 0.1}) == words


def test_the_program_that_an_image_starts_by_itself_gets_parameters_too() -> None:
    bare = parse_sweep(parse_document(f"{BARE}}}"))
    given = parse_sweep(parse_document(f"{BARE}, command: ['${{program}}', '${{args_no_hyphens}}']}}"))
    own = Job("plain", "default", RunSpec("image:a/b:1", (), inputs=infer_inputs(None, {}).to_dict()))
    assert job_arguments(own, bare, {"lr": 0.1}) == ("--lr=0.1",)
    assert job_arguments(own, given, {"lr": 0.1}) == ("lr=0.1",)


def test_a_command_that_starts_another_program_than_the_job_is_refused_at_its_line() -> None:
    document = parse_document(f"{BARE},\n command: [python, other.py, '${{args}}']}}")
    with pytest.raises(InvalidSpecError, match=r"job 'plain' starts python plain\.py") as refused:
        check_command(_job({}), parse_sweep(document), document)
    assert "line 2" in str(refused.value)
    check_command(_job({}, "other.py"), parse_sweep(document), document)
