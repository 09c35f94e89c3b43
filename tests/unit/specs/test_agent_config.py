"""The agent's file, its environment, and what wins."""

from __future__ import annotations

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.agent_config import (
    DEFAULTS,
    AgentConfig,
    config_of_environment,
    parse_agent_config,
    split_queues,
)
from launch_sdk.specs.document import parse_document

WHOLE = """
queues: [gpu, cpu, gpu]
queue: late
entity: team
max_jobs: -1
max_schedulers: 0
verbosity: 2
name: machine-room
log_file: "-"
secure_mode: false
builder: {type: noop}
stopped_run_timeout: 10
registry: {}
"""


def read(text: str) -> AgentConfig:
    return parse_agent_config(parse_document(text, name="agent.yaml"))


def test_every_key_that_has_a_meaning_is_read_and_those_that_ask_for_nothing_are_passed_over() -> None:
    assert read(WHOLE) == AgentConfig(("gpu", "cpu", "late"), "team", -1, 0, 2, "machine-room", "-")
    assert read("") == AgentConfig()
    assert read("queues: a, b").queues == ("a", "b")


def test_every_fault_is_told_at_once_with_its_line() -> None:
    text = """\
queues: [1, ""]
queue: [x]
max_jobs: 0
max_schedulers: -2
verbosity: 3
name: 7
max_job: 2
environment: {type: aws, region: x}
builder: {type: docker}
secure_mode: true
stopped_run_timeout: 60
"""
    with pytest.raises(InvalidSpecError) as caught:
        read(text)
    told = [str(fault) for fault in caught.value.faults]
    assert str(caught.value).startswith("Agent config agent.yaml has 12 faults")
    for line, part in {
        1: "queues[0]: (value: 1): must be the name of a queue",
        2: "queue: (value: ['x']): must be the name of a queue",
        3: "max_jobs: (value: 0): must be at least 1, or -1 for no limit",
        4: "max_schedulers: (value: -2): must be at least 0",
        5: "verbosity: (value: 3): must be 0 to 2",
        6: "name: (value: 7): must be text",
        7: "max_job: (value: 2): unknown key; did you mean max_jobs?",
        8: "environment: (value: {'type': 'aws', 'region': 'x'}): has no meaning here",
        9: "builder: (value: {'type': 'docker'}): has no meaning here",
        10: "secure_mode: (value: True): has no meaning here",
        11: "stopped_run_timeout: (value: 60): has no meaning here",
    }.items():
        assert any(fault.startswith(f"line {line}: {part}") for fault in told), (line, told)


@pytest.mark.parametrize("text", ["queues: []", "max_jobs: true", "max_jobs: 1.5", "[a]", "queues: {a: b}"])
def test_what_is_no_config_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpecError):
        read(text)


def test_the_environment_says_the_same_in_variables() -> None:
    said = {
        "LAUNCH_AGENT_QUEUES": "a, b",
        "LAUNCH_AGENT_MAX_JOBS": "3",
        "WANDB_LAUNCH_MAX_JOBS": "9",
        "LAUNCH_AGENT_MAX_SCHEDULERS": "-1",
        "LAUNCH_AGENT_NAME": "n",
    }
    assert config_of_environment(said) == AgentConfig(("a", "b"), None, 3, -1, None, "n")
    assert config_of_environment({"WANDB_LAUNCH_MAX_JOBS": "9"}).max_jobs == 9
    with pytest.raises(InvalidSpecError) as caught:
        config_of_environment({"LAUNCH_AGENT_MAX_JOBS": "many", "LAUNCH_AGENT_MAX_SCHEDULERS": "-2"})
    assert [fault.path for fault in caught.value.faults] == ["LAUNCH_AGENT_MAX_JOBS", "LAUNCH_AGENT_MAX_SCHEDULERS"]


def test_defaults_are_below_the_file_that_below_the_environment_and_that_below_the_options() -> None:
    file = AgentConfig(("file",), max_jobs=2, max_schedulers=2, verbosity=1)
    environment = AgentConfig(max_jobs=3, max_schedulers=3)
    options = AgentConfig(max_schedulers=0)
    said = options.over(environment).over(file).over(DEFAULTS)
    assert (said.queues, said.max_jobs, said.max_schedulers, said.verbosity) == (("file",), 3, 0, 1)
    assert AgentConfig().over(DEFAULTS) == DEFAULTS == AgentConfig(("default",), None, 1, -1, 0)


def test_names_of_queues_are_separated_by_commas_or_given_one_by_one() -> None:
    assert split_queues(["q1,q2", " q3 ,q1", ""]) == ("q1", "q2", "q3")
