"""The capture of the code of a script that nobody supervises: a process of its own does it, beside the script.

`init()` starts `python -I -S` and goes on. What it starts forks at once and ends, so the process that does the work
(`launch_sdk.runs.script_capture`) is no child of the script: it outlives it, no `wait()` of the script meets it, and no
Ctrl-C or end of the script's process group reaches it. It needs the standard library, `launch_sdk` and git.

`code.json` says how far it has come: `capture.state` is `started` until it is `complete` or `failed`.
"""

# ruff: noqa: PTH109, PTH120, PTH100
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os
import sys
import time

from launch_sdk.tracking import metadata, protocol
from launch_sdk.tracking.values import dumps, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SWITCHES = ("LAUNCH_DISABLE_CODE", "WANDB_DISABLE_CODE")
STARTED, COMPLETE, FAILED = "started", "complete", "failed"
MAX_NAMED = 3
_OFF = frozenset({"", "0", "false", "no", "off"})
# The first process only forks; the second gives up what it inherited, and finds launch_sdk behind the standard library.
_BOOT = """\
import os, sys
if os.fork(): os._exit(0)
os.closerange(3, 65536)
sys.path.append(sys.argv[1])
from launch_sdk.runs.script_capture import main
main(sys.argv[2])
"""


def is_wanted(save_code: bool | None, environ: Mapping[str, str]) -> bool:
    """Say whether to capture: not under a supervisor, which has done so; else as `init()` says, else the environment.

    Args:
        save_code: what the script says; None leaves it to the environment.
        environ: `LAUNCH_DISABLE_CODE=true`, or W&B's name for it, turns it off.
    """
    if environ.get(protocol.RUN_DIR):
        return False
    if save_code is not None:
        return save_code
    return all(environ.get(name, "").strip().lower() in _OFF for name in SWITCHES)


class CodeCapture:
    """A capture that goes on beside the script.

    Attributes:
        run_dir: where it leaves `code.json` and `environment.json`.
    """

    def __init__(self, run_dir: str) -> None:
        self.run_dir = run_dir
        self._starter: int | None = None

    def start(self) -> None:
        """Start it; what keeps it from starting is written down, and no error of the script."""
        began = time.time_ns()
        about = {"state": STARTED, "started": began / 1e9}
        try:
            protocol.write_code(self.run_dir, {"capture": about})
            self._starter = _spawn(dumps(_request(self.run_dir, began)))
        except (OSError, ValueError, NotImplementedError) as error:
            self._failed(about, f"the process that captures it could not be started: {error}")

    def _failed(self, about: dict[str, Any], why: str) -> None:
        try:
            protocol.write_code(self.run_dir, {"capture": {**about, "state": FAILED, "error": why}})
        except OSError:
            return  # the run says itself that its directory cannot be written

    def settle(self) -> None:
        """Take note of the end of the process that `start` has made, if it has ended; never wait for it."""
        if self._starter is None:
            return
        try:
            ended, _ = os.waitpid(self._starter, os.WNOHANG)
        except ChildProcessError:  # the script has waited for it, or ignores SIGCHLD
            ended = self._starter
        if ended:
            self._starter = None

    def finish(self) -> None:
        """Say on standard error what a replay will not have, if the capture has ended already; it is not waited for."""
        self.settle()
        try:
            for line in notices(protocol.read_code(self.run_dir)):
                sys.stderr.write(f"launch: {line}\n")
        except (OSError, ValueError, AttributeError):  # standard error is closed, or none; the record says it too
            return


def notices(code: Mapping[str, Any]) -> list[str]:
    """Say what the user of a script has to know of the capture of its code."""
    said = code.get("capture")
    about = said if is_object(said) else {}
    if about.get("state") == FAILED:
        return [f"the code of this run was not captured: {about.get('error')}"]
    left_out = code.get("left_out")
    names = list(left_out.items()) if is_object(left_out) else []
    lines = [f"not in the captured code: {ascii(name)[1:-1]} ({reason})" for name, reason in names[:MAX_NAMED]]
    more = [f"not in the captured code: {len(names) - MAX_NAMED} more files, see code.json of the run directory"]
    return [*lines, *(more if len(names) > MAX_NAMED else [])]


def _request(run_dir: str, began: int) -> dict[str, Any]:
    path, module, _ = metadata.program()
    started_in = getattr(sys.modules["launch_sdk"], "_started_in", None)  # a script may have gone elsewhere since
    return {
        "run_dir": run_dir,
        "started_ns": began,
        "cwd": started_in or os.getcwd(),
        "program": path,
        "module": module,
        "prefix": sys.prefix,
        "sys_path": [entry or os.getcwd() for entry in sys.path],
    }


def _spawn(request: str) -> int:
    """Start the process that starts the capture; returns its id.

    Raises:
        OSError: that cannot be done.
        ValueError: this interpreter has no program of its own, as in an application that embeds Python.
    """
    import signal  # only scripts that are on their own pay for it

    if "python" not in os.path.basename(sys.executable or ""):  # noqa: PTH119
        raise ValueError(f"{sys.executable!r} is no Python interpreter")
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", "-c", _BOOT, package, request],
        os.environ,
        file_actions=nothing,
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
    )
