"""`launch run show` of runs that no server knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.cli.groups import main
from launch_sdk.cli.launch import main as launch
from launch_sdk.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = """
import sys
import launch_sdk as launch
with launch.init(config={"lr": 0.1, "m": {"x": 1}}) as run:
    run.config.m.x = 2
    run.log({"loss": run.config.lr})
    if "kill" in sys.argv: import os; os._exit(9)
    if "fail" in sys.argv: raise SystemExit(3)
"""


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Any]:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    (tmp_path / "code" / "conf").mkdir()
    (tmp_path / "code" / "conf" / "net.json").write_text('{"opt": {"wd": 0.5}, "old": 1}')
    (tmp_path / "code" / "config-defaults.yaml").write_text("lr: {value: 0.5}\nkind: {value: mlp}\n")

    def show(named: str) -> Any:
        capsys.readouterr()
        assert main(["run", "show", named, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return show


def by_hand(tmp_path: Path, *words: str) -> Path:
    subprocess.run([sys.executable, "train.py", *words], cwd=tmp_path / "code", check=False, timeout=60)
    return next((tmp_path / "code" / "launch").glob("run-*"))


def test_a_run_in_the_foreground_says_who_gave_its_values(
    shown: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["-s", "files.conf/net.json.opt.wd=0.25", "-s", 'files.conf/net.json.old={"$delete": true}']
    with pytest.raises(SystemExit) as ended:
        launch(["code", "-E", "train.py", "-s", "lr=0.9", *files, "-n", "mine", "--json"])
    assert ended.value.code == 0
    told = json.loads(capsys.readouterr().out)
    for named in (told["directory"], told["run_id"]):
        view = shown(named)
        assert (view["state"], view["name"], view["summary"]) == ("finished", "mine", {"loss": 0.9})
        assert view | {"directory": told["directory"]} == told
    assert view["provenance"] == {
        "kind": [{"layer": "config-defaults.yaml", "value": "mlp"}],
        "lr": [
            {"layer": "config-defaults.yaml", "value": 0.5},
            {"layer": "init", "value": 0.1},
            {"layer": "launch", "value": 0.9},
        ],
        "m.x": [{"layer": "init", "value": 1}, {"layer": "script", "value": 2}],
    }
    assert main(["run", "show", told["directory"]]) == 0
    printed = capsys.readouterr().out
    assert "launch, over 0.1 of init, 0.5 of config-defaults.yaml" in printed
    rows = [line.replace("│", " ").split() for line in printed.splitlines()]
    assert ["files.conf/net.json.opt.wd", "0.25", "launch"] in rows
    assert ["files.conf/net.json.old", "(removed)", "launch"] in rows


@pytest.mark.parametrize(("word", "state"), [("", "finished"), ("fail", "failed"), ("kill", "lost")])
def test_a_script_started_by_hand_is_shown_from_its_directory(
    shown: Callable[[str], Any], tmp_path: Path, word: str, state: str
) -> None:
    view = shown(str(by_hand(tmp_path, word)))
    assert (view["state"], view["summary"], view["parameters"]) == (state, {"loss": 0.1}, {})
    assert view["config"] == {"lr": 0.1, "m": {"x": 2}, "kind": "mlp"}
    assert view["started"] > 0


@pytest.mark.parametrize("named", ["code", "./nowhere"])
def test_another_directory_is_refused(shown: Callable[[str], Any], named: str) -> None:
    with pytest.raises(NotFoundError, match="is no directory of a run"):
        shown(named)
