"""A run in this process: where it writes, what it logs, how it ends."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import warnings
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import launch_sdk as launch
from launch_sdk.tracking import metadata
from launch_sdk.tracking.current import NoRunError
from launch_sdk.tracking.metadata import git_state, without_credentials
from launch_sdk.tracking.notices import LaunchWarning
from launch_sdk.tracking.protocol import (
    CONFIG,
    ENVIRONMENT,
    METADATA,
    PROVENANCE,
    RECORDS,
    RUN_DIR,
    SUMMARY,
    read_records,
    read_snapshot,
    write_overrides,
)


def _logs(run_dir: str) -> list[tuple[int, Any]]:
    records, _ = read_records(Path(run_dir) / RECORDS)
    return [(record["step"], record["log"]) for record in records if "log" in record]


def test_a_script_alone_leaves_a_run_directory_below_the_working_directory(tmp_path: Path) -> None:
    with launch.init(config={"lr": 0.1}, project="demo", name="first") as run:
        run.log({"loss": 0.5})
    directory = Path(run.dir)
    assert directory.parent == tmp_path / "launch"
    assert directory.name.startswith("run-2")
    assert directory.name.endswith(f"-{run.id}")
    assert (run.project, run.name, len(run.id)) == ("demo", "first", 8)
    assert json.loads((directory / CONFIG).read_text()) == {"lr": 0.1}
    assert json.loads((directory / SUMMARY).read_text()) == {"loss": 0.5}
    assert json.loads((directory / METADATA).read_text())["run_id"] == run.id
    assert {entry.name for entry in directory.iterdir()} == {
        RECORDS,
        CONFIG,
        PROVENANCE,
        SUMMARY,
        METADATA,
        ENVIRONMENT,
    }


def test_a_run_belongs_to_whom_the_environment_names_else_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    with launch.init() as run:
        monkeypatch.setenv("LOGNAME", "ada")
        assert run.entity == "ada"
        monkeypatch.setenv("WANDB_ENTITY", "team")
        assert run.entity == "team"
        monkeypatch.setenv("LAUNCH_ENTITY", "own")
        assert run.entity == "own"


def test_the_records_say_everything_in_order() -> None:
    with launch.init(config={"lr": 0.1}) as run:
        run.log({"loss": 0.5})
        run.summary["best"] = 0.4
        run.config.lr = 0.2
    records, _ = read_records(Path(run.dir) / RECORDS)
    assert [sorted(record) for record in records] == [
        ["config", "time"],
        ["log", "step", "time"],
        ["summary", "time"],
        ["config", "time"],
        ["finish", "time"],
    ]
    assert all(isinstance(record["time"], float) for record in records)
    assert records[-1]["finish"] == {"exit_code": 0}


def test_the_names_of_the_module_are_those_of_the_current_run() -> None:
    assert launch.run is None
    run = launch.init(config={"lr": 0.1})
    assert launch.run is run
    assert launch.config is run.config
    assert launch.summary is run.summary
    launch.log({"loss": 1})
    launch.finish()
    assert launch.run is None
    assert launch.config == {}
    assert run.config == {"lr": 0.1}
    launch.finish()


def test_without_a_run_the_message_says_to_call_init() -> None:
    with pytest.raises(NoRunError, match=r"launch\.log\(\) needs a run; call launch\.init\(\) first"):
        launch.log({"loss": 1})
    with pytest.raises(NoRunError, match=r"launch\.summary needs a run"):
        _ = launch.summary
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = launch.nonsense  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


def test_every_public_name_is_listed_once_in_order() -> None:
    assert launch.__all__ == sorted(set(launch.__all__))
    assert set(launch.__all__) <= set(dir(launch))


def test_config_set_before_init_is_the_runs_and_init_sets_over_it() -> None:
    staged = launch.config
    launch.config.epochs = 4
    launch.config["train"] = {"lr": 0.1}
    with launch.init(config=Namespace(epochs=5)) as run:
        assert run.config is staged
        assert run.config == {"epochs": 5, "train": {"lr": 0.1}}
    assert read_snapshot(run.dir).config == {"epochs": 5, "train": {"lr": 0.1}}


def test_steps_count_up_and_follow_the_steps_given() -> None:
    with launch.init() as run:
        run.log({"a": 0})
        run.log({"a": 1})
        run.log({"a": 7}, step=7)
        run.log({"b": 7}, step=7)
        run.log({"a": 8})
        run.log({"part": 9}, commit=False)
        run.log({"a": 9})
        assert run.step == 10
    assert [step for step, _ in _logs(run.dir)] == [0, 1, 7, 7, 8, 9, 9]


def test_a_lower_step_is_recorded_warned_of_once_and_does_not_turn_the_count_back() -> None:
    with launch.init() as run:
        run.log({"a": 1}, step=5)
        with pytest.warns(LaunchWarning, match="step 3 after step 5") as caught:
            run.log({"late": 1}, step=3)
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run.log({"late": 2}, step=2)
        run.log({"a": 2})
    assert _logs(run.dir) == [(5, {"a": 1}), (3, {"late": 1}), (2, {"late": 2}), (6, {"a": 2})]


@pytest.mark.parametrize("step", [-1, 0.5, 2**63])
def test_a_step_that_is_no_whole_number_from_0_on_is_refused(step: Any) -> None:
    run = launch.init()
    with pytest.raises(ValueError, match="step must be a whole number from 0 on"):
        run.log({"a": 1}, step=step)
    run.log({"a": 1}, step=np.int64(3))  # pyright: ignore[reportArgumentType]  # what loops over numpy ranges give
    assert _logs(run.dir) == [(3, {"a": 1})]


def test_log_takes_a_dict_only() -> None:
    run: Any = launch.init()
    with pytest.raises(TypeError, match="dict of values by name, not float"):
        run.log(0.5)


def test_odd_values_survive_a_real_run_directory() -> None:
    values = {"nan": math.nan, "inf": -math.inf, "big": 2**70, "text": "é\udc80\x00\n", "$number": 1, "b": b"\xff"}
    with launch.init(config={"odd": values}) as run:
        run.log({"odd": values, "scalar": np.float32(0.5)})
    snapshot = read_snapshot(run.dir)
    expected = {**values, "text": "é\\udc80\x00\n"}
    for found in (snapshot.config["odd"], snapshot.summary["odd"]):
        assert math.isnan(found.pop("nan"))
        assert found == {key: value for key, value in expected.items() if key != "nan"}
    assert snapshot.summary["scalar"] == 0.5
    assert snapshot.skipped == 0


def test_the_summary_holds_the_last_write_logged_or_set() -> None:
    with launch.init() as run:
        run.log({"loss": 1.0, "acc": np.float64(0.5)})
        run.summary["loss"] = 9
        run.summary.best = 0.1
        assert dict(run.summary) == {"loss": 9, "acc": 0.5, "best": 0.1}
        run.log({"loss": 0.5})
        run.summary.update({"n": 1}, m=2)
        assert run.summary.loss == 0.5
        with pytest.raises(AttributeError, match="the summary has no 'absent'"):
            _ = run.summary.absent
        with pytest.raises(KeyError):
            _ = run.summary["absent"]
    assert read_snapshot(run.dir).summary == {"loss": 0.5, "acc": 0.5, "best": 0.1, "n": 1, "m": 2}


def test_a_change_inside_a_list_is_recorded_at_the_end() -> None:
    with launch.init(config={"layers": [1]}) as run:
        run.config.layers.append(2)
    assert read_snapshot(run.dir).config == {"layers": [1, 2]}
    assert json.loads((Path(run.dir) / CONFIG).read_text()) == {"layers": [1, 2]}


def test_a_config_changed_at_any_depth_is_rebuilt_from_the_records() -> None:
    with launch.init(config={"dropout": 0.5, "model": {"a": 1, "b": {"c": 2}}}) as run:
        launch.config["dropout"] = 0.2
        launch.config.model = {"b": {"d": 3}}
        launch.config.model.b.e = {"f": 4}
        del launch.config.model.b["d"]
    assert read_snapshot(run.dir).config == {"dropout": 0.2, "model": {"b": {"e": {"f": 4}}}}


def test_an_exception_in_the_block_is_recorded_and_goes_on() -> None:
    def fail() -> None:
        with launch.init():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    run_dir = next(Path("launch").glob("run-*"))
    assert read_snapshot(run_dir).exit_code == 1


def test_a_finished_run_refuses_to_log_and_finishes_once() -> None:
    run = launch.init()
    run.finish(exit_code=4)
    run.finish(exit_code=0)
    with pytest.raises(ValueError, match=r"on the finished run .*call launch\.init\(\)"):
        run.log({"a": 1})
    with pytest.raises(ValueError, match="finished run"):
        run.summary["a"] = 1
    run.config.late = 1
    snapshot = read_snapshot(run.dir)
    assert (snapshot.exit_code, snapshot.config) == (4, {})


def test_a_second_init_finishes_the_first_run() -> None:
    first = launch.init(config={"n": 1})
    second = launch.init(config={"m": 2})
    assert (first.dir != second.dir, first.is_open, launch.run) == (True, False, second)
    assert second.config == {"m": 2}
    assert read_snapshot(first.dir).exit_code == 0


def test_a_supervised_run_uses_the_directory_and_the_names_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"DIR": str(tmp_path / "given"), "ID": "abc", "NAME": "sweep-3"}
    for name, value in names.items():
        monkeypatch.setenv(f"LAUNCH_RUN_{name}", value)
    monkeypatch.setenv("LAUNCH_PROJECT", "theirs")
    monkeypatch.setenv("LAUNCH_SWEEP_ID", "s1")
    run = launch.init(project="mine", name="mine", register="job")
    assert (run.dir, run.id, run.name, run.project) == (names["DIR"], "abc", "sweep-3", "theirs")
    metadata = read_snapshot(run.dir).metadata
    assert (metadata["sweep_id"], metadata["register"]) == ("s1", "job")
    assert not Path("launch").exists()


def test_overrides_show_from_the_start_and_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_overrides(tmp_path, {"model": {"lr": 1.0}, "epochs": 3})
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    assert launch.config.model.lr == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = launch.init(config={"model": {"lr": 0.1, "layers": 2}, "epochs": 50, "seed": 1})
    with pytest.warns(LaunchWarning, match="config 'epochs' is locked"):
        launch.config.epochs = 7
    launch.finish()
    expected = {"model": {"lr": 1.0, "layers": 2}, "epochs": 3, "seed": 1}
    assert run.config == expected
    assert read_snapshot(tmp_path).config == expected


def test_a_second_init_under_a_supervisor_goes_on_in_the_same_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with launch.init(config={"fold": 0}) as run:
        run.log({"loss": 1, "first": True})
    with launch.init(config={"fold": 1}) as run:
        assert read_snapshot(tmp_path).exit_code is None
        assert run.summary["first"] is True
        run.log({"loss": 2})
    snapshot = read_snapshot(tmp_path)
    assert _logs(str(tmp_path)) == [(0, {"loss": 1, "first": True}), (1, {"loss": 2})]
    assert (snapshot.config, snapshot.exit_code) == ({"fold": 1}, 0)


def test_a_run_after_a_torn_line_begins_a_new_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / RECORDS).write_bytes(b'{"step":4,"log":{"a":1}}\n{"step":5,"log"')
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with launch.init() as run:
        run.log({"a": 2})
    assert _logs(run.dir) == [(4, {"a": 1}), (5, {"a": 2})]
    assert read_snapshot(tmp_path).skipped == 1


def test_threads_log_whole_lines_with_steps_of_their_own() -> None:
    run = launch.init()

    def work(name: str) -> None:
        for n in range(200):
            run.log({name: n, "pad": "x" * 300})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    logs = _logs(run.dir)
    assert [step for step, _ in logs] == list(range(800))
    for name in "abcd":
        assert [data[name] for _, data in logs if name in data] == list(range(200))


def test_a_full_disk_is_warned_of_once_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / RECORDS).symlink_to("/dev/full")
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with pytest.warns(LaunchWarning, match="No space left on device"):
        run = launch.init()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.log({"loss": 1})
        run.log({"loss": 2})
        run.finish()
    assert run.summary["loss"] == 2


def test_a_full_disk_stops_nothing_even_where_warnings_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / RECORDS).symlink_to("/dev/full")
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    with launch.init() as run:
        run.log({"loss": 1})
    assert "No space left on device" in capfd.readouterr().err


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "launch").write_text("a file stands where the folder of runs would be")
    with pytest.raises(OSError, match=r"launch\.init\(\) cannot make the run directory .* LAUNCH_RUN_DIR"):
        launch.init()


def test_a_new_folder_of_runs_is_ignored_by_git_and_an_old_one_is_left_alone(tmp_path: Path) -> None:
    launch.init()
    assert (tmp_path / "launch" / ".gitignore").read_text() == "*\n"
    (tmp_path / "launch" / ".gitignore").unlink()
    launch.init()
    assert not (tmp_path / "launch" / ".gitignore").exists()


def _git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    command = ["git", *identity, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_state_of_git_is_captured_without_credentials(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q")
    assert git_state(str(tmp_path)) == {
        "root": str(tmp_path.resolve()),
        "commit": None,
        "branch": "main",
        "remote": None,
        "dirty": False,
    }
    (tmp_path / "sub").mkdir()
    (tmp_path / "train.py").write_text("1")
    _git(tmp_path, "add", "train.py")
    _git(tmp_path, "commit", "-qm", "first")
    _git(tmp_path, "remote", "add", "origin", "https://user:secret@host.example/team/repo.git")
    state = git_state(str(tmp_path / "sub"))
    assert state is not None
    assert state["commit"] == _git(tmp_path, "rev-parse", "HEAD")
    assert state["remote"] == "https://host.example/team/repo.git"
    assert state["dirty"] is False
    (tmp_path / "train.py").write_text("2")
    _git(tmp_path, "checkout", "-q", "--detach")
    state = git_state(str(tmp_path))
    assert state is not None
    assert (state["dirty"], state["branch"]) == (True, None)


def test_without_a_repository_or_without_git_there_is_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(str(tmp_path)) is None
    _git(tmp_path, "init", "-q")
    monkeypatch.setenv("PATH", "")
    assert git_state(str(tmp_path)) is None
    (tmp_path / ".git" / "HEAD").write_text("broken")
    monkeypatch.undo()
    assert git_state(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:secret@host/a", "https://host/a"),
        ("https://token@host:8443/a?private_token=x", "https://host:8443/a"),
        ("ssh://git@host:22/a", "ssh://git@host:22/a"),
        ("ssh://git:secret@host/a", "ssh://host/a"),
        ("git@host:team/repo.git", "git@host:team/repo.git"),
        ("/srv/repo", "/srv/repo"),
        ("https://host", "https://host"),
    ],
)
def test_credentials_are_stripped_from_remotes(url: str, clean: str) -> None:
    assert without_credentials(url) == clean


def test_no_environment_variable_is_in_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-very-secret")
    run = launch.init()
    assert "sk-very-secret" not in (Path(run.dir) / METADATA).read_text()


@pytest.mark.parametrize("front_end", ["jupyter", "vs code"])
def test_a_run_of_a_notebook_names_the_notebook_where_its_front_end_tells_it(
    front_end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = tmp_path / "explore.ipynb"
    notebook.write_text("{}")
    cells = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", cells)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "/run/kernel-1.json"])
    assert metadata.program() == (None, None, [])
    if front_end == "jupyter":
        monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    else:
        cells.__dict__["__vsc_ipynb_file__"] = str(notebook)
    assert metadata.program() == (str(notebook), None, [])
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "Untitled-1.ipynb"))
    assert metadata.program() == (None, None, [])
