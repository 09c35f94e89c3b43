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

from launch_sdk.environments.requirements import SOURCE, without_password
from launch_sdk.errors import NotFoundError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.environments.plan import Plan

LAST_LINES: Final = 25
OPTIONS_OF_THE_COMMAND: Final = {
    "--pre": ("--prerelease", "allow"),
    "--require-hashes": ("--require-hashes",),
    "--prefer-binary": (),
    "--torch-backend": ("--torch-backend",),
}
# Nothing of the server, of a run around this one, or of the environment that this process has itself.
_NOT_INHERITED = ("PREFECT_", "LAUNCH_", "WANDB_", "PYTHON", "VIRTUAL_ENV", "CONDA_", "UV_PROJECT_ENVIRONMENT")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


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
    uv = _Uv(plan, source, scratch)
    base = plan.python or str(getattr(sys, "_base_executable", sys.executable))
    await uv("venv", "--relocatable", "--no-project", "--python", base, str(target))
    if plan.kind == "uv.lock":
        words = ("--frozen", "--no-dev", "--no-install-project", "--no-install-local", "--compile-bytecode")
        await uv("sync", *words, "--python", str(target / "bin" / "python"), UV_PROJECT_ENVIRONMENT=str(target))
        return
    interpreter = ("--python", str(target / "bin" / "python"))
    if plan.kind == "project" and not _has_other_folders(plan):
        await uv("pip", "install", *interpreter, "--compile-bytecode", "-r", Path(plan.origin).name)
        return
    stated = await _stated(plan, uv, source, scratch, interpreter)
    if plan.kind == "exact":
        interpreter = (*interpreter, "--no-deps")
    if _has_requirements(stated):
        await uv("pip", "install", *interpreter, *_command_options(plan), "--compile-bytecode", "-r", str(stated))


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

    def __init__(self, plan: Plan, source: Path, scratch: Path) -> None:
        self.plan = plan
        self.program = find_uv()
        is_of_project = plan.kind in {"project", "uv.lock"}
        self.directory = (source / plan.origin).parent if is_of_project else scratch

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


async def _stated(plan: Plan, uv: _Uv, source: Path, scratch: Path, interpreter: Sequence[str]) -> Path:
    """Write what to install; packages of the source itself are replaced by those that they need."""
    found = plan.requirements
    options = _file_options(plan)
    constraints = scratch / "constraints.txt"
    constraints.write_text("".join(f"{_placed(line, source)}\n" for line in found.constraints))
    stated = scratch / "requirements.txt"
    lines = [_placed(line, source) for line in found.lines]
    head = [*options, f"-c {constraints}"] if found.constraints else options
    stated.write_text("".join(f"{line}\n" for line in (*head, *lines)))
    if not _has_folders(plan):
        return stated
    resolved = scratch / "resolved.txt"
    given = Path(plan.origin).name if plan.kind == "project" else str(stated)
    hashes = ("--generate-hashes",) if any("--hash" in line for line in lines) else ()
    words = ("--no-header", "--no-annotate", *hashes, *_command_options(plan), "-o", str(resolved))
    await uv("pip", "compile", *interpreter, *words, given)
    kept = [line for line in resolved.read_text().splitlines() if not _is_folder(line)]
    resolved.write_text("".join(f"{line}\n" for line in (*options, *kept)))
    return resolved


def _has_requirements(stated: Path) -> bool:
    return any(line and not line.startswith("-") for line in stated.read_text().splitlines())


def _has_folders(plan: Plan) -> bool:
    is_stated = any(line.startswith(SOURCE) and not _is_archive(line) for line in plan.requirements.lines)
    return is_stated if plan.kind == "requirements" else plan.kind == "project" and _has_other_folders(plan)


def _has_other_folders(plan: Plan) -> bool:
    own = Path(plan.origin).parent.as_posix()
    return any(folder != own for folder in plan.requirements.folders)


def _is_folder(line: str) -> bool:
    place = line.partition(" ;")[0].strip()
    return ("file://" in place or place.startswith(("-e ", "/", "."))) and not _is_archive(place)


def _is_archive(line: str) -> bool:
    return line.partition("[")[0].endswith(_ARCHIVES)


def _placed(line: str, source: Path) -> str:
    return line.replace(SOURCE, str(source.resolve()))


def _file_options(plan: Plan) -> list[str]:
    """Give the options that stand in a file rather than on the command line, where anybody could read a password."""
    words = iter(plan.requirements.options)
    lines: list[str] = []
    for word in words:
        if word in OPTIONS_OF_THE_COMMAND:
            _ = next(words, "") if word == "--torch-backend" else ""
        else:
            lines.append(word if word == "--no-index" else f"{word} {next(words, '')}")
    return lines


def _command_options(plan: Plan) -> list[str]:
    words = iter(plan.requirements.options)
    found: list[str] = []
    for word in words:
        found += OPTIONS_OF_THE_COMMAND.get(word, ())
        if word == "--torch-backend":
            found.append(next(words, "auto"))
    return found


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
