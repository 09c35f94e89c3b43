"""How packed code is named: `sha256:<digest>` for a folder, `git+sha256:<digest>#<tree>` for a captured work tree."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote_to_bytes

from launch_sdk.errors import Fault, InvalidSpecError

FOLDER, GIT = "sha256:", "git+sha256:"
IMAGE = "image:"  # what has no code but its image's: it is in no store, and lays out as an empty folder
_GIT_SOURCE = re.compile(r"git\+sha256:([0-9a-f]{64})#([0-9a-f]{40}|[0-9a-f]{64})(?::(.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GitSource:
    """A captured work tree in the run store: `git+sha256:<digest>#<tree>[:<directory>]`.

    Attributes:
        digest: SHA-256 of the document that lists its packs.
        tree: hash of its git tree.
        directory: where programs start, relative to its root.
    """

    digest: str
    tree: str
    directory: str = "."

    def __str__(self) -> str:
        within = "" if self.directory == "." else ":" + quote(os.fsencode(self.directory))
        return f"{GIT}{self.digest}#{self.tree}{within}"

    @classmethod
    def parse(cls, text: str) -> GitSource:
        """Read it from its text.

        Raises:
            InvalidSpecError: it is malformed, or its directory leads out of the tree.
        """
        match = _GIT_SOURCE.fullmatch(text)
        if match is None:
            message = f"{text!r} is not git+sha256:, 64 hexadecimal digits, # and the hash of a tree"
            raise InvalidSpecError("The source", [Fault("source", message)])
        digest, tree, within = match.groups()
        directory = PurePosixPath(os.fsdecode(unquote_to_bytes(within or ".")))
        if directory.is_absolute() or ".." in directory.parts or "\0" in str(directory):
            raise InvalidSpecError("The source", [Fault("source", f"{within!r} leads out of the tree")])
        return cls(digest, tree, str(directory))


def is_packed(source: str) -> bool:
    """Say whether a source names something in a run store, not a local directory."""
    return source.startswith((FOLDER, GIT))


def file_of(source: str) -> str:
    """Name the file of a run store's sources that has to be there for a packed source."""
    if source.startswith(GIT):
        return f"{GitSource.parse(source).digest}.json"
    return f"{source.removeprefix(FOLDER)}.tar"


def content_of(source: str) -> str:
    """Give what is the same for the same files, whatever else is known of where they come from."""
    if not source.startswith(GIT):
        return source
    named = GitSource.parse(source)
    return f"{named.tree}:{named.directory}"


def program_directory(source: str, laid_out: Path) -> Path:
    """Return where a program starts in a source that was laid out in a folder.

    Raises:
        InvalidSpecError: that leads out of the folder, through a link.
    """
    if not source.startswith(GIT):
        return laid_out
    directory = GitSource.parse(source).directory
    place = laid_out / directory
    if not place.resolve().is_relative_to(laid_out.resolve()):
        raise InvalidSpecError("The source", [Fault("source", f"{directory!r} is a link out of the tree")])
    return place
