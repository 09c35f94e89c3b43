"""One run from its spec to its outcome, in a directory of its own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.errors import NotFoundError, RunFailedError
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.packing import pack_source
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from pathlib import Path

LOGS = """
import json, os, sys
overrides = json.load(open(os.path.join(os.environ["LAUNCH_RUN_DIR"], "overrides.json")))
with open(os.path.join(os.environ["LAUNCH_RUN_DIR"], "records.jsonl"), "a") as records:
    for step in range(3):
        logged = {"loss": 1 / (step + 1), **overrides["config"]}
        print(json.dumps({"log": logged, "step": step, "time": 1.0}), file=records)
print(sys.argv[1:], os.environ["LAUNCH_RUN_ID"])
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "logs.py").write_text(LOGS)
    return directory


def _execute(spec: RunSpec, lines: list[str]) -> tuple[Outcome, RunDirectory]:
    run = RunDirectory.of("one")
    identity = {protocol.RUN_ID: "one"}
    return asyncio.run(execute(spec, run, store=RunStore.local(), identity=identity, on_lines=lines.extend)), run


def test_a_second_attempt_sees_nothing_of_the_wandb_runs_of_the_first(code: Path) -> None:
    lines: list[str] = []
    _, run = _execute(RunSpec(str(code), ("logs.py",)), lines)
    (run.path / "wandb" / "offline-run-1-a").mkdir(parents=True)
    (run.path / "wandb" / "offline-run-1-a" / "run-a.wandb").write_text("of the first")
    (run.path / "wandb.jsonl").write_text('{"config": true}')
    _execute(RunSpec(str(code), ("logs.py",)), lines)
    assert not (run.path / "wandb").exists()
    assert protocol.read_snapshot(run.path).inputs is None
    assert not [line for line in lines if line.startswith("launch:")]


def test_metrics_of_a_program_with_no_sdk_are_in_its_summary_and_history(code: Path) -> None:
    (code / "prints.py").write_text("print('loss=3'); print('loss=x'); print('loss=1')")
    lines: list[str] = []
    spec = RunSpec(str(code), ("prints.py",), metric_sources=({"stdout": r"loss=(?P<loss>\S+)"},))
    outcome, run = _execute(spec, lines)
    assert outcome == Outcome(0, {"loss": 1}, None)
    assert [(row["_step"], row["loss"]) for row in run.history()] == [(0, 3), (1, 1)]
    assert [line for line in lines if line.startswith("launch: metric source")]


def test_a_run_gets_its_config_and_gives_its_summary_history_and_output(code: Path) -> None:
    lines: list[str] = []
    outcome, run = _execute(RunSpec(str(code), ("logs.py",), ("a", "b c"), {"lr": 0.1}), lines)
    assert outcome == Outcome(0, {"loss": 1 / 3, "lr": 0.1}, None)
    assert outcome.succeeded
    assert lines == ["['a', 'b c'] one"]
    assert [row["_step"] for row in run.history()] == [0, 1, 2]
    assert run.path.stat().st_mode & 0o777 == 0o700


def test_a_second_attempt_in_the_same_directory_starts_afresh(code: Path) -> None:
    lines: list[str] = []
    spec = RunSpec(str(code), ("logs.py",), config={"lr": 0.1})
    _, run = _execute(spec, lines)
    (run.work / "left-over").write_text("x")
    _, run = _execute(spec, lines)
    assert len(run.history()) == 3
    assert len(run.output.read_text().splitlines()) == 1
    assert not (run.work / "left-over").exists()


def test_a_failure_holds_the_last_lines(code: Path) -> None:
    (code / "fails.py").write_text("for i in range(50): print(i)\nraise SystemExit(9)")
    outcome, _ = _execute(RunSpec(str(code), ("fails.py",)), [])
    assert outcome.error is not None
    assert outcome.error.startswith("fails.py exited with code 9. Its last lines:\n38\n")
    assert outcome.error.endswith("\n49")


def test_a_failure_names_what_was_started_and_no_argument_of_it(code: Path) -> None:
    outcome, _ = _execute(RunSpec(str(code), ("ls", "nothere.py")), [])
    assert str(outcome.error).startswith("ls exited with code 2.")


def test_a_signal_is_named_and_silence_is_said(code: Path) -> None:
    (code / "dies.py").write_text("import os; os.kill(os.getpid(), 9)")
    outcome, _ = _execute(RunSpec(str(code), ("dies.py",)), [])
    assert outcome.error == "dies.py was ended by signal 9. Its last lines:\n(it printed nothing)"


def test_a_missing_script_is_told_with_those_that_are_there(code: Path) -> None:
    with pytest.raises(NotFoundError, match=r"train\.py is not in the source\. It holds logs\.py"):
        _execute(RunSpec(str(code), ("train.py",)), [])


def test_a_missing_program_is_told(code: Path) -> None:
    with pytest.raises(RunFailedError, match="'nowhere' cannot be started"):
        _execute(RunSpec(str(code), ("nowhere",)), [])


def test_a_packed_source_is_laid_out_again(code: Path) -> None:
    source = RunStore.local().put_directory(code).source
    (code / "logs.py").unlink()
    outcome, _ = _execute(RunSpec(source, ("logs.py",)), [])
    assert outcome.succeeded


def test_the_home_is_private_and_made_when_needed(tmp_path: Path) -> None:
    assert launch_home() == tmp_path / "home"
    assert launch_home().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("count", "expected"), [(2, "b\nc"), (9, "a\nb\nc")])
def test_the_last_lines_of_the_output_are_read(tmp_path: Path, count: int, expected: str) -> None:
    run = RunDirectory(tmp_path)
    assert run.last_lines() == ""
    run.output.write_text("a\nb\nc\n\n")
    assert run.last_lines(count) == expected


def test_the_end_of_a_huge_output_is_enough(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.output.write_bytes(b"\xff" * 20_000 + b"\nend")
    assert run.last_lines().endswith("\nend")
    assert len(run.last_lines()) <= 8192


def test_a_run_directory_without_records_has_no_history(tmp_path: Path) -> None:
    history: list[dict[str, Any]] = RunDirectory(tmp_path / "nowhere").history()
    assert history == []


def test_the_macro_of_a_json_file_becomes_the_path_of_one_with_the_config(code: Path) -> None:
    (code / "reads.py").write_text("import json, sys\nprint(json.load(open(sys.argv[1])), sys.argv[2:])\n")
    lines: list[str] = []
    spec = RunSpec(str(code), ("python", "reads.py", "${args_json_file}", "--x"), config={"lr": 0.1, "m": {"d": None}})
    outcome, _ = _execute(spec, lines)
    assert outcome.succeeded, lines
    assert lines == ["{'lr': 0.1, 'm': {'d': None}} ['--x']"]


def _git(directory: Path, *words: str) -> None:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *settings, *words], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def repository(code: Path) -> Path:
    """A repository whose program is in a folder and imports from the top."""
    (code / "sub").mkdir()
    (code / "lib.py").write_text("VALUE = 1\n")
    (code / "sub/train.py").write_text(
        "import sys; sys.path.append('..'); import lib; print(lib.VALUE, *sys.argv[1:])\n"
    )
    _git(code, "init")
    _git(code, "add", "-A")
    _git(code, "commit", "-m", "one")
    return code


def test_a_run_from_a_folder_of_a_repository_has_the_whole_work_tree(repository: Path) -> None:
    (repository / "lib.py").write_text("VALUE = 2\n")
    lines: list[str] = []
    outcome, run = _execute(RunSpec(str(repository / "sub"), ("train.py",), ("a",)), lines)
    assert outcome.succeeded
    assert lines == ["2 a"]
    assert (run.work / "sub/train.py").is_file()


def test_a_packed_work_tree_runs_the_same_when_the_repository_has_gone(repository: Path) -> None:
    (repository / "lib.py").write_text("VALUE = 3\n")
    spec = pack_source(RunSpec(str(repository / "sub"), ("train.py",)), RunStore.local())
    assert spec.source.startswith("git+sha256:")
    assert RunStore.local().holds(spec.source)
    assert pack_source(spec, RunStore.local()) == spec
    shutil.rmtree(repository)
    lines: list[str] = []
    assert _execute(spec, lines)[0].succeeded
    assert lines == ["3"]


RECORDS = "import launch_sdk as launch\nwith launch.init(): pass\n"


def test_a_run_records_where_its_code_comes_from_and_what_is_left_out(repository: Path) -> None:
    _git(repository, "remote", "add", "origin", "https://me:secret@example.org/code.git")
    (repository / ".env").write_text("x")
    (repository / "sub/train.py").write_text(RECORDS)
    lines: list[str] = []
    outcome, run = _execute(RunSpec(str(repository / "sub"), ("train.py",)), lines)
    assert outcome.succeeded
    assert lines == ["left out: .env (looks like a secret; take it with !.env in .launchignore)"]
    code = protocol.read_code(run.path)
    assert (code["remote"], code["directory"], code["changed"]) == ("https://example.org/code.git", "sub", True)
    assert list(code["left_out"]) == [".env"]
    about = protocol.read_snapshot(run.path).metadata
    assert about["program"] == "sub/train.py"
    assert about["git"] == {
        "root": str(run.work),
        "remote": code["remote"],
        "commit": code["commit"],
        "branch": code["branch"],
        "tree": code["tree"],
        "dirty": True,
    }


def test_a_run_of_a_folder_in_no_repository_is_not_said_to_be_of_one_around_its_home(
    code: Path, tmp_path: Path
) -> None:
    (code / "train.py").write_text(RECORDS)
    (tmp_path / "home").mkdir()
    _git(tmp_path / "home", "init")
    _, run = _execute(RunSpec(str(code), ("train.py",)), [])
    assert protocol.read_snapshot(run.path).metadata["git"] is None
    assert protocol.read_code(run.path)["source"].startswith("sha256:")


def test_a_store_takes_over_what_another_one_holds(repository: Path, tmp_path: Path) -> None:
    other = RunStore(tmp_path / "other")
    for directory in (repository / "sub", tmp_path / "plain"):
        directory.mkdir(exist_ok=True)
        (directory / "train.py").touch()
        source = RunStore.local().put_directory(directory).source
        assert not other.holds(source)
        other.take_over(source, RunStore.local())
        assert (other.lay_out(source, tmp_path / "target") / "train.py").is_file()
        assert other.record(source) == RunStore.local().record(source)


def test_config_files_are_written_where_the_program_starts(repository: Path) -> None:
    (repository / "sub/conf.yaml").write_text("lr: 1\n")
    spec = RunSpec(str(repository / "sub"), ("train.py",), files={"conf.yaml": {"lr": 2}})
    _, run = _execute(spec, [])
    assert (run.work / "sub/conf.yaml").read_text() == "lr: 2\n"


def test_a_program_that_is_not_in_the_folder_is_named_with_those_that_are(repository: Path) -> None:
    with pytest.raises(NotFoundError, match=r"Entry point main\.py is not in the source\. It holds train\.py\."):
        _execute(RunSpec(str(repository / "sub")), [])


def test_a_folder_that_git_ignores_is_packed_alone(repository: Path) -> None:
    (repository / ".gitignore").write_text("made/\n")
    (repository / "made").mkdir()
    (repository / "made/train.py").write_text("print(4)\n")
    lines: list[str] = []
    spec = pack_source(RunSpec(str(repository / "made"), ("train.py",)), RunStore.local())
    assert spec.source.startswith("sha256:")
    _execute(spec, lines)
    assert lines == ["4"]


def test_a_store_and_a_home_inside_the_repository_are_not_captured(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(repository / "home"))
    spec = RunSpec(str(repository), ("sub/train.py",))
    first = pack_source(spec, RunStore.local())
    assert pack_source(spec, RunStore.local()).source == first.source


def test_without_git_the_folder_is_packed_alone(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert pack_source(RunSpec(str(repository / "sub")), RunStore.local()).source.startswith("sha256:")
