"""Pack a local directory into one file named by its content, and lay it out again.

Inside a git work tree the tracked and the untracked, not ignored files are taken; elsewhere every file but those of
version control, virtual environments and caches. The pack is a tar file with sorted names and no times or owners, so
the same content has the same digest anywhere and is stored once.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PACK_BYTES = 512 * 1024 * 1024
LEFT_OUT_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        "node_modules",
    }
    | {"wandb", "mlruns", ".ipynb_checkpoints"}
)
SECRET_NAMES = (".env", "id_rsa", "id_ed25519", ".netrc", ".pypirc", "credentials.json")
_DIGEST_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Pack:
    """A packed directory.

    Attributes:
        source: its content's name, `sha256:<64 hex digits>`.
        left_out: why each file that was not packed was not, by its name.
    """

    source: str
    left_out: Mapping[str, str]


def pack_directory(directory: Path, store: Path) -> Pack:
    """Pack `directory` into `store`.

    Raises:
        NotFoundError: there is no such directory.
        InvalidSpecError: it holds more than `MAX_PACK_BYTES`; the message names the largest files.
    """
    if not directory.is_dir():
        raise NotFoundError(f"Directory {directory} does not exist. Name the directory that holds the program.")
    found = _names_in_git(directory)
    if found is None:
        found = _names_in_folder(directory)
    left_out = {name: reason for name in found if (reason := _why_left_out(directory, name))}
    names = sorted(set(found) - set(left_out))
    _refuse_too_large(directory, names)
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=store, prefix=".packing-", delete=False) as file:
        temporary = Path(file.name)
    try:
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in names:
                _add(archive, directory / name, name)
        digest = _digest_of(temporary)
        temporary.replace(store / f"{digest}.tar")
    finally:
        temporary.unlink(missing_ok=True)
    return Pack(f"sha256:{digest}", left_out)


def unpack(source: str, store: Path, target: Path) -> None:
    """Lay a packed directory out below `target`, after checking its digest and every name in it.

    Raises:
        NotFoundError: the store does not hold it.
        InvalidSpecError: the digest is malformed, the content is not what the digest says, or a name leaves `target`.
    """
    digest = source.removeprefix("sha256:")
    if len(digest) != _DIGEST_LENGTH or not all(c in "0123456789abcdef" for c in digest):
        raise InvalidSpecError("The source", [Fault("source", f"{source!r} is not sha256: and 64 hexadecimal digits")])
    pack = store / f"{digest}.tar"
    if not pack.is_file():
        raise NotFoundError(
            f"Source {source} is not in the run store {store}. Submit the run again from its directory."
        )
    if _digest_of(pack) != digest:
        raise InvalidSpecError("The source", [Fault("source", f"{pack} is damaged: its content has another digest")])
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(pack, "r:") as archive:
        members = archive.getmembers()
        links = {PurePosixPath(member.name) for member in members if member.issym()}
        outside = [m.name for m in members if not _stays_inside(m) or links.intersection(PurePosixPath(m.name).parents)]
        faults = [Fault("source", f"{name!r} leaves the directory") for name in outside]
        if faults:
            raise InvalidSpecError("The source", faults)
        archive.extractall(target, members=members)  # noqa: S202  # every member was checked above


def _why_left_out(directory: Path, name: str) -> str:
    """Say why a file is not packed; nothing if it is."""
    path = directory / name
    if PurePosixPath(name).name in SECRET_NAMES:
        return "looks like a secret"
    if path.is_symlink() and not _link_stays_inside(PurePosixPath(name), str(path.readlink())):
        return "is a link out of the directory"
    return "" if path.is_symlink() or path.is_file() else "is not a file"


def _names_in_git(directory: Path) -> list[str] | None:
    """Return what git sees below `directory`; None outside a work tree or without git."""
    try:
        import git
    except ImportError:
        return None
    try:
        repository = git.Repo(directory, search_parent_directories=True)
        output = repository.git.execute(
            ["git", "-C", str(directory), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "."],
            strip_newline_in_stdout=False,
        )
    except (git.GitError, OSError, ValueError):
        return None
    names = str(output).split("\0")
    return [name for name in names if name and ((directory / name).is_symlink() or (directory / name).is_file())]


def _names_in_folder(directory: Path) -> list[str]:
    names: list[str] = []
    for root, folders, files in os.walk(directory):
        folders[:] = [name for name in folders if name not in LEFT_OUT_FOLDERS and not _is_run_folder(Path(root, name))]
        names += [Path(root, name).relative_to(directory).as_posix() for name in files]
    return names


def _is_run_folder(folder: Path) -> bool:
    """Say whether this is the `launch/` folder that scripts leave their run directories in."""
    return folder.name == "launch" and any(folder.glob("run-*/metadata.json"))


def _refuse_too_large(directory: Path, names: list[str]) -> None:
    sizes = {name: (directory / name).lstat().st_size for name in names}
    total = sum(sizes.values())
    if total > MAX_PACK_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
        listed = ", ".join(f"{name} ({sizes[name] / 1e6:.0f} MB)" for name in largest)
        message = (
            f"holds {total / 1e6:.0f} MB in {len(names)} files, more than {MAX_PACK_BYTES / 1e6:.0f} MB."
            f" Keep data out of it, or name it in .gitignore. The largest: {listed}"
        )
        raise InvalidSpecError(f"Directory {directory}", [Fault("", message)])


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    member = archive.gettarinfo(path, arcname=name)
    if not (member.isreg() or member.issym() or member.islnk()):
        return  # sockets, devices and pipes are not code
    if member.islnk():  # a hard link is packed as the file that it is
        member.type, member.linkname, member.size = tarfile.REGTYPE, "", path.stat().st_size
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
    if member.isreg():
        with path.open("rb") as file:
            archive.addfile(member, file)
    else:
        archive.addfile(member)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stays_inside(member: tarfile.TarInfo) -> bool:
    """Only files, folders and links that cannot lead out of the target, even through one another."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isreg() or member.isdir() or member.issym()):
        return False
    return not member.issym() or _link_stays_inside(name, member.linkname)


def _link_stays_inside(name: PurePosixPath, target: str) -> bool:
    depth = 0
    for part in [*name.parent.parts, *PurePosixPath(target).parts]:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return not PurePosixPath(target).is_absolute()
