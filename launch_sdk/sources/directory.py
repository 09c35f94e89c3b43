"""Pack a local directory into one file named by its content, and lay it out again.

Inside a git work tree the tracked and the untracked, not ignored files are taken; elsewhere all that no `.gitignore`
names, nor a `.launchignore` of the same form at the top. Untracked folders of version control, virtual environments,
caches and earlier runs are never taken. The pack is a tar file with sorted names and no times or owners, so the same
content has the same digest anywhere and is stored once.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import ConflictError, Fault, InvalidSpecError, LaunchError, NotFoundError
from launch_sdk.sources.capture_rules import IGNORE_FILE, MAX_PACK_BYTES, CaptureRules, taken_by_ignore_file
from launch_sdk.sources.git_commands import Git, make_repository, private_git
from launch_sdk.sources.origin import Origin
from launch_sdk.sources.store_files import new_file

if TYPE_CHECKING:
    from collections.abc import Collection

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
_DIGEST_LENGTH = 64
_ORIGIN_HEADER = "LAUNCH.origin"


@dataclass(frozen=True, slots=True)
class Pack:
    """A packed directory.

    Attributes:
        source: its content's name, `sha256:<64 hex digits>`.
        origin: where it comes from, and what is not in it.
    """

    source: str
    origin: Origin


def pack_directory(
    directory: Path, store: Path, leave_out: Collection[Path] = (), rules: CaptureRules | None = None
) -> Pack:
    """Pack `directory` into `store`.

    Args:
        directory: what to pack.
        store: where packs are kept; made if needed.
        leave_out: folders that are never packed, such as the store itself; those around `directory` do not count.
        rules: limits, and what is taken whatever they say.

    Raises:
        NotFoundError: there is no such directory.
        InvalidSpecError: it holds more than `rules.max_bytes`, and the message names the largest files; or a file in it
            cannot be read.
        ConflictError: a file in it changed while it was packed.
    """
    if not directory.is_dir():
        raise NotFoundError(f"Directory {directory} does not exist. Name the directory that holds the program.")
    directory = directory.resolve()
    hidden = {folder.resolve() for folder in leave_out} - {directory, *directory.parents}
    found = {name for name in _names(directory) if hidden.isdisjoint((directory / name).parents)}
    rules = rules or CaptureRules()
    rules = replace(rules, take=(*rules.take, *taken_by_ignore_file(directory)))
    try:
        left_out = {name: reason for name in sorted(found) if (reason := _why_left_out(directory, name, rules))}
        names = sorted(found - set(left_out))
        _refuse_too_large(directory, names, rules.max_bytes)
        origin = Origin(left_out=left_out, changed_since=tuple(_changed_since(directory, names, rules)))
        digest = _write_pack(directory, names, store, origin)
    except FileNotFoundError as error:
        raise ConflictError(
            f"{error.filename} vanished while {directory} was packed. Launch again once nothing is deleted there."
        ) from None
    return Pack(f"sha256:{digest}", origin)


def _changed_since(directory: Path, names: list[str], rules: CaptureRules) -> list[str]:
    if rules.since_ns is None:
        return []
    return [name for name in names if rules.is_written_since((directory / name).lstat())]


def _write_pack(directory: Path, names: list[str], store: Path, origin: Origin) -> str:
    said = origin.to_dict()
    header = {_ORIGIN_HEADER: json.dumps(said)} if names and said else None
    with new_file(store) as temporary:
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT, pax_headers=header) as archive:
            for name in names:
                _add(archive, directory / name, name)
        digest = _digest_of(temporary)
        temporary.replace(store / f"{digest}.tar")
    return digest


def origin_of_pack(source: str, store: Path) -> Origin:
    """Read what a pack says of what is not in it; nothing if it cannot be read."""
    try:
        with tarfile.open(store / f"{source.removeprefix('sha256:')}.tar", "r:") as archive:
            return Origin.from_dict(json.loads(archive.pax_headers.get(_ORIGIN_HEADER, "{}")))
    except (OSError, tarfile.TarError, ValueError):
        return Origin()


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
    try:
        with tarfile.open(pack, "r:") as archive:
            members = archive.getmembers()
            _refuse_hostile(members)
            known: Any = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}  # not before 3.11.4
            archive.extractall(target, members=members, **known)  # noqa: S202  # every member was checked
    except tarfile.TarError as error:
        raise InvalidSpecError("The source", [Fault("source", f"{pack} is no pack of ours: {error}")]) from None


def _refuse_hostile(members: list[tarfile.TarInfo]) -> None:
    """Refuse what `pack_directory` never writes: names and links that leave the target, devices, hard links, bombs."""
    links = {PurePosixPath(member.name) for member in members if member.issym()}
    outside = [m.name for m in members if not _stays_inside(m) or links.intersection(PurePosixPath(m.name).parents)]
    faults = [Fault("source", f"{name!r} leaves the directory") for name in outside]
    if sum(member.size for member in members) > MAX_PACK_BYTES:
        faults.append(Fault("source", f"holds more than {MAX_PACK_BYTES / 1e6:.0f} MB"))
    if faults:
        raise InvalidSpecError("The source", faults)


def _why_left_out(directory: Path, name: str, rules: CaptureRules) -> str:
    """Say why a file is not packed; nothing if it is."""
    path = directory / name
    if path.is_dir() and not path.is_symlink():
        return "is another git repository"
    if path.is_symlink() and not _link_stays_inside(PurePosixPath(name), str(path.readlink())):
        return "is a link out of the directory"
    return rules.why_left_out(name, path.lstat(), tracked=False)


def _names(directory: Path) -> list[str]:
    """Name the files below `directory`, as git sees them; all of them where git sees none."""
    return _names_in_git(directory) or _names_not_ignored(directory)


def _names_not_ignored(directory: Path) -> list[str]:
    """List a folder that is no repository as git would: what no pattern names."""
    if not any(directory.rglob(".gitignore")) and not _patterns(directory):
        return names_in_folder(directory)
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder), "sha1")
        git = Git(directory, {**private_git(Path(folder)).variables, "GIT_WORK_TREE": str(directory)})
        try:
            names = _listed(git, "--others", "--exclude-per-directory=.gitignore", *_patterns(directory))
        except NotFoundError:  # there is no git
            return names_in_folder(directory)
    return [name for name in names if not any(is_left_out_folder(folder) for folder in _folders_of(directory, name))]


def _names_in_git(directory: Path) -> list[str]:
    """Return what git sees below `directory`; nothing outside a work tree, in an ignored folder or without git."""
    try:
        tracked = _listed(Git(directory), "--cached")
        untracked = _listed(Git(directory), "--others", "--exclude-standard", *_patterns(directory))
    except LaunchError:
        return []
    kept = [name for name in untracked if not any(is_left_out_folder(p) for p in _folders_of(directory, name))]
    return [name for name in [*tracked, *kept] if os.path.lexists(directory / name)]


def named_by_ignore_file(directory: Path) -> frozenset[str]:
    """List what `.launchignore` names below a folder that is no repository, whatever `.gitignore` says."""
    if not _patterns(directory):
        return frozenset()
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder), "sha1")
        git = Git(directory, {**private_git(Path(folder)).variables, "GIT_WORK_TREE": str(directory)})
        return frozenset(_listed(git, "--others", "--ignored", *_patterns(directory)))


def leads_out(name: PurePosixPath, link: Path) -> bool:
    """Say whether a link, by its name below a folder, leads out of that folder, or might."""
    return not _link_stays_inside(name, str(link.readlink()))


def _listed(git: Git, *options: str) -> list[str]:
    names = git.output("ls-files", "-z", *options, "--", ".").split(b"\0")
    return [os.fsdecode(name.rstrip(b"/")) for name in names if name]


def _patterns(directory: Path) -> list[str]:
    return [f"--exclude-from={IGNORE_FILE}"] if (directory / IGNORE_FILE).is_file() else []


def _folders_of(directory: Path, name: str) -> list[Path]:
    return [directory / parent for parent in PurePosixPath(name).parents if parent.parts]


def names_in_folder(directory: Path) -> list[str]:
    names: list[str] = []
    for root, folders, files in os.walk(directory):
        links = [name for name in folders if Path(root, name).is_symlink()]
        folders[:] = [name for name in folders if name not in links and not is_left_out_folder(Path(root, name))]
        names += [Path(root, name).relative_to(directory).as_posix() for name in [*files, *links]]
    return names


def is_left_out_folder(folder: Path) -> bool:
    """Say whether nobody means to launch what is in this folder; `launch/` is where scripts leave their runs."""
    name = folder.name
    return name in LEFT_OUT_FOLDERS or (name == "launch" and any(folder.glob("run-*/metadata.json")))


def _refuse_too_large(directory: Path, names: list[str], limit: int) -> None:
    sizes = {name: (directory / name).lstat().st_size for name in names}
    total = sum(sizes.values())
    if total > limit:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
        listed = ", ".join(f"{name} ({sizes[name] / 1e6:.0f} MB)" for name in largest)
        message = (
            f"holds {total / 1e6:.0f} MB in {len(names)} files, more than {limit / 1e6:.0f} MB."
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
        _add_content(archive, member, path)
    else:
        archive.addfile(member)


def _add_content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            member.size = before.st_size
            try:
                archive.addfile(member, file)
            except OSError:  # tarfile's way to say that there is less than was announced
                if os.fstat(file.fileno()).st_size == before.st_size:
                    raise
            after = os.fstat(file.fileno())
    except PermissionError as error:
        message = f"cannot be read: {error.strerror}. Make it readable, or name it in .gitignore"
        raise InvalidSpecError("The directory", [Fault(str(path), message)]) from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ConflictError(
            f"{path} changed while it was packed. Launch again once nothing writes to it, or name it in .gitignore."
        )


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stays_inside(member: tarfile.TarInfo) -> bool:
    """Only files, folders and links that cannot lead out of the target, even through one another."""
    name = PurePosixPath(member.name)
    if (
        not name.parts
        or name.is_absolute()
        or ".." in name.parts
        or not (member.isreg() or member.isdir() or member.issym())
    ):
        return False
    return not member.issym() or _link_stays_inside(name, member.linkname)


def _link_stays_inside(name: PurePosixPath, target: str) -> bool:
    """Follow the leading `..` of a link's target; a later one could step out of where another link leads."""
    parts = PurePosixPath(target).parts
    up = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    within = up <= len(name.parent.parts) and ".." not in parts[up:]
    return within and not PurePosixPath(target).is_absolute()
