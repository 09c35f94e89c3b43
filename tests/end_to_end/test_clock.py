"""The machine's clock is set forth and back under a server, its agent and a run: nothing is lost, nothing is stuck."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Home, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# What sets the clock of a process: seconds from a file are added to the time of day; monotonic time stays as it is.
SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) {
    long seconds = 0;
    const char *path = getenv("CLOCK_SHIFT");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, at);
    if (clock == CLOCK_REALTIME) at->tv_sec += shift();
    return failed;
}

time_t time(time_t *out) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (out) *out = at.tv_sec;
    return at.tv_sec;
}

int gettimeofday(struct timeval *out, void *zone) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    out->tv_sec = at.tv_sec;
    out->tv_usec = at.tv_nsec / 1000;
    return 0;
}
"""
PROGRAM = """
import os, sys, time
while not os.path.exists((sys.argv + ["/"])[1]):
    time.sleep(0.05)
"""


@pytest.mark.timeout(300)
def test_runs_go_on_and_start_though_the_clock_jumps(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the clock of a process cannot be set")
    (tmp_path / "shift.c").write_text(SHIFT)
    library, clock = tmp_path / "shift.so", tmp_path / "clock"
    build = [compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "shift.c"), "-ldl"]
    subprocess.run(build, check=True)
    clock.write_text("0")
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text(PROGRAM)
    shifted = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(clock)}
    home = Home(tmp_path / "home", "")
    home.path.mkdir()

    def submit(*words: str) -> str:
        return home.json("launch", "-q", "default", str(code), "--detach", *words, **shifted)["run_id"]

    def state(run: str) -> str:
        return home.json("launch", "run", "show", run, **shifted)["state"]

    agent: subprocess.Popen[str] | None = None
    try:
        agent = home.start("launch-agent", "--max-jobs", "2", LD_PRELOAD=str(library), CLOCK_SHIFT=str(clock))
        long = submit("-E", f"main.py {tmp_path / 'end'}")
        eventually(lambda: state(long) == "running", "the first run should start")
        for seconds in (7200, -3600):
            clock.write_text(str(seconds))
            run = submit()
            eventually(lambda run=run: state(run) == "finished", f"a run should end after a jump to {seconds} s")
        (tmp_path / "end").touch()
        eventually(lambda: state(long) == "finished", "the first run should end")
        assert not home.json("launch", "run", "show", long, **shifted).get("attempts"), "it was never lost"
    finally:
        if agent is not None:
            agent.terminate()
            agent.communicate(timeout=60)
        home.run("launch", "server", "stop")
