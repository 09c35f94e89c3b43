"""Programs forked from a preloaded process, beside the same programs in an interpreter of their own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.agent.preloading import PreloadedProcesses, program_surroundings
from launch_sdk.runs.processes import has_processes, process_start_time
from launch_sdk.runs.program_fork import ProgramFork
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.supervise import Follower
from tests.conftest import eventually
from tests.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

RUN_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"
MODULES = ("numpy", "json", "tempfile", "logging", "multiprocessing")

FACTS = """
import json, locale, multiprocessing, os, re, signal, sys, threading
handlers = {n: str(signal.getsignal(n)) for n in range(1, 32)}
facts = {
    "argv": sys.argv, "orig_argv": sys.orig_argv, "executable": sys.executable, "path": sys.path,
    "flags": str(sys.flags), "xoptions": sys._xoptions, "warnoptions": sys.warnoptions, "prefix": sys.prefix,
    "main": {k: re.sub("0x[0-9a-f]+", "", str(v)) for k, v in vars(sys.modules["__main__"]).items() if k in (
        "__name__", "__file__", "__doc__", "__package__", "__spec__", "__cached__", "__annotations__")},
    "names": sorted(n for n in globals() if n[:2] == "__"), "loader": type(__loader__).__name__,
    "is_main": sys.modules["__main__"].__dict__ is globals(), "builtins": type(__builtins__).__name__,
    "cwd": os.getcwd(), "environment": dict(os.environ), "umask": os.umask(0), "threads": threading.active_count(),
    "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd")), "stdin": os.readlink("/proc/self/fd/0"),
    "leads": (os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()), "cpus": sorted(os.sched_getaffinity(0)),
    "streams": [(s.name, s.encoding, s.errors, s.line_buffering, s.write_through, s.mode, type(s.buffer).__name__,
                 s.newlines, s.isatty()) for s in (sys.stdin, sys.stdout, sys.stderr)],
    "same": [sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__, sys.stdin is sys.__stdin__],
    "handlers": handlers, "blocked": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "locale": locale.setlocale(0),
    "ours": sorted(n for n in sys.modules if n.startswith(("launch_sdk", "prefect"))),
    "finders": [getattr(f, "__name__", type(f).__name__) for f in sys.meta_path],
    "hook": sys.excepthook is sys.__excepthook__,
    "directory": multiprocessing.process.ORIGINAL_DIR, "default_dir": __import__("tempfile").gettempdir(),
    "command": open("/proc/self/cmdline").read().rstrip(chr(0)).split(chr(0)),
    "limits": open("/proc/self/limits").read(), "docs": __doc__, "main_thread": threading.main_thread().name,
}
print(json.dumps(facts, sort_keys=True))
"""


class Lab:
    """A preloaded process, and programs run in both ways."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.events: list[str] = []
        self.processes = PreloadedProcesses(self.events.append)
        self.count = 0

    def prepare(self, modules: Sequence[str] = MODULES, **env: str) -> str:
        async def ready() -> str:
            while (place := self.processes.place_for(modules, os.environ | env))[0] is None:
                assert place[1] == "the agent has not done with preloading", place
                await asyncio.sleep(0.02)
            return place[0]

        return self.loop.run_until_complete(asyncio.wait_for(ready(), 60))

    def run(self, code: str, *words: str, fork: bool, modules: Sequence[str] = MODULES, **more: Any) -> tuple[int, str]:
        """Run a file in a run directory of its own; its exit code and what it printed."""
        self.count += 1
        run = RunDirectory(self.folder / str(self.count))
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        run.path.mkdir()
        (work / "main.py").write_text(code)
        (work / "package").mkdir(exist_ok=True)
        (work / "package" / "__init__.py").touch()
        (work / "package" / "part.py").write_text(code)
        env: Mapping[str, str] = {**program_surroundings(os.environ), "LAUNCH_RUN_ID": RUN_ID, **more.pop("env", {})}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            preloaded = ProgramFork(self.prepare(modules), lifeline=theirs.fileno()) if fork else None
            argv = [sys.executable, *(words or ("main.py", "a b", "--flag=é"))]
            follower = Follower(run, lambda _lines: None)
            running = run_program(
                argv, directory=work, environment=env, follower=follower, fork=preloaded, stop_grace_s=2, **more
            )
            code_ = self.loop.run_until_complete(running)
            theirs.close()
            ours.settimeout(5)
            assert ours.recv(1) == b""  # nobody holds the other end: nothing of the program is left
        return code_, run.output.read_text(errors="backslashreplace")

    def both(self, code: str, *words: str, **more: Any) -> tuple[tuple[int, str], tuple[int, str]]:
        return self.run(code, *words, fork=True, **more), self.run(code, *words, fork=False, **more)

    def close(self) -> None:
        async def close() -> None:  # it looks for its loop
            self.processes.close()

        self.loop.run_until_complete(close())
        self.loop.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("forked"))
    yield lab
    lab.close()


@pytest.mark.parametrize(
    "words", [("main.py", "a b", "--flag=é"), ("-u", "./main.py"), ("-m", "package.part", "x"), ("package/part.py",)]
)
def test_a_program_finds_what_it_finds_in_an_interpreter_of_its_own(lab: Lab, words: tuple[str, ...]) -> None:
    forked, started = (json.loads(output) for _, output in lab.both(FACTS, *words))
    for fact, value in started.items():
        assert forked[fact] == value, fact


@pytest.mark.parametrize(
    "code",
    [
        "print('done')",
        "raise SystemExit",
        "raise SystemExit(7)",
        "raise SystemExit('no good')",
        "import sys; sys.exit(None)",
        "import os; print('now'); os._exit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "def f(x):\n    return 1 / x\n\nf(0)",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e",
        "raise KeyboardInterrupt",
        "x = (",
        "x = 'é'\nraise ValueError(x)",
        "import sys\nsys.excepthook = lambda *a: print('mine', a[0].__name__, a[2].tb_frame.f_code.co_name)\n1 / 0",
        "import atexit; atexit.register(print, 'at exit'); print('body')",
        "import sys\nclass C:\n    def __del__(self): print('deleted')\nc = C()",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), print(2))).start(); print('main')",
        "import sys; sys.stdout.write('no newline'); sys.stderr.write('and errors')",
        "import sys; print(repr(sys.stdin.read()))",
        "import warnings; warnings.warn('careful')",
        "import sys; sys.stdout.buffer.write(b'\\xff\\x00'); print(ascii(open(0).read()))",
        "raise BaseException('odd')",
        "import no_such_module",
        "raise ExceptionGroup('two', [ValueError(1), TypeError(2)])",
    ],
)
def test_a_program_ends_as_it_would_in_an_interpreter_of_its_own(lab: Lab, code: str) -> None:
    (forked_code, forked), (started_code, started) = lab.both(code)
    assert forked == started
    assert forked_code == started_code


def test_a_module_that_fails_shows_what_it_would(lab: Lab) -> None:
    for words in (("-m", "package.part"), ("-m", "no.such"), ("-m", "package")):
        forked, started = lab.both("1 / 0", *words)
        assert forked == started


def test_classes_of_the_script_are_pickled_and_processes_start_in_every_way(lab: Lab) -> None:
    code = """
import multiprocessing, os, pickle, sys

class Point:
    def __init__(self, x): self.x = x

def square(point):
    return Point(point.x ** 2)

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(Point(3))).x == 3
    for how in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(how).Pool(2) as pool:
            print(how, [p.x for p in pool.map(square, [Point(2), Point(3)])])
"""
    forked, started = lab.both(code)
    assert forked == started
    assert started[1].splitlines() == ["fork [4, 9]", "spawn [4, 9]", "forkserver [4, 9]"]


def test_each_run_draws_its_own_numbers_and_modules_are_there_already(lab: Lab) -> None:
    code = """
import sys
print("numpy" in sys.modules)
import random, tempfile, uuid, numpy as np, multiprocessing, logging, time
print(random.random(), np.random.rand(), uuid.uuid4(), multiprocessing.current_process().authkey.hex())
a = np.random.default_rng(0).random((300, 300))
assert abs((a @ np.linalg.inv(a)).trace() - 300) < 1e-6
assert time.time() - logging._startTime < 5
"""
    first, second = (lab.run(code, fork=True) for _ in range(2))
    assert first[0] == second[0] == 0
    assert first[1].splitlines()[0] == "True"
    draws, others = (one[1].splitlines()[1].split() for one in (first, second))
    assert not set(draws) & set(others)


def test_variables_of_the_run_are_there_and_others_are_not(lab: Lab) -> None:
    code = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], time.tzname[0], 'X' in os.environ)"
    env = {"CUDA_VISIBLE_DEVICES": "3", "TZ": "XYZ-3"}
    assert lab.both(code, env=env) == ((0, "3 XYZ False\n"),) * 2


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "LD_PRELOAD_X", "OMP_NUM_THREADS", "PYTHONPATH"])
def test_what_would_come_too_late_starts_a_new_interpreter_and_says_so(lab: Lab, name: str) -> None:
    code, output = lab.run(f"import os; print(os.environ[{name!r}])", fork=True, env={name: "1"})
    first, second = output.splitlines()
    assert (code, second) == (0, "1")
    assert first.startswith("launch: started anew, not forked from a preloaded process: ")
    assert name in first


def test_only_python_files_and_modules_are_forked(lab: Lab) -> None:
    for words in (("-c", "print(1)"), ("-O", "main.py"), ("missing.py",)):
        assert "started anew" in lab.run("print(1)", *words, fork=True)[1]


def test_another_environment_is_preloaded_in_a_process_of_its_own(lab: Lab) -> None:
    assert lab.prepare() != lab.prepare(OMP_NUM_THREADS="1")
    assert lab.prepare() == lab.prepare(SOMETHING="else")


def test_a_stopped_program_leaves_nothing_and_is_found_by_its_run(lab: Lab) -> None:
    code = """
import signal, subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(other.pid, flush=True)
time.sleep(600)
"""
    seen: list[str] = []

    def look() -> None:
        output = lab.folder / str(lab.count) / "output.log"
        if not seen and output.exists() and output.read_text().strip():
            seen.append(output.read_text().strip())
            seen.append(str(has_processes(RUN_ID)))
            raise InterruptedError("enough")

    with pytest.raises(InterruptedError):
        lab.run(code, fork=True, on_look=look)
    assert seen[1] == "True"
    eventually(lambda: process_start_time(int(seen[0])) is None, "what the program left is ended", 15)
    eventually(lambda: not has_processes(RUN_ID), "and its guard", 5)


def test_a_module_that_starts_a_thread_or_fails_is_left_out(tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "busy_module.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), name='pump', daemon=True).start()\n"
    )
    (tmp_path / "bad_module.py").write_text("raise SystemExit('no')")
    modules = ("busy_module", "bad_module", "no_such_module", "json")
    lab.prepare(modules, PYTHONPATH=str(tmp_path))
    text = " ".join(lab.events)
    assert "busy_module starts threads (pump)" in text
    assert "bad_module cannot be imported: SystemExit('no')" in text
    assert "no_such_module cannot be imported" in text


def test_a_preloaded_process_that_dies_is_made_again(lab: Lab) -> None:
    place = lab.prepare(("json",))
    process = next(one for one in lab.processes.processes.values() if str(one.place) == place)
    os.kill(process.process.pid, signal.SIGKILL)
    process.process.wait()
    assert lab.prepare(("json",)) != place


def test_its_own_memory_is_small(lab: Lab) -> None:
    code = r"""
import re
text = open("/proc/self/smaps_rollup").read()
print(sum(int(n) for n in re.findall(r"Private_\w+: +(\d+) kB", text)))
"""
    code_, output = lab.run(code, fork=True)
    assert code_ == 0
    assert int(re.findall(r"\d+", output)[0]) < 20_000  # kB
