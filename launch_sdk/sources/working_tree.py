"""Which files a git work tree holds: tracked and untracked, not ignored ones, those of repositories inside it too."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from launch_sdk.errors import InvalidSpecError
from launch_sdk.sources.capture_rules import IGNORE_FILE, CaptureRules
from launch_sdk.sources.directory import is_left_out_folder, names_in_folder
from launch_sdk.sources.git_repository import Repository, repository_at

_LIST = ("ls-files", "-z", "-t", "-s", "--cached", "--others", "--exclude-standard")
_LIST_IGNORED = ("ls-files", "-z", "--cached", "--ignored")


@dataclass(slots=True)
class WorkingTree:
    """The files of a work tree, as they are on disk.

    Attributes:
        files: status of each file and link, by its path relative to the root.
        left_out: why each other file is not among them.
        folders_left_out: untracked folders that nobody means to launch: environments, caches, earlier runs.
        submodules: the commit of each repository inside whose files are among `files`.
        objects: object folders that may hold some of their content.
    """

    files: dict[bytes, os.stat_result] = field(default_factory=dict[bytes, os.stat_result])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    folders_left_out: set[str] = field(default_factory=set[str])
    submodules: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    objects: list[str] = field(default_factory=list[str])


def read_working_tree(repository: Repository, rules: CaptureRules) -> WorkingTree:
    """List a repository's work tree.

    Raises:
        InvalidSpecError: git cannot list it.
    """
    tree = WorkingTree()
    _Reader(tree, repository, rules).read(repository, b"")
    return tree


@dataclass(slots=True)
class _Reader:
    tree: WorkingTree
    top: Repository
    rules: CaptureRules
    folders: dict[bytes, _Folder] = field(default_factory=dict[bytes, "_Folder"])
    hidden: frozenset[bytes] = frozenset()
    start: bytes = b""

    def __post_init__(self) -> None:
        self.folders[b""] = _Folder(real=True, left_out=False)
        root = self.top.root
        self.start = os.path.join(os.fsencode(root), b"")  # noqa: PTH118  # names are bytes here
        folders = [folder.resolve() for folder in self.rules.leave_out]
        inside = [folder for folder in folders if folder != root and folder.is_relative_to(root)]
        self.hidden = frozenset(os.fsencode(folder.relative_to(root)) for folder in inside)

    def read(self, repository: Repository, prefix: bytes) -> None:
        self.tree.objects.append(str(repository.objects))
        for name, mode in _listed(repository):
            path = prefix + name.rstrip(b"/")
            try:
                self._take(path, mode)
            except (FileNotFoundError, NotADirectoryError):
                continue  # a tracked file that was deleted

    def _take(self, path: bytes, mode: bytes | None) -> None:
        folder = self._folder(path.rpartition(b"/")[0])
        if not folder.real or path in self.hidden or (folder.left_out and mode is None):
            return
        status = os.lstat(self.start + path)
        if mode is not None and self.rules.is_plain(status) and b".git" not in path.lower():
            self.tree.files[path] = status  # as nearly all files are
        elif _is_forbidden(path, status):
            self.tree.left_out[os.fsdecode(path)] = "has a name that git keeps for itself"
        elif stat.S_ISDIR(status.st_mode):
            self._take_folder(path, mode)
        elif reason := self.rules.why_left_out(os.fsdecode(path), status, tracked=mode is not None):
            self.tree.left_out[os.fsdecode(path)] = reason
        else:
            self.tree.files[path] = status

    def _take_folder(self, path: bytes, mode: bytes | None) -> None:
        """Take in a submodule, or another repository, file by file, as its own rules say."""
        if mode is not None and mode != b"160000":
            return  # a tracked file became a folder, whose files are listed themselves
        folder = self._folder(path)
        if folder.left_out and mode is None:
            return
        name = os.fsdecode(path)
        root = Path(os.fsdecode(self.start + path))
        try:
            inner = repository_at(root) if os.path.lexists(root / ".git") else None
        except InvalidSpecError as error:
            self.tree.left_out[name] = "; ".join(fault.message for fault in error.faults)
            return
        if inner is None:
            self._take_plain(path, root)
        elif inner.common == self.top.common:
            self.tree.left_out[name] = "is another work tree of the same repository"
        else:
            self.tree.submodules[name] = inner.commit
            self.read(inner, path + b"/")

    def _take_plain(self, path: bytes, root: Path) -> None:
        """Take the files of a submodule that has no repository (any more)."""
        for name in names_in_folder(root):
            self._take(path + b"/" + os.fsencode(name), None)

    def _folder(self, path: bytes) -> _Folder:
        known = self.folders.get(path)
        if known is None:
            known = self.folders[path] = self._look_at(path)
        return known

    def _look_at(self, path: bytes) -> _Folder:
        above = self._folder(path.rpartition(b"/")[0])
        try:
            real = above.real and stat.S_ISDIR(os.lstat(self.start + path).st_mode)
        except OSError:
            real = False
        unwanted = real and not above.left_out and is_left_out_folder(Path(os.fsdecode(self.start + path)))
        if unwanted:
            self.tree.folders_left_out.add(os.fsdecode(path))
        return _Folder(real and path not in self.hidden, above.left_out or unwanted)


def _is_forbidden(path: bytes, status: os.stat_result) -> bool:
    parts = path.lower().split(b"/")
    return b".git" in parts or (b".gitmodules" in parts and stat.S_ISLNK(status.st_mode))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of the work tree.

    Attributes:
        real: it is a folder, and no link is on the way to it.
        left_out: its untracked files are not taken.
    """

    real: bool
    left_out: bool


def _listed(repository: Repository) -> Iterator[tuple[bytes, bytes | None]]:
    """Give the name of each file and its mode in the index, None if it is untracked; folders end with a slash."""
    patterns = (f"--exclude-from={IGNORE_FILE}",) if (repository.root / IGNORE_FILE).is_file() else ()
    ignored = set(repository.git.output(*_LIST_IGNORED, *patterns).split(b"\0")) if patterns else set[bytes]()
    for line in repository.git.output(*_LIST, *patterns).split(b"\0"):
        tag, _, rest = line.partition(b" ")
        if tag == b"?":
            yield rest, None
        elif tag:
            about, _, name = rest.partition(b"\t")
            if name not in ignored:
                yield name, about[:6]
