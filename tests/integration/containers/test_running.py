"""A program in a container: what it has, what it records, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError, RunFailedError
from launch_sdk.tracking import protocol
from tests.engines import BASE, foreign_image
from tests.integration.containers.conftest import Lab

SDK = """
import json, os, sys
import launch_sdk as launch

with launch.init(config={"lr": 0.1, "deep": {"er": 1}}) as run:
    for step in range(3):
        run.log({"loss": 1 / (step + 1), "lr": run.config["lr"]})
    with open("/proc/self/status") as status:
        privileges = [line for line in status if line.startswith("NoNewPrivs")]
    try:
        import prefect
    except ImportError:
        prefect = None
    print(json.dumps({
        "user": os.getuid(), "group": os.getgid(), "cwd": os.getcwd(), "env": dict(os.environ), "argv": sys.argv[1:],
        "prefect": prefect is not None, "privileges": privileges, "run_dir": os.listdir(os.environ["LAUNCH_RUN_DIR"]),
        "memory": open("/sys/fs/cgroup/memory/memory.limit_in_bytes").read().strip()
        if os.path.exists("/sys/fs/cgroup/memory") else open("/sys/fs/cgroup/memory.max").read().strip(),
    }))
"""


def test_a_python_program_has_the_sdk_its_overrides_and_nothing_of_its_agent(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PREFECT_API_KEY", "WANDB_API_KEY"):
        monkeypatch.setenv(name, "hunter2")
    trial = lab.run(
        SDK,
        {"image": BASE, "args": {"-m": "300m", "e": ["OWN=1"]}},
        queue={"memory-swap": "-1"},
        env={"OF_QUEUE": "2"},
        config={"lr": 0.5},
        args=["--fast", "a b; $(touch /tmp/x)"],
    )
    assert trial.outcome.succeeded, trial.outcome.error
    assert trial.outcome.summary == {"loss": 1 / 3, "lr": 0.5}
    said = json.loads(trial.lines[-1])
    assert (said["user"], said["group"], said["cwd"], said["prefect"]) == (1000, 1000, "/mnt/wandb", False)
    assert said["argv"] == ["--fast", "a b; $(touch /tmp/x)"]  # X5: words, and no shell
    assert said["memory"] == str(300 << 20)
    assert "hunter2" not in trial.text
    assert (said["env"]["OWN"], said["env"]["OF_QUEUE"]) == ("1", "2")
    assert not [name for name in said["env"] if name.startswith("PREFECT_")]
    assert said["privileges"] == ["NoNewPrivs:\t1\n"]
    assert protocol.read_snapshot(trial.run.path).config == {"lr": 0.5, "deep": {"er": 1}}
    assert (trial.run.path / "environment.json").exists()
    assert lab.left() == []


SHELL = """#!/bin/sh
echo '{"time": 1, "log": {"loss": 0.5}, "step": 0}' >> "$LAUNCH_RUN_DIR/records.jsonl"
echo '{"time": 1, "log": {"loss": 0.25}, "step": 1}' >> "$LAUNCH_RUN_DIR/records.jsonl"
cat "$LAUNCH_RUN_DIR/overrides.json"
echo to the error stream >&2
sleep 0.4
exit 3
"""


def test_a_program_without_python_takes_part_by_the_files_of_the_protocol_while_it_runs(lab: Lab, shell: str) -> None:
    seen: list[dict[str, Any]] = []

    def look(_: list[str]) -> None:
        path = Path(os.environ["LAUNCH_HOME"]) / "runs" / lab.run_id / protocol.RECORDS
        seen.append({"rows": len(path.read_text().splitlines()) if path.exists() else 0})

    lab.on_lines = look
    trial = lab.run(SHELL, {"image": shell}, config={"lr": 2})
    assert (trial.outcome.exit_code, trial.outcome.summary) == (3, {"loss": 0.25})
    assert trial.outcome.error is not None
    assert "to the error stream" in trial.outcome.error
    assert '"config": {"lr": 2}' in trial.text or '"config":{"lr":2}' in trial.text
    assert seen, "its output is followed"


def test_an_image_starts_its_own_program_and_arguments_are_added_as_docker_does(lab: Lab, shell: str) -> None:
    api = lab.engine.api
    with_entry, with_command = "launch-tests-entry:2", "launch-tests-command:1"
    made = api.create_container(shell, ["sh"])["Id"]
    try:
        api.commit(made, *with_entry.split(":"), changes=['ENTRYPOINT ["sh","-c","echo $0 $@"]', 'CMD ["default"]'])
        api.commit(made, *with_command.split(":"), changes=['CMD ["sh","-c","echo $0 $@ of user; id -u","of-image"]'])
    finally:
        api.remove_container(made)
    assert lab.run(None, None, source=f"image:{with_entry}", entry_point=[]).lines[-1] == "default"
    assert lab.run(None, None, source=f"image:{with_entry}", entry_point=[], args=["x", "y z"]).lines[-1] == "x y z"
    trial = lab.run(None, {"user_id": 1234}, source=f"image:{with_command}", entry_point=[], args=["more"])
    assert trial.lines[-2:] == ["of-image more of user", "1234"]
    commanded = lab.run(
        None, {"args": {"command": "sh -c 'echo \"$0\"' 'by name'"}}, source=f"image:{shell}", entry_point=[]
    )
    assert commanded.lines[-1] == "by name"
    replaced = lab.run(None, None, source=f"image:{with_entry}", entry_point=["sh", "-c", "echo own"])
    assert replaced.lines[-1] == "own"


def test_what_cannot_be_started_is_said_in_words(lab: Lab, shell: str) -> None:
    trial = lab.run(SDK, {"image": shell})
    assert trial.outcome.exit_code == 127
    assert f"its image ({shell}) does not have" in (trial.outcome.error or "")
    foreign = foreign_image(lab.engine.api, "launch-tests-foreign:1", "arm64")
    with pytest.raises(RunFailedError, match="is made for arm64, and the engine at"):
        lab.run(SHELL, {"image": foreign})
    nobody = "localhost:1/none:1"
    with pytest.raises(RunFailedError, match=f"Image {nobody} is not on the engine, and it cannot be pulled"):
        lab.run(SHELL, {"image": nobody})
    with pytest.raises(RunFailedError, match="its queue pulls none"):
        lab.run(SHELL, {"image": nobody}, queue={"pull": "never"})
    assert lab.left() == []


def test_an_image_that_cannot_be_pulled_anew_is_run_as_it_is(lab: Lab, shell: str) -> None:
    lab.engine.api.tag(shell, "localhost:1/kept", "1")
    trial = lab.run("#!/bin/sh\necho ran", {"image": "localhost:1/kept:1"}, queue={"pull": "always"})
    assert trial.outcome.succeeded
    assert "could not be pulled; the engine has one of this name" in trial.text
    lab.engine.api.remove_image("localhost:1/kept:1")


PATIENT = """#!/bin/sh
trap 'echo saved > "$LAUNCH_CHECKPOINT_DIR/at"; exit 4' TERM
echo started
while :; do sleep 0.1; done
"""


def test_stop_reaches_the_program_which_may_save_what_it_has(lab: Lab, shell: str) -> None:
    async def stopped() -> None:
        started = asyncio.Event()
        lab.on_lines = lambda lines: started.set() if "started" in lines else None
        running = asyncio.create_task(lab.running(PATIENT, {"image": shell}))
        await asyncio.wait_for(started.wait(), 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(stopped())
    run = Path(os.environ["LAUNCH_HOME"]) / "runs" / lab.run_id
    assert (run / "checkpoints" / "at").read_text() == "saved\n"
    assert lab.left() == []


def test_a_program_that_takes_too_long_is_ended_and_one_that_hears_nothing_killed(lab: Lab, shell: str) -> None:
    trial = lab.run(PATIENT, {"image": shell}, policy={"run_timeout_s": 0.5})
    assert trial.outcome.has_timed_out
    assert "ran longer than 0.5 s" in (trial.outcome.error or "")
    assert lab.left() == []


def test_a_container_that_is_killed_and_one_out_of_memory_are_said_to_be(lab: Lab, shell: str) -> None:
    def kill(lines: list[str]) -> None:
        if "started" in lines:
            lab.engine.api.kill(f"launch-{lab.run_id}", signal="SIGKILL")

    lab.on_lines = kill
    killed = lab.run(PATIENT, {"image": shell})
    assert killed.outcome.exit_code == -9
    assert "was ended by signal 9" in (killed.outcome.error or "")
    lab.on_lines = lambda _: None
    hungry = lab.run("x = bytearray(1 << 30)", {"image": BASE, "args": {"memory": "64m", "memory-swap": "64m"}})
    assert hungry.outcome.exit_code == -9
    assert "ran out of memory: its container has 64 MB" in (hungry.outcome.error or "")
    assert lab.left() == []


def test_a_second_attempt_finds_checkpoints_and_records_and_never_runs_beside_the_first(lab: Lab, shell: str) -> None:
    script = """#!/bin/sh
cat "$LAUNCH_CHECKPOINT_DIR/at" 2>/dev/null
row="{\\"time\\": 1, \\"log\\": {\\"attempt\\": $LAUNCH_ATTEMPT}, \\"step\\": $LAUNCH_ATTEMPT}"
echo "$row" >> "$LAUNCH_RUN_DIR/records.jsonl"
echo "first attempt" > "$LAUNCH_CHECKPOINT_DIR/at"
exit 1
"""
    lab.run(script, {"image": shell})
    api = lab.engine.api
    api.create_container(shell, ["sleep", "60"], name=f"launch-{lab.run_id}")  # as an agent that was killed leaves it
    api.start(f"launch-{lab.run_id}")
    again = lab.run(script, {"image": shell}, attempt=2)
    assert "first attempt" in again.lines
    assert [row["attempt"] for row in again.run.history()] == [1, 2]
    assert lab.left() == []


def test_a_queue_gives_what_no_submitter_may(lab: Lab, shell: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "of-machine").write_text("there")
    script = "#!/bin/sh\ncat /data/of-machine; touch /data/x || echo read only; id -u; ls /sys/class/net\n"
    queue = {"volumes": [f"{tmp_path}/data:/data:ro"], "network": "none", "user_id": 0, "image": shell}
    trial = lab.run(script, None, queue=queue)
    assert "there" in trial.text
    assert "read only" in trial.text
    assert trial.lines[-2:] == ["0", "lo"]
    with pytest.raises(InvalidSpecError, match="root is for queues whose owner allows it"):
        lab.run(script, {"image": shell, "user_id": 0}, queue={})


def test_what_a_queue_says_stands_and_its_agents_variables_are_given_to_whom_it_allows(
    lab: Lab, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    script = "#!/bin/sh\necho token=$TOKEN; echo shared=$SHARED; cat /sys/fs/cgroup/memory/memory.limit_in_bytes\n"
    wanted = {"image": shell, "args": {"memory": "64g", "env": ["TOKEN", "SHARED=mine"]}}
    trial = lab.run(script, wanted, queue={"memory": "128m"}, env={"SHARED": "the queue's"})
    assert "launch: queue 'q' decides: memory is 128m, not 64g" in trial.lines
    assert "TOKEN is not given to the program: queue 'q' lets none ask its agents for that" in trial.text
    assert "token=" in trial.lines
    assert "shared=the queue's" in trial.lines
    allowed = lab.run(script, wanted, queue={"allow_env": ["TOKEN"]})
    assert "token=hunter2" in allowed.lines
