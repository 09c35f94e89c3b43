"""Write files of a run store: whole or not at all, and readable for whoever may read the store."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(store: Path) -> Generator[Path]:
    """Give an empty file in a store, made if needed; it is deleted again, unless it was given its name."""
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=store, prefix=".packing-", delete=False) as file:
        path = Path(file.name)
    try:
        path.chmod(0o600 | store.stat().st_mode & 0o044)  # an agent of another user may have to read it
        yield path
    finally:
        path.unlink(missing_ok=True)


def name_by_content(file: Path, store: Path, kind: str) -> str:
    """Name a new file by the SHA-256 of its content, which is returned."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    file.replace(store / f"{digest}.{kind}")
    return digest


def write_file(store: Path, name: str, content: bytes) -> None:
    """Write a small file of a store in one step."""
    with new_file(store) as file:
        file.write_bytes(content)
        file.replace(store / name)
