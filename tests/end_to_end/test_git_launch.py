"""Code of a git server on a queue, as a job, and again; and the digits, replayed bit for bit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.end_to_end.test_launch_commands import agent, new_queue
from tests.git_server import serve

if TYPE_CHECKING:
    from tests.conftest import Home

pytestmark = pytest.mark.slow

PROGRAM = """
import os, sys
import launch_sdk as launch

with launch.init(config={"lr": 0.1}) as run:
    run.log({"value": VALUE, "lr": run.config.lr})
sys.exit(os.path.exists(FLAG))
"""


def git(folder: Path, *words: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.server
def test_a_git_address_is_run_on_a_queue_made_a_job_and_started_again_when_it_failed(
    home: Home, tmp_path: Path
) -> None:
    work, flag = tmp_path / "served", tmp_path / "fails"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")

    def commit(value: int) -> str:
        (work / "train.py").write_text(PROGRAM.replace("VALUE", str(value)).replace("FLAG", repr(str(flag))))
        git(work, "add", "-A")
        git(work, "commit", "-qm", f"value {value}", "--allow-empty")
        return git(work, "rev-parse", "HEAD")

    first = commit(1)
    queue = new_queue(home, "from-git")
    with serve(tmp_path) as server, agent(home, "--queues", queue):
        url = f"{server.url}/served"
        words = ("launch", url, "-E", "train.py", "-q", queue)
        view = home.json(*words, "-s", "lr=0.5")
        assert (view["state"], view["summary"]) == ("finished", {"value": 1, "lr": 0.5}), view["error"]
        assert view["parameters"]["source"].partition("#")[2] == git(work, "rev-parse", "HEAD^{tree}")

        planned = home.json("launch", view["url"], "-q", queue, "-s", "lr=0.25", "--dry-run")
        assert (planned["replays"], planned["code"]["commit"]) == (view["run_id"], first)
        assert (planned["queue"], planned["given_by"]["queue"]) == (queue, "--queue")

        flag.touch()
        failed = home.json(*words)
        assert failed["state"] == "failed"
        flag.unlink()
        again = home.json("launch", failed["run_id"], "--rerun-failed")
        assert (again["state"], again["queue"], again["summary"]["value"]) == ("finished", queue, 1)

        create = ("launch", "job", "create", "git", url, "-E", "train.py", "-q", queue)
        assert home.json(*create, "-a", "good")["name"] == "served-train"
        commit(1)  # another commit, the same files
        made = home.json(*create)
        assert (made["version"], made["is_new"]) == ("v0", False)
        describe = ("launch", "job", "describe", "served-train:good")
        commit(2)
        made = home.json(*create)
        assert (made["version"], made["is_new"]) == ("v1", True)
        assert home.json("launch", "--job", "served-train:good")["summary"]["value"] == 1
        words = ("launch", "job", "create", "code", str(work), "-g", first, "-E", "train.py", "-n", "served-train")
        as_it_was = home.json(*words)
        assert (as_it_was["version"], as_it_was["digest"]) == ("v2", home.json(*describe)["digest"])
        replayed = home.json("launch", view["run_id"], "-g", "main", "-q", queue)
        assert replayed["summary"] == {"value": 2, "lr": 0.5}
        differs = home.json("launch", "run", "diff", view["run_id"], replayed["run_id"])
        assert differs["code"] == [{"what": "train.py", "change": "changed", "added": 1, "removed": 1}]
        assert differs["metrics"] == [{"what": "value", "before": 1, "after": 2}]
        assert (differs["config"], differs["packages"], differs["unknown"]) == ([], [], {})
        refused = home.run("launch", "--job", "served-train", "-g", "main")
        assert (refused.returncode, "git_version: the job has its own" in refused.stderr) == (2, True)

        script = tmp_path / "start.py"
        script.write_text(
            "import sys, launch_sdk as launch\n"
            "run = launch.launch(sys.argv[1], entry_point='train.py', git_version=sys.argv[2], queue=sys.argv[3])\n"
            "print(run.summary['value'])\n"
        )
        assert home.run("python", str(script), url, first, queue).stdout == "1\n"


def _metrics(view: Any) -> list[Any]:
    """Every logged value of a run, to the last bit."""
    lines = [json.loads(line) for line in (Path(view["directory"]) / "records.jsonl").read_text().splitlines()]
    return [(line["step"], line["log"]) for line in lines if "log" in line]


def test_a_replay_of_the_digits_has_the_same_metrics_to_the_last_bit_whatever_became_of_the_files(
    home: Home, tmp_path: Path
) -> None:
    work = tmp_path / "digits"
    shutil.copytree(REPOSITORY / "examples" / "digits", work)
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "as it is")
    program = work / "train.py"
    committed = program.read_text()
    program.write_text(committed.replace('"hidden": 32', '"hidden": 24'))  # what the first run has, and nobody commits

    def launch(*given: str) -> Any:
        done = home.run("launch", *given, "--json", LAUNCH_HOME=str(tmp_path / "home"))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    words = ("-s", "epochs=4", "-s", "optimizer.momentum=0.8")
    first = launch(str(work), "-E", "train.py", *words)
    assert first["config"]["hidden"] == 24
    program.write_text(committed.replace('"hidden": 32', '"hidden": 8').replace("log_loss(", "2 * log_loss("))
    replayed = launch(first["run_id"])
    assert len(_metrics(first)) == 4
    assert _metrics(replayed) == _metrics(first)
    assert replayed["summary"] == first["summary"]
    program.write_text(committed)
    assert _metrics(launch(str(work), "-E", "train.py", *words)) != _metrics(first)
