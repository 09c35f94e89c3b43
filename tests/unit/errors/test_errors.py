"""The error tree: each leaf is the natural builtin too, and a long list of faults stays readable."""

from __future__ import annotations

import pytest

from launch_sdk.errors import (
    SHOWN_FAULTS,
    BackendUnavailableError,
    ConflictError,
    Fault,
    InvalidSpecError,
    LaunchError,
    NotFoundError,
    RunFailedError,
)


@pytest.mark.parametrize(
    ("leaf", "builtin"),
    [
        (NotFoundError, LookupError),
        (ConflictError, RuntimeError),
        (BackendUnavailableError, ConnectionError),
        (RunFailedError, RuntimeError),
        (InvalidSpecError, ValueError),
    ],
)
def test_each_leaf_is_a_launch_error_and_its_builtin(leaf: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(leaf, LaunchError)
    assert issubclass(leaf, builtin)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("a.b", "is wrong", 3), "line 3: a.b: is wrong"),
        (Fault("a.b", "is wrong"), "a.b: is wrong"),
        (Fault("", "is empty", 1), "line 1: is empty"),
        (Fault("", "is empty"), "is empty"),
    ],
)
def test_a_fault_says_where_it_is_as_far_as_that_is_known(fault: Fault, text: str) -> None:
    assert str(fault) == text


def test_one_fault_is_not_called_faults() -> None:
    assert str(InvalidSpecError("sweep.yaml", [Fault("x", "bad")])) == "sweep.yaml has 1 fault:\n  x: bad"


def test_a_long_list_is_kept_whole_and_shown_in_part() -> None:
    error = InvalidSpecError("sweep.yaml", (Fault(f"key{i}", "bad") for i in range(SHOWN_FAULTS + 7)))
    assert len(error.faults) == SHOWN_FAULTS + 7
    assert str(error).count("\n  key") == SHOWN_FAULTS
    assert str(error).endswith("and 7 more")


def test_faults_are_told_in_the_order_of_the_file() -> None:
    faults = [Fault("c", "third", 9), Fault("a", "first"), Fault("d", "third too", 9), Fault("b", "second", 2)]
    assert [fault.path for fault in InvalidSpecError("x", faults).faults] == ["a", "b", "c", "d"]
