"""The environment lock: which packages, interpreter and GPUs a program runs with, written as `environment.json`.

Names of `.dist-info` folders and their `direct_url.json` say all of it: `importlib.metadata` would parse the metadata
of every package, which takes 30 times as long. It is written with the first `log()`, or at the end: `init` is no slower
for it, and there is no thread that a fork could cut in two.
"""

# ruff: noqa: PTH113, PTH118, PTH119, PTH123, PTH208
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os
import sys

from launch_sdk.tracking import protocol
from launch_sdk.tracking.metadata import without_credentials
from launch_sdk.tracking.values import dumps, is_object, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

GPUS = "/proc/driver/nvidia/gpus"
_FOLDERS = (".dist-info", ".egg-info")
_HEAD_BYTES = 4096


def capture(paths: Iterable[str] | None = None, root: str | None = None) -> dict[str, Any]:
    """Describe what this interpreter runs with; 10 ms for 300 packages.

    Args:
        paths: where to look for packages; None for `sys.path`.
        root: the top of the program's own code; packages installed from below it are marked with their `path` there.

    Returns:
        `version`, `python`, `implementation`, `executable`, `prefix`, `platform`, `gpus` (names) and `packages`.
    """
    return {
        "version": protocol.VERSION,
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "prefix": sys.prefix,
        "platform": platform_name(),
        "gpus": gpu_names(),
        "packages": installed_packages(sys.path if paths is None else paths, root),
    }


def write(run_dir: str, root: str | None = None) -> None:
    """Write `environment.json`, unless the supervisor has written it for this interpreter already.

    Args:
        run_dir: the run directory.
        root: as for `capture`.

    Raises:
        OSError: the directory cannot be written.
    """
    before = read(run_dir)
    if before.get("prefix") == sys.prefix:
        return
    given = {key: before[key] for key in ("from", "differs") if key in before}
    protocol.write_atomically(run_dir, protocol.ENVIRONMENT, dumps(capture(root=root) | given))


def read(run_dir: protocol.Directory) -> dict[str, Any]:
    """Read the environment lock of a run; empty if it has none."""
    return protocol.read_object(run_dir, protocol.ENVIRONMENT)


def platform_name() -> str:
    """Name what binary packages depend on: `linux-x86_64-glibc2.36`."""
    system = os.uname()
    try:
        libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "")
    except (ValueError, OSError):  # another C library
        libc = ""
    return "-".join(filter(None, (system.sysname.lower(), system.machine, libc)))


def gpu_names(folder: str = GPUS) -> list[str]:
    """Name the NVIDIA GPUs of this machine, as their driver does; nothing is imported or started for it."""
    try:
        cards = sorted(os.listdir(folder))
    except OSError:
        return []
    texts = [_head(os.path.join(folder, card, "information")) for card in cards]
    lines = [line for text in texts for line in text.splitlines()]
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]


def installed_packages(paths: Iterable[str], root: str | None = None) -> list[dict[str, Any]]:
    """List the packages that an interpreter finds on these paths, by name; of two with one name it sees the first.

    Returns:
        For each `name` (normalised, PEP 503) and `version`, and where it came from if not from an index: `url` without
        credentials, `vcs` and `commit`, `subdirectory`, `editable`, and `path` below `root`.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in dict.fromkeys(paths):
        for folder in _metadata_folders(path or "."):
            name, version = _name_and_version(folder)
            key = normalised(name)
            if key and key not in found:
                found[key] = {"name": key, "version": version, **_origin(folder, root)}
    return [found[key] for key in sorted(found)]


def normalised(name: str) -> str:
    """Write a package's name as indexes do: `Foo_Bar.x` is `foo-bar-x`."""
    words = name.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(filter(None, words))


def _metadata_folders(path: str) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            yield from [entry.path for entry in entries if entry.name.endswith(_FOLDERS)]
    except OSError:  # a zip file, or a folder that is not there
        return


def _name_and_version(folder: str) -> tuple[str, str]:
    name, separator, version = os.path.basename(folder).rpartition(".")[0].partition("-")
    if separator and folder.endswith(".dist-info"):
        return name, version
    # The folder of an egg may have a Python version in its name, or no version at all.
    file = next((f for f in ("METADATA", "PKG-INFO") if os.path.isfile(os.path.join(folder, f))), "")
    head = _head(os.path.join(folder, file) if file else folder).split("\n\n")[0]
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    return fields.get("Name", ""), fields.get("Version", "").strip()


def _origin(folder: str, root: str | None) -> dict[str, Any]:
    try:
        with open(os.path.join(folder, "direct_url.json"), encoding="utf-8") as file:
            document = loads(file.read())
    except (OSError, ValueError):
        return {}
    if not is_object(document) or not isinstance(document.get("url"), str):
        return {}
    url = without_credentials(str(document["url"]))
    vcs, directory = (part if is_object(part := document.get(key)) else {} for key in ("vcs_info", "dir_info"))
    said: dict[str, Any] = {
        "url": url,
        "vcs": vcs.get("vcs"),
        "commit": vcs.get("commit_id"),
        "subdirectory": document.get("subdirectory"),
        "editable": directory.get("editable"),
        "path": _below(url, root),
    }
    return {key: value for key, value in said.items() if value}


def _below(url: str, root: str | None) -> str | None:
    if root is None or not url.startswith("file://"):
        return None
    path, root = os.path.realpath(_unquoted(url[len("file://") :])), os.path.realpath(root)
    return os.path.relpath(path, root) if path == root or path.startswith(root + os.sep) else None


def _unquoted(text: str) -> str:
    """Undo the quoting of a URL, without the 5 ms of importing urllib."""
    first, *rest = text.encode().split(b"%")
    try:
        return b"".join([first, *(bytes.fromhex(part[:2].decode()) + part[2:] for part in rest)]).decode()
    except ValueError:
        return text


def _head(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_HEAD_BYTES).decode(errors="replace")
    except OSError:
        return ""
