"""Preloading, in processes of their own: it changes what is imported."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from launch_sdk.agent.warm import settings_of

if TYPE_CHECKING:
    from pathlib import Path


def end_of_warm_process(project: Path, flows: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start a warm process whose agent is gone already; it preloads and ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    with theirs:
        return subprocess.run(
            [
                sys.executable,
                "-P",
                "-m",
                "launch_sdk.agent.warm",
                json.dumps({"project": str(project), "flows": flows, "modules": []}),
            ],
            stdin=theirs.fileno(),
            capture_output=True,
            text=True,
            check=False,
            cwd=project,
        )


def test_only_settings_count_not_the_identifiers_of_a_run() -> None:
    env = {"PREFECT_API_URL": "u", "PREFECT__FLOW_RUN_ID": "1", "HOME": "/"}
    assert settings_of(env) == {"PREFECT_API_URL": "u"}


def test_it_ends_with_its_agent(tmp_path: Path) -> None:
    ended = end_of_warm_process(tmp_path, {})
    assert (ended.returncode, ended.stderr) == (0, "")


def test_flows_that_cannot_be_imported_are_reported_and_left_out(tmp_path: Path) -> None:
    broken = {"divides": "1 / 0", "imports": "import no_such_module", "exits": "raise SystemError"}
    for name, code in broken.items():
        (tmp_path / f"{name}.py").write_text(code)
    ended = end_of_warm_process(tmp_path, {f"{name}.py:f": f"{name}:f" for name in broken})
    assert ended.returncode == 0
    assert all(f"cannot preload {name}" in ended.stderr for name in broken)


def test_a_flow_whose_import_starts_a_thread_is_not_forked_beside_it(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='pump', daemon=True).start()\n"
    )
    ended = end_of_warm_process(tmp_path, {"busy.py:f": "busy:f"})
    assert ended.returncode == 0
    assert "(pump)" in ended.stderr
