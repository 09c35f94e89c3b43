"""What an engine is sent to build from: a tar file of ours, in which nothing leads out of the source.

Links are kept as links and never followed; those that lead out, devices, what `.launchignore` names and files with the
names of secrets stay behind.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.sources.capture_rules import MAX_PACK_BYTES, looks_secret, matches, taken_by_ignore_file
from launch_sdk.sources.directory import leads_out, named_by_ignore_file
from launch_sdk.sources.origin import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import IO

NEVER: Final = frozenset({".git", ".hg", ".svn", "__pycache__"})
MAX_NAMED: Final = 5


class Context:
    """Collects what goes into one build; give `file()` to the engine."""

    def __init__(self, max_bytes: int = MAX_PACK_BYTES) -> None:
        self.left_out: list[str] = []
        self._max_bytes = max_bytes
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._archive = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def close(self) -> None:
        self._file.close()

    def file(self) -> IO[bytes]:
        """Finish the archive and return it, at its beginning."""
        self._archive.close()
        self._file.seek(0)
        return self._file

    def add(self, name: str, content: bytes | Path, mode: int = 0o644) -> None:
        """Add a file of ours."""
        member = tarfile.TarInfo(name)
        member.mode = mode
        if isinstance(content, bytes):
            member.size = len(content)
            self._archive.addfile(member, io.BytesIO(content))
            return
        with content.open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            self._archive.addfile(member, file)

    def add_folder(self, name: str, owner: int = 0) -> None:
        """Add an empty folder."""
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, 0o755, owner, owner
        self._archive.addfile(member)

    def add_tree(self, top: Path, prefix: str = "", keep: Callable[[str], bool] = lambda _name: True) -> None:
        """Add the files of a folder.

        Args:
            top: the folder; itself no link.
            prefix: of their names in the archive, with its `/`.
            keep: says of a relative name whether it is wanted.

        Raises:
            InvalidSpecError: they are too large; the largest are named.
        """
        names = [name for name in self._names(top) if keep(name)]
        _refuse_too_large(top, names, self._max_bytes)
        for name in sorted(names):
            self._add_file(top / name, f"{prefix}{name}")

    def notices(self) -> list[str]:
        """Say what is not in it."""
        return [f"left out of the image: {reason}" for reason in self.left_out]

    def _names(self, top: Path) -> Iterable[str]:
        ignored, taken = named_by_ignore_file(top), taken_by_ignore_file(top)
        for path in _walk(top):
            name = path.relative_to(top).as_posix()
            if name in ignored:
                continue
            if reason := _why_left_out(path, name, taken):
                self.left_out.append(f"{printable(name)} ({reason})")
            else:
                yield name

    def _add_file(self, path: Path, name: str) -> None:
        status = path.lstat()
        member = tarfile.TarInfo(name)
        member.mode = 0o755 if status.st_mode & stat.S_IXUSR or stat.S_ISDIR(status.st_mode) else 0o644
        if stat.S_ISLNK(status.st_mode):
            member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)  # noqa: PTH115  # text as it stands
            self._archive.addfile(member)
            return
        if stat.S_ISDIR(status.st_mode):
            member.type = tarfile.DIRTYPE
            self._archive.addfile(member)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            self._archive.addfile(member, file)


def _walk(top: Path) -> Iterable[Path]:
    for root, folders, files in os.walk(top):
        here = Path(root)
        is_empty = not files and not folders
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if name not in NEVER and name not in links]
        for name in [*files, *links]:
            if name not in NEVER:
                yield here / name
        if here != top and is_empty:
            yield here


def _why_left_out(path: Path, name: str, taken: tuple[str, ...]) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "is a link out of the source" if leads_out(PurePosixPath(name), path) else ""
    if stat.S_ISDIR(mode):
        return ""
    if not stat.S_ISREG(mode):
        return "is not a file"
    if looks_secret(name) and not matches(name, taken):
        return f"looks like a secret; take it with !{printable(name)} in .launchignore"
    return ""


def _refuse_too_large(top: Path, names: list[str], max_bytes: int) -> None:
    sizes = {name: (top / name).lstat().st_size for name in names}
    if (total := sum(sizes.values())) <= max_bytes:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])[:MAX_NAMED]
    listed = ", ".join(f"{printable(name)} ({sizes[name] / 1e6:.0f} MB)" for name in largest)
    message = (
        f"holds {total / 1e6:.0f} MB in {len(names)} files, more than {max_bytes / 1e6:.0f} MB. Keep data out of the"
        f" image: name it in .launchignore. The largest: {listed}"
    )
    raise InvalidSpecError("The image", [Fault("source", message)])
