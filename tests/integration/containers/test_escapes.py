"""A hostile program in a container, whose supervisor is root: what it may not reach, and what must not be believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.queue_containers import QueueContainers
from launch_sdk.specs.run_spec import RunSpec
from tests.engines import BASE
from tests.integration.containers.conftest import Lab

SECRET = "4711-of-the-machine"  # noqa: S105  # of this test alone


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.json"
    path.write_text(f'{{"version": 1, "loss": 0.5, "secret": "{SECRET}"}}\n{SECRET},1\n')
    return path


LINKS = """#!/bin/sh
cd "$LAUNCH_RUN_DIR"
for name in records.jsonl output.log config.json summary.json metadata.json provenance.json environment.json \\
  code.json finished.json wandb.jsonl used_files.json args.json; do rm -f $name; ln -s SECRET $name; done
ln -s SECRET_FOLDER wandb
ln -s SECRET_FOLDER files
ln -s SECRET "$LAUNCH_CHECKPOINT_DIR/link"
ln -s SECRET /mnt/wandb/metrics.csv
ln -s SECRET_FOLDER /mnt/wandb/logs
echo done
"""


def test_links_out_of_what_it_may_write_are_neither_followed_nor_kept(lab: Lab, shell: str, secret: Path) -> None:
    script = LINKS.replace("SECRET_FOLDER", str(secret.parent)).replace("SECRET", str(secret))
    sources = [{"file": "metrics.csv"}, {"file": "logs/secret.json"}, {"tensorboard": "logs"}]
    trial = lab.run(script, {"image": shell}, metric_sources=sources)
    assert trial.outcome.succeeded, trial.outcome.error
    assert "done" in trial.lines
    assert trial.outcome.summary == {}
    shown = [path for path in trial.run.path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in shown if SECRET in path.read_text(errors="replace")] == []
    assert not [path for path in trial.run.path.iterdir() if path.is_symlink()]
    assert secret.exists()
    again = lab.run("#!/bin/sh\necho again", {"image": shell}, attempt=2)  # what was left is cleared away, not followed
    assert again.outcome.succeeded
    assert SECRET in secret.read_text()
    assert secret.stat().st_uid == os.getuid()


SPECIAL = """#!/bin/sh
cd "$LAUNCH_RUN_DIR"
for name in records.jsonl config.json environment.json wandb.jsonl metadata.json; do rm -f $name; mkfifo $name; done
mkfifo /mnt/wandb/metrics.csv
echo done
"""


def test_pipes_in_place_of_files_do_not_hold_up_its_supervisor(lab: Lab, shell: str) -> None:
    trial = lab.run(SPECIAL, {"image": shell}, metric_sources=[{"file": "metrics.csv"}], policy={"run_timeout_s": 20})
    assert trial.outcome.succeeded, trial.outcome.error


def test_files_of_the_machine_that_it_names_are_not_read_for_it(lab: Lab, shell: str, secret: Path) -> None:
    script = f"""#!/bin/sh
echo '{{"log": "{secret}"}}' > "$LAUNCH_RUN_DIR/wandb.jsonl"
echo '{{"time": 1, "log_file": {{"name": "x", "path": "{secret}", "sha256": "0", "bytes": 1}}}}' \\
  >> "$LAUNCH_RUN_DIR/records.jsonl"
sleep 0.3
"""
    trial = lab.run(script, {"image": shell})
    assert trial.outcome.succeeded
    assert "is not a log of W&B" not in trial.text
    assert SECRET not in trial.text


def test_it_can_write_to_its_own_folders_alone_and_see_nothing_else_of_the_machine(lab: Lab, shell: str) -> None:
    script = """#!/bin/sh
for place in /mnt/launch/sdk/launch_sdk/x /mnt/launch/hook/x /mnt/launch/run/../x /etc/x; do
  touch $place 2>/dev/null && echo "wrote $place"
done
ls /mnt/launch/sdk/.. /mnt/launch/run; ls -a /mnt/launch/run/..
touch /mnt/wandb/own /mnt/launch/run/own && echo wrote its own
cat /proc/1/environ
"""
    trial = lab.run(script, {"image": shell})
    assert "wrote its own" in trial.lines
    assert not [line for line in trial.lines if line.startswith("wrote /")]
    assert str(Path(os.environ["LAUNCH_HOME"])) not in trial.text
    assert (trial.run.path / "work" / "own").exists()
    assert "code.json" not in trial.text  # the run directory's own files are not inside


ARGUMENTS: list[Any] = [
    *[{key: "x"} for key in ("volume", "v", "network", "device", "cap-add", "cap_add", "security-opt", "user")],
    *[{"privileged": value} for value in (True, "true", "")],
    *[{key: True} for key in ("rm", "memory", "env", "gpus")],
    *[
        {key: value}
        for key in ("memory", "shm-size")
        for value in cast("list[Any]", ["-1", "0", "1e9", "2g --privileged", "", None, []])
    ],
    *[{key: value} for key in ("cpus", "cpu") for value in cast("list[Any]", ["nan", "inf", "-1", "two", {}])],
    *[{"env": value} for value in ("A B=1", "PREFECT_API_KEY", "LAUNCH_HOME=/", "=x", ["A", 3], [["A"]], "A=\0")],
    *[{"ulimit": value} for value in ("nofile", "nofile=1;2", ["nofile=x"], "a=1:2:3")],
    *[{"gpus": value} for value in ("all,capabilities=x", "-1", "device=", '"device=0"')],
    *[{"workdir": value} for value in ("relative", "/a/../etc", "../x")],
    *[{"name": value} for value in ("a b", "-x", "a/b", "x" * 200)],
    *[{"platform": value} for value in ("linux", "linux/../x", "LINUX/AMD64 ")],
    *[{"pids-limit": value} for value in ("0", "-1", "1.5")],
    *[{"command": value} for value in ("", "'open")],
]


@pytest.mark.parametrize(
    "args",
    ARGUMENTS,
    ids=str,
)
def test_a_submitter_is_refused_whatever_reaches_out_of_a_container_and_whatever_is_no_value(
    args: dict[str, Any],
) -> None:
    with pytest.raises(InvalidSpecError, match=r"container\.args\."):
        RunSpec.from_dict({"source": "x", "container": {"image": BASE, "args": args}})


@pytest.mark.parametrize(
    "container",
    [
        *[
            {"image": name}
            for name in ("a b", "-x", "--privileged", "x;y", "$(id)", "a/UP", "a:b:c", "a@sha256:1", "x" * 600)
        ],
        *[
            {"dockerfile": path}
            for path in ("../Dockerfile", "/etc/passwd", "a/../../b", "-", "~/x", "a\\b", "", "x\0y")
        ],
        *[{"user_id": value} for value in (-1, "1000", 1.5, True, 2**31)],
        *[{"volumes": ["/:/host"]}, {"privileged": True}, {"network": "host"}, "python", ["x"]],
        {"image": "a", "base_image": "b"},
    ],
    ids=str,
)
def test_a_container_that_cannot_be_is_refused_with_its_path(container: Any) -> None:
    with pytest.raises(InvalidSpecError, match="container"):
        RunSpec.from_dict({"source": "x", "container": container})


@pytest.mark.parametrize(
    "given",
    [
        *[{"volumes": [one]} for one in ("/a", "a:/b", "/a:/b:rx", "/a/../..:/b", "/a:/b:ro:x", "\0/a:/b")],
        *[{"devices": [one]} for one in ("/etc/passwd", "sda", "/dev/x:y")],
        *[{"network": one} for one in ("a b", "container:x", "-h")],
        *[{"engine": one} for one in ("tcp://x", "../x", "A")],
        *[{"allow_env": one} for one in (["A=1"], ["PREFECT_API_KEY"], {"A": 1})],
        *[{"privileged": "yes"}, {"cap_add": ["x;y"]}, {"pull": "often"}, {"user_id": "0"}, {"entrypoint": "sh"}],
    ],
    ids=str,
)
def test_what_an_owner_says_of_containers_is_checked_too(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        QueueContainers.from_arguments(given)
