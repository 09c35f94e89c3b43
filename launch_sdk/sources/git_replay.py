"""Lay a captured work tree out again, after checking that it is what its hash says.

1. Check the SHA-256 of the document and of each pack.
2. Let git index the packs in a repository that is thrown away: that computes the hash of every object.
3. List the tree and check every name, mode and size in it.
4. Check it out. Nothing is converted; a link is written as a link and never followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.sources.capture_rules import MAX_PACK_BYTES
from launch_sdk.sources.git_commands import Git, make_repository, private_git
from launch_sdk.sources.git_pack import FORMAT
from launch_sdk.sources.packed import GitSource

MAX_FILES = 1_000_000
MAX_LISTING_BYTES = 512 * 1024 * 1024
MODES = frozenset({b"100644", b"100755", b"120000"})
_DIGEST = re.compile(r"[0-9a-f]{64}")


def replay(source: GitSource, store: Path, target: Path) -> None:
    """Lay the tree of a source out in an empty folder.

    Args:
        source: which tree.
        store: folder of the sources of a run store.
        target: the folder; made if needed.

    Raises:
        NotFoundError: the store does not hold all of it.
        InvalidSpecError: it is not what its digests say, or it holds a name that must not be written.
    """
    document = _read(source, store)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".replaying-") as folder:
        scratch = Path(folder)
        make_repository(scratch, document.object_format)
        git = private_git(scratch)
        for pack in document.packs:
            _index(git, source, store / f"{pack}.pack", pack)
        entries = check_tree(git, source.tree)
        _check_out(scratch, source, target, len(entries))


@dataclass(frozen=True, slots=True)
class _Document:
    object_format: str
    packs: tuple[str, ...]


def _read(source: GitSource, store: Path) -> _Document:
    path = store / f"{source.digest}.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"Source {source} is not in the run store {store}. Submit the run again from its repository."
        ) from None
    if hashlib.sha256(content).hexdigest() != source.digest:
        raise _fault(f"{path} is damaged: its content has another digest")
    try:
        values: Any = json.loads(content)
        fits = values["format"] == FORMAT and values["tree"] == source.tree
        document = _Document(str(values["object_format"]), tuple(map(str, values["packs"])))
    except (ValueError, KeyError, TypeError):
        raise _fault(f"{path} is no document of ours") from None
    if not fits or document.object_format not in {"sha1", "sha256"} or not all(map(_DIGEST.fullmatch, document.packs)):
        raise _fault(f"{path} is not the document of tree {source.tree}")
    return document


def _index(git: Git, source: GitSource, pack: Path, digest: str) -> None:
    if not pack.is_file():
        raise NotFoundError(f"Pack {pack} of source {source} is not in the run store. Submit the run again.")
    if pack.stat().st_size > MAX_PACK_BYTES:
        raise _fault(f"{pack} holds more than {MAX_PACK_BYTES / 1e6:.0f} MB")
    content = pack.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise _fault(f"{pack} is damaged: its content has another digest")
    answer = git.ask("index-pack", "--stdin", feed=content)
    if answer.code:
        raise _fault(f"{pack} is no pack that git can read: {answer.error}")


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file of a tree, or a submodule in its place.

    Attributes:
        mode: as git writes it, `100644`.
        object_id: of its content; of the commit of a submodule.
        size: bytes; 0 of a submodule.
        name: path from the top.
    """

    mode: bytes
    object_id: str
    size: int
    name: bytes


def check_tree(git: Git, tree: str, modes: frozenset[bytes] = MODES) -> list[TreeEntry]:
    """List a tree; refuse what a capture never writes: names that leave the folder or that git would obey, bombs.

    Args:
        git: of the repository that holds it.
        tree: a tree or a commit.
        modes: what may be in it.

    Raises:
        InvalidSpecError: it holds something else; every such name at once.
    """
    entries: dict[bytes, TreeEntry] = {}
    faults: list[Fault] = []
    total = 0
    for entry in _entries(git, tree):
        total += entry.size
        if total > MAX_PACK_BYTES or len(entries) >= MAX_FILES:
            raise _fault(f"holds more than {MAX_PACK_BYTES / 1e6:.0f} MB or {MAX_FILES} files")
        if entry.mode not in modes or entry.name in entries or not _is_safe(entry.name):
            faults.append(Fault("source", f"{os.fsdecode(entry.name)!r} is no file that may be written"))
        entries[entry.name] = entry
    folders = {folder for name in entries for folder in _folders_of(name)}
    both = entries.keys() & folders
    faults += [Fault("source", f"{os.fsdecode(name)!r} is a file and a folder") for name in both]
    if faults:
        raise InvalidSpecError("The source", faults)
    return list(entries.values())


def _entries(git: Git, tree: str) -> Iterator[TreeEntry]:
    """List the files of a tree; stop reading what would never end."""
    process = git.start("ls-tree", "-r", "-z", "-l", "--full-tree", tree)
    with process:
        output = cast("IO[bytes]", process.stdout)
        read, rest = 0, b""
        while chunk := output.read(1 << 20):
            read += len(chunk)
            if read > MAX_LISTING_BYTES:
                process.kill()
                raise _fault(f"its list of files is longer than {MAX_LISTING_BYTES / 1e6:.0f} MB")
            *lines, rest = (rest + chunk).split(b"\0")
            yield from map(_entry, lines)
        _, error = process.communicate()
    if process.returncode:
        raise _fault(f"tree {tree} is not whole: {error.decode(errors='backslashreplace').strip()}")


def _entry(line: bytes) -> TreeEntry:
    about, _, name = line.partition(b"\t")
    mode, _, object_id, size = about.split()
    return TreeEntry(mode, object_id.decode(), int(size) if size.isdigit() else 0, name)


def _is_safe(name: bytes) -> bool:
    parts = name.split(b"/")
    return not any(part in {b"", b".", b".."} or part.lower() == b".git" for part in parts)


def _folders_of(name: bytes) -> Iterator[bytes]:
    while b"/" in name:
        name = name.rpartition(b"/")[0]
        yield name


def _check_out(scratch: Path, source: GitSource, target: Path, count: int) -> None:
    git = Git(target, {**private_git(scratch).variables, "GIT_WORK_TREE": str(target)})
    for words in (("read-tree", source.tree), ("checkout-index", "--all")):
        answer = git.ask(*words)
        if answer.code:
            raise _fault(f"tree {source.tree} cannot be laid out: {answer.error}")
    if git.output("ls-files", "-z").count(b"\0") != count:
        raise _fault(f"tree {source.tree} holds names that git does not lay out")


def _fault(message: str) -> InvalidSpecError:
    return InvalidSpecError("The source", [Fault("source", message)])
