"""Builds that are killed: nothing of theirs stays with the engine, and what earlier ones have made does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.containers.generated import BUILD_LABEL, LAYERS_LABEL
from launch_sdk.containers.left_builds import noted_builds, remove_lost_builds
from launch_sdk.containers.removal import main as remove_of_run
from launch_sdk.runs.processes import is_dead
from tests.engines import BASE, engine
from tests.integration.containers.test_image_builds import Code, names_in

__all__ = ["code"]
RUN_ID = "11111111-2222-3333-4444-555555555555"
BUILDS = """
import asyncio, os, sys
from pathlib import Path
from launch_sdk.containers.context import Context
from launch_sdk.containers.engine import connect
from launch_sdk.containers.images import Images, Recipe
from launch_sdk.containers.left_builds import BuildNotes
from launch_sdk.runs.processes import process_identifier

home, text, code, secret, owner = Path(sys.argv[1]), *sys.argv[2:]
notes = BuildNotes(home, owner, None, process_identifier(os.getpid()))
images = Images(connect().api, home / "images", lambda lines: print(*lines, sep="\\n", flush=True), notes=notes)
context = Context()
context.add("code.py", code.encode())
recipe = Recipe(text, "launch-tests-killed:1", "It", ("killed", code[:9]), secret=secret or None)
asyncio.run(images.build(context, recipe))
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    return Code(tmp_path)


def build_and_kill(home: Path, text: str, code: str, secret: str = "") -> None:
    """Kill whoever builds with SIGKILL, in the middle of a command of his Dockerfile."""
    engine()
    words = [sys.executable, "-c", BUILDS, str(home), text, code, secret, RUN_ID]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "now it sleeps" in line and "RUN" not in line:
                process.kill()
                return
    pytest.fail("the build has not come to its command")


def layers(since: int) -> list[dict[str, Any]]:
    """List the unnamed layers of our builds that were made since."""
    rows: list[dict[str, Any]] = engine().api.images(all=True, filters={"label": LAYERS_LABEL})
    return [row for row in rows if row["Created"] >= since and not set(row["RepoTags"] or ()) - {"<none>:<none>"}]


def test_what_a_killed_build_has_made_is_removed_and_an_earlier_builds_layers_stay(code: Code) -> None:
    stamp = str(time.time_ns())
    first = f"FROM {BASE}\nRUN echo {stamp} > /stamp\n"
    home = code.folder.parent / "home"
    began = int(time.time())
    words = [sys.executable, "-c", BUILDS, str(home), first, stamp, "", RUN_ID]
    subprocess.run(words, check=True, timeout=60)
    assert noted_builds(home) == []
    kept = engine().api.inspect_image("launch-tests-killed:1")["Id"]
    before = {row["Id"] for row in layers(began)}
    time.sleep(1.1 - time.time() % 1)  # the engine's times are whole seconds
    build_and_kill(home, f"{first}COPY . .\nRUN echo now it sleeps; sleep 100\n", stamp)
    assert {row["Id"] for row in layers(began)} - before, "the killed build should have made something"
    (noted,) = noted_builds(home)
    remove_of_run(str(home), RUN_ID)
    assert noted_builds(home) == [noted]
    remove_of_run(str(home), RUN_ID, noted.process)
    assert {row["Id"] for row in layers(began)} == before
    assert engine().api.inspect_image("launch-tests-killed:1")["Id"] == kept
    engine().api.remove_image("launch-tests-killed:1")
    assert noted_builds(home) == []


def test_the_stage_with_a_login_does_not_outlive_whoever_is_killed(code: Code) -> None:
    home = code.folder.parent / "home"
    secret = f"secret{time.monotonic_ns()}"
    text = f"FROM {BASE}\nLABEL {BUILD_LABEL}={secret}\nCOPY . /launch/\nRUN echo now it sleeps; sleep 100\n"
    build_and_kill(home, text, "login", secret)
    assert remove_lost_builds(home, lambda _: False) == []
    assert remove_lost_builds(home, is_dead)
    assert engine().api.images(all=True, filters={"label": f"{BUILD_LABEL}={secret}"}) == []
    assert noted_builds(home) == []


def test_a_dockerfile_of_ours_is_in_no_image_and_an_ignore_file_only_where_the_source_has_one(code: Code) -> None:
    code.write("Dockerfile.launch", f"FROM {BASE}\nWORKDIR /app\nCOPY . .\n")
    code.write("run.py", str(time.monotonic_ns()))
    assert names_in(code.build().reference, "/app") == {"app", "app/Dockerfile.launch", "app/run.py"}
    code.write(".dockerignore", "*.txt\n!Dockerfile*\n")
    code.write("Dockerfile.of-launch", "the source's own")
    names = names_in(code.build().reference, "/app")
    assert names == {"app", *(f"app/{name}" for name in os.listdir(code.folder))}  # noqa: PTH208


def test_the_commands_of_a_build_have_the_limits_of_the_queue(code: Code) -> None:
    limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
    quota = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null"
    text = f"FROM {BASE}\nRUN echo {time.monotonic_ns()}; {limit}; {quota}; true\n"
    code.write("Dockerfile.launch", text)
    from launch_sdk.containers.arguments import build_limits

    code.build(limits=build_limits({"memory": "300m", "cpus": "0.5"}))
    assert str(300 << 20) in code.lines
    assert any(line.split()[0] == "50000" for line in code.lines)
    assert not engine().api.params
