"""Notes of what has to be removed from an engine, each written before that thing is made: small files."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Note:
    """A note that somebody has something on an engine, or is about to.

    Attributes:
        path: of the note.
        engine: address of the engine; None for this machine's, or DOCKER_HOST.
        process: whose it is, as `runs.processes` names it.
    """

    path: Path
    engine: str | None
    process: str

    def write(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        said = {key: value for key, value in asdict(self).items() if key != "path"}
        self.path.write_text(json.dumps(said), encoding="utf-8")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)


Kind = TypeVar("Kind", bound=Note)


def read_notes(kind: type[Kind], folder: Path) -> list[Kind]:
    """Return the notes of a folder; one that is half written or no note is left alone."""
    found: list[Kind] = []
    for path in folder.glob("*.json") if folder.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(kind(path=path, **json.loads(path.read_text(encoding="utf-8"))))
    return found
