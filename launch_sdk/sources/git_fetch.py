"""The files of a commit at a git address, as a source like any other: fetched once, named by their content.

`LAUNCH_HOME/git/<digest>` is a repository of ours for each address. It holds what was fetched, without history, and can
be deleted at any time. What a branch or tag is, is asked each time; a commit that is there is not fetched again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from launch_sdk.errors import NotFoundError
from launch_sdk.sources.git_access import git_of_remote
from launch_sdk.sources.git_commands import Git, make_repository
from launch_sdk.sources.git_contents import links_out, pointers
from launch_sdk.sources.git_pack import MAX_PRIVATE_BYTES, pack_tree
from launch_sdk.sources.git_remote import Remote, Wanted
from launch_sdk.sources.git_replay import check_tree
from launch_sdk.sources.git_submodules import GITLINK, Inside, Module, modules_of, with_modules
from launch_sdk.sources.origin import Origin, printable
from launch_sdk.sources.private_repository import PrivateRepository
from launch_sdk.specs.git_address import GitAddress, is_commit

MODES: Final = frozenset({b"100644", b"100755", b"120000", b"100664", GITLINK})
MAX_MODULES: Final = 100
MAX_DEPTH: Final = 8
SHA1_DIGITS: Final = 40


@dataclass(frozen=True, slots=True)
class FetchedTree:
    """The files of a commit in a run store.

    Attributes:
        source: their name, `git+sha256:<digest>#<tree>[:<directory>]`.
        origin: where they come from.
        names: of the files, relative to the directory.
    """

    source: str
    origin: Origin
    names: frozenset[str]


def fetch_tree(
    address: GitAddress, version: str | None, directory: str, folder: Path, store: Path, *, known_as: str | None = None
) -> FetchedTree:
    """Fetch the files of a commit, those of its submodules too, and keep them in a store.

    Args:
        address: of the repository.
        version: a branch, a tag or a commit; None for the default branch.
        directory: where programs start in it.
        folder: where repositories of ours for addresses are, `LAUNCH_HOME/git`.
        store: folder of the sources of a run store.
        known_as: the address to record, of a repository on this machine; None for its own.

    Raises:
        NotFoundError: there is no such host, repository, version or directory.
        ConflictError: it may not be read.
        BackendUnavailableError: it cannot be reached.
        InvalidSpecError: something in it cannot be used, or its version is none.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fetching = _Fetching(folder)
    wanted = fetching.look_up(address, version)
    got = fetching.fetch(address, wanted)
    entries = check_tree(got.private.reading, got.tree)
    names = frozenset(_below(directory, (os.fsdecode(entry.name) for entry in entries)))
    if directory != "." and not names:
        raise NotFoundError(f"{address.url} has no folder {printable(directory)} at {wanted.name}.")
    origin = Origin(
        remote=known_as or address.url,
        branch=wanted.branch,
        commit=got.commit,
        changed=False,
        unpushed=None if address.transport == "file" else False,
        submodules=fetching.modules,
        left_out=pointers(got.private.reading, entries),
        links_out=links_out(got.private.reading, entries),
        file_count=len(entries),
        byte_count=sum(entry.size for entry in entries),
    )
    source = pack_tree(got.tree, directory, got.object_format, origin, private=got.private, store=store)
    _forget_if_too_large(got.private)
    return FetchedTree(source, origin, names)


class _Fetching:
    """One fetch, with the submodules that it leads to.

    Attributes:
        modules: the commit of each submodule, by its path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[str, str | None] = {}

    def look_up(self, address: GitAddress, version: str | None) -> Wanted:
        with git_of_remote(address, self.folder) as git:
            return Remote(address, git).look_up(version)

    def fetch(self, address: GitAddress, wanted: Wanted, path: str = "", depth: int = 0) -> Inside:
        """Get a commit's files into a repository of ours, those of its submodules in their places."""
        object_format = "sha1" if len(wanted.commit or "") in {0, SHA1_DIGITS} else "sha256"
        private = _repository_for(address.url, object_format, self.folder)
        with _locked(private.path):
            commit = self._commit(address, wanted, private)
        entries = check_tree(private.reading, commit, MODES)
        limit = MAX_MODULES - len(self.modules) if depth < MAX_DEPTH else 0
        modules = modules_of(private.reading, commit, entries, address, limit)
        self.modules |= {f"{path}{module.path}": module.commit for module in modules}
        found = [self._module(module, f"{path}{module.path}", depth) for module in modules]
        tree = with_modules(private, commit, entries, found)
        return Inside(private, commit, tree, object_format, path, tuple(found))

    def _module(self, module: Module, path: str, depth: int) -> Inside:
        inside = self.fetch(module.address, Wanted(module.commit, module.commit), f"{path}/", depth + 1)
        return Inside(inside.private, inside.commit, inside.tree, inside.object_format, module.path, inside.modules)

    def _commit(self, address: GitAddress, wanted: Wanted, private: PrivateRepository) -> str:
        if wanted.commit is not None and _is_fetched(private.writing, wanted.commit):
            return wanted.commit
        with git_of_remote(address, self.folder, private.path) as git:
            commit = Remote(address, git).fetch(wanted)
        private.writing.output("update-ref", f"refs/fetched/{commit}", commit)
        return commit


def _is_fetched(git: Git, commit: str) -> bool:
    """Say whether a commit is there with all its files: git writes a ref only once they are."""
    return is_commit(commit) and not git.ask("rev-parse", "--quiet", "--verify", f"refs/fetched/{commit}").code


def _repository_for(url: str, object_format: str, folder: Path) -> PrivateRepository:
    path = folder / hashlib.sha256(f"{url}\0{object_format}".encode()).hexdigest()[:32]
    if not (path / "HEAD").is_file():
        fresh = Path(tempfile.mkdtemp(dir=folder, prefix=".making-"))
        make_repository(fresh, object_format)
        try:
            fresh.rename(path)
        except OSError:  # another process was first
            shutil.rmtree(fresh, ignore_errors=True)
    return PrivateRepository(path)


@contextmanager
def _locked(repository: Path) -> Generator[None]:
    """Let one process at a time fetch into a repository; the kernel unlocks it when that one dies."""
    descriptor = os.open(f"{repository}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in ("shallow.lock", "refs/landing/fetched.lock"):
            (repository / left).unlink(missing_ok=True)  # of a process that was killed
        yield
    finally:
        os.close(descriptor)


def _below(directory: str, names: Iterable[str]) -> Iterable[str]:
    return (
        names
        if directory == "."
        else (
            name.removeprefix(f"{directory}/")
            for name in names
            if PurePosixPath(directory) in PurePosixPath(name).parents
        )
    )


def _forget_if_too_large(private: PrivateRepository) -> None:
    with suppress(OSError):
        total = sum(path.stat().st_size for path in (private.path / "objects").rglob("*") if path.is_file())
        if total > MAX_PRIVATE_BYTES:
            private.delete()  # the next fetch makes it again
