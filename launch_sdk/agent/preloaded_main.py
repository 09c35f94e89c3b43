"""The script of a preloaded process: `python preloaded_main.py PLAN`. It returns from `serve` as somebody's program.

A program that is forked runs from the bottom of this file and in its `__main__`, so that its end is the interpreter's
own: exit hooks, threads, buffers and exit code as after `python FILE`. The two frames of this file are taken out of
what tracebacks show, and its names out of `__main__`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from launch_sdk.agent.becoming import ProgramStart

if not sys.flags.safe_path:
    del sys.path[0]  # the folder of this file, which no program has on its path


def _import(plan: str) -> Callable[[str], ProgramStart]:
    """Import what serves, and leave no trace of it where programs would find it."""
    import json

    root = json.loads(plan)["root"]
    sys.path.insert(0, root)
    try:
        from launch_sdk.agent.preloaded import serve
    finally:
        sys.path.remove(root)
    for name in [name for name in sys.modules if name.partition(".")[0] == "launch_sdk"]:
        del sys.modules[name]  # a program that imports it has it new
    return serve


def _main(serve: Callable[[str], ProgramStart]) -> None:
    start = serve(sys.argv[1])
    try:
        call, words = start()
        call(*words)
    except BaseException as error:
        start.show_as_usual(error)
        raise
    finally:
        words = ()  # what the program has left behind is the interpreter's alone to end, `__main__` too
        start.end()


_main(_import(sys.argv[1]))
