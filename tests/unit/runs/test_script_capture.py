"""What a script that somebody starts by hand leaves behind, and that `launch RUN_DIRECTORY` repeats it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.cli import kept_runs
from launch_sdk.cli.groups import main as groups
from launch_sdk.cli.launch import main as launch
from launch_sdk.errors import InvalidSpecError
from launch_sdk.runs import script_capture
from launch_sdk.runs.script_capture import Request, rules_for, start_of
from launch_sdk.tracking import protocol
from launch_sdk.tracking.environment import gpu_names, platform_name
from tests.conftest import REPOSITORY, eventually
from tests.unit.sources.conftest import USER_ENVIRONMENT, UserRepository, empty

TRAIN = b"""\
import sys
import launch_sdk as launch
with launch.init(config={"lr": 0.5}) as run:
    run.log({"size": len(open("data.bin", "rb").read()), "args": len(sys.argv) - 1})
"""


@dataclass(frozen=True)
class ByHand:
    """Somebody at a terminal.

    Attributes:
        base: a folder of the test's own; `LAUNCH_HOME` is in it.
    """

    base: Path

    @property
    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(REPOSITORY), "LAUNCH_HOME": str(self.base / "home"), "HOME": str(self.base / "me")}
        (self.base / "me").mkdir(exist_ok=True)
        return {key: value for key, value in USER_ENVIRONMENT.items() if not key.startswith("LAUNCH_")} | own

    def start(self, cwd: Path, words: Sequence[str], **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=cwd,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, cwd: Path, *words: str, **more: str) -> Path:
        """Run a script to its end and its capture too; give its run directory."""
        process = self.start(cwd, words, **more)
        out, error = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, ""), error
        run_dir = max((cwd / "launch").glob("run-*"), key=lambda path: path.stat().st_mtime)
        settled(run_dir)
        return run_dir


def settled(run_dir: Path) -> dict[str, Any]:
    def state() -> str:
        return str(protocol.read_code(run_dir).get("capture", {}).get("state", ""))

    eventually(lambda: state() in {"complete", "failed"}, f"the capture of {run_dir} should end", 30)
    eventually((run_dir / "environment.json").is_file, "the packages should be recorded", 30)
    return protocol.read_code(run_dir)


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ByHand:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return ByHand(tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> UserRepository:
    made = empty(tmp_path / "work")
    made.write({"train.py": TRAIN, "old.py": b"x = 1\n", "data.bin": b"1", ".gitignore": b"cache/\n"})
    made.commit("one")
    return made


def replayed(*words: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Launch as from a terminal; give the run's JSON."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        launch([*words, "--json"])
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    return json.loads(said.out) | {"told": said.err}


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Launch what cannot be launched; give what is said."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        launch(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_script_is_repeated_with_the_tree_and_the_arguments_that_it_had(
    by_hand: ByHand, project: UserRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write({"data.bin": bytes(range(256)), "new.py": b"y = 2\n", "cache/big": b"0" * 9})
    (project.root / "old.py").unlink()
    run_dir = by_hand.run(project.root, "train.py", "--epochs", "3")
    tree = protocol.read_code(run_dir)["tree"]
    for name in ("data.bin", "train.py"):
        (project.root / name).unlink()
    view = replayed(str(run_dir), capsys=capsys)
    assert view["summary"] == {"size": 256, "args": 2}
    assert (view["code"]["tree"], view["parameters"]["args"]) == (tree, ["--epochs", "3"])
    work = Path(view["directory"]) / "work"
    assert {path.name for path in work.iterdir() if path.is_file()} == {"train.py", "new.py", "data.bin", ".gitignore"}
    assert f"Replays run {json.loads((run_dir / 'metadata.json').read_text())['run_id']}: git tree" in view["told"]
    assert view["differs"] == []


def test_a_run_is_found_by_its_id_from_where_it_was_started(
    by_hand: ByHand, project: UserRepository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = by_hand.run(project.root, "train.py")
    monkeypatch.chdir(project.root)
    for named in (run_dir.name, run_dir.name.rpartition("-")[2]):
        replayed(named, "--dry-run", capsys=capsys)


def test_the_record_says_where_the_code_comes_from_and_no_password(by_hand: ByHand, project: UserRepository) -> None:
    project.git("remote", "add", "origin", "https://me:hunter2@example.org/team/digits.git")
    run_dir = by_hand.run(project.root, "train.py", "a b")
    code = protocol.read_code(run_dir)
    assert (code["remote"], code["branch"]) == ("https://example.org/team/digits.git", "main")
    assert (code["commit"], code["entry_point"]) == (project.git("rev-parse", "HEAD"), ["train.py"])
    assert code["tree"] == project.git("rev-parse", "HEAD^{tree}")
    about = json.loads((run_dir / "metadata.json").read_text())
    assert (about["args"], about["git"]["commit"]) == (["a b"], code["commit"])
    environment = json.loads((run_dir / "environment.json").read_text())
    assert environment["prefix"] == sys.prefix
    assert {"pytest", "hypothesis"} <= {package["name"] for package in environment["packages"]}
    kept = [path for folder in (run_dir, by_hand.base / "home") for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


@pytest.mark.parametrize("url", ["me:hunter2@example.org:team/digits.git", "https://me:hunt/er2@example.org/a.git"])
def test_a_password_in_an_odd_remote_is_written_nowhere(by_hand: ByHand, project: UserRepository, url: str) -> None:
    project.git("remote", "add", "origin", url)
    run_dir = by_hand.run(project.root, "train.py")
    kept = [path for folder in (run_dir, by_hand.base / "home") for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"er2@" in path.read_bytes()]


def test_a_script_that_is_killed_at_once_is_captured_all_the_same(by_hand: ByHand, project: UserRepository) -> None:
    project.write({"killed.py": b"import os, launch_sdk\nlaunch_sdk.init()\nos.kill(os.getpid(), 9)\n"})
    by_hand.start(project.root, ["killed.py"]).communicate(timeout=60)
    run_dir = next((project.root / "launch").glob("run-*"))
    assert settled(run_dir)["entry_point"] == ["killed.py"]


def test_what_a_script_writes_after_init_is_not_passed_off_as_its_code(
    by_hand: ByHand, project: UserRepository
) -> None:
    project.write(
        {
            "writes.py": b"import time, launch_sdk\nlaunch_sdk.init(); time.sleep(0.02)\n"
            b"open('old.py', 'w').write('x = 2')\nout = open('out.csv', 'w')\n"
            b"for _ in range(300): out.write('1,2'); out.flush(); time.sleep(0.001)\n"
        }
    )
    code = protocol.read_code(by_hand.run(project.root, "writes.py"))
    assert code["capture"]["state"] == "complete"
    assert code.get("left_out", {}) in ({}, {"out.csv": "was written after the run had started"})
    assert code.get("changed_since", []) in ([], ["old.py"])


def test_a_script_that_deletes_itself_is_said_not_to_be_captured(by_hand: ByHand, project: UserRepository) -> None:
    project.write({"gone.py": b"import os, launch_sdk\nlaunch_sdk.init()\nos.unlink('gone.py')\n"})
    about = protocol.read_code(by_hand.run(project.root, "gone.py"))["capture"]
    assert about["state"] == "failed"
    assert "gone.py was deleted before it could be captured" in about["error"]


def test_two_scripts_at_once_are_both_captured(by_hand: ByHand, project: UserRepository) -> None:
    started = [by_hand.start(project.root, ["train.py", str(number)]) for number in range(3)]
    for process in started:
        assert process.communicate(timeout=60)[0] == ""
    codes = [settled(run_dir) for run_dir in (project.root / "launch").glob("run-*")]
    assert len({code["source"] for code in codes}) == 1
    assert len(codes) == 3


def test_the_script_has_no_child_and_no_output_of_the_capture(by_hand: ByHand, project: UserRepository) -> None:
    project.write(
        {
            "alone.py": b"import os, time, launch_sdk\nrun = launch_sdk.init(); time.sleep(0.5); run.log({'a': 1})\n"
            b"try: os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError: raise SystemExit(0)\nraise SystemExit(1)\n"
        }
    )
    run_dir = by_hand.run(project.root, "alone.py")
    assert protocol.read_code(run_dir)["capture"]["state"] == "complete"


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("train.py",), {"LAUNCH_DISABLE_CODE": "true"}),
        (("train.py",), {"WANDB_DISABLE_CODE": "1"}),
        (("off.py",), {}),
        (("train.py",), {"LAUNCH_RUN_DIR": "launch/run-given"}),
    ],
)
def test_nothing_is_captured_where_that_is_off_or_a_supervisor_has_done_it(
    words: tuple[str, ...],
    more: dict[str, str],
    by_hand: ByHand,
    project: UserRepository,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project.write({"off.py": b"import launch_sdk\nlaunch_sdk.init(save_code=False).finish()\n"})
    process = by_hand.start(project.root, words, **more)
    assert process.communicate(timeout=60)[0] == ""
    (run_dir,) = (project.root / "launch").glob("run-*")
    assert not (run_dir / "code.json").exists()
    assert "its code was not captured" in refused(str(run_dir), capsys=capsys)


def test_a_folder_outside_git_is_packed_by_the_rules_of_launch_dir(
    by_hand: ByHand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "plain"
    (folder / "data").mkdir(parents=True)
    (folder / "train.py").write_bytes(TRAIN)
    for name, text in {"data.bin": "12", ".gitignore": "data/\n", "data/huge": "x", ".env": "TOKEN=1"}.items():
        (folder / name).write_text(text)
    process = by_hand.start(folder, ["train.py"])
    process.communicate(timeout=60)
    code = settled(next((folder / "launch").glob("run-*")))
    assert code["source"].startswith("sha256:")
    assert list(code["left_out"]) == [".env"]
    run_dir = next((folder / "launch").glob("run-*"))
    view = replayed(str(run_dir), capsys=capsys)
    assert view["summary"] == {"size": 2, "args": 0}
    work = Path(view["directory"]) / "work"
    assert {path.name for path in work.iterdir()} == {"train.py", "data.bin", ".gitignore"}


def test_what_is_left_out_is_told_at_the_end_of_the_script(by_hand: ByHand, project: UserRepository) -> None:
    project.write({".env": b"TOKEN=1", "slow.py": b"import time, launch_sdk\nlaunch_sdk.init(); time.sleep(2)\n"})
    out, error = by_hand.start(project.root, ["slow.py"]).communicate(timeout=60)
    assert out == ""
    assert "launch: not in the captured code: .env (looks like a secret; take it with !.env in .launchignore)" in error


def test_a_home_folder_and_one_of_very_many_files_are_not_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for folder in (tmp_path / "me", tmp_path, Path("/")):
        with pytest.raises(InvalidSpecError, match="home folder or around it, which is not captured"):
            rules_for(folder, 1)
    monkeypatch.setattr(script_capture, "MAX_FOLDER_FILES", 3)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(4):
        (folder / str(number)).touch()
    with pytest.raises(InvalidSpecError, match="more than 3 files and is in no git repository"):
        rules_for(folder, 1)


def test_a_script_in_the_home_folder_runs_and_says_that_it_was_not_captured(
    by_hand: ByHand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    me = tmp_path / "me"
    me.mkdir()
    (me / "slow.py").write_text("import time, launch_sdk\nlaunch_sdk.init(); time.sleep(1)\n")
    out, error = by_hand.start(me, ["slow.py"]).communicate(timeout=60)
    assert out == ""
    assert "launch: the code of this run was not captured: Directory" in error
    assert "home folder or around it" in refused(str(next((me / "launch").glob("run-*"))), capsys=capsys)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"state": "started", "pid": 2**22 + 1}, "was cut short"),
        ({"state": "started", "pid": os.getpid()}, "still being captured; launch it again in a moment"),
        ({"state": "started"}, "was cut short"),
        ({"state": "failed", "error": "no space"}, "was not captured: no space"),
    ],
)
@pytest.mark.usefixtures("by_hand")
def test_a_capture_that_has_not_come_to_its_end_says_so(
    about: dict[str, Any],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_runs, "CAPTURE_WAIT_S", 0.2)
    run_dir = tmp_path / "launch" / "run-1-a"
    run_dir.mkdir(parents=True)
    (run_dir / "records.jsonl").write_text('{"time":1,"config":{}}\n')
    protocol.write_code(run_dir, {"capture": about})
    assert said in refused(str(run_dir), capsys=capsys)


def request(cwd: Path, program: Path | None, module: str | None = None) -> Request:
    return Request(cwd, 1, cwd, program, module, str(cwd / "venv"))


def test_programs_are_named_as_they_were_started(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / ".git").mkdir(parents=True)
    cwd, train = top / "sub", top / "train.py"
    cases = {
        (cwd, cwd / "train.py", None): (cwd, ("train.py",)),
        (top, cwd / "train.py", None): (top, ("sub/train.py",)),
        (cwd, train, None): (cwd, ("python", "../train.py")),
        (cwd, top / "tool", None): (cwd, ("python", "../tool")),
        (top, cwd / "a.py", "sub.a"): (top, ("python", "-m", "sub.a")),
        (top, cwd / "__main__.py", "sub.__main__"): (top, ("python", "-m", "sub")),
        (cwd, cwd / "venv/bin/tool", None): (cwd, ("tool",)),
        (cwd, Path("/usr/local/bin/tool"), None): (cwd, ("tool",)),
        (tmp_path, train, None): (top, ("train.py",)),
        (top, cwd / "a.ipynb", None): (cwd, ("a.ipynb",)),
        (cwd, None, None): (cwd, None),
    }
    for (folder, program, module), wanted in cases.items():
        if folder == tmp_path:
            (tmp_path / "elsewhere").mkdir()
            folder = tmp_path / "elsewhere"  # noqa: PLW2901
        found = start_of(request(folder, program, module))
        assert (found.directory, found.entry_point) == wanted


def test_a_module_and_a_script_above_are_repeated_as_they_were_started(
    by_hand: ByHand, project: UserRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write({"pkg/__init__.py": b"", "pkg/__main__.py": TRAIN, "sub/data.bin": b"123"})
    view = replayed(str(by_hand.run(project.root, "-m", "pkg", "x")), capsys=capsys)
    assert view["summary"] == {"size": 1, "args": 1}
    view = replayed(str(by_hand.run(project.root / "sub", "../train.py")), capsys=capsys)
    assert view["summary"] == {"size": 3, "args": 0}


def test_a_script_that_has_gone_elsewhere_is_repeated_from_where_it_was_started(
    by_hand: ByHand, project: UserRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    leave = b"import os\nos.makedirs('cache/out', exist_ok=True)\nos.chdir('cache/out')\n"
    project.write({"leaves.py": leave + b"import launch_sdk\nlaunch_sdk.init().log({'a': 1})\n"})
    stays = b"import launch_sdk\n" + leave + b"launch_sdk.init().log({'a': 1})\n"
    project.write({"stays.py": stays, "cache/out/x": b"1"})
    for name, directory in (("stays.py", "."), ("leaves.py", ".")):
        by_hand.start(project.root, [name]).communicate(timeout=60)
        run_dir = max((project.root / "cache/out/launch").glob("run-*"), key=lambda path: path.stat().st_mtime)
        code = settled(run_dir)
        assert (code["directory"], code["entry_point"]) == (directory, [name])
        assert replayed(str(run_dir), capsys=capsys)["summary"] == {"a": 1}


def test_what_was_started_from_no_file_needs_an_entry_point(
    by_hand: ByHand, project: UserRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = by_hand.run(project.root, "-c", "import launch_sdk; launch_sdk.init()")
    assert "name its program with -E" in refused(str(run_dir), capsys=capsys)
    assert replayed(str(run_dir), "-E", "train.py", capsys=capsys)["summary"] == {"size": 1, "args": 0}


def test_odd_work_trees_are_captured(by_hand: ByHand, project: UserRepository) -> None:
    """A detached HEAD, a huge sparse file, names with line breaks, renames of case only, links out: all in one."""
    project.git("checkout", "-q", "--detach")
    with (project.root / "huge.bin").open("wb") as file:
        file.truncate(2 << 30)
    project.write({"two\nlines.txt": b"x", "Old.py": b"x = 2\n"})
    (project.root / "old.py").unlink()
    (project.root / "out").symlink_to("/etc")
    code = protocol.read_code(by_hand.run(project.root, "train.py"))
    assert code["capture"]["state"] == "complete"
    assert "branch" not in code
    assert code["left_out"] == {"huge.bin": "holds 2147 MB, more than 100 MB; take it with !huge.bin in .launchignore"}
    assert (code["links_out"], code["changed"]) == (["out"], True)
    assert code["file_count"] == 6


def test_an_empty_repository_a_shallow_clone_and_a_dirty_submodule_are_captured(
    by_hand: ByHand, project: UserRepository, tmp_path: Path
) -> None:
    fresh = empty(tmp_path / "fresh")
    fresh.write({"train.py": TRAIN, "data.bin": b""})
    code = protocol.read_code(by_hand.run(fresh.root, "train.py"))
    assert ("commit" not in code, code["file_count"]) == (True, 2)
    project.commit("two")
    shallow = project.clone("shallow", "--depth", "1")
    code = protocol.read_code(by_hand.run(shallow.root, "train.py"))
    assert (code["commit"], code["changed"]) == (project.git("rev-parse", "HEAD"), False)
    project.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", shallow.root.as_uri(), "sub")
    project.commit("three")
    project.write({"sub/dirty.py": b""})
    code = protocol.read_code(by_hand.run(project.root, "train.py"))
    assert (list(code["submodules"]), code["changed"]) == (["sub"], True)


def test_a_program_that_git_ignores_is_named(
    by_hand: ByHand, project: UserRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write({".gitignore": b"mine.py\n", "mine.py": TRAIN})
    run_dir = by_hand.run(project.root, "mine.py")
    assert "git ignores its program mine.py" in protocol.read_code(run_dir)["note"]
    said = refused(str(run_dir), capsys=capsys)
    assert "git ignores its program mine.py" in said
    assert "Entry point mine.py is not in the source" in said


def test_a_replay_lists_what_is_not_as_it_was(
    by_hand: ByHand, project: UserRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = by_hand.run(project.root, "train.py")
    environment = json.loads((run_dir / "environment.json").read_text())
    pytest_version = next(one["version"] for one in environment["packages"] if one["name"] == "pytest")
    for one in environment["packages"]:
        one["version"] = "1.0" if one["name"] == "pytest" else one["version"]
    environment |= {"python": "3.1.4", "gpus": ["NVIDIA A100"], "platform": "plan9-mips"}
    (run_dir / "environment.json").write_text(json.dumps(environment))
    view = replayed(str(run_dir), capsys=capsys)
    python = ".".join(map(str, sys.version_info[:3]))
    gpus = ", ".join(gpu_names()) or "none"
    wanted = [f"python 3.1.4 -> {python}", f"platform plan9-mips -> {platform_name()}", f"GPU NVIDIA A100 -> {gpus}"]
    assert view["differs"] == [*wanted, f"pytest 1.0 -> {pytest_version}"]
    assert groups(["run", "diff", str(run_dir), view["directory"], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["what"] for one in found["packages"]] == ["python", "platform", "gpus", "pytest"]
    assert (found["code"], found["arguments"]) == ([], [])


def test_a_repository_that_git_does_not_read_is_said_in_its_words(by_hand: ByHand, project: UserRepository) -> None:
    (project.root / ".git" / "config").write_text("[core\n")
    code = protocol.read_code(by_hand.run(project.root, "train.py"))
    assert code["capture"]["state"] == "failed"
    assert "bad config line 1" in code["capture"]["error"]
