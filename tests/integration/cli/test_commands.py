"""The commands as users run them, as far as no server is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.runs.processes import process_start_time

DEADLINE_S = 60.0
BIN = Path(sys.executable).parent


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    directory.mkdir()
    return directory


def _start(tmp_path: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / words[0]), *words[1:]],
        cwd=tmp_path,
        env={**os.environ, "LAUNCH_HOME": str(tmp_path / "home"), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(tmp_path: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    process = _start(tmp_path, *words, **variables)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in out + err
    return process.returncode, out, err


def test_a_program_that_ends_well_gives_zero_and_its_output(code: Path, tmp_path: Path) -> None:
    (code / "main.py").write_text("import sys; print('hello'); print('to stderr', file=sys.stderr)")
    status, out, err = _run(tmp_path, "launch", str(code))
    assert (status, out) == (0, "hello\nto stderr\n")
    assert "finished" in err


def test_a_program_that_wants_to_be_a_job_is_told_that_this_needs_a_queue(code: Path, tmp_path: Path) -> None:
    (code / "main.py").write_text("import launch_sdk as launch\nwith launch.init(register='digits'): pass")
    status, _, err = _run(tmp_path, "launch", str(code))
    assert (status, "No job was made of it" in err) == (0, True)


def test_a_program_that_fails_gives_one_and_still_one_document(code: Path, tmp_path: Path) -> None:
    (code / "main.py").write_text("print('last words'); raise SystemExit(3)")
    status, out, err = _run(tmp_path, "launch", str(code), "--json")
    document = json.loads(out)
    assert (status, document["state"]) == (1, "failed")
    assert "exited with code 3" in document["error"]
    assert "last words" in err


def test_a_program_that_cannot_be_started_gives_one_and_still_one_document(code: Path, tmp_path: Path) -> None:
    (code / "main.py").write_text("")
    status, out, _ = _run(tmp_path, "launch", str(code), "-E", "./nowhere", "--json")
    document = json.loads(out)
    assert (status, document["state"]) == (1, "failed")
    assert "cannot be started" in document["error"]


def test_config_and_arguments_reach_the_program(code: Path, tmp_path: Path) -> None:
    script = "import launch_sdk as launch, sys\nrun = launch.init(config={'lr': 1, 'm': {'a': 1}})\n"
    (code / "t.py").write_text(script + "run.log({'lr': run.config['lr'], 'a': run.config['m']['a']})\nrun.finish()\n")
    words = ["-E", "t.py", "-s", "lr=1e-3", "-s", "m.a=[1, x]", "-a", "k=v", "--json", "-n", "name"]
    status, out, err = _run(tmp_path, "launch", str(code), *words)
    document = json.loads(out)
    assert status == 0, err
    assert document["summary"] == {"lr": 1e-3, "a": [1, "x"]}
    assert (document["config"], document["name"]) == ({"lr": 1e-3, "m": {"a": [1, "x"]}}, "name")
    assert document["parameters"]["args"] == ["--k=v"]


def test_secrets_that_are_left_out_are_named(code: Path, tmp_path: Path) -> None:
    (code / "main.py").write_text("import os; print(os.listdir())")
    (code / ".env").write_text("TOKEN=1")
    _, out, err = _run(tmp_path, "launch", str(code))
    assert out == "['main.py']\n"
    assert "left out: .env (looks like a secret; take it with !.env in .launchignore)" in err


@pytest.fixture
def repository(code: Path) -> Path:
    (code / "sub").mkdir()
    (code / "lib.py").write_text("VALUE = 1\n")
    program = "import os, sys; sys.path.append('..'); import lib; print(lib.VALUE, os.path.exists('../.env'), sys.argv)"
    (code / "sub/train.py").write_text(program)
    (code / ".env").write_text("TOKEN=1")
    subprocess.run(["git", "init", "-q"], cwd=code, check=True)
    return code


def _id_of(err: str) -> str:
    return next(word for word in err.split() if word.startswith("run-"))


def test_a_run_is_replayed_with_its_code_and_arguments_by_id_and_directory(repository: Path, tmp_path: Path) -> None:
    _, out, err = _run(tmp_path, "launch", f"{repository}/sub", "-E", "train.py a", "-a", "x=1", "-s", "lr=1")
    assert out == "1 False ['train.py', 'a', '--x=1']\n"
    first = _id_of(err)
    (repository / "lib.py").write_text("VALUE = 2\n")
    for named in (first, f"home/runs/{first}"):
        status, again, err = _run(tmp_path, "launch", named)
        assert (status, again) == (0, out)
        assert f"Replays run {first}: git tree" in err
    status, again, _ = _run(tmp_path, "launch", first, "-a", "y=2")
    assert (status, again) == (0, "1 False ['train.py', 'a', '--y=2']\n")
    status, out, _ = _run(tmp_path, "launch", first, "--dry-run")
    document = json.loads(out)
    assert (document["replays"], document["config"], document["code"]["directory"]) == (first, {"lr": 1}, "sub")
    assert document["source"] == document["code"]["source"]


def test_a_replay_whose_code_was_tampered_with_does_not_start(repository: Path, tmp_path: Path) -> None:
    _, _, err = _run(tmp_path, "launch", f"{repository}/sub", "-E", "train.py")
    (pack,) = (tmp_path / "home/store/sources").glob("*.pack")
    pack.write_bytes(pack.read_bytes()[:-1] + b"x")
    status, out, refused = _run(tmp_path, "launch", _id_of(err))
    assert (status, out) == (2, "")
    assert "is damaged: its content has another digest" in refused
    for document in (tmp_path / "home/store/sources").glob("*.json"):
        document.unlink()
    status, _, refused = _run(tmp_path, "launch", _id_of(err))
    assert (status, "is not in the run store" in refused) == (2, True)


def test_a_secret_is_taken_if_a_launchignore_says_so(repository: Path, tmp_path: Path) -> None:
    (repository / ".launchignore").write_text("!.env\n")
    _, out, err = _run(tmp_path, "launch", f"{repository}/sub", "-E", "train.py")
    assert (out.split()[1], "left out" in err) == ("True", False)


def test_the_record_of_a_run_lists_what_was_left_out(repository: Path, tmp_path: Path) -> None:
    _, _, err = _run(tmp_path, "launch", f"{repository}/sub", "-E", "train.py")
    _, out, _ = _run(tmp_path, "launch", "run", "show", _id_of(err), COLUMNS="200")
    assert "code.left out" in out
    assert ".env (looks like a secret" in out
    _, out, _ = _run(tmp_path, "launch", "run", "show", _id_of(err), "--json")
    assert list(json.loads(out)["code"]["left_out"]) == [".env"]


def test_a_run_that_was_started_by_hand_has_no_code_to_replay(code: Path, tmp_path: Path) -> None:
    (code / "t.py").write_text("import launch_sdk as launch\nwith launch.init(): pass\n")
    subprocess.run([sys.executable, "t.py"], cwd=code, check=True, capture_output=True)
    (directory,) = (code / "launch").glob("run-*")
    status, _, err = _run(tmp_path, "launch", str(directory))
    assert (status, "was started by hand" in err) == (2, True)


def test_a_dry_run_starts_nothing_and_prints_what_it_would(code: Path, tmp_path: Path) -> None:
    status, out, _ = _run(tmp_path, "launch", str(code), "-s", "x=.nan", "-s", "d=2020-01-01", "--dry-run")
    assert status == 0
    assert json.loads(out)["config"] == {"x": {"$number": "nan"}, "d": "2020-01-01"}
    assert not (tmp_path / "home").exists()


LAUNCH_CONFIG = r"""
uri: code
name: of the file
overrides:
  entry_point: t.py
  args: {size: 3}
  run_config: {m: {a: 1, b: 1}}
metric_sources:
  - stdout: 'loss=(?P<loss>\S+)'
"""


def test_a_launch_config_says_what_to_run_and_where_its_metrics_are(code: Path, tmp_path: Path) -> None:
    (code / "t.py").write_text("import sys; print(sys.argv[1:])\nfor i in range(3): print(f'loss={1 / (i + 1)}')\n")
    (tmp_path / "launch.yaml").write_text(LAUNCH_CONFIG)
    status, out, err = _run(tmp_path, "launch", "-c", "launch.yaml", "-s", "m.b=2", "-n", "mine", "--json")
    assert status == 0, err
    document = json.loads(out)
    assert "['--size=3']" in err
    assert document["summary"] == {"loss": 1 / 3}
    assert (document["name"], document["parameters"]["config"]) == ("mine", {"m": {"a": 1, "b": 2}})


def test_a_launch_config_as_json_is_shown_by_a_dry_run(code: Path, tmp_path: Path) -> None:
    config = {"entity": "team", "queue": "gpu", "overrides": {"args": ["--k", "v"], "run_config": {"lr": 0.1}}}
    status, out, err = _run(tmp_path, "launch", str(code), "-c", json.dumps(config), "--dry-run", "-q", "cpu")
    document = json.loads(out)
    assert (status, document["queue"], document["args"]) == (0, "cpu", ["--k", "v"])
    assert (document["config"], document["entry_point"]) == ({"lr": 0.1}, ["main.py"])
    assert "Entity 'team' is W&B's" in err


def test_a_bad_launch_config_gives_two_and_every_fault_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("uri: .\nqueu: x\ndocker: {docker_image: a b}\n")
    status, out, err = _run(tmp_path, "launch", "-c", "bad.yaml")
    assert (status, out) == (2, "")
    assert "line 2: queu: unknown key; did you mean queue?" in err
    assert "line 3: docker.docker_image: 'a b' is no name of an image" in err


def test_a_job_is_shown_by_a_dry_run(tmp_path: Path) -> None:
    status, out, _ = _run(tmp_path, "launch", "--job", "f/d", "-s", "x=.inf", "--dry-run")
    assert (status, json.loads(out)) == (0, {"job": "f/d", "parameters": {"x": {"$number": "inf"}}})


def test_words_that_are_no_text_are_still_printed_as_json(code: Path, tmp_path: Path) -> None:
    words = [str(code), "-a", os.fsdecode(b"\xff"), "-s", "x=é", "--dry-run"]
    for encoding in ("utf-8", "ascii"):
        status, out, _ = _run(tmp_path, "launch", *words, PYTHONIOENCODING=encoding)
        document = json.loads(out)
        assert (status, document["args"], document["config"]) == (0, ["\udcff"], {"x": "é"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["launch"], "name either a URI"),
        (["launch", "./nowhere"], "./nowhere is not a directory"),
        (["launch", ".", "--job", "a/b"], "name either a URI"),
        (["launch", ".", "--nonsense"], "unrecognized arguments"),
        (["launch", ".", "-s", "x"], "'x' must be key=value"),
        (["launch", ".", "-E", "'"], "No closing quotation"),
        (["launch", ".", "-E", "../x.py"], "leads out of the source"),
        (["launch", ".", "-E", "missing.py"], "Entry point missing.py is not in the source"),
        (["launch", ".", "--detach"], "--detach needs --queue"),
        (["launch", "--job", "a/b", "-q"], "a deployment has its own"),
        (["launch", "-c", "{}"], "name either a URI"),
        (["launch", "-c", '{"uri": "."}', "--detach"], "--detach needs --queue"),
        (["launch", "-c", '{"job": "a/b", "overrides": {"args": ["x"]}}'], "args: a deployment has its own"),
        (["launch", "run"], "ACTION"),
        (["launch", "run", "nonsense"], "invalid choice"),
        (["launch", "queue", "create"], "NAME"),
        (["launch", "server", "nonsense"], "invalid choice"),
        (["launch", "server", "start", "--port", "x"], "invalid int"),
        (["launch-agent", "--queues", ","], "--queues names no queue"),
        (["launch-agent", "--max-jobs", "0"], "--max-jobs must be at least 1"),
        (["launch-agent", "--max-schedulers", "-2"], "--max-schedulers must be at least 0"),
        (["launch-agent", "-c", "nowhere.yaml"], "Agent config nowhere.yaml does not exist"),
        (["launch", ".", "-P", "high"], "--priority needs --queue"),
        (["launch", ".", "--set-var", "a=b"], "--set-var needs --queue"),
        (["launch", "-q", "x", ".", "-P", "urgent"], "'urgent' is no priority; there are critical, high, medium, low"),
        (["launch", "-q", "x", ".", "--set-var", "a"], "instead got: a"),
        (["launch", "queue", "nonsense"], "invalid choice"),
        (["launch", "queue", "create", "a/b", "--json"], "'a/b' is no name"),
        (["launch", "queue", "create", "a", "--resource", "cluster"], "'cluster' is not supported"),
        (["launch", "queue", "create", "a", "-c", "{"], "not valid YAML"),
        (["launch", "queue", "items"], "NAME"),
        (["launch", "agent", "stop"], "NAME"),
        (["launch-sweep"], "name a sweep FILE"),
        (["launch-sweep", "nowhere.yaml"], "No such file"),
        (["launch-sweep", "/"], "Is a directory"),
        (["launch-sweep", "--prior_run", "x", "--resume_id", "y"], "--priority and --set-var go with a new sweep"),
        (["launch", "sweep", "export", "x", "--format", "parquet"], "name it with -o FILE"),
        (["launch", "sweep", "export", "x", "--format", "csv", "--json"], "contradict one another"),
    ],
)
def test_wrong_use_gives_two_and_a_sentence(words: list[str], message: str, tmp_path: Path) -> None:
    status, out, err = _run(tmp_path, *words)
    assert (status, out) == (2, ""), err
    assert message in err


def test_a_bad_sweep_file_gives_two_and_every_fault_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("method: gird\nprogram: a.py\nrun_cap: 0\n")
    status, out, err = _run(tmp_path, "launch-sweep", "bad.yaml", "--json")
    assert (status, out) == (2, "")
    assert "line 1: method: 'gird' is not a method; did you mean grid?" in err
    assert "line 3: run_cap: must be at least 1" in err
    assert "parameters is missing" in err


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for words in (["launch-sweep", "pipe"], ["launch", "-c", "pipe"]):
        status, _, err = _run(tmp_path, *words)
        assert (status, "pipe has 1 fault:\n  is no regular file" in err) == (2, True), err


def test_a_home_that_cannot_be_made_is_an_error_and_no_traceback(code: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    status, _, err = _run(tmp_path, "launch", str(code))
    assert status == 2
    assert "error:" in err


def test_a_server_that_does_not_run_is_said_so(tmp_path: Path) -> None:
    status, out, _ = _run(tmp_path, "launch", "server", "status", "--json")
    assert (status, json.loads(out)) == (1, {"running": False})


@pytest.mark.parametrize("command", [["launch"], ["launch", "server"], ["launch-agent"], ["launch-sweep"]])
def test_help_has_examples(command: list[str], tmp_path: Path) -> None:
    status, out, err = _run(tmp_path, *command, "--help")
    assert (status, err) == (0, "")
    assert "examples:\n" in out


def _wait_for(path: Path, process: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + DEADLINE_S
    while not path.exists() or not path.read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)
    return int(path.read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_its_program_and_gives_130(code: Path, tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    (code / "main.py").write_text(
        f"import os, pathlib, time; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    process = _start(tmp_path, "launch", str(code), "--json")
    pid = _wait_for(pid_file, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    document: dict[str, Any] = json.loads(out)
    assert (process.returncode, document["state"]) == (130, "cancelled")
    assert "Traceback" not in err
    assert process_start_time(pid) is None


def test_an_interrupted_run_takes_its_daemons_along(code: Path, tmp_path: Path) -> None:
    (code / "main.py").write_text(
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.closerange(0, 3)\n"
        "        open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "        time.sleep(600)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        "print('left', flush=True)\n"
        "time.sleep(600)\n"
    )
    told = tmp_path / "pid"
    process = _start(tmp_path, "launch", str(code), "-E", f"main.py {told}")
    assert process.stdout is not None
    assert process.stdout.readline() == "left\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert process_start_time(int(told.read_text())) is None


def test_a_reader_that_leaves_ends_the_run_quietly(code: Path, tmp_path: Path) -> None:
    (code / "main.py").write_text("for i in range(10**9): print(i)")
    process = _start(tmp_path, "launch", str(code))
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert process.wait(timeout=DEADLINE_S) == 0
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_two_runs_in_the_foreground_are_compared_without_a_server(code: Path, tmp_path: Path) -> None:
    program = (
        "import launch_sdk\nwith launch_sdk.init(config={'lr': 0.1}) as run:\n    run.log({'loss': run.config.lr})\n"
    )
    found: list[dict[str, Any]] = []
    for more, words in (("", []), ("# more\n", ["-s", "lr=0.3", "-a", "x=1"])):
        (code / "main.py").write_text(program + more)
        found.append(json.loads(_run(tmp_path, "launch", str(code), *words, "--json")[1]))
    before, after = (one["run_id"] for one in found)
    status, out, _ = _run(tmp_path, "launch", "run", "diff", before, f"home/runs/{after}", "--json")
    said = json.loads(out)
    assert (status, said["runs"]) == (0, [before, after])
    assert said["code"] == [{"what": "main.py", "change": "changed", "added": 1, "removed": 0}]
    assert said["arguments"] == [{"what": "args", "after": ["--x=1"]}]
    assert said["config"] == [{"what": "lr", "before": 0.1, "after": 0.3}]
    assert said["metrics"] == [{"what": "loss", "before": 0.1, "after": 0.3}]
    assert "main.py" in _run(tmp_path, "launch", "run", "diff", before, after)[1]
    assert "Nothing differs" in _run(tmp_path, "launch", "run", "diff", before, before)[2]
    assert not (tmp_path / "home" / "server").exists()
    status, _, err = _run(tmp_path, "launch", "run", "diff", before, "home/nope")
    assert (status, "home/nope is no directory of a run" in err) == (2, True)


def test_all_that_is_wrong_with_a_launch_is_said_at_once(code: Path, tmp_path: Path) -> None:
    words = [
        "--retries",
        "-2",
        "--resources",
        "gpu=x",
        "-P",
        "urgent",
        "--set-var",
        "x",
        "-E",
        "'",
        "-c",
        '{"nope": 1}',
    ]
    status, out, err = _run(tmp_path, "launch", str(code), "-q", "gpu", *words)
    assert (status, out) == (2, "")
    assert "The command has 6 faults" in err
    for option in ('--config {"nope": 1} nope: line 1', "--entry-point:", "--retries:", "--resources gpu:"):
        assert f"\n  {option}" in err
    assert "\n  --priority: 'urgent' is no priority" in err
    assert "\n  --set-var: must be" in err
