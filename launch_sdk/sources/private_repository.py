"""Where captures keep what they write: a repository of our own for each work tree, so that the user's is only read.

It holds the objects that the user's repository lacks, and what each file's status was when it was last hashed, so that
files which have not changed since are not read again. All of it can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch_sdk.sources.git_commands import Git, alternates, make_repository, private_git

RACY_NS = 1_000_000_000
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Hashed:
    """What a file was when it was hashed.

    Attributes:
        key: its size, times, inode and mode.
        object_id: of its content.
    """

    key: tuple[int, ...]
    object_id: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the last capture of a work tree found.

    Attributes:
        tree: its tree; None if there was none.
        files: what each file was.
        started_ns: when it began to look, in nanoseconds since the epoch.
    """

    tree: str | None
    files: dict[bytes, Hashed]
    started_ns: int

    def of(self, name: bytes, status: os.stat_result) -> str | None:
        """Return the object of a file that has not changed since; None if it may have."""
        known = self.files.get(name)
        if known is None or known.key != status_key(status):
            return None
        return None if status.st_ctime_ns >= self.started_ns - RACY_NS else known.object_id


NOTHING_KNOWN = Known(None, {}, 0)


def status_key(status: os.stat_result) -> tuple[int, ...]:
    """Give the part of a file's status that changes whenever its content does."""
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, stat.S_IMODE(status.st_mode))


@dataclass(frozen=True, slots=True)
class PrivateRepository:
    """The repository of ours for one work tree."""

    path: Path

    @classmethod
    def of(cls, root: Path, object_format: str, folder: Path) -> PrivateRepository:
        """Open it, made if needed.

        Args:
            root: top of the work tree.
            object_format: `sha1` or `sha256`.
            folder: where all of them are.
        """
        digest = hashlib.sha256(os.fsencode(root) + b"\0" + object_format.encode()).hexdigest()
        path = folder / digest[:32]
        if not (path / "root").is_file():
            _make(path, root, object_format)
        return cls(path)

    @property
    def writing(self) -> Git:
        """Git that sees our objects only: it would set the times of objects that it finds in the user's."""
        return private_git(self.path)

    @property
    def reading(self) -> Git:
        """Git that sees the user's objects too."""
        folders = json.loads(self._read("alternates.json") or "[]")
        return private_git(self.path, GIT_ALTERNATE_OBJECT_DIRECTORIES=alternates(folders))

    def remember_objects(self, folders: list[str]) -> None:
        """Keep where the user's objects are."""
        text = json.dumps(folders)
        if self._read("alternates.json") != text:
            self.replace("alternates.json", text)

    def known(self) -> Known:
        """Read what the last capture found; nothing if that cannot be read."""
        try:
            values: Any = json.loads(self._read("files.json") or "{}")
            if values.get("version") != _VERSION:
                return NOTHING_KNOWN
            files = {os.fsencode(name): Hashed(tuple(key), of) for name, (key, of) in values["files"].items()}
            return Known(values["tree"], files, values["started_ns"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return NOTHING_KNOWN

    def remember(self, known: Known) -> None:
        """Keep what a capture found for the next one."""
        files = {os.fsdecode(name): (hashed.key, hashed.object_id) for name, hashed in known.files.items()}
        document = {"version": _VERSION, "tree": known.tree, "started_ns": known.started_ns, "files": files}
        self.replace("files.json", json.dumps(document))

    def replace(self, name: str, text: str) -> None:
        """Write a file of it in one step."""
        with tempfile.NamedTemporaryFile("w", dir=self.path, prefix=".writing-", delete=False) as file:
            file.write(text)
        Path(file.name).replace(self.path / name)

    def read_json(self, name: str) -> Any:
        """Read a JSON file of it; None if there is none that can be read."""
        try:
            return json.loads(self._read(name) or "null")
        except ValueError:
            return None

    def delete(self) -> None:
        """Forget all of it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except OSError:
            return ""


def _make(path: Path, root: Path, object_format: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_deleted(path.parent)
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=".making-"))
    make_repository(fresh, object_format)
    (fresh / "root").write_bytes(os.fsencode(root))
    try:
        fresh.rename(path)
    except OSError:  # another process was first
        shutil.rmtree(fresh, ignore_errors=True)


def _forget_deleted(folder: Path) -> None:
    """Delete the repositories of ours whose work trees exist no more."""
    for mark in folder.glob("[!.]*/root"):  # not those that another process is making
        if not os.path.isdir(mark.read_bytes()):  # noqa: PTH112  # a path in bytes
            shutil.rmtree(mark.parent, ignore_errors=True)
