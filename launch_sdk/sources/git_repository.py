"""Which git repository a directory is in, and what is worth remembering of it. Nothing in it is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.sources.git_commands import Answer, Git
from launch_sdk.tracking.metadata import without_credentials

_ABOUT = (
    *("rev-parse", "--show-cdup", "--git-dir", "--git-path", "objects", "--git-path", "shallow"),
    *("--show-object-format", "--git-common-dir", "--is-bare-repository"),
)
_WORDS_WITHOUT_ANSWER = 3  # rev-parse, and --git-path twice
_SETTINGS = r"^(remote\..*\.url|branch\..*\.remote)$"


@dataclass(frozen=True, slots=True)
class Repository:
    """A git work tree.

    Attributes:
        root: its top folder.
        common: its repository, which linked work trees share.
        objects: its object folder.
        shallow: the file that says where its history is cut; it need not exist.
        object_format: `sha1` or `sha256`.
        branch: None if HEAD is detached.
        commit: of HEAD; None before the first.
        commit_tree: its tree; None before the first.
        remote_name: of the branch's remote, or `origin`; None if there is no such remote.
        remote: its address, without credentials.
    """

    root: Path
    common: Path
    objects: Path
    shallow: Path
    object_format: str
    branch: str | None
    commit: str | None
    commit_tree: str | None
    remote_name: str | None
    remote: str | None

    @property
    def git(self) -> Git:
        return Git(self.root)


def open_repository(directory: Path) -> Repository | None:
    """Find the repository whose work tree a directory is in.

    Raises:
        InvalidSpecError: there is one that git cannot or will not read.
    """
    for folder in (directory, *directory.parents):
        if os.path.lexists(folder / ".git") and (repository := repository_at(folder)):
            return repository
    return None


def repository_at(root: Path) -> Repository | None:
    """Read the repository whose work tree begins at `root`; None if its `.git` is no repository.

    Raises:
        InvalidSpecError: git cannot or will not read it.
    """
    about, head, branch, settings = Git(root).ask_all(
        _ABOUT,
        ["rev-list", "--max-count=1", "--format=%T", "HEAD", "--"],
        ["symbolic-ref", "--quiet", "HEAD"],
        ["config", "-z", "--get-regexp", _SETTINGS],
    )
    if about.code:
        return _explain(root, about)
    lines = about.output.removesuffix(b"\n").split(b"\n")
    if lines[-1] == b"true":
        raise _fault(
            root, "its setting core.bare says that it has no work tree. Unset it: git config --unset core.bare"
        )
    if len(lines) != len(_ABOUT) - _WORDS_WITHOUT_ANSWER:
        raise _fault(root, "the path of its .git folder holds a line break. Move it")
    up, git_dir, objects, shallow, object_format, common = map(os.fsdecode, lines[:-1])
    if up:
        return _elsewhere(root, git_dir)
    name = os.fsdecode(branch.output.strip()).removeprefix("refs/heads/") or None
    _, commit, commit_tree = head.output.decode().split() or (None, None, None)  # "commit", its hash, its tree's
    remote_name, remote = _remote(_read_settings(settings.output), name)
    return Repository(
        root=root,
        common=(root / common).resolve(),
        objects=(root / objects).resolve(),
        shallow=root / shallow,
        object_format=object_format,
        branch=name,
        commit=commit,
        commit_tree=commit_tree,
        remote_name=remote_name,
        remote=remote,
    )


def _read_settings(output: bytes) -> list[tuple[str, str]]:
    lines = [os.fsdecode(line).partition("\n") for line in output.split(b"\0") if line]
    return [(key, value) for key, _, value in lines]


def _remote(settings: list[tuple[str, str]], branch: str | None) -> tuple[str | None, str | None]:
    last: Mapping[str, str] = dict(settings)
    first = dict(reversed(settings))  # git fetches from the first address of a remote
    for name in (last.get(f"branch.{branch}.remote"), "origin"):
        if name and (url := first.get(f"remote.{name}.url")):
            return name, without_credentials(url)
    return None, None


def _explain(root: Path, answer: Answer) -> None:
    """Say why git does not read what looks like a repository; nothing if it is none."""
    if "dubious ownership" in answer.error:
        message = f"belongs to another user. If you trust it: git config --global --add safe.directory {root}"
        raise _fault(root, message)
    if (root / ".git").is_dir() and "not a git repository" in answer.error:
        return
    words = answer.error.removeprefix("fatal: ")
    raise _fault(root, f"git cannot read it: {words}. Mend it, or name a copy of the directory without .git")


def _elsewhere(root: Path, git_dir: str) -> None:
    """Refuse a repository whose settings make another folder its work tree: nobody named that one."""
    if (root / git_dir).resolve() == (root / ".git").resolve() or (root / ".git").is_file():
        raise _fault(root, "its setting core.worktree names another folder. Unset it: git config --unset core.worktree")


def _fault(root: Path, message: str) -> InvalidSpecError:
    return InvalidSpecError(f"Repository {root}", [Fault("", message)])
