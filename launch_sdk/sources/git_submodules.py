"""Submodules of a fetched commit: where they are, and one tree with their files in their places."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.sources.git_replay import MODES, TreeEntry, check_tree
from launch_sdk.sources.origin import printable
from launch_sdk.specs.git_address import GitAddress, parse_git_address

if TYPE_CHECKING:
    from launch_sdk.sources.git_commands import Git
    from launch_sdk.sources.private_repository import PrivateRepository

GITLINK: Final = b"160000"
_SETTINGS: Final = r"^submodule\..*\.(path|url)$"


@dataclass(frozen=True, slots=True)
class Module:
    """A submodule as a commit names it.

    Attributes:
        path: of its folder.
        address: where it is.
        commit: which commit of it.
    """

    path: str
    address: GitAddress
    commit: str


@dataclass(frozen=True, slots=True)
class Inside:
    """A commit in a repository of ours, its submodules included.

    Attributes:
        private: the repository.
        commit: its hash.
        tree: with the files of submodules.
        object_format: `sha1` or `sha256`.
        path: of its folder in the commit that it is a submodule of; empty for the top.
        modules: its own submodules.
    """

    private: PrivateRepository
    commit: str
    tree: str
    object_format: str
    path: str
    modules: tuple[Inside, ...]

    @property
    def objects(self) -> list[str]:
        """The object folders that the tree needs."""
        return [str(self.private.path / "objects"), *(folder for one in self.modules for folder in one.objects)]


def modules_of(git: Git, commit: str, entries: Sequence[TreeEntry], address: GitAddress, limit: int) -> list[Module]:
    """Find the submodules of a commit.

    Args:
        git: of a repository that holds it.
        commit: its hash.
        entries: its files.
        address: where it comes from, which addresses in it may be relative to.
        limit: how many there may be.

    Raises:
        InvalidSpecError: one has no address, or one that cannot be used; every such one at once.
    """
    links = {os.fsdecode(entry.name): entry.object_id for entry in entries if entry.mode == GITLINK}
    if len(links) > limit:
        raise InvalidSpecError("The git repository", [Fault("submodules", f"has {len(links)}, too many or too deep")])
    urls = _urls(git, commit) if links else {}
    modules: list[Module] = []
    faults: list[Fault] = []
    for path, object_id in links.items():
        try:
            modules.append(Module(path, _address(urls.get(path), address), object_id))
        except InvalidSpecError as error:
            faults += [Fault(f"submodule {printable(path)}", fault.message) for fault in error.faults]
    if faults:
        raise InvalidSpecError(f"The git repository {address.url}", faults)
    return modules


def with_modules(
    private: PrivateRepository, commit: str, entries: Sequence[TreeEntry], modules: Sequence[Inside]
) -> str:
    """Give the tree of a commit with the files of its submodules in place, written as a capture would."""
    if all(entry.mode in MODES for entry in entries):
        return private.reading.output("rev-parse", "--verify", f"{commit}^{{tree}}").decode().strip()
    needed = {folder for module in modules for folder in module.objects}
    known: list[str] = private.read_json("alternates.json") or []
    private.remember_objects(sorted(needed.union(folder for folder in known if os.path.isdir(folder))))  # noqa: PTH112
    with tempfile.TemporaryDirectory(dir=private.path, prefix=".index-") as folder:
        git = private.reading
        git = replace(git, variables={**git.variables, "GIT_INDEX_FILE": f"{folder}/index"})
        git.output("read-tree", commit)
        gone = [b"0 %s\t%s\0" % (b"0" * len(commit), os.fsencode(module.path)) for module in modules]
        git.output("update-index", "-z", "--index-info", feed=b"".join(gone))
        for module in modules:
            git.output("update-index", "-z", "--index-info", feed=b"".join(_lines_of(module)))
        return git.output("write-tree", "--missing-ok").decode().strip()


def _lines_of(module: Inside) -> Iterator[bytes]:
    """Give the files of a submodule as lines for the index of the tree that it is in."""
    prefix = os.fsencode(module.path) + b"/"
    for entry in check_tree(module.private.reading, module.tree):
        yield b"%s %s\t%s%s\0" % (entry.mode, entry.object_id.encode(), prefix, entry.name)


def _urls(git: Git, commit: str) -> dict[str, str]:
    """Read the address of each submodule, by its path. Such a file can include no other."""
    answer = git.ask("config", "--no-includes", f"--blob={commit}:.gitmodules", "-z", "--get-regexp", _SETTINGS)
    said: dict[str, dict[str, str]] = {}
    for line in answer.output.split(b"\0"):
        key, _, value = os.fsdecode(line).partition("\n")
        name, _, what = key.removeprefix("submodule.").rpartition(".")
        said.setdefault(name, {})[what] = value
    return {one["path"].rstrip("/"): one["url"] for one in said.values() if {"path", "url"} <= one.keys()}


def _address(url: str | None, above: GitAddress) -> GitAddress:
    if url is None:
        raise InvalidSpecError("The submodule", [Fault("url", "has no address in .gitmodules")])
    is_relative = url.startswith(("./", "../"))
    found = parse_git_address(_joined(above.url, url) if is_relative else url, by_hand=is_relative, field_name="url")
    is_of_same_host = (found.transport, found.host) == (above.transport, above.host)
    return replace(found, credentials=above.credentials) if is_of_same_host and not found.credentials else found


def _joined(base: str, relative: str) -> str:
    """Join as git does: each `../` takes one part of the address away, the last after a colon too."""
    base = base.rstrip("/")
    while relative.startswith(("./", "../")):
        if relative.startswith("../"):
            head, slash, _ = base.rpartition("/")
            base = head if slash else base.rpartition(":")[0]
        relative = relative.partition("/")[2]
    joint = ":" if "/" not in base and "@" in base and ":" not in base else "/"
    return f"{base}{joint}{relative}"
