"""Requirements that stand in `pyproject.toml`, `uv.lock` and `environment.yml`."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.environments.requirements import URLS, Requirements, read_lines
from launch_sdk.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PYPROJECT = "pyproject.toml"
UV_LOCK = "uv.lock"
Table = dict[str, Any]


def read_toml(path: Path, faults: list[Fault]) -> Table:
    """Read a TOML file; one that is none is a fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        faults.append(Fault(path.name, f"cannot be read: {error}"))
        return {}


def read_pyproject(source: Path, name: str) -> tuple[Requirements, str | None]:
    """Read what a project needs, and which Python it wants.

    The installer reads the file itself, for its indexes and sources; here it is checked, and what matters of it named.
    """
    faults: list[Fault] = []
    document = read_toml(source / name, faults)
    project, uv = _table(document, "project"), _table(_table(document, "tool"), "uv")
    folder = name.removesuffix(PYPROJECT).rstrip("/") or "."
    needed = project.get("dependencies")
    lines = [line for line in cast("Sequence[object]", needed) if isinstance(line, str)] if _is_list(needed) else []
    dynamic = project.get("dynamic")
    is_found_by_building = not project or (_is_list(dynamic) and "dependencies" in cast("list[object]", dynamic))
    found = read_lines(source, name, [*lines, *(["."] if is_found_by_building and not faults else [])])
    for key, entry in _table(uv, "sources").items():
        for one in cast("Sequence[object]", entry if _is_list(entry) else [entry]):
            _check_source(source, found, f"{folder}", f"{name}: tool.uv.sources.{key}", _as_table(one))
    if "build-system" in document and folder not in found.folders:
        found.folders.append(folder)
    found.faults += faults
    wanted = project.get("requires-python")
    # Settings of linters in the same file change no environment.
    relevant = {"needs": lines, "python": wanted, "uv": uv, "dynamic": dynamic}
    if not is_found_by_building:
        found.digests[name] = json.dumps(relevant, sort_keys=True, default=str)
    return found, wanted if isinstance(wanted, str) else None


def read_uv_lock(source: Path, name: str) -> Requirements:
    """Check what a uv.lock installs: from indexes, from git over https and ssh, from addresses, from the source."""
    faults: list[Fault] = []
    path = source / name
    document = read_toml(path, faults)
    found = Requirements(faults=faults)
    folder = name.removesuffix(UV_LOCK).rstrip("/") or "."
    packages = document.get("package")
    for package in cast("Sequence[object]", packages if _is_list(packages) else []):
        table = _as_table(package)
        _check_source(source, found, folder, f"{name}: {table.get('name')}", _as_table(table.get("source")))
    found.digests[name] = path.read_text(encoding="utf-8", errors="replace")
    return found


def read_environment_yml(source: Path, name: str) -> tuple[Requirements, str | None, list[str]]:
    """Read the pip section of a conda environment, the Python that it wants, and what only conda could install."""
    import yaml

    faults: list[Fault] = []
    try:
        document: object = yaml.safe_load((source / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        faults.append(Fault(name, f"cannot be read: {error}"))
        document = {}
    entries = _as_table(document).get("dependencies")
    if not faults and not _is_list(entries):
        faults.append(Fault(name, "has no list of dependencies"))
    lines: list[str] = []
    conda: list[str] = []
    for entry in cast("Sequence[object]", entries if _is_list(entries) else []):
        pip = _as_table(entry).get("pip")
        if _is_list(pip):
            lines += [line for line in cast("Sequence[object]", pip) if isinstance(line, str)]
        elif isinstance(entry, str):
            conda.append(entry)
    found = read_lines(source, name, lines)
    found.faults += faults
    versions = [
        match for entry in conda if (match := re.fullmatch(r"(?:\S+::)?python\s*=+\s*([\d.]+?)(?:\.\*)?", entry))
    ]
    others = [entry for entry in conda if re.split(r"[\s=<>!]", entry.rpartition("::")[2])[0] not in {"python", "pip"}]
    return found, versions[0].group(1) if versions else None, others


def _check_source(source: Path, found: Requirements, folder: str, where: str, entry: Mapping[str, Any]) -> None:
    """Check where one package of a project comes from, as uv writes it."""
    for kind in ("path", "directory", "editable", "virtual"):
        place = entry.get(kind)
        if isinstance(place, str):
            _check_place(source, found, folder, where, place, is_code=kind != "virtual")
    for kind in ("git", "url", "registry"):
        url = entry.get(kind)
        if not isinstance(url, str):
            continue
        scheme = url.partition("://")[0].lower()
        if "://" not in url or scheme not in {*(known.removeprefix("git+") for known in URLS)}:
            found.faults.append(
                Fault(where, f"only https, http and ssh addresses can be installed, not {kind} {scheme}")
            )


def _check_place(source: Path, found: Requirements, folder: str, where: str, place: str, *, is_code: bool) -> None:
    top = source.resolve()
    path = (top / folder / place).resolve()
    if not path.is_relative_to(top):
        found.faults.append(Fault(where, f"{place} leads out of the source"))
    elif not path.exists():
        found.faults.append(Fault(where, f"{place} is not in the source"))
    elif path.is_dir() and is_code:
        relative = path.relative_to(top).as_posix()
        found.folders += [] if relative in found.folders else [relative]


def _table(document: Mapping[str, Any], key: str) -> Table:
    return _as_table(document.get(key))


def _as_table(value: object) -> Table:
    return cast("Table", value) if isinstance(value, dict) else {}


def _is_list(value: object) -> bool:
    return isinstance(value, list)
