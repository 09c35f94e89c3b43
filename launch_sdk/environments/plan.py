"""Which packages a run is to have: read from its source or from an earlier run, checked, and named by a digest.

Nothing is started for it and nothing is installed, so the plan of an environment that exists already takes 2 ms.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.environments import lock as locks
from launch_sdk.environments.project_files import (
    PYPROJECT,
    UV_LOCK,
    read_environment_yml,
    read_pyproject,
    read_uv_lock,
)
from launch_sdk.environments.requirements import SOURCE, Requirements, read_file, without_password
from launch_sdk.environments.torch import backend_options
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.tracking.environment import platform_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT: Final = 1  # counted up when the same requirements would be installed in another way
EARLIER_RUN: Final = "the packages of the earlier run"
CANDIDATES: Final = ("requirements.txt", PYPROJECT, "environment.yml", "environment.yaml")
PYTHON_FILES: Final = (".python-version", "runtime.txt")


@dataclass(frozen=True)
class Plan:
    """What to install, for whom.

    Attributes:
        origin: where it is said: a file of the source, or `EARLIER_RUN`.
        kind: how an installer is told: `requirements`, `project` (it reads `origin` itself), `uv.lock`, or `exact`
            (every package is listed).
        python: version that an interpreter of it has, as an installer takes it; None for the one that runs this.
        requirements: what it comes to.
        notices: what its user should know.
        digest: names the environment: the same for the same packages, Python and platform.
    """

    origin: str
    kind: str
    python: str | None
    requirements: Requirements
    notices: tuple[str, ...]
    digest: str

    @property
    def python_label(self) -> str:
        return self.python or platform.python_version()

    @property
    def shown_requirements(self) -> list[str]:
        """The requirements as a person may see them: no password, and places in the source as they are there."""
        return [without_password(line).replace(f"{SOURCE}/", "./") for line in self.requirements.lines]


def plan_environment(environment: str, source: Path, lock: Mapping[str, Any] | None, start: Path | None = None) -> Plan:
    """Plan the environment of a run.

    Args:
        environment: `auto`, `lock`, or a file of the source.
        source: the run's copy of the source.
        lock: what the run that is repeated recorded of its environment, if there is one.
        start: the folder in it that the program starts in, where the search begins; it goes on upwards. None for the
            top.

    Raises:
        InvalidSpecError: the requirements hold what cannot be allowed; every fault at once.
        NotFoundError: there are no requirements.
    """
    if environment == "lock":
        return _plan_lock(lock)
    for folder in _upwards(source, start or source):
        for name in CANDIDATES if environment == "auto" else (environment,):
            if (source / folder / name).is_file():
                return _plan_file(source, (folder / name).as_posix())
    if environment == "auto" and lock is not None:
        return _plan_lock(lock)
    missing = f"{environment} is not in the source"
    none = f"The source has none of {', '.join(CANDIDATES)} at its top"
    raise NotFoundError(_nothing_found(none if environment == "auto" else missing, source))


def _upwards(source: Path, start: Path) -> list[Path]:
    """Give a folder of the source and those that it is in, up to the top, as they are below it."""
    below = start.resolve().relative_to(source.resolve())
    return [below, *below.parents]


def _nothing_found(what: str, source: Path) -> str:
    there = [name for name in (*CANDIDATES, UV_LOCK) if (source / name).is_file()]
    also = f"; it holds {', '.join(there)}" if there else ""
    return (
        f"{what}{also}, so no environment can be made. Start it with the packages of the agent: --environment current"
    )


def _plan_lock(lock: Mapping[str, Any] | None) -> Plan:
    if not lock:
        raise NotFoundError(
            "No earlier run says which packages this one needs. Name a file, as in --environment requirements.txt,"
            " or start it with the packages of the agent: --environment current"
        )
    found, left_out = locks.requirements_of(lock)
    return _planned(EARLIER_RUN, "exact", locks.python_of(lock), found, left_out)


def _plan_file(source: Path, name: str) -> Plan:
    """Read one file; by its ending, as people name several of them requirements-gpu.txt and the like."""
    if not (source / name).resolve().is_relative_to(source.resolve()):
        raise InvalidSpecError("The requirements", [Fault(name, "is a link that leads out of the source")])
    python, notices, kind = _said_python(source, PurePosixPath(name).parent), list[str](), "requirements"
    if name.endswith((".yml", ".yaml")):
        found, wanted, conda = read_environment_yml(source, name)
        python = wanted or python
        if conda:
            notices.append(f"{name}: only its pip section is installed; left to conda are {', '.join(conda)}")
    elif name.endswith((PYPROJECT, UV_LOCK)):
        folder = name.removesuffix(PYPROJECT).removesuffix(UV_LOCK)
        name, has_lock = f"{folder}{PYPROJECT}", (source / folder / UV_LOCK).is_file()
        if not (source / name).is_file():
            raise NotFoundError(_nothing_found(f"{name} is not in the source", source))
        found, wanted = read_pyproject(source, name)
        python = python or wanted
        kind = "project"
        _add(found, _settings(source, folder))
        if has_lock:
            kind, name = "uv.lock", f"{folder}{UV_LOCK}"
            _add(found, read_uv_lock(source, name))
    else:
        found = read_file(source, name)
    found.options += backend_options(found) if kind == "requirements" else []
    if found.faults:
        raise InvalidSpecError(f"The requirements of {name}", found.faults)
    return _planned(name, kind, python, found, notices)


def _add(found: Requirements, more: Requirements) -> None:
    found.folders += [folder for folder in more.folders if folder not in found.folders]
    found.digests |= more.digests
    found.faults += more.faults


def _settings(source: Path, folder: str) -> Requirements:
    path = source / folder / "uv.toml"
    return Requirements(digests={"uv.toml": path.read_text(errors="replace")} if path.is_file() else {})


def _planned(origin: str, kind: str, python: str | None, found: Requirements, notices: list[str]) -> Plan:
    python = None if python is None or _is_ours(python) else python
    return Plan(origin, kind, python, found, tuple(notices), _digest(kind, python, found))


def _said_python(source: Path, folder: PurePosixPath) -> str | None:
    """Give the version that the files which tools read for it name; None if there is none, or none to be understood."""
    for path in (source / place / name for place in dict.fromkeys((folder, PurePosixPath())) for name in PYTHON_FILES):
        if path.is_file() and path.stat().st_size < 1024:  # noqa: PLR2004  # anything longer is something else
            match = re.match(r"\s*(?:python-)?(\d+\.\d+(?:\.\d+)?)\s*(?:$|\n)", path.read_text(errors="replace"))
            if match:
                return match.group(1)
    return None


def _is_ours(python: str) -> bool:
    """Say whether the interpreter that runs this will do: 3.11 and >=3.10 are such wishes."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    wish = python if re.match(r"[<>=!~]", python.strip()) else f"=={python}" + ".*" * (python.count(".") < 2)  # noqa: PLR2004
    try:
        return platform.python_version() in SpecifierSet(wish, prereleases=True)
    except InvalidSpecifier as error:
        raise InvalidSpecError("The requirements", [Fault("python", f"{python!r} is no version: {error}")]) from None


def _digest(kind: str, python: str | None, found: Requirements) -> str:
    """Name what is installed. Passwords do not count: a digest of a short one could be guessed back."""
    interpreter = [python] if python else [sys.version, sys.base_prefix]
    text = json.dumps(
        [
            [FORMAT, kind, interpreter, platform_name()],
            *([without_password(line) for line in part] for part in (found.lines, found.constraints, found.options)),
            sorted(found.digests.items()),
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]
