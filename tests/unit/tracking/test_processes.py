"""Runs in real processes: how they end, what survives a kill, forks, neighbours on the same file."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import launch_sdk
from launch_sdk.tracking.protocol import CONFIG, METADATA, RECORDS, read_records, write_overrides

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Script


PROJECT_ROOT = str(Path(launch_sdk.__file__).parents[1])
_ENDS = {
    "it runs to its end": ("", 0),
    "it leaves with a code": ("sys.exit(3)", 3),
    "it leaves without a code": ("sys.exit()", 0),
    "it leaves with a message": ("sys.exit('no data')", 1),
    "it leaves with a code beyond a byte": ("sys.exit(-1)", 255),
    "argparse refuses its arguments": ("import argparse; argparse.ArgumentParser().error('no')", 2),
    "an exception ends it": ("raise ZeroDivisionError", 1),
    "the exit was caught": ("try:\n    sys.exit(3)\nexcept SystemExit:\n    pass", 0),
    "the exit was caught with its name": ("try:\n    sys.exit(3)\nexcept SystemExit as e:\n    print(e.code)", 0),
    "an exit was caught, another was not": ("try:\n    sys.exit(3)\nexcept SystemExit:\n    sys.exit(4)", 4),
    "only a thread left": (
        "import threading\nt = threading.Thread(target=sys.exit, args=(3,))\nt.start()\nt.join()",
        0,
    ),
    "it failed in the block": ("with launch.init():\n    raise SystemExit(5)", 5),
}


@pytest.mark.parametrize("way", _ENDS)
def test_the_finish_record_holds_the_exit_code(script: Script, way: str) -> None:
    code, expected = _ENDS[way]
    result = script.run(f"import sys\nimport launch_sdk as launch\nlaunch.init()\nlaunch.log({{'a': 1}})\n{code}\n")
    assert result.returncode == expected, result.stderr
    assert script.snapshot().exit_code == expected


def test_an_interrupt_is_recorded_as_a_shell_reports_it(script: Script) -> None:
    script.run("import launch_sdk as launch\nlaunch.init()\nraise KeyboardInterrupt\n")
    assert script.snapshot().exit_code == 130


def test_the_hooks_that_were_there_are_still_called(script: Script) -> None:
    result = script.run("""
        import sys
        sys.excepthook = lambda kind, error, traceback: print("mine:", kind.__name__)
        import launch_sdk as launch
        launch.init()
        raise ZeroDivisionError
    """)
    assert result.stdout == "mine: ZeroDivisionError\n"
    assert script.snapshot().exit_code == 1


def test_a_killed_process_loses_no_line_that_it_logged(
    script: Script, wait_until: Callable[[Callable[[], bool], str], None]
) -> None:
    process = script.start("""
        import launch_sdk as launch
        run = launch.init()
        n = 0
        while True:
            run.log({"n": n, "pad": "x" * 500})
            print(n, flush=True)
            n += 1
    """)
    path = script.run_dir / RECORDS
    wait_until(lambda: path.exists() and path.stat().st_size > 100_000, "logging 100 kB")
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    said = [int(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]
    logged = [record["log"]["n"] for record in script.records() if "log" in record]
    assert logged == list(range(len(logged)))
    assert len(logged) >= len(said) > 100
    assert script.snapshot().skipped == 0
    assert script.snapshot().exit_code is None


def test_two_processes_on_one_directory_write_whole_lines(script: Script) -> None:
    code = """
        import os
        import launch_sdk as launch
        with launch.init() as run:
            for n in range(2000):
                run.log({str(os.getpid()): n, "pad": "x" * (n % 700)})
    """
    processes = [script.start(code), script.start(code)]
    for process in processes:
        assert process.wait(timeout=30) == 0
        process.communicate()
    records = script.records()
    assert records.skipped == 0
    for process in processes:
        key = str(process.pid)
        logs = [record["log"] for record in records if "log" in record]
        assert [log[key] for log in logs if key in log] == list(range(2000))


def test_a_forked_child_neither_finishes_nor_harms_its_parents_run(script: Script) -> None:
    result = script.run("""
        import os, sys, threading, time
        import launch_sdk as launch
        run = launch.init(config={"lr": 1})
        run.log({"from": "parent"})
        busy, stop = threading.Event(), threading.Event()
        def hold():
            with run._lock:
                busy.set()
                stop.wait()
        holder = threading.Thread(target=hold)
        holder.start()
        busy.wait()
        child = os.fork()
        if child == 0:
            run.log({"from": "child"})
            run.config.lr = 2
            run.finish(9)
            sys.exit(7)
        stop.set()
        holder.join()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        run.log({"from": "parent again"})
    """)
    assert (result.stdout, result.returncode) == ("7\n", 0), result.stderr
    records = script.records()
    assert [record["log"]["from"] for record in records if "log" in record] == ["parent", "child", "parent again"]
    assert [record["finish"] for record in records if "finish" in record] == [{"exit_code": 0}]
    assert records[-1]["finish"] == {"exit_code": 0}


def test_a_forked_child_may_start_a_run_of_its_own(script: Script) -> None:
    result = script.run(
        """
        import os
        import launch_sdk as launch
        parent = launch.init(name="parent")
        child = os.fork()
        if child == 0:
            launch.init(name="child").log({"a": 1})
            raise SystemExit
        os.waitpid(child, 0)
        parent.log({"b": 1})
        """,
        supervised=False,
    )
    assert result.returncode == 0, result.stderr
    logs = [
        [record["log"] for record in read_records(run_dir / RECORDS)[0] if "log" in record]
        for run_dir in sorted((script.directory / "launch").glob("run-*"))
    ]
    assert sorted(map(str, logs)) == ["[{'a': 1}]", "[{'b': 1}]"]


def test_workers_of_a_pool_leave_the_run_alone(script: Script) -> None:
    result = script.run("""
        import multiprocessing
        import launch_sdk as launch
        run = launch.init()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(abs, [-1, -2]))
        run.log({"a": 1})
    """)
    assert result.stdout == "[1, 2]\n", result.stderr
    finishes = [record for record in script.records() if "finish" in record]
    assert finishes == script.records()[-1:]


def test_a_script_sees_its_overrides_and_cannot_change_them(script: Script) -> None:
    write_overrides(script.run_dir, {"lr": 0.5})
    result = script.run("""
        import launch_sdk as launch
        from launch_sdk import config
        print(config.lr)
        launch.init(config={"lr": 0.1, "epochs": 2})
        config.lr = 0.3
        print(config.lr, config.epochs)
    """)
    assert result.stdout == "0.5\n0.5 2\n"
    assert result.stderr.count("config 'lr' is locked") == 1
    assert "train.py:6" in result.stderr
    assert script.snapshot().config == {"lr": 0.5, "epochs": 2}


def test_the_sdk_uses_the_standard_library_only(script: Script) -> None:
    result = script.run(
        f"""
        import sys
        sys.path.insert(0, {PROJECT_ROOT!r})
        import launch_sdk as launch
        with launch.init(config={{"lr": 0.1}}) as run:
            run.log({{"loss": 0.5}})
            run.summary["best"] = 1
        ours = {{"launch_sdk", "__main__"}}
        print(sorted({{name.split(".")[0] for name in sys.modules}} - sys.stdlib_module_names - ours))
        """,
        flags=("-I", "-S"),
    )
    assert result.stdout == "[]\n", result.stderr
    assert script.snapshot().summary == {"loss": 0.5, "best": 1}


def test_importing_loads_nothing_heavy_and_starts_nothing(script: Script) -> None:
    result = script.run(
        f"""
        import sys
        sys.path.insert(0, {PROJECT_ROOT!r})
        import launch_sdk as launch
        launch.config.lr = 1
        launch.log
        import threading
        heavy = {{"asyncio", "dataclasses", "inspect", "pathlib", "socket", "subprocess", "typing"}}
        print(sorted(heavy & set(sys.modules)), threading.active_count())
        """,
        flags=("-I", "-S"),
    )
    assert result.stdout == "[] 1\n", result.stderr


def test_nothing_is_written_before_init(script: Script) -> None:
    script.run("import launch_sdk as launch\nlaunch.config.lr = 1\nprint(launch.config, launch.run)\n")
    assert list(script.run_dir.iterdir()) == []


def test_the_program_is_named_relative_to_its_repository(script: Script) -> None:
    (script.directory / ".git").mkdir()
    script.run("import launch_sdk as launch\nlaunch.init()\n")
    assert script.snapshot().metadata["git"] is None
    assert script.snapshot().metadata["program"] == str(script.directory / "train.py")
    assert {entry.name for entry in script.run_dir.iterdir()} >= {CONFIG, METADATA}


def test_what_a_full_disk_cut_off_does_not_spoil_what_comes_later(script: Script) -> None:
    result = script.run("""
        import os, resource
        import launch_sdk as launch
        run = launch.init()
        run.log({"n": 0})
        size = os.stat(run.dir + "/records.jsonl").st_size
        unlimited = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, unlimited))
        run.log({"n": 1, "pad": "x" * 500})
        run.log({"n": 2})
        resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
        run.log({"n": 3})
    """)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("launch cannot write to") == 1
    assert [record["log"]["n"] for record in script.records() if "log" in record] == [0, 3]
    assert script.snapshot().skipped == 1
    assert script.snapshot().exit_code == 0
