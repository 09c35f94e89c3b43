"""What a person has to know of the files of a fetched commit: links out of it, pointers to files elsewhere."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from launch_sdk.sources.git_commands import Git
    from launch_sdk.sources.git_replay import TreeEntry

LINK: Final = b"120000"
MAX_POINTER_BYTES: Final = 1_024
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_WHY: Final = (
    "is a Git LFS pointer, whose file is not fetched; clone the repository with git-lfs and launch the directory"
)


def links_out(git: Git, entries: Sequence[TreeEntry]) -> tuple[str, ...]:
    """Name the links whose targets are not in the tree's own folder."""
    links = [entry for entry in entries if entry.mode == LINK]
    return tuple(
        sorted(os.fsdecode(entry.name) for entry, target in _read(git, links) if _leads_out(entry.name, target))
    )


def pointers(git: Git, entries: Sequence[TreeEntry]) -> dict[str, str]:
    """Say of each file that Git LFS keeps elsewhere why it is not there."""
    rules = [entry for entry in entries if entry.name.rpartition(b"/")[2] == b".gitattributes"]
    if not any(b"filter=lfs" in text for _, text in _read(git, rules)):
        return {}
    small = [entry for entry in entries if entry.mode != LINK and 0 < entry.size <= MAX_POINTER_BYTES]
    return {os.fsdecode(entry.name): _WHY for entry, text in _read(git, small) if text.startswith(_LFS)}


def _read(git: Git, entries: Sequence[TreeEntry]) -> Iterator[tuple[TreeEntry, bytes]]:
    """Give the content of files, in one call of git."""
    if not entries:
        return
    output = git.output("cat-file", "--batch", feed="".join(f"{entry.object_id}\n" for entry in entries).encode())
    at = 0
    for entry in entries:
        start = output.index(b"\n", at) + 1
        yield entry, output[start : start + entry.size]
        at = start + entry.size + 1


def _leads_out(name: bytes, target: bytes) -> bool:
    place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return place == b".." or place.startswith((b"/", b"../"))
