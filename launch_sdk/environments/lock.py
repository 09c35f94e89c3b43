"""The packages that an earlier run recorded: as requirements, and beside what is there now."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.environments.requirements import URLS, Requirements
from launch_sdk.environments.torch import BACKEND, backend_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OWN_PACKAGE = "launch-sdk"  # every program has it on its path, as its supervisor has it
MAX_SHOWN = 20


def packages_of(lock: Mapping[str, Any]) -> list[dict[str, str]]:
    """Give the packages of a lock that are whole; what is malformed is left out."""
    entries = lock.get("packages")
    entries = cast("Sequence[object]", entries if isinstance(entries, list) else [])
    whole = [cast("dict[str, str]", entry) for entry in entries if isinstance(entry, dict)]
    return [entry for entry in whole if _is_plain(entry.get("name")) and _is_plain(entry.get("version"))]


def requirements_of(lock: Mapping[str, Any]) -> tuple[Requirements, list[str]]:
    """Give what to install for a lock, and what it has that can be installed nowhere else, in words."""
    found, left_out = Requirements(), list[str]()
    for package in packages_of(lock):
        name, url = package["name"], package.get("url")
        if name == OWN_PACKAGE:
            continue
        if url is None:
            found.lines.append(f"{name}=={package['version']}")
        elif line := _from_url(package, str(url)):
            found.lines.append(line)
        elif _is_inside(package.get("path")):
            found.folders.append(package["path"])
        else:
            left_out.append(f"{name} {package['version']} was installed from {url}, which is not in the source")
    if backend := _torch_backend(lock):
        found.options += [BACKEND, backend]
    return found, left_out


def python_of(lock: Mapping[str, Any]) -> str | None:
    """Give the minor version of Python that a lock was recorded with, as in 3.11."""
    match = re.match(r"\d+\.\d+", str(lock.get("python") or ""))
    return match.group() if match else None


def differences(lock: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Say what differs between the environment of an earlier run and the present one, one thing a line."""
    lines = [
        f"{key} {lock[key]} -> {present.get(key)}"
        for key in ("python", "implementation", "platform")
        if lock.get(key) and lock[key] != present.get(key)
    ]
    before, now = _gpus(lock), _gpus(present)
    lines += [f"GPU {before} -> {now}"] if before != now else []
    there = {package["name"]: package for package in packages_of(present)}
    for package in packages_of(lock):
        if package["name"] != OWN_PACKAGE and (said := _difference(package, there.get(package["name"]))):
            lines.append(said)
    return lines


def shown(lines: Sequence[str]) -> list[str]:
    """Give the first of many differences, for a log."""
    more = [f"and {len(lines) - MAX_SHOWN} more; environment.json of the run directory lists them all"]
    return [*lines[:MAX_SHOWN], *(more if len(lines) > MAX_SHOWN else [])]


def _difference(package: Mapping[str, str], there: Mapping[str, str] | None) -> str | None:
    name, version = package["name"], package["version"]
    if there is None:
        return f"{name} {version} is not installed"
    if there["version"] != version:
        return f"{name} {version} -> {there['version']}"
    commit = package.get("commit")
    return f"{name} {commit} -> {there.get('commit')}" if commit and commit != there.get("commit") else None


def _gpus(lock: Mapping[str, Any]) -> str:
    names = lock.get("gpus")
    return ", ".join(map(str, cast("Sequence[object]", names))) if isinstance(names, list) and names else "none"


def _from_url(package: Mapping[str, str], url: str) -> str | None:
    name, vcs, commit = package["name"], package.get("vcs"), package.get("commit")
    folder = package.get("subdirectory")
    where = f"#subdirectory={folder}" if folder else ""
    scheme = url.partition("://")[0]
    if re.search(r"\s", f"{url}{commit}{folder}"):
        return None
    if vcs == "git" and commit:
        return f"{name} @ git+{url}@{commit}{where}" if f"git+{scheme}" in URLS else None
    return f"{name} @ {url}{where}" if scheme in {"https", "http"} and not vcs else None


def _torch_backend(lock: Mapping[str, Any]) -> str | None:
    return backend_of(next((package["version"] for package in packages_of(lock) if package["name"] == "torch"), ""))


def _is_inside(path: object) -> bool:
    return isinstance(path, str) and not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", value) is not None
