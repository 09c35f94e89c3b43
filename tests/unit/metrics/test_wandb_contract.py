"""What the W&B client finds around it in a launched program, and the hook that listens to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.environments import wandb
from launch_sdk.environments.current import program_environment
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.tracking.protocol import write_overrides

if TYPE_CHECKING:
    from pathlib import Path


def _variables(run_dir: Path, inherited: dict[str, str] | None = None, **more: Any) -> dict[str, str]:
    given: dict[str, Any] = {"run_id": "r1", "config": {}, "files": {}, **more}
    return wandb.wandb_environment(inherited or {}, run_dir=run_dir, **given)


def test_the_client_is_told_the_run_and_its_overrides_and_stays_offline(tmp_path: Path) -> None:
    variables = _variables(
        tmp_path,
        name="one",
        project="a/b",
        sweep_id="s1",
        config={"lr": 0.1},
        files={"c.yaml": {"a": 1, "b": {"$delete": True}}},  # the client knows no deletion and would write the mark
    )
    told = {key: value for key, value in variables.items() if key.startswith("WANDB_")}
    assert told == {
        "WANDB_LAUNCH": "true",
        "WANDB_MODE": "offline",
        "WANDB_RUN_ID": "r1",
        "WANDB_NAME": "one",
        "WANDB_PROJECT": "a-b",  # the client refuses a slash
        "WANDB_SWEEP_ID": "s1",
        "WANDB_DIR": str(tmp_path),
        "WANDB_CONFIG": '{"lr": 0.1}',
        "WANDB_LAUNCH_FILE_OVERRIDES": '{"c.yaml": {"a": 1}, "./c.yaml": {"a": 1}}',
        "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "0.25",
        "WANDB_QUIET": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_ERROR_REPORTING": "false",
    }


def test_long_overrides_are_cut_into_numbered_variables(tmp_path: Path) -> None:
    config = {"text": "x" * 70_000}
    variables = _variables(tmp_path, config=config, files={"a.json": config})
    for name, value in (
        ("WANDB_CONFIG", config),
        ("WANDB_LAUNCH_FILE_OVERRIDES", {"a.json": config, "./a.json": config}),
    ):
        assert name not in variables
        pieces = [variables[f"{name}_{i}"] for i in range(sum(key.startswith(f"{name}_") for key in variables))]
        assert len(pieces) > 2
        assert max(map(len, pieces)) == 32_670
        assert json.loads("".join(pieces)) == value


def test_online_needs_the_users_word_and_a_login(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    key = {"WANDB_API_KEY": "secret"}
    online = {"LAUNCH_WANDB_MODE": "online"}
    assert _variables(tmp_path, {**home, **key, "WANDB_MODE": "online"})["WANDB_MODE"] == "offline"
    assert "WANDB_API_KEY" not in _variables(tmp_path, {**home, **key})
    assert _variables(tmp_path, {**home, **online})["WANDB_MODE"] == "offline"
    assert "not logged in to W&B" in (wandb.mode_notice({**home, **online}) or "")
    variables = _variables(tmp_path, {**home, **online, **key}, sweep_id="s1")
    assert variables["WANDB_MODE"] == "online"
    assert variables["WANDB_API_KEY"] == "secret"
    assert "WANDB_SWEEP_ID" not in variables  # the client's server does not know our sweep
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert wandb.wandb_mode({**home, **online}) == "online"
    assert "is none of offline, online, disabled" in (wandb.mode_notice({"LAUNCH_WANDB_MODE": "maybe"}) or "")


def test_what_belongs_to_a_run_around_this_one_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.setenv("WANDB_RUN_ID", "outer")
    monkeypatch.setenv("WANDB_SERVICE", "3-1-unix")
    monkeypatch.setenv("WANDB_TAGS", "mine")
    inherited = program_environment({})
    assert {key for key in inherited if key.startswith("WANDB_")} == {"WANDB_TAGS"}


def _python(
    run_dir: Path, code: str, pythonpath: str = "", config: dict[str, Any] | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": pythonpath, "HOME": str(run_dir), **more}
    contract = _variables(run_dir, inherited, config=config or {"lr": 0.5})
    environment = {**inherited, **contract, "LAUNCH_RUN_DIR": str(run_dir)}
    run = RunDirectory(run_dir)
    run.work.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=run.work,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_the_hook_hides_no_other_sitecustomize_and_leaves_no_trace_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("VALUE = 5")
    code = "import sys, sitecustomize; print(sitecustomize.VALUE, [p for p in sys.path if 'wandb_hook' in p])"
    assert _python(tmp_path, code, str(tmp_path)).stdout == "5 []\n"
    loaded = "import sys; print([m for m in ('json', 'importlib.util', 'pathlib', 'typing') if m in sys.modules])"
    assert _python(tmp_path, loaded).stdout == "[]\n"  # a program that has no use for it pays for nothing


DECLARES = """
import wandb
from pydantic import BaseModel
from wandb.sdk import launch

class Trainer(BaseModel):
    lr: float = 0.1

schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "integer"}}}
open("conf.yaml", "w").write("a: 1")
launch.manage_wandb_config(include=["trainer"], schema=Trainer)
launch.manage_config_file("conf.yaml", exclude=["b"], schema=schema)
try:
    launch.manage_config_file("nothing.yaml")
except Exception as error:
    print(type(error).__name__)
print(launch.load_wandb_config()["lr"])
with wandb.init(dir="elsewhere" if __import__("os").mkdir("elsewhere") is None else "") as run:
    run.log({"loss": 1})
"""


def test_the_hook_tells_what_the_client_declares_and_where_it_writes(tmp_path: Path) -> None:
    done = _python(tmp_path, DECLARES)
    assert done.stdout.splitlines() == ["LaunchError", "0.5"]
    config, file, log = [json.loads(line) for line in (tmp_path / "wandb.jsonl").read_text().splitlines()]
    assert config["include"] == ["trainer"]
    assert config["schema"]["properties"]["lr"]["type"] == "number"
    assert file["file"] == "conf.yaml"
    assert file["text"] == "a: 1"
    assert file["schema"]["$defs"] == {"A": {"type": "integer"}}
    assert log["log"].startswith(str(tmp_path / "work" / "elsewhere" / "wandb" / "offline-run-"))


def test_what_the_hook_cannot_tell_never_stops_the_program(tmp_path: Path) -> None:
    (tmp_path / "wandb.jsonl").mkdir()
    done = _python(tmp_path, DECLARES)
    assert done.stdout.splitlines() == ["LaunchError", "0.5"]
    assert "launch: the inputs that this program declares with wandb are not seen: IsADirectoryError" in done.stderr


def test_the_hook_brings_what_checks_overrides_along_where_the_programs_environment_lacks_it() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(wandb.HOOK)!r})\n"
        "import launch_wandb_declarations as hook; del sys.path[0]\n"
        "before = list(sys.path); print(type(hook._foreign_inputs()).__name__, sys.path == before)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ForeignInputs True\n"


REFUSES = """
import wandb
from wandb.sdk import launch

def trying(call, **given):
    try:
        call(**given)
    except Exception as error:
        print(type(error).__module__, error)

config = {"trainer": {"lr": 0.1, "n": 2, "private": {"k": 1}}, "seed": 1}
launch.manage_config_file("conf.yaml", include=["o"])
trying(wandb.init, config=config)
print(wandb.config.trainer)
trying(launch.manage_wandb_config, include=["trainer.lr"], exclude=["trainer.private"])
trying(launch.manage_wandb_config, include=["trainer"])
"""


def test_a_wandb_script_refuses_what_it_does_not_declare_as_one_of_our_sdk_does(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "conf.yaml").write_text("o: {lr: 3, wd: abc, lrr: 1}\nseed: 4\n")
    config = {"trainer": {"lr": "x", "nn": 3, "private": {"k": 3}}, "seed": 5}
    held = {"conf.yaml": {"o": {"lr": 1, "wd": 0.5}, "seed": 1}}
    files = {"conf.yaml": {"o": {"lr": 3, "wd": "abc", "lrr": 1}, "seed": 4}}
    write_overrides(tmp_path, config, files, file_values=held)
    done = _python(tmp_path, REFUSES, config=config)
    first = "launch_sdk.tracking.inputs The launch gave what is no input of this program:"
    of_the_file = [
        "  files.conf.yaml.seed: is no input; inputs are o.lr, o.wd",
        "  files.conf.yaml.o.wd: must be number, not 'abc'",
        "  files.conf.yaml.o.lrr: is no input; the nearest is o.lr",
    ]
    of_the_config = [
        "  config.trainer.private.k: is no input; {}",
        "  config.seed: is no input; {}",
        "  config.trainer.lr: must be number, not 'x'",
    ]
    assert [line for line in done.stdout.splitlines() if not line.startswith("\x1b")] == [
        first,
        *of_the_file,
        "{'lr': 'x', 'n': 2, 'private': {'k': 3}, 'nn': 3}",
        first,
        "  config.trainer.nn: is no input; the nearest is trainer.lr",
        *(line.format("inputs are trainer.lr") for line in of_the_config),
        *of_the_file,
        first,
        *(line.format("inputs are trainer.lr, trainer.n") for line in of_the_config),
        *of_the_file,
    ]
    assert "launch:" not in done.stderr


def test_a_wandb_script_gets_an_integer_where_it_has_one(tmp_path: Path) -> None:
    code = """
import wandb
with wandb.init(config={"n": 1, "m": {"k": 2, "lr": 0.5, "l": [1, 2]}}) as run:
    print(run.config)
"""
    config = {"n": 4.0, "m": {"k": 6.0, "lr": 2.0, "l": [3.0, 4.5]}}
    write_overrides(tmp_path, config, {})
    done = _python(tmp_path, code, config=config)
    assert "{'n': 4, 'm': {'k': 6, 'lr': 2.0, 'l': [3, 4.5]}}" in done.stdout
