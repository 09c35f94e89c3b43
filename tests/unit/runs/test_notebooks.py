"""Notebooks as programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.cli.launch import main as launch
from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.runs.notebooks import as_script

CELLS = (
    "%matplotlib inline\nimport sys\n!echo hello\nfiles = !ls",
    "%%bash\nrm -rf everything",
    "\n%%writefile other.py\nraise SystemExit(3)",
    "%%time\ntimed = 1",
    "import launch_sdk as launch\nrun = launch.init(config={'lr': 1})\ndisplay(len(sys.argv))",
    "run.log({'loss': run.config.lr * 2})\nrun.finish()\nrun.summary",
)


def write_notebook(path: Path, cells: Sequence[str], language: str = "python") -> None:
    made: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": "# Title"}]
    made += [
        {"cell_type": "code", "metadata": {}, "source": cell, "outputs": [], "execution_count": None} for cell in cells
    ]
    about = {"kernelspec": {"name": "k", "display_name": "K", "language": language}}
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": about, "cells": made}))


def test_magics_and_shell_commands_become_comments_and_are_named(tmp_path: Path) -> None:
    write_notebook(tmp_path / "a.ipynb", CELLS)
    words, notices = as_script(("a.ipynb", "x"), tmp_path)
    assert words == ("a.ipynb.py", "x")
    script = (tmp_path / "a.ipynb.py").read_text()
    compile(script, "a.ipynb.py", "exec")
    assert "# %matplotlib inline" in script
    assert "# !echo hello" in script
    assert "# rm -rf everything" in script
    (notice,) = notices
    assert "left out: %matplotlib inline, !echo hello, files = !ls, %%bash (the whole cell), %%writefile" in notice
    assert "# raise SystemExit(3)" in script
    assert "\ntimed = 1" in script


def test_a_notebook_is_launched_as_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "code"
    folder.mkdir()
    write_notebook(folder / "train.ipynb", CELLS)
    for named in (str(folder), "the run"):
        told = json.loads(capsys.readouterr().out) if named == "the run" else None
        with pytest.raises(SystemExit) as ended:
            launch([told["directory"] if told else named, "-E", "train.ipynb", "-s", "lr=2", "--json"])
        assert ended.value.code == 0, capsys.readouterr().err
    view = json.loads(capsys.readouterr().out)
    assert view["summary"] == {"loss": 4}
    assert view["parameters"]["entry_point"] == ["train.ipynb"]
    assert not list(folder.glob("*.py"))


def test_other_programs_stay_as_they_are(tmp_path: Path) -> None:
    for words in (("train.py",), ("python", "train.py"), ("papermill", "a.ipynb"), ("python", "-m", "a.ipynb")):
        assert as_script(words, tmp_path) == (words, [])
    write_notebook(tmp_path / "a.ipynb", ["from __future__ import annotations"])
    assert as_script(("python", "a.ipynb"), tmp_path) == (("python", "a.ipynb.py"), [])
    compile((tmp_path / "a.ipynb.py").read_text(), "a", "exec")


def test_what_is_no_notebook_of_python_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_notebook(tmp_path / "r.ipynb", ["x <- 1"], "R")
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(InvalidSpecError, match="is a notebook of r; only Python ones run"):
        as_script(("r.ipynb",), tmp_path)
    with pytest.raises(InvalidSpecError, match="is no notebook that can be read"):
        as_script(("broken.ipynb",), tmp_path)
    with pytest.raises(
        NotFoundError, match=r"gone\.ipynb is not in the source. Its folder holds broken\.ipynb, r\.ipynb"
    ):
        as_script(("gone.ipynb",), tmp_path)
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(NotFoundError, match=r"pip install 'launch-sdk\[notebook\]'"):
        as_script(("r.ipynb",), tmp_path)
