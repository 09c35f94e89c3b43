"""How the program ends: its exit code, known before the interpreter is gone.

Python tells its exit handlers nothing about the exit code, so `sys.excepthook` and `sys.exit` are chained. Not seen are
a bare `raise SystemExit(code)` and the `exit(code)` of the `site` module outside `with launch.init()`: the record then
says 0. A supervisor believes the exit code of the process.
"""

from __future__ import annotations

import sys
from threading import current_thread, main_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, NoReturn

INTERRUPTED = 130


class ExitWatch:
    """Learns the program's exit code.

    Attributes:
        code: the code as far as it is known now; 0 while nothing has gone wrong.
    """

    def __init__(self) -> None:
        self.code = 0

    def install(self) -> None:
        """Chain `sys.excepthook` and `sys.exit`; what was there before is still called."""
        hook, leave = sys.excepthook, sys.exit

        def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> Any:
            self.code = exit_code_of(error)
            return hook(kind, error, traceback)

        def exit(status: Any = None, /) -> NoReturn:  # noqa: A001  # it takes the place of sys.exit
            try:
                leave(status)
            except SystemExit as error:
                if current_thread() is not main_thread():
                    raise  # it ends the thread, not the program
                raise _watched(error, self) from None
            raise SystemExit(status)

        sys.excepthook = excepthook
        sys.exit = exit


class _WatchedExit(SystemExit):
    """A `SystemExit` that notices whether somebody caught it."""

    watch: ExitWatch
    code_before: int

    def __del__(self) -> None:
        # Without a Python frame below, the interpreter itself took the exception: the program is ending.
        if sys._getframe().f_back is not None:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # it has no public name
            self.watch.code = self.code_before


def exit_code_of(error: BaseException | None) -> int:
    """Return the exit code of a program that ends with this exception; 0 for none."""
    if error is None:
        return 0
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if not isinstance(error, SystemExit):
        return 1
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _watched(error: SystemExit, watch: ExitWatch) -> _WatchedExit:
    watched = _WatchedExit(*error.args)
    watched.watch, watched.code_before = watch, watch.code
    watch.code = exit_code_of(watched)
    return watched
