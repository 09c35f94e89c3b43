"""Installs a plan into a new virtual environment with uv. Nothing of it is seen unless it fails."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from launch_sdk.environments.requirements import without_password
from launch_sdk.environments.steps import RESOLVED, is_folder, steps_of
from launch_sdk.errors import NotFoundError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.environments.plan import Plan

LAST_LINES: Final = 25
# Nothing of the server, of a run around this one, or of the environment that this process has itself.
_NOT_INHERITED = ("PREFECT_", "LAUNCH_", "WANDB_", "PYTHON", "VIRTUAL_ENV", "CONDA_", "UV_PROJECT_ENVIRONMENT")


async def install(plan: Plan, source: Path, target: Path, scratch: Path) -> None:
    """Make a virtual environment.

    Args:
        plan: what it is to hold.
        source: the run's copy of the source.
        target: where to make it; it may be moved later.
        scratch: an empty folder for what the installer reads.

    Raises:
        RunFailedError: it cannot be made; with the last words of the installer.
        NotFoundError: there is no installer.
    """
    top = await asyncio.to_thread(source.resolve)
    steps = steps_of(plan, source=str(top), target=str(target), scratch=str(scratch))
    uv = _Uv(plan, steps.directory)
    base = plan.python or str(getattr(sys, "_base_executable", sys.executable))
    await uv("venv", "--relocatable", "--no-project", "--python", base, str(target))
    for name, content in steps.files.items():
        (scratch / name).write_text(content)
    if steps.resolve:
        await uv(*steps.resolve)
        resolved = scratch / RESOLVED
        kept = [line for line in resolved.read_text().splitlines() if not is_folder(line)]
        resolved.write_text("".join(f"{line}\n" for line in kept))
    if steps.install:
        await uv(*steps.install, UV_PROJECT_ENVIRONMENT=str(target))


def find_uv() -> str:
    """Return the path of uv: that of its package here, or the one on the PATH.

    Raises:
        NotFoundError: there is none.
    """
    try:
        from uv import find_uv_bin

        return os.fspath(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise NotFoundError(
            "Environments are made with uv, which is not installed here. Install it beside launch-sdk: pip install uv."
            " Or start the program with the packages of the agent: --environment current"
        )
    return found


class _Uv:
    """Calls uv where a plan wants it called."""

    def __init__(self, plan: Plan, directory: str) -> None:
        self.plan = plan
        self.program = find_uv()
        self.directory = Path(directory)

    async def __call__(self, *words: str, **more: str) -> None:
        code, said = await _run((self.program, *words), self.directory, installer_environment(os.environ) | more)
        if code:
            lines = without_password(said.decode(errors="replace")).strip().splitlines()[-LAST_LINES:]
            text = "\n".join(lines) or "(nothing)"
            what = f"The environment of {self.plan.origin} (Python {self.plan.python_label}) could not be made"
            raise RunFailedError(f"{what}, so the program was not started. uv said:\n{text}{self._hint(words)}")

    def _hint(self, words: Sequence[str]) -> str:
        if words[0] != "venv" or self.plan.python is None:
            return ""
        return (
            f"\nThe source asks for Python {self.plan.python}. Install it where the agent runs, or let uv fetch it:"
            " UV_PYTHON_DOWNLOADS=automatic where the agent starts."
        )


def installer_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Give the variables of the installer; packages that are built run their own code with them.

    An index that pip is told of serves uv too. Python itself is not fetched unless UV_PYTHON_DOWNLOADS says so, and git
    asks nobody and uses no transport but https, http and ssh.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(_NOT_INHERITED)}
    defaults = {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        **_indexes_of_pip(inherited),
    }
    fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:http:ssh", "UV_NO_ENV_FILE": "1"}
    return defaults | kept | fixed


def _indexes_of_pip(inherited: Mapping[str, str]) -> dict[str, str]:
    """Give uv's variables for the indexes that pip is configured with, from its variables and its files."""
    if any(name in inherited for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")):
        return {}
    said = _pip_files(inherited)
    for key in ("index-url", "extra-index-url"):
        said[key] = inherited.get(f"PIP_{key.upper().replace('-', '_')}") or said.get(key, "")
    extra = [url for url in said["extra-index-url"].split() if url.startswith(("https://", "http://"))]
    found = {"UV_DEFAULT_INDEX": said["index-url"], "UV_INDEX": " ".join(extra)}
    return {name: value for name, value in found.items() if value}


def _pip_files(inherited: Mapping[str, str]) -> dict[str, str]:
    home = Path(inherited.get("HOME", "/"))
    last = Path(inherited.get("PIP_CONFIG_FILE") or sys.prefix) / (
        "" if inherited.get("PIP_CONFIG_FILE") else "pip.conf"
    )
    said: dict[str, str] = {}
    for path in (Path("/etc/pip.conf"), home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf", last):
        parser = configparser.RawConfigParser()
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read_string(path.read_text())
            said |= dict(parser.items("global"))
    return said


async def _run(words: Sequence[str], directory: Path, environment: Mapping[str, str]) -> tuple[int, bytes]:
    """Run a program to its end in a process group that does not outlive this call."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=directory,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return process.returncode or 0, said
