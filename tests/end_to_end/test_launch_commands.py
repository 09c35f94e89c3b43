"""`launch` and `launch-agent` as a user types them: a real server, real agents, real programs."""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Home, eventually

PROGRAM = """
import os, sys, time
import launch_sdk as launch

with launch.init(config={"x": 1, "seconds": 0.0, "code": 0}) as run:
    print("pid", os.getpid(), "x is", run.config.x, "args", sys.argv[1:], flush=True)
    print("prefect settings:", [name for name in os.environ if name.startswith("PREFECT_")], flush=True)
    run.log({"y": run.config.x * 2})
    time.sleep(run.config.seconds)
sys.exit(run.config.code)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(PROGRAM)
    return tmp_path


@contextmanager
def agent(home: Home, *words: str) -> Generator[None]:
    """A `launch-agent`, ended as a user ends it. Its log goes to a file: a pipe that nobody empties would block it."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("launch-agent")), *words],
            env=home.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

        def said() -> str:
            log.seek(0)
            return log.read()

        try:
            eventually(lambda: "serves" in said() or process.poll() is not None, "the agent should start")
            assert process.poll() is None, said()
            yield
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(60)


def new_queue(home: Home, name: str) -> str:
    done = home.run("launch", "queue", "create", name)
    assert done.returncode in {0, 2}, done.stderr
    return name


def test_a_run_goes_through_a_queue_to_an_agent_and_back(home: Home, project: Path) -> None:
    queue = new_queue(home, "there-and-back")
    with agent(home, "--queues", queue):
        done = home.run("launch", "--queue", queue, str(project), "-s", "x=21", "-a", "k=v", "--json")
        assert done.returncode == 0, done.stderr
        view = json.loads(done.stdout)
        assert view["state"] == "finished"
        assert view["summary"] == {"y": 42}
        assert view["config"] == {"x": 21, "seconds": 0.0, "code": 0}
        assert view["parameters"]["config"] == {"x": 21}
        assert view["queue"] == queue
        assert "args ['--k=v']" in done.stderr
        assert "prefect settings: []" in done.stderr

        failed = home.run("launch", "--queue", queue, str(project), "-s", "code=7", "--json")
        assert failed.returncode == 1
        assert "exited with code 7" in json.loads(failed.stdout)["error"]

        again = home.run("launch", view["run_id"], "-q", queue, "-s", "x=4", "--json")
        assert json.loads(again.stdout)["summary"] == {"y": 8}
        assert home.json("launch", "run", "show", view["run_id"])["summary"] == {"y": 42}
        assert "is finished already." in home.run("launch", "run", "stop", view["run_id"]).stderr
        assert "x is 21" in home.run("launch", "run", "logs", view["run_id"]).stdout


def test_the_output_of_a_queued_run_arrives_whole_and_once(home: Home, project: Path) -> None:
    queue = new_queue(home, "output")
    (project / "main.py").write_text("for i in range(2000): print('line', i)\n")
    with agent(home, "--queues", queue):
        for _ in range(3):
            done = home.run("launch", "--queue", queue, str(project))
            assert done.stdout.splitlines() == [f"line {i}" for i in range(2000)]


def test_one_agent_serves_two_queues_one_run_at_a_time(home: Home, project: Path) -> None:
    first, second = new_queue(home, "first"), new_queue(home, "second")
    started = [
        home.json("launch", "-q", queue, str(project), "-s", "seconds=1", "--detach")
        for queue in (first, second, first)
    ]
    assert [view["state"] for view in started] == ["queued"] * 3
    with agent(home, "--queues", f"{first},{second}"):
        views = [
            eventually(
                lambda run_id=view["run_id"]: (
                    (now := home.json("launch", "run", "show", run_id))["state"] == "finished" and now
                ),
                "the run should finish",
            )
            for view in started
        ]
    spans = sorted((view["started"], view["ended"]) for view in views)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("daemon", os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
"""


def test_a_cancelled_run_takes_its_program_with_it_and_what_that_has_hidden(home: Home, project: Path) -> None:
    (project / "main.py").write_text(DAEMON + PROGRAM)
    queue = new_queue(home, "cancelling")
    with agent(home, "--queues", queue):
        run_id = home.json("launch", "-q", queue, str(project), "-s", "seconds=60", "--detach")["run_id"]

        def processes() -> list[str]:
            found = re.findall(r"(?:pid|daemon) (\d+)", home.run("launch", "run", "logs", run_id).stdout)
            return found if len(found) == 2 else []

        pids = eventually(processes, "the program and its daemon should run")
        home.run("launch", "run", "cancel", run_id)
        eventually(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "both should be gone", 20)
        eventually(
            lambda: home.json("launch", "run", "show", run_id)["state"] == "cancelled", "the run should be cancelled"
        )


def test_a_stopped_run_keeps_its_result(home: Home, project: Path) -> None:
    queue = new_queue(home, "stopping")
    with agent(home, "--queues", queue):
        run_id = home.json("launch", "-q", queue, str(project), "-s", "seconds=60", "--detach")["run_id"]
        eventually(lambda: home.json("launch", "run", "show", run_id)["summary"] == {"y": 2}, "the value should arrive")
        home.run("launch", "run", "stop", run_id)
        view = eventually(
            lambda: (now := home.json("launch", "run", "show", run_id))["state"] == "stopped" and now, "it should stop"
        )
    assert view["summary"] == {"y": 2}


def test_a_queue_without_an_agent_is_said_within_seconds(home: Home, project: Path) -> None:
    queue = new_queue(home, "nobody-here")
    process = home.start("launch", "-q", queue, str(project))
    assert process.stderr is not None
    assert any(f"No agent polls queue {queue!r}" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_an_unknown_queue_is_refused_with_the_known_ones(home: Home, project: Path) -> None:
    new_queue(home, "known")
    for words in (("launch", "-q", "gpuu", str(project)), ("launch-agent", "--queues", "gpuu")):
        done = home.run(*words)
        assert done.returncode == 2
        assert "'gpuu' does not exist" in done.stderr
        assert "'known'" in done.stderr


def test_a_port_in_use_is_said(tmp_path: Path, home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = home.run("launch", "server", "start", "--port", str(port), LAUNCH_HOME=str(tmp_path))
    assert done.returncode == 2
    assert f"Port {port} is in use" in done.stderr


def test_two_commands_at_once_start_one_server(tmp_path: Path, home: Home) -> None:
    starting = [home.start("launch", "server", "start", "--json", LAUNCH_HOME=str(tmp_path)) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=100)[0]) for process in starting]
    try:
        assert answers[0] == answers[1]
        assert answers[0]["url"].startswith("http://127.0.0.1:")
    finally:
        stopped = home.run("launch", "server", "stop", LAUNCH_HOME=str(tmp_path))
    assert stopped.returncode == 0
    assert home.run("launch", "server", "status", LAUNCH_HOME=str(tmp_path)).returncode == 1


def test_the_python_api_submits_and_reads(home: Home, project: Path) -> None:
    queue = new_queue(home, "from-python")
    (project / "caller.py").write_text(
        f"""
import asyncio, time
import launch_sdk as launch

def main():
    run = launch.launch({str(project)!r}, config={{"x": 5}}, queue={queue!r})
    assert run.state.value == "finished", run.refresh()
    assert dict(run.summary) == {{"y": 10}}
    assert [row["y"] for row in run.history()] == [10]
    deadline = time.monotonic() + 30
    while not any("x is 5" in line for line in run.logs()):
        assert time.monotonic() < deadline, run.logs()
        time.sleep(0.2)

async def notebook():
    main()  # another loop runs already

asyncio.run(notebook())
"""
    )
    with agent(home, "--queues", queue):
        done = home.run("python", str(project / "caller.py"))
    assert done.returncode == 0, done.stderr


PRINTS = """
import sys
for epoch in range(3):
    print(f"Epoch {epoch}/3 - loss: {float(sys.argv[1]) / (epoch + 1):.2f}")
"""
LAUNCH_CONFIG = r"""
uri: code
overrides:
  entry_point: [train.py, "0.6"]
metric_sources:
  - stdout: 'Epoch (?P<step>\d+)/.* loss: (?P<loss>\S+)'
"""
FROM_PYTHON = """
import sys
import launch_sdk as launch

source = [{"stdout": r"loss: (?P<loss>\\S+)"}]
run = launch.launch("code", entry_point="train.py 0.9", metric_sources=source, queue=sys.argv[1])
print(run.summary)
"""


def test_a_launch_config_says_where_the_metrics_of_a_queued_run_are(home: Home, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(PRINTS)
    (tmp_path / "launch.yaml").write_text(LAUNCH_CONFIG)
    (tmp_path / "start.py").write_text(FROM_PYTHON)
    queue = new_queue(home, "configured")
    with agent(home, "--queues", queue):
        view = home.json("launch", "-c", "launch.yaml", "-q", queue, cwd=tmp_path)
        assert (view["state"], view["summary"]) == ("finished", {"loss": 0.2})
        again = home.json("launch", view["run_id"], "-c", json.dumps({"queue": queue, "overrides": {"args": ["x"]}}))
        assert (again["summary"], again["parameters"]["args"]) == ({"loss": 0.2}, ["x"])
        assert home.run("python", "start.py", queue, cwd=tmp_path).stdout == "{'loss': 0.3}\n"


def _git(folder: Path, *words: str) -> None:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


def test_a_dirty_work_tree_runs_whole_on_a_queue_and_is_replayed_by_name_after_it_has_changed(
    home: Home, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "lib.py").write_text("VALUE = 1")
    (tmp_path / "sub/train.py").write_text("import sys; sys.path.append('..'); import lib; print('value', lib.VALUE)")
    _git(tmp_path, "init")
    _git(tmp_path, "add", "-A")
    _git(tmp_path, "commit", "-m", "one")
    (tmp_path / "lib.py").write_text("VALUE = 2")
    (tmp_path / ".env").write_text("TOKEN=1")
    with agent(home, "--queues", "default"):
        first = home.run("launch", "-q", "default", str(tmp_path / "sub"), "-E", "train.py", "-n", "dirty-one")
        assert "value 2" in first.stdout
        assert "left out: .env (looks like a secret" in first.stderr
        (tmp_path / "lib.py").write_text("VALUE = 3")
        assert "value 2" in home.run("launch", "-q", "default", "dirty-one").stdout
    assert "value 2" in home.run("launch", "dirty-one").stdout
    shown = home.json("launch", "run", "show", "dirty-one")["code"]
    assert (shown["directory"], shown["changed"], list(shown["left_out"])) == ("sub", True, [".env"])
    words = ["launch", "job", "create", "code", str(tmp_path / "sub"), "-E", "train.py", "-n", "dirty-job"]
    assert home.json(*words)["version"] == "v0"
    _git(tmp_path, "commit", "-am", "the same files")
    assert home.json(*words)["version"] == "v0"
    (tmp_path / "lib.py").write_text("VALUE = 4")
    assert home.json(*words)["version"] == "v1"
    home.run("launch", "job", "delete", "dirty-job")
