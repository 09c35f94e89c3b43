"""In a forked process: become what `python FILE` or `python -m MODULE` would be at its first line.

What a new interpreter would have set, drawn or remembered when it started is set, drawn or remembered again here.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import random
import runpy
import signal
import sys
import time
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from launch_sdk.runs.program_order import ProgramOrder

_OURS = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # what it is compared with is text


class ProgramStart:
    """The start of one program, in its own process."""

    def __init__(self, order: ProgramOrder, output: int) -> None:
        """Take the order, and the descriptor that standard output and standard error are to be."""
        self._order = order
        self._output = output

    def __call__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Settle in; return what to call, and with what, to run the program."""
        order = self._order
        _take_environment(order)
        _take_streams(self._output)
        _draw_anew()
        _forget_times_and_places(order)
        sys.orig_argv[:] = order.argv
        main = _new_main()
        if order.module is not None:
            sys.argv[:] = ["-m", *order.args]
            _lead_path(order.cwd)
            return vars(runpy)["_run_module_as_main"], (order.module,)  # what the interpreter calls
        script = order.script or ""
        sys.argv[:] = [script, *order.args]
        path = os.path.join(os.getcwd(), script)  # noqa: PTH118, PTH109  # as the interpreter makes it
        _lead_path(os.path.dirname(os.path.realpath(path)))  # noqa: PTH120
        main.update(__file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path))
        with open(path, "rb") as file:  # noqa: PTH123
            code = compile(file.read(), path, "exec", dont_inherit=True)
        return exec, (code, main)

    def end(self) -> None:  # the script of the process calls it, which imports nothing itself
        """Let the interpreter's end collect what was frozen for the fork, such as the names of `__main__`."""
        gc.unfreeze()

    def show_as_usual(self, error: BaseException) -> None:
        """Have the interpreter show an error that ends the program without the frames that led to the program."""
        shown = error.__traceback__
        while shown is not None and shown.tb_frame.f_code.co_filename.startswith(_OURS):
            shown = shown.tb_next
        usual = sys.excepthook

        def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
            del trace
            sys.excepthook = usual
            sys.last_traceback = shown
            usual(kind, value.with_traceback(shown), shown)

        sys.excepthook = hook


def _new_main() -> dict[str, Any]:
    """Empty `__main__`: the module, which others may hold, stays the same."""
    main = vars(sys.modules["__main__"])
    main.clear()
    main.update(
        __name__="__main__",
        __doc__=None,
        __package__=None,
        __loader__=None,
        __spec__=None,
        __annotations__={},
        __builtins__=sys.modules["builtins"],
    )
    return main


def _take_environment(order: ProgramOrder) -> None:
    os.environ.clear()
    os.environ.update(order.env)
    time.tzset()
    os.chdir(order.cwd)
    os.sched_setaffinity(0, order.cpus)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _lead_path(folder: str) -> None:
    if not sys.flags.safe_path:
        sys.path.insert(0, folder)


def _take_streams(output: int) -> None:
    """Write to the run's output, unbuffered, through objects that know nothing of what was there before."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    for name, number, mode in (("stdin", 0, "rb"), ("stdout", 1, "wb"), ("stderr", 2, "wb")):
        before: Any = getattr(sys, f"__{name}__")
        stream = _stream(number, mode, before.encoding, before.errors)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(number: int, mode: str, encoding: str, errors: str) -> io.TextIOWrapper:
    """Open a standard stream as `create_stdio` of CPython's pylifecycle.c does with PYTHONUNBUFFERED."""
    buffer: Any = open(number, mode, buffering=-1 if mode == "rb" else 0, closefd=False)  # noqa: SIM115
    raw = getattr(buffer, "raw", buffer)
    raw.name = f"<{('stdin', 'stdout', 'stderr')[number]}>"
    text: Any = io.TextIOWrapper(buffer, encoding, errors, newline="\n", write_through=True)
    text.mode = mode[0]
    return text


def _draw_anew() -> None:
    """Seed what an interpreter seeds when it starts: else all runs would draw the same numbers."""
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None and "numpy.random" in sys.modules:
        numpy.random.seed()
    if (torch := sys.modules.get("torch")) is not None:
        torch.default_generator.seed()
    if (process := sys.modules.get("multiprocessing.process")) is not None:
        own = process.current_process()
        own._config["authkey"] = process.AuthenticationString(os.urandom(32))  # noqa: SLF001  # as it is made on import


def _forget_times_and_places(order: ProgramOrder) -> None:
    """Undo what modules remember of the process in which they were imported."""
    importlib.invalidate_caches()
    for name, attribute, value in (
        ("multiprocessing.process", "ORIGINAL_DIR", order.cwd),
        ("logging", "_startTime", time.time()),
        ("tempfile", "tempdir", None),
    ):
        if (module := sys.modules.get(name)) is not None:
            setattr(module, attribute, value)
