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
_MODES = {b"100644", b"100755", b"120000"}
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
        count = _check_tree(git, source)
        _check_out(scratch, source, target, count)


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


def _check_tree(git: Git, source: GitSource) -> int:
    """Refuse what a capture never writes: names that leave the folder or that git would obey, submodules, bombs.

    Returns:
        The number of files.
    """
    faults: list[Fault] = []
    seen: set[bytes] = set()
    total = 0
    for mode, size, name in _entries(git, source):
        total += size
        if total > MAX_PACK_BYTES or len(seen) >= MAX_FILES:
            raise _fault(f"holds more than {MAX_PACK_BYTES / 1e6:.0f} MB or {MAX_FILES} files")
        if mode not in _MODES or name in seen or not _is_safe(name):
            faults.append(Fault("source", f"{os.fsdecode(name)!r} is no file that may be written"))
        seen.add(name)
    folders = {folder for name in seen for folder in _folders_of(name)}
    faults += [Fault("source", f"{os.fsdecode(name)!r} is a file and a folder") for name in seen & folders]
    if faults:
        raise InvalidSpecError("The source", faults)
    return len(seen)


def _entries(git: Git, source: GitSource) -> Iterator[tuple[bytes, int, bytes]]:
    """List mode, size and path of each file; stop reading what would never end."""
    process = git.start("ls-tree", "-r", "-z", "-l", "--full-tree", source.tree)
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
        raise _fault(f"tree {source.tree} is not whole: {error.decode(errors='backslashreplace').strip()}")


def _entry(line: bytes) -> tuple[bytes, int, bytes]:
    about, _, name = line.partition(b"\t")
    mode, _, _, size = about.split()
    return mode, int(size) if size.isdigit() else 0, name


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
