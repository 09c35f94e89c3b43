"""What a queue gives its programs is settled in the run's process."""

from __future__ import annotations

import pytest

from launch_sdk.errors import NotFoundError
from launch_sdk.runs.queue_environment import settle_environment
from launch_sdk.specs.queue_config import EXPANDED, NEEDED

MACROS = {"run_id": "r-1", "run_name": "first", "project_name": "", "queue_name": "gpu"}


def test_macros_are_expanded_where_the_owner_wrote_them_and_nowhere_else() -> None:
    environment = {
        "SCRATCH": "/scratch/${run_id}/${project_name}x",
        "LEAK": "${SECRET} ${run_name}",
        "OWN": "${run_id}",
        "SECRET": "hush",
        EXPANDED: "SCRATCH,LEAK,GONE",
    }
    settle_environment(environment, MACROS)
    assert environment == {
        "SCRATCH": "/scratch/r-1/x",
        "LEAK": "${SECRET} first",
        "OWN": "${run_id}",
        "SECRET": "hush",
    }


def test_what_the_agent_must_have_and_has_not_is_named() -> None:
    environment = {"B": "x", NEEDED: "A,B,C"}
    with pytest.raises(NotFoundError, match="Queue 'gpu' takes A, C from its agents"):
        settle_environment(environment, MACROS)
