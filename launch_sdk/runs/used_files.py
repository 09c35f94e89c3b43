"""The files that a repeated run had used: found, checked against their digests, and handed to the program."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.tracking import environment, files, protocol
from launch_sdk.tracking.values import dumps, is_array, is_object

if TYPE_CHECKING:
    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.runs.store import RunStore

FILES = "files"  # of a lock: what the run used beside its code and its packages
_DIGEST = re.compile(r"[0-9a-f]{64}")


def lock_of(run_dir: Path, snapshot: protocol.Snapshot | None = None) -> dict[str, Any]:
    """Give what a run ran with: its environment, and the files that it used; empty if nobody has recorded any."""
    used = list((snapshot or protocol.read_snapshot(run_dir)).used_files.values())
    return environment.read(run_dir) | ({FILES: used} if used else {})


def hand_over(lock: Mapping[str, Any] | None, run: RunDirectory, store: RunStore) -> None:
    """Write `used_files.json`: where the program finds each file that the run which it repeats had used.

    Raises:
        InvalidSpecError: one is gone or has another content; every one that is, at once.
    """
    faults: list[Fault] = []
    found = {name: entry for name, entry in _entries(lock, faults).items() if _found(name, entry, store, faults)}
    if faults:
        raise InvalidSpecError("What the repeated run had used", faults)
    document = {"version": protocol.VERSION, "store": str(store.path / files.FOLDER), "files": found}
    protocol.write_atomically(run.path, protocol.USED_FILES, dumps(document))


def _entries(lock: Mapping[str, Any] | None, faults: list[Fault]) -> dict[str, dict[str, Any]]:
    listed: Any = (lock or {}).get(FILES)
    entries = listed if is_array(listed) else []
    whole: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if is_object(entry) and isinstance(entry.get("name"), str) and _DIGEST.fullmatch(str(entry.get("sha256"))):
            whole[entry["name"]] = {key: entry.get(key) for key in ("url", "sha256", "bytes")}
        else:
            faults.append(Fault(FILES, f"{entry!r} is no record of a file"))
    return whole


def _found(name: str, entry: dict[str, Any], store: RunStore, faults: list[Fault]) -> bool:
    """Set the path of a file, or add a fault."""
    kept = store.path / files.FOLDER / entry["sha256"]
    if _has(kept, entry["sha256"]):
        entry["path"] = str(kept)
        return True
    url = str(entry.get("url") or "")
    try:
        path = files.local_path(url) if url else None
        if path is None and url:
            fetched = files.download(url, str(store.path / files.FOLDER))
            path, digest = fetched.path, fetched.sha256
        else:
            digest = files.digest_of(path or str(kept))[0]
    except (OSError, ImportError, ValueError) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        faults.append(Fault(name, f"cannot be had from {url or 'anywhere'}: {why}. Put it back there, or {_ANEW}"))
        return False
    if digest != entry["sha256"]:
        message = f"{url} has changed since: SHA-256 {digest[:12]}..., not {entry['sha256'][:12]}.... Put it back, or"
        faults.append(Fault(name, f"{message} {_ANEW}"))
        return False
    entry["path"] = path
    return True


_ANEW = "launch the directory of the program in place of the run"


def _has(path: Path, digest: str) -> bool:
    try:
        return os.path.lexists(path) and files.digest_of(str(path))[0] == digest
    except OSError:
        return False
