"""Supervising real programs: what they print, how they end, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.environments.current import program_arguments, program_environment
from launch_sdk.errors import RunFailedError
from launch_sdk.runs.processes import group_is_alive, process_start_time, terminate_group
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.supervise import Follower
from tests.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEADLINE_S = 30.0


class Program:
    """A program run by `run_program`, and what came of it."""

    def __init__(self, path: Path) -> None:
        self.run = RunDirectory(path)
        self.run.work.mkdir(parents=True)
        self.lines: list[str] = []

    async def start(self, code: str, *words: str, argv: list[str] | None = None, **options: Any) -> int:
        follower = Follower(self.run, options.pop("on_lines", self.lines.extend))
        return await run_program(
            argv if argv is not None else [sys.executable, "-c", code, *words],
            directory=self.run.work,
            environment={"PATH": os.environ["PATH"], **options.pop("environment", {})},
            follower=follower,
            **options,
        )

    def taking(self, ready: asyncio.Event) -> Callable[[list[str]], None]:
        def take(lines: list[str]) -> None:
            self.lines.extend(lines)
            ready.set()

        return take

    def __call__(self, code: str, *words: str, **options: Any) -> int:
        return asyncio.run(self.start(code, *words, **options))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path / "run")


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\ntwo", ["one", "two"]),
        (b"\n\n", ["", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b" 10%\r 50%\r100%\n", ["100%"]),
        (b"\xff\xfe\x00x\n", ["\ufffd\ufffd\ufffdx"]),
        ("naïve \u2028 é\n".encode(), ["naïve \u2028 é"]),
    ],
)
def test_what_a_program_writes_arrives_line_by_line(program: Program, written: bytes, lines: list[str]) -> None:
    assert program(f"import os; os.write(1, {written!r})") == 0
    assert program.lines == lines
    assert program.run.output.read_bytes() == written


def test_both_outputs_arrive_in_order(program: Program) -> None:
    program("import os\nfor i in range(6): os.write(1 + i % 2, b'%d\\n' % i)")
    assert program.lines == ["0", "1", "2", "3", "4", "5"]


def test_half_a_million_lines_arrive_whole_and_are_not_kept_in_memory(program: Program) -> None:
    seen, expected = 0, True

    def count(lines: list[str]) -> None:
        nonlocal seen, expected
        expected = expected and lines == [f"line {seen + i}" for i in range(len(lines))]
        seen += len(lines)

    tracemalloc.start()
    try:
        program("import sys\nsys.stdout.writelines(f'line {i}\\n' for i in range(500_000))", on_lines=count)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (seen, expected) == (500_000, True)
    assert peak < 24 * 2**20  # one megabyte of text and its lines at a time, not the 6 MB of all and theirs


def test_a_line_longer_than_one_read_loses_nothing(program: Program) -> None:
    program("print('x' * 3_000_000)")
    assert sum(map(len, program.lines)) == 3_000_000


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os; os.close(1); os.close(2)", 0),
        ("import os; os.close(1); os.close(2); os._exit(7)", 7),
    ],
)
def test_the_exit_code_is_the_programs(program: Program, code: str, exit_code: int) -> None:
    assert program(code) == exit_code


def test_a_program_that_deletes_its_run_directory_is_still_followed_to_its_end(program: Program) -> None:
    code = "import shutil, sys; shutil.rmtree(sys.argv[1]); raise SystemExit(4)"
    assert program(code, str(program.run.path)) == 4


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["/nowhere/program"], "No such file or directory"),
        (["/"], "Permission denied"),
        ([sys.executable, "a\0b"], "embedded null byte"),
        ([sys.executable, "\ud800"], "surrogates not allowed"),
    ],
)
def test_a_program_that_cannot_be_started_says_why(program: Program, argv: list[str], reason: str) -> None:
    with pytest.raises(RunFailedError, match=reason):
        program("", argv=argv)


def test_no_shell_reads_the_words(program: Program) -> None:
    words = ["$HOME", "`id`", "; exit 3", "*", "a b", ""]
    assert program("import sys; print(sys.argv[1:])", *words) == 0
    assert program.lines == [str(words)]


def test_a_child_that_outlives_its_program_is_ended(program: Program) -> None:
    child = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid)
"""
    assert program(code, stop_grace_s=0.2) == 0
    assert process_start_time(int(program.lines[0])) is None


def test_cancelling_ends_the_whole_group_even_if_it_ignores_sigterm(program: Program) -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child: print(os.getpid(), child, flush=True)
time.sleep(600)
"""

    async def cancel() -> None:
        ready = asyncio.Event()
        task = asyncio.create_task(program.start(code, stop_grace_s=0.2, on_lines=program.taking(ready)))
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancel(), DEADLINE_S))
    assert [process_start_time(int(pid)) for pid in program.lines[0].split()] == [None, None]


def test_a_program_may_clean_up_and_its_last_words_arrive(program: Program) -> None:
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("bye", flush=True)))
print("ready", flush=True)
time.sleep(600)
"""

    async def cancel() -> None:
        ready = asyncio.Event()
        task = asyncio.create_task(program.start(code, on_lines=program.taking(ready)))
        await ready.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(asyncio.wait_for(cancel(), DEADLINE_S))
    assert program.lines == ["ready", "bye"]


def test_an_error_of_the_reader_ends_the_program(program: Program) -> None:
    def refuse(lines: list[str]) -> None:
        raise BrokenPipeError(lines[0])

    with pytest.raises(BrokenPipeError) as caught:
        program("import os, time; print(os.getpid(), flush=True); time.sleep(600)", on_lines=refuse)
    assert process_start_time(int(str(caught.value))) is None


def test_an_interrupted_wait_kills_the_group_at_once() -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getppid(), signal.SIGUSR1))  # the user's second Ctrl-C
print("ready", flush=True)
time.sleep(600)
"""
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    words = [sys.executable, "-c", code]
    try:
        with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as process:
            assert process.stdout
            process.stdout.readline()
            with pytest.raises(KeyboardInterrupt):
                terminate_group(process.pid, DEADLINE_S)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert process.returncode == -signal.SIGKILL


def test_a_group_that_does_not_exist_is_not_alive() -> None:
    assert not group_is_alive(2**22 + 1)
    assert process_start_time(2**22 + 1) is None
    assert process_start_time(os.getpid()) == process_start_time(os.getpid())


def test_the_program_gets_our_variables_without_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "LAUNCH_RUN_ID", "LAUNCH_SWEEP_ID", "MY_TOKEN"):
        monkeypatch.setenv(name, "x")
    environment = program_environment({"LAUNCH_RUN_DIR": "/run"})
    assert not [name for name in environment if name.startswith("PREFECT_")]
    assert "LAUNCH_RUN_ID" not in environment
    assert "LAUNCH_SWEEP_ID" not in environment
    assert (environment["MY_TOKEN"], environment["LAUNCH_RUN_DIR"]) == ("x", "/run")
    assert environment["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("entry_point", "words"),
    [
        (["train.py", "-x"], [sys.executable, "train.py", "-x", "a"]),
        (["python", "-m", "pkg"], [sys.executable, "-m", "pkg", "a"]),
        (["python3", "t.py"], [sys.executable, "t.py", "a"]),
        (["./run.sh"], ["./run.sh", "a"]),
    ],
)
def test_python_programs_run_with_this_interpreter(entry_point: list[str], words: list[str]) -> None:
    assert program_arguments(entry_point, ["a"]) == words
