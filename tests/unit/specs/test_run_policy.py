"""When a run starts again, and what it may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import parse_document
from launch_sdk.specs.launch_config import LaunchConfig
from launch_sdk.specs.launch_config_file import parse_launch_config
from launch_sdk.specs.resources import parse_resources, resource_faults
from launch_sdk.specs.run_policy import MAX_LOSSES, MAX_PREEMPTIONS, Ending, RunPolicy, policy_faults
from launch_sdk.specs.run_spec import RunSpec


def test_a_run_starts_again_after_a_failure_as_often_as_it_says() -> None:
    policy = RunPolicy(retries=2, retry_delay_s=7.0)
    assert policy.delay_s(Ending.FAILED, 1, []) == 7.0
    assert policy.delay_s(Ending.FAILED, None, [Ending.FAILED]) == 7.0
    assert policy.delay_s(Ending.FAILED, 1, [Ending.FAILED] * 2) is None
    assert policy.delay_s(Ending.FAILED, 1, [Ending.LOST, Ending.PREEMPTED] * 3) == 7.0
    assert RunPolicy().delay_s(Ending.FAILED, 1, []) is None


def test_only_the_exit_codes_that_are_named_count() -> None:
    policy = RunPolicy(retries=1, retry_on=(3, -9))
    assert [policy.delay_s(Ending.FAILED, code, []) for code in (3, -9, 1, None)] == [0.0, 0.0, None, None]


def test_a_preempted_run_starts_again_five_times_and_a_lost_one_too_unless_its_policy_says_fail() -> None:
    for ending, limit in ((Ending.PREEMPTED, MAX_PREEMPTIONS), (Ending.LOST, MAX_LOSSES)):
        assert RunPolicy().delay_s(ending, None, [ending] * (limit - 1)) == 0.0
        assert RunPolicy().delay_s(ending, None, [ending] * limit) is None
    assert RunPolicy(on_agent_loss="fail").delay_s(Ending.LOST, None, []) is None
    assert RunPolicy(on_agent_loss="fail").delay_s(Ending.PREEMPTED, None, []) == 0.0


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        ({}, []),
        ({"retries": 3, "retry_delay_s": 0, "retry_on": [1, -9], "on_agent_loss": "fail"}, []),
        ({"run_timeout_s": None}, []),
        ("twice", [""]),
        ({"retry": 1, "retries": -1, "retry_delay_s": float("nan")}, ["retry", "retries", "retry_delay_s"]),
        ({"retries": True, "retry_on": [0], "run_timeout_s": 0}, ["retries", "retry_on", "run_timeout_s"]),
        (
            {"retry_on": "1,2", "start_timeout_s": "5", "on_agent_loss": "x"},
            ["retry_on", "start_timeout_s", "on_agent_loss"],
        ),
    ],
)
def test_every_fault_of_a_policy_is_told(values: Any, paths: list[str]) -> None:
    assert sorted(fault.path for fault in policy_faults(values)) == sorted(paths)


def test_what_a_run_asks_for_is_counts_of_known_kinds() -> None:
    assert parse_resources("gpu=2, cpu=8", "--slots") == {"gpu": 2, "cpu": 8}
    with pytest.raises(InvalidSpecError) as error:
        parse_resources("gpu=-1,tpu=1,cpu,gpu=2", "--slots")
    assert [fault.path for fault in error.value.faults] == ["cpu", "gpu", "gpu", "tpu"]
    assert [fault.path for fault in resource_faults({"gpu": 1.5, "cpu": True})] == ["gpu", "cpu"]


def test_a_spec_carries_policy_and_resources_and_refuses_what_is_wrong_in_them() -> None:
    spec = RunSpec.from_dict({"source": "x", "policy": {"retries": 2}, "resources": {"gpu": 1}})
    assert RunSpec.from_dict(spec.to_parameters()) == spec
    with pytest.raises(InvalidSpecError) as error:
        RunSpec.from_dict({"source": "x", "policy": {"retries": "2"}, "resources": {"disk": 1}})
    assert [fault.path for fault in error.value.faults] == ["policy.retries", "resources.disk"]


def test_a_launch_config_says_policy_and_resources_and_a_command_line_wins_key_by_key() -> None:
    text = "{uri: ., policy: {retries: 2, run_timeout_s: 60}, resource_args: {gpu: 1}}"
    config = parse_launch_config(parse_document(text, name="x"))
    over = LaunchConfig(policy={"retries": 0}, resources={"cpu": 2}).over(config)
    assert over.spec_of("x").policy == {"retries": 0, "run_timeout_s": 60}
    assert over.spec_of("x").resources == {"gpu": 1, "cpu": 2}
    with pytest.raises(InvalidSpecError, match=r"policy\.retries: must be a whole number") as error:
        parse_launch_config(parse_document("{uri: ., policy: {retries: x}, resource_args: {kubernetes: {}}}", name="x"))
    assert {fault.path for fault in error.value.faults} == {"policy.retries", "resource_args.kubernetes"}
