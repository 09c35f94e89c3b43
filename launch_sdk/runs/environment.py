"""What one run runs in: found or made before its program starts, recorded, and held until it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.environments.cache import EnvironmentCache
from launch_sdk.environments.lock import differences, shown
from launch_sdk.environments.plan import Plan, plan_environment
from launch_sdk.environments.sdk_path import program_path
from launch_sdk.errors import NotFoundError
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.store import RunStore
from launch_sdk.sources.packed import is_packed
from launch_sdk.tracking import environment as locks
from launch_sdk.tracking import protocol
from launch_sdk.tracking.values import dumps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from launch_sdk.environments.cache import Held
    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.specs.run_spec import RunSpec

CURRENT = "current"
PROGRAM_PYTHON = "LAUNCH_PROGRAM_PYTHON"  # in an image that has its programs' packages apart from its launcher's
# What says which environment this process is in; a program in another one must not inherit it.
_OF_AN_ENVIRONMENT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True)
class ProgramEnvironment:
    """What a program is started with.

    Attributes:
        interpreter: what `python` and `.py` files are started with.
        inherited: the variables that it may inherit, before those of its run.
    """

    interpreter: str
    inherited: Mapping[str, str]


@asynccontextmanager
async def environment_of(
    spec: RunSpec, run: RunDirectory, on_lines: Callable[[list[str]], None], start: Path | None = None
) -> AsyncGenerator[ProgramEnvironment]:
    """Prepare what a run wants to run in, and record it; nobody deletes it before the end of the block.

    Args:
        spec: what is run.
        run: its directory, with its copy of the source.
        on_lines: told what takes time, and what differs from the run that is repeated.
        start: the folder of the source that the program starts in; None for the top.

    Raises:
        LaunchError: it cannot be made; the message says why.
    """
    if spec.environment == CURRENT:
        interpreter = os.environ.get(PROGRAM_PYTHON) or sys.executable
        await asyncio.to_thread(_record, spec, run, _present(interpreter, str(run.work)), None, on_lines)
        yield ProgramEnvironment(interpreter, os.environ)
        return
    plan = await asyncio.to_thread(plan_environment, spec.environment, run.work, spec.lock, start)
    if plan.notices:
        on_lines([f"launch: {notice}" for notice in plan.notices])
    held = await EnvironmentCache.below(launch_home()).hold(plan, run.work, on_lines)
    with contextlib.closing(held):
        found = await asyncio.to_thread(_captured, held.path, str(run.work))
        on_lines([_headline(plan, held, len(found["packages"]))])
        await asyncio.to_thread(_record, spec, run, found, plan, on_lines)
        yield ProgramEnvironment(str(held.interpreter), _inherited(held.path, run.work, plan))


def describe_environment(spec: RunSpec) -> dict[str, Any]:
    """Say what a run would run in on this machine, without making it.

    Raises:
        LaunchError: its requirements are missing, or not allowed.
    """
    if spec.environment == CURRENT:
        return {"from": "the interpreter of the agent", "python": platform.python_version(), "path": sys.executable}
    if not is_packed(spec.source):
        return _described(plan_environment(spec.environment, Path(spec.source).expanduser(), spec.lock))
    with tempfile.TemporaryDirectory() as folder:
        try:
            start = RunStore.local().lay_out(spec.source, Path(folder) / "work")
        except NotFoundError:
            return {"from": None, "note": "the source is not on this machine, so its agent will see"}
        return _described(plan_environment(spec.environment, Path(folder) / "work", spec.lock, start))


def _described(plan: Plan) -> dict[str, Any]:
    cache = EnvironmentCache.below(launch_home())
    return {
        "from": plan.origin,
        "python": plan.python_label,
        "digest": plan.digest,
        "path": str(cache.folder / plan.digest),
        "is_made": cache.has(plan),
        "requirements": plan.shown_requirements,
        "notices": list(plan.notices),
    }


def _headline(plan: Plan, held: Held, count: int) -> str:
    how = "made before" if held.built_s is None else f"made in {held.built_s:.1f} s"
    return f"launch: environment of {plan.origin}, Python {plan.python_label}, {count} packages, {how}: {held.path}"


def _record(
    spec: RunSpec,
    run: RunDirectory,
    found: Mapping[str, Any],
    plan: Plan | None,
    on_lines: Callable[[list[str]], None],
) -> None:
    """Write what the program runs with, and what of it is not as in the run that it repeats."""
    said: dict[str, Any] = {"from": plan.origin if plan else "the agent's own packages"}
    if spec.lock and (differs := differences(spec.lock, found)):
        said["differs"] = differs
        on_lines(["launch: this differs from the run that is repeated:", *(f"  {line}" for line in shown(differs))])
    protocol.write_atomically(run.path, protocol.ENVIRONMENT, dumps({**found, **said}))


def _present(interpreter: str, root: str) -> dict[str, Any]:
    """Describe what programs run in that have no environment of their own."""
    path = Path(interpreter).parent.parent
    return (
        _captured(path, root)
        if (path / "pyvenv.cfg").is_file() and interpreter != sys.executable
        else locks.capture(root=root)
    )


def _captured(path: Path, root: str) -> dict[str, Any]:
    """Describe an environment of the cache, as its own interpreter would."""
    lines = (path / "pyvenv.cfg").read_text().splitlines()
    settings = dict(line.split(" = ", 1) for line in lines if " = " in line)
    packages = [str(folder) for folder in sorted(path.glob("lib/python*/site-packages"))]
    return {
        **locks.capture(packages, root),
        "python": settings.get("version_info", platform.python_version()),
        "implementation": settings.get("implementation", "CPython").lower(),
        "executable": str(path / "bin" / "python"),
        "prefix": str(path),
    }


def _inherited(path: Path, work: Path, plan: Plan) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _OF_AN_ENVIRONMENT}
    kept |= {
        "VIRTUAL_ENV": str(path),
        "PATH": os.pathsep.join(filter(None, (str(path / "bin"), os.environ.get("PATH", os.defpath)))),
    }
    folders = program_path(work, plan.requirements.folders)
    return kept | ({"PYTHONPATH": os.pathsep.join(folders)} if folders else {})
