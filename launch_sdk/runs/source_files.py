"""The files of a source, as it is packed in the run store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from launch_sdk.sources.packed import is_packed

if TYPE_CHECKING:
    from launch_sdk.runs.store import RunStore

LINK = b"link to "


def source_files(source: str, store: RunStore) -> dict[str, bytes] | None:
    """Read the files of a packed source.

    Args:
        source: as in a RunSpec.
        store: where packs are.

    Returns:
        The content of each file by its name, of a link where it leads; None if the source is not in this store.
    """
    if not is_packed(source) or not store.holds(source):
        return None
    with tempfile.TemporaryDirectory(prefix="launch-diff-") as folder:
        top = Path(folder) / "source"
        store.lay_out(source, top)
        within = [path for path in sorted(top.rglob("*")) if ".git" not in path.relative_to(top).parts]
        return {str(path.relative_to(top)): _content(path) for path in within if path.is_symlink() or path.is_file()}


def _content(path: Path) -> bytes:
    return LINK + bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
