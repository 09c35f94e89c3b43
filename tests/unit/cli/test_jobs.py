"""What `launch job describe` says that a job takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.cli.jobs import print_inputs
from launch_sdk.specs.inputs import infer_inputs
from launch_sdk.specs.job import Job
from launch_sdk.specs.run_spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (None, "It takes any value: its program declared no inputs and recorded no run config of its own."),
        ({"config": None, "files": {}}, "It takes no values."),
    ],
)
def test_a_job_that_takes_any_value_is_not_said_to_take_none(
    declared: Mapping[str, Any] | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = infer_inputs(declared, {}).to_dict()
    print_inputs(Job("plain", "default", RunSpec("sha256:0", inputs=inputs)))
    assert said in "".join(capsys.readouterr())
