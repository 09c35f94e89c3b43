"""The server dies under running programs, and comes back on its port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import Home, eventually

PROGRAM = """
import os, time
import launch_sdk as launch

with launch.init() as run:
    open(os.environ["NOTE"], "w").close()
    for step in range(50):
        run.log({"step": step})
        time.sleep(0.1)
"""


def test_runs_go_on_while_the_server_is_away_and_their_records_arrive_when_it_is_back(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "")
    (tmp_path / "main.py").write_text(PROGRAM)
    try:
        assert home.run("launch", "server", "start").returncode == 0
        assert home.run("launch", "queue", "create", "away").returncode == 0
        log = tmp_path / "agent.log"
        with log.open("w") as output:
            agent = subprocess.Popen(
                [str(Path(sys.executable).with_name("launch-agent")), "--queues", "away"],
                env=home.environment | {"NOTE": str(tmp_path / "note")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            eventually(lambda: "serves" in log.read_text(), "the agent should start")
            run = home.json("launch", "-q", "away", str(tmp_path), "--detach")["run_id"]
            eventually((tmp_path / "note").exists, "the program should run")
            os.kill(json.loads((home.path / "server" / "server.json").read_text())["pid"], signal.SIGKILL)
            records = home.path / "runs" / run / "records.jsonl"
            eventually(lambda: '"finish"' in records.read_text(), "the program should go on to its end")
            assert home.run("launch", "server", "start").returncode == 0
            state = eventually(
                lambda: (view := home.json("launch", "run", "show", run))["state"] == "finished" and view,
                "the run should be finished on the server too",
            )
            assert (state["summary"], state["attempts"]) == ({"step": 49}, [])
            following = home.run("launch", "-q", "away", str(tmp_path))
            assert following.returncode == 0, following.stderr  # and the agent goes on
        finally:
            agent.send_signal(signal.SIGINT)
            agent.wait(60)
    finally:
        home.run("launch", "server", "stop")
