"""The process that captures the code of a script which somebody has started by hand; see `tracking.code_capture`.

1. Say in `code.json` that it works, and who it is.
2. Write `environment.json`: what the script runs with.
3. Capture the git work tree, or pack the folder, that the script was started in, as `launch DIR` does.
4. Write `code.json` whole: the code, where it comes from, how the script was started; or why there is none.

It runs with the standard library, this package and git alone, and prints nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch_sdk.errors import ConflictError, Fault, InvalidSpecError, LaunchError
from launch_sdk.runs.store import RunStore
from launch_sdk.sources.capture_rules import CaptureRules
from launch_sdk.sources.directory import is_left_out_folder
from launch_sdk.sources.git_commands import Git
from launch_sdk.sources.packed import GIT
from launch_sdk.tracking import environment, protocol
from launch_sdk.tracking.code_capture import COMPLETE, FAILED, STARTED
from launch_sdk.tracking.values import dumps

NOTEBOOK = ".ipynb"
MAX_FOLDER_FILES = 20_000
MAX_FOLDER_BYTES = 64_000_000
ATTEMPTS = 4
PAUSE_S = 0.1
_OFF = "turn this off with LAUNCH_DISABLE_CODE=true"


@dataclass(frozen=True)
class Request:
    """What a script says of itself.

    Attributes:
        run_dir: its run directory.
        started_ns: when `init()` was called, in nanoseconds since the epoch.
        cwd: its working directory.
        program: absolute path of its file, or of its notebook; None if there is none.
        module: its name, if it was started with `python -m`.
        prefix: `sys.prefix` of its interpreter.
        sys_path: where it imports from.
    """

    run_dir: Path
    started_ns: int
    cwd: Path
    program: Path | None
    module: str | None
    prefix: str
    sys_path: list[str] = field(default_factory=list[str])

    @classmethod
    def from_json(cls, text: str) -> Request:
        values: dict[str, Any] = json.loads(text)
        program = values["program"]
        return cls(
            run_dir=Path(values["run_dir"]),
            started_ns=int(values["started_ns"]),
            cwd=Path(values["cwd"]).resolve(),
            program=Path(program).parent.resolve() / Path(program).name if program else None,
            module=values["module"],
            prefix=values["prefix"],
            sys_path=values["sys_path"],
        )


@dataclass(frozen=True)
class Start:
    """Where a script starts, and with which words.

    Attributes:
        directory: the folder that is captured, with the git work tree around it.
        entry_point: the words that start it there; None if nobody can tell.
        note: what is not as it was; empty if nothing.
    """

    directory: Path
    entry_point: tuple[str, ...] | None
    note: str = ""

    def is_below(self, program: Path) -> bool:
        """Say whether the file that is started is not in the folder but above or beside it."""
        return any(word.startswith("..") for word in self.entry_point or ()) and not program.is_relative_to(
            self.directory
        )


def main(text: str) -> None:
    """Do all of it; `text` is the request as JSON."""
    request = Request.from_json(text)
    about: dict[str, Any] = {"state": STARTED, "started": request.started_ns / 1e9, "pid": os.getpid()}
    protocol.write_code(request.run_dir, {"capture": about})
    try:
        start = start_of(request)
        record = captured(request, start)
    except (LaunchError, OSError, RuntimeError, ValueError, MemoryError) as error:
        failed = {**about, "state": FAILED, "ended": time.time(), "error": f"{_in_a_line(error)}; {_OFF}"}
        protocol.write_code(request.run_dir, {"capture": failed})
    else:
        done = {**about, "state": COMPLETE, "ended": time.time()}
        protocol.write_code(request.run_dir, {**record, "capture": done})
    write_environment(request)


def captured(request: Request, start: Start) -> dict[str, Any]:
    """Keep the code of a script in the run store of this machine.

    Returns:
        What `code.json` says of it.

    Raises:
        InvalidSpecError: the folder is one that nobody means to keep, or too large.
        ConflictError: files keep changing, or the program is gone already.
    """
    rules = rules_for(start.directory, request.started_ns)
    store = RunStore.local()
    source, program = _put(store, start.directory, rules), request.program
    if program is not None and not program.exists():
        raise ConflictError(f"{program} was deleted before it could be captured")
    if program is not None and start.is_below(program) and not source.startswith(GIT):
        start = _elsewhere(program, start.directory)  # git ignores the folder, so it was packed alone
        source = _put(store, start.directory, rules)
    said: Mapping[str, Any] = {
        "entry_point": start.entry_point,
        "note": start.note or _note_of_ignored(request.program),
    }
    return store.record(source) | {key: value for key, value in said.items() if value}


def _note_of_ignored(program: Path | None) -> str:
    """Say so if git ignores the program, which is not captured then."""
    if program is None or not _is_repository(_top_of(program.parent)):
        return ""
    ignored = Git(program.parent).ask("check-ignore", "--quiet", "--", f"./{program.name}").code == 0
    return f"git ignores its program {program.name}, which is not in the captured code" if ignored else ""


def _put(store: RunStore, directory: Path, rules: CaptureRules) -> str:
    """Keep a directory whose files the script may write to meanwhile: what it has begun to write is left out then."""
    for _ in range(ATTEMPTS - 1):
        with suppress(ConflictError):
            return store.put_directory(directory, rules).source
        time.sleep(PAUSE_S)
    return store.put_directory(directory, rules).source


def start_of(request: Request) -> Start:
    """Find the folder that a replay starts the program in, and the words that it starts it with."""
    program, cwd = request.program, request.cwd
    if program is None:
        return Start(cwd, None, "it was started from no file; name its program with -E")
    if request.module:
        return Start(cwd, ("python", "-m", request.module.removesuffix(".__main__")))
    if program.name.endswith(NOTEBOOK):
        return Start(program.parent, (program.name,))  # the folder that its kernel starts in
    if program.parent == Path(request.prefix).resolve() / "bin":
        return Start(cwd, (program.name,))
    return _start_of_file(program, cwd)


def _start_of_file(program: Path, cwd: Path) -> Start:
    is_python = program.name.endswith(".py")
    if program.is_relative_to(_top_of(cwd)):
        path = os.path.relpath(program, cwd)
        return Start(cwd, (path,) if is_python and not path.startswith("..") else ("python", path))
    if not is_python:
        return Start(cwd, (program.name,), f"its program {program} is not in the captured code")
    return _elsewhere(program, cwd)


def _elsewhere(program: Path, cwd: Path) -> Start:
    words = (program.name,) if program.name.endswith(".py") else ("python", program.name)
    return Start(program.parent, words, f"it was started in {cwd}, which is not the folder of its program")


def rules_for(directory: Path, started_ns: int) -> CaptureRules:
    """Give the limits of a capture that nobody has asked for by name: a folder by mistake is not swallowed.

    Raises:
        InvalidSpecError: it is no folder of a project, or holds too many files.
    """
    root = _top_of(directory)
    if why := _why_no_project(root):
        raise InvalidSpecError(f"Directory {root}", [Fault("", why)])
    if _is_repository(root):
        return CaptureRules(since_ns=started_ns)
    _refuse_many(directory)
    return CaptureRules(since_ns=started_ns, max_bytes=MAX_FOLDER_BYTES)


def write_environment(request: Request) -> None:
    """Write what the script runs with, unless it has done so itself."""
    root = _top_of(request.program.parent if request.program else request.cwd)
    if environment.read(request.run_dir).get("prefix") == request.prefix:
        return
    found = {**environment.capture(request.sys_path, str(root)), "prefix": request.prefix}
    protocol.write_atomically(request.run_dir, protocol.ENVIRONMENT, dumps(found))


def _top_of(directory: Path) -> Path:
    """Return the top of the git work tree that a folder is in, else the folder."""
    return next((folder for folder in (directory, *directory.parents) if os.path.lexists(folder / ".git")), directory)


def _is_repository(root: Path) -> bool:
    return os.path.lexists(root / ".git") and shutil.which("git") is not None


def _why_no_project(root: Path) -> str:
    home = Path.home().resolve()
    if root == home or root in home.parents:
        return "is the home folder or around it, which is not captured; keep the script in a folder of its project"
    if root == Path(tempfile.gettempdir()).resolve():
        return "is the folder of temporary files, which is not captured; keep the script in a folder of its project"
    return ""


def _refuse_many(directory: Path) -> None:
    """Raise InvalidSpecError for a folder without git that holds too many files; stop counting there."""
    count = 0
    for root, folders, files in os.walk(directory):
        folders[:] = [name for name in folders if not is_left_out_folder(Path(root, name))]
        count += len(files)
        if count > MAX_FOLDER_FILES:
            message = (
                f"holds more than {MAX_FOLDER_FILES} files and is in no git repository, so it is not captured;"
                " git init the folder of the project, where .gitignore names the data"
            )
            raise InvalidSpecError(f"Directory {directory}", [Fault("", message)])


def _in_a_line(error: BaseException) -> str:
    if isinstance(error, InvalidSpecError):
        return f"{error.subject}: " + "; ".join(str(fault) for fault in error.faults)
    return str(error) or type(error).__name__
