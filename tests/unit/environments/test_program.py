"""A program in an environment of its own: what it finds there, and what it does not."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.errors import InvalidSpecError, NotFoundError, RunFailedError
from launch_sdk.runs.environment import describe_environment
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking import environment, protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCK: dict[str, Any] = {"python": "3.1.4", "packages": [{"name": "no-such-package", "version": "1.0"}]}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))


def _run(source: Path, program: str, environment: str = "auto", **more: Any) -> tuple[Outcome, RunDirectory, list[str]]:
    (source / "train.py").write_text(program)
    run, lines = RunDirectory.of("one"), list[str]()
    spec = RunSpec(str(source), ("train.py",), environment=environment, **more)
    identity = {protocol.RUN_ID: "one"}
    return (
        asyncio.run(execute(spec, run, store=RunStore.local(), identity=identity, on_lines=lines.extend)),
        run,
        lines,
    )


def _said(outcome: Outcome, run: RunDirectory) -> Any:
    assert outcome.succeeded, outcome.error
    return json.loads(run.last_lines(1))


def test_it_has_its_packages_and_ours_for_tracking_and_none_of_the_agents(
    source: Path, wheel: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "of_the_agent.py").write_text("")
    wheel(source, "alpha", "2.0")
    (source / "requirements.txt").write_text("./alpha-2.0-py3-none-any.whl")
    program = """
import importlib.util as u, json, os, subprocess, sys
import alpha, launch_sdk
with launch_sdk.init(config={"lr": 0.1}) as run:
    run.log({"loss": 1})
code = "import alpha, launch_sdk, sys; print(sys.prefix)"
inner = subprocess.run(["python", "-c", code], capture_output=True, text=True)
print(json.dumps([sys.prefix, os.environ["VIRTUAL_ENV"], inner.stdout.strip(), alpha.VERSION, os.environ["PYTHONPATH"],
    [n for n in ("prefect", "pytest", "of_the_agent", "wandb") if u.find_spec(n)], dict(run.config)]))
"""
    outcome, run, lines = _run(source, program, config={"lr": 0.5})
    prefix, virtual_env, inner, version, path, leaked, config = _said(outcome, run)
    assert prefix == virtual_env == inner != sys.prefix
    assert (version, leaked, config) == ("2.0", [], {"lr": 0.5})
    assert path.endswith("wandb_hook")
    assert outcome.summary == {"loss": 1}
    found = environment.read(run.path)
    assert (found["prefix"], found["from"]) == (prefix, "requirements.txt")
    assert [(p["name"], p["version"]) for p in found["packages"]] == [("alpha", "2.0")]
    assert lines[0].startswith("launch: making the environment of requirements.txt")
    assert ", 1 packages, made in" in lines[1]
    assert run.output.read_text().splitlines()[:2] == lines[:2]
    assert len(lines) == 3


def test_a_launch_sdk_of_its_own_wins_over_ours(source: Path, wheel: Callable[..., Path]) -> None:
    wheel(source, "launch_sdk", "9.0", {"launch_sdk/__init__.py": "MINE = True\n"})
    (source / "requirements.txt").write_text("./launch_sdk-9.0-py3-none-any.whl")
    outcome, run, _ = _run(source, "import json, launch_sdk; print(json.dumps(launch_sdk.MINE))")
    assert _said(outcome, run) is True


def test_its_wandb_is_told_what_a_launch_gives(source: Path, wheel: Callable[..., Path]) -> None:
    files = {
        "wandb/__init__.py": "",
        "wandb/sdk/__init__.py": "",
        "wandb/sdk/launch/__init__.py": "",
        "wandb/sdk/launch/inputs/__init__.py": "",
        "wandb/sdk/launch/inputs/internal.py": "class StagedLaunchInputs: pass\n",
    }
    wheel(source, "wandb", "0.1", files)
    (source / "requirements.txt").write_text("./wandb-0.1-py3-none-any.whl")
    program = """
import json, os, sys
hooked = [type(f).__name__ or f for f in sys.meta_path if getattr(f, "__name__", "") == "_Finder"]
import wandb.sdk.launch.inputs.internal
print(json.dumps([len(hooked), "launch_wandb_declarations" in sys.modules, os.environ["WANDB_CONFIG"]]))
"""
    outcome, run, _ = _run(source, program, config={"lr": 0.5})
    assert _said(outcome, run) == [1, True, '{"lr": 0.5}']


def test_packages_of_the_source_are_used_from_the_runs_own_copy(source: Path) -> None:
    for place in ("src/mine", "libs/other"):
        (source / place).mkdir(parents=True)
    (source / "src" / "mine" / "__init__.py").write_text("PLACE = __file__")
    (source / "libs" / "other" / "other.py").write_text("PLACE = __file__")
    for name, folder in (("mine", source), ("other", source / "libs" / "other")):
        (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nversion = "1"\ndependencies = []\n')
    (source / "requirements.txt").write_text("-e .\n./libs/other\n")
    outcome, run, _ = _run(source, "import json, mine, other; print(json.dumps([mine.PLACE, other.PLACE]))")
    places = [str(run.work / "src/mine/__init__.py"), str(run.work / "libs/other/other.py")]
    assert _said(outcome, run) == places


def test_what_cannot_be_installed_fails_the_run_before_its_program_starts(source: Path) -> None:
    (source / "requirements.txt").write_text("--no-index\nno-such-package\n")
    with pytest.raises(RunFailedError, match=r"(?s)so the program was not started. uv said:.*no-such-package"):
        _run(source, "open('started', 'w')")
    assert not (RunDirectory.of("one").work / "started").exists()


def test_hostile_requirements_fail_the_run_with_their_lines(source: Path) -> None:
    (source / "requirements.txt").write_text("six\n-r ../../x\ngit+ext::sh\n")
    with pytest.raises(InvalidSpecError, match=r"(?s)2 faults:.*line 2: .*line 3: "):
        _run(source, "")
    with pytest.raises(NotFoundError, match="--environment current"):
        _run(source, "", "lock")


def test_a_repeated_run_on_other_packages_says_so_once_and_records_it(source: Path) -> None:
    outcome, run, lines = _run(
        source, "import launch_sdk\nwith launch_sdk.init() as r: r.log({'a': 1})", "current", lock=LOCK
    )
    assert outcome.succeeded
    here = ".".join(map(str, sys.version_info[:3]))
    assert environment.read(run.path)["differs"] == [f"python 3.1.4 -> {here}", "no-such-package 1.0 is not installed"]
    assert len([line for line in lines if "no-such-package" in line]) == 1
    assert environment.read(run.path)["from"] == "the agent's own packages"


def test_a_dry_run_says_what_it_would_run_in(source: Path) -> None:
    (source / "requirements.txt").write_text("six==1.16.0\n")
    found = describe_environment(RunSpec(str(source), environment="auto"))
    assert (found["from"], found["is_made"], found["requirements"]) == ("requirements.txt", False, ["six==1.16.0"])
    assert describe_environment(RunSpec(str(source)))["path"] == sys.executable
    packed = RunStore.local().put_directory(source).source
    assert describe_environment(RunSpec(packed, environment="auto"))["digest"] == found["digest"]
    gone = describe_environment(RunSpec(f"sha256:{'0' * 64}", environment="auto"))
    assert gone["from"] is None


def test_the_environment_of_the_agent_stays_the_default(source: Path) -> None:
    outcome, run, lines = _run(source, "import json, sys; print(json.dumps(sys.prefix))", "current")
    assert _said(outcome, run) == sys.prefix
    assert [line for line in lines if line.startswith("launch:")] == []
    assert RunSpec(str(source)).environment == "current"
