"""Where a run comes from: program, arguments, interpreter, machine, git. No environment variable is recorded."""

# ruff: noqa: PTH100, PTH109, PTH110, PTH113, PTH118, PTH120
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os
import re  # the JSON decoder has it already
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import Popen
    from typing import Any

GIT_TIMEOUT_S = 5.0


def capture(code: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe the running program; takes about 10 ms in a git repository.

    Args:
        code: what the supervisor that laid the program out says of where it comes from; empty or None if nobody did.

    Returns:
        `program` (path, relative to the git root if it is in one), `module` (of `python -m`, else None), `args`,
        `executable`, `python`, `platform`, `host`, `pid`, `cwd`, `started` (unix seconds) and `git` (see `git_state`).
    """
    system = os.uname()
    path, module, args = program()
    git = _git_laid_out(code, path) if code else git_state(os.path.dirname(path) if path else os.getcwd())
    if path and git:
        path = os.path.relpath(path, git["root"])
    return {
        "program": path,
        "module": module,
        "args": args,
        "executable": sys.executable,
        "python": ".".join(map(str, sys.version_info[:3])),
        "platform": f"{system.sysname}-{system.release}-{system.machine}",
        "host": system.nodename,
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "started": time.time(),
        "git": git,
    }


def _git_laid_out(code: Mapping[str, Any], path: str | None) -> dict[str, Any] | None:
    """Describe the repository that a supervisor has captured: where the program is now, there is none."""
    if not code.get("tree"):
        return None
    root = os.path.dirname(path) if path else os.getcwd()
    place = os.environ.get("LAUNCH_RUN_DIR")
    laid_out = os.path.join(os.path.abspath(place), "work") if place else root
    root = laid_out if os.path.commonpath([root, laid_out]) == laid_out else root
    known = {key: code.get(key) for key in ("commit", "branch", "remote", "tree")}
    return {"root": root, **known, "dirty": bool(code.get("changed"))}


def git_state(directory: str) -> dict[str, Any] | None:
    """Describe the git repository that a directory is in.

    Returns:
        `root`, `commit` (None before the first), `branch` (None if detached), `remote` (URL of the branch's remote or
        of `origin`, without credentials, or None) and `dirty` (a tracked file differs from the commit); None if there
        is no repository, no git, or git does not answer.
    """
    root = _git_root(directory)
    if root is None:
        return None
    status, config = _git_answers(
        root,
        ["status", "--porcelain=v2", "--branch", "--untracked-files=no"],
        ["config", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$"],
    )
    if status is None:
        return None
    lines = status.splitlines()
    heads = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    branch = heads.get("branch.head", "(detached)")
    commit = heads.get("branch.oid", "(initial)")
    return {
        "root": root,
        "commit": None if commit == "(initial)" else commit,
        "branch": None if branch == "(detached)" else branch,
        "remote": _remote(config or "", branch),
        "dirty": any(not line.startswith("#") for line in lines),
    }


def without_credentials(url: str) -> str:
    """Strip user, password and query from a URL; `git@host:path` and local paths stay what they are.

    The password of `user:password@host:path`, and one with a slash that is not escaped, are seen too.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return re.sub(r"^[^@/:]*:[^@/]*@", "", url)
    host, slash, path = rest.partition("/")
    if "@" not in host and "@" in rest and not re.fullmatch(r"(\[[0-9a-fA-F:]*\]|[^:]*)(:[0-9]*)?", host):
        host, slash, path = rest.rpartition("@")[2].partition("/")
    user, at, address = host.rpartition("@")
    kept = f"{user}@" if at and scheme.endswith("ssh") and ":" not in user else ""
    return f"{scheme}://{kept}{address}{slash}{path.partition('?')[0]}"


def program() -> tuple[str | None, str | None, list[str]]:
    """Say what runs: the absolute path of its file, its name if it was started with `python -m`, its arguments.

    In a notebook that is the notebook, where its front end tells it; a notebook has no arguments.
    """
    if _is_notebook():
        return notebook_path(), None, []
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    path = os.path.abspath(file) if isinstance(file, str) else None
    return path, spec.name if spec is not None else None, sys.argv[1:]


def _is_notebook() -> bool:
    return "ipykernel" in sys.modules and not hasattr(sys.modules.get("__main__"), "__file__")


def notebook_path() -> str | None:
    """Name the notebook of this kernel: JupyterLab, Notebook 7 and VS Code tell it; None of the others.

    Jupyter's servers set JPY_SESSION_NAME, VS Code sets `__vsc_ipynb_file__` in the notebook itself.
    """
    told = os.environ.get("JPY_SESSION_NAME") or getattr(sys.modules.get("__main__"), "__vsc_ipynb_file__", None)
    if not isinstance(told, str) or not told.endswith(".ipynb"):
        return None
    place = os.path.abspath(told)
    return place if os.path.isfile(place) else None


def _git_root(directory: str) -> str | None:
    directory = os.path.realpath(directory)
    while not os.path.exists(os.path.join(directory, ".git")):
        parent = os.path.dirname(directory)
        if parent == directory:
            return None
        directory = parent
    return directory


def _git_answers(root: str, *questions: list[str]) -> list[str | None]:
    """Ask git several things at once; None for what it does not answer."""
    import subprocess  # 4 ms that scripts outside a repository do not pay

    command = ["git", "--no-optional-locks", "-C", root]
    nothing = subprocess.DEVNULL
    try:
        asked = [
            subprocess.Popen([*command, *question], stdin=nothing, stderr=nothing, stdout=subprocess.PIPE)
            for question in questions
        ]
    except OSError:
        return [None] * len(questions)
    return [_answer(process) for process in asked]


def _answer(process: Popen[bytes]) -> str | None:
    from subprocess import TimeoutExpired  # as in _git_answers

    try:
        output, _ = process.communicate(timeout=GIT_TIMEOUT_S)
    except TimeoutExpired:
        process.kill()
        process.communicate()
        return None
    return output.decode(errors="backslashreplace") if process.returncode == 0 else None


def _remote(config: str, branch: str) -> str | None:
    settings = dict(line.split(" ", 1) for line in config.splitlines() if " " in line)
    name = settings.get(f"branch.{branch}.remote", "origin")
    url = settings.get(f"remote.{name}.url") or settings.get("remote.origin.url")
    return without_credentials(url) if url else None
