"""What the command line of an agent says, and what wins over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from launch_sdk.cli import launch_agent
from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.specs.agent_config import AgentConfig

if TYPE_CHECKING:
    from pathlib import Path


def said(*words: str) -> AgentConfig:
    parser = launch_agent.make_parser()
    return launch_agent.options_config(parser, parser.parse_args(words))


def test_queues_are_given_as_w_and_b_gives_them_with_a_project_beside_them() -> None:
    assert said("--queues", "q1,q2,q3", "my-project").queues == ("q1", "q2", "q3")
    assert said("-q", "q1", "-q", "q2").queues == ("q1", "q2")
    assert said("my-project").queues is None


def test_options_are_read_in_both_spellings() -> None:
    words = ("-e", "team", "--max_jobs", "-1", "--max_schedulers", "0", "-vvv", "--name", "n", "-l", "-")
    assert said(*words) == AgentConfig(None, "team", -1, 0, 2, "n", "-")


def test_the_usual_file_is_read_if_it_is_there_and_a_named_one_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path))
    assert launch_agent.file_config(None) == AgentConfig()
    (tmp_path / "launch-config.yaml").write_text("max_jobs: 3")
    assert launch_agent.file_config(None).max_jobs == 3
    (tmp_path / "mine.yaml").write_text("max_jobs: none")
    with pytest.raises(InvalidSpecError, match="line 1: max_jobs"):
        launch_agent.file_config(str(tmp_path / "mine.yaml"))
    with pytest.raises(NotFoundError, match=r"nowhere.yaml does not exist"):
        launch_agent.file_config(str(tmp_path / "nowhere.yaml"))


def test_what_an_agent_says_goes_to_its_log_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, tell = launch_agent.open_log(str(tmp_path / "agent.log"))
    tell("hello")
    assert log is not None
    log.close()
    assert (tmp_path / "agent.log").read_text() == "hello\n"
    launch_agent.open_log("-")[1]("to standard output")
    assert capsys.readouterr().out == "to standard output\n"
