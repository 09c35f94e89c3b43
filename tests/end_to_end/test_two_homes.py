"""Two homes on one machine: an agent works for its own server only, whoever has the port afterwards."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

from tests.conftest import Home, eventually

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "print('ran')\n"
LONGER_THAN_TWO_POLLS_S = 4.0  # an event wakes an agent at once, and again when its stream has come back


def serve(path: Path, port: int | None = None) -> Home:
    path.mkdir()
    words = ["--port", str(port)] if port else []
    return Home(path, Home(path, "").json("launch", "server", "start", *words)["api_url"])


def test_an_agent_whose_server_has_ended_takes_no_run_of_the_next_server_on_that_port(tmp_path: Path) -> None:
    first = serve(tmp_path / "first")
    port = int(first.ui_url.rpartition(":")[2])
    second: Home | None = None
    program = tmp_path / "program"
    program.mkdir()
    (program / "main.py").write_text(PROGRAM)
    log = tmp_path / "agent.log"
    agent: subprocess.Popen[str] | None = None
    try:
        assert first.run("launch", "queue", "create", "default").returncode == 0
        agent = first.start_writing(log, "launch-agent", "--queues", "default")
        eventually(lambda: "serves default" in log.read_text(), "the agent should start")
        assert first.run("launch", "server", "stop").returncode == 0

        second = serve(tmp_path / "second", port)
        assert second.api_url == first.api_url
        assert second.run("launch", "queue", "create", "default").returncode == 0
        queued = second.json("launch", "--queue", "default", str(program), "--detach")
        eventually(lambda: "has ended" in log.read_text(), "the agent should say that its server has ended")
        time.sleep(LONGER_THAN_TWO_POLLS_S)
        view = json.loads(second.run("launch", "run", "show", queued["run_id"], "--json").stdout)
        assert view["state"] == "queued"
        assert second.json("launch", "agent", "list") == [], "nor does it show itself there"

        assert second.run("launch-agent", "--queues", "default", "--exit-when-idle", "2").returncode == 0
        view = json.loads(second.run("launch", "run", "show", queued["run_id"], "--json").stdout)
        assert view["state"] == "finished"
        assert (second.path / "runs" / queued["run_id"]).is_dir()
    finally:
        if agent:
            agent.terminate()
            agent.wait(60)
        for home in (first, second):
            if home:
                home.run("launch", "server", "stop")
