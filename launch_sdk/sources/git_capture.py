"""Capture the exact working tree of a git repository as git objects, without touching the repository.

What is on disk is taken byte for byte: no filter, line ending or encoding setting applies, so that a replay has what
the program saw. Objects go to a repository of ours (`private_repository`); the user's is only read.

1. List the files that git sees, and their status on disk (`working_tree`).
2. Hash those whose status is not what it was at the last capture.
3. Look at their status again: what changed meanwhile is hashed again.
4. Build the tree from names, modes and objects.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from launch_sdk.errors import ConflictError, Fault, InvalidSpecError, NotFoundError
from launch_sdk.sources.capture_rules import CaptureRules, taken_by_ignore_file
from launch_sdk.sources.git_commands import failure, quoted
from launch_sdk.sources.git_repository import Repository, open_repository
from launch_sdk.sources.origin import Origin, printable
from launch_sdk.sources.private_repository import NOTHING_KNOWN, Hashed, Known, PrivateRepository, status_key
from launch_sdk.sources.working_tree import WorkingTree, read_working_tree

ATTEMPTS = 4
PAUSE_S = 0.05
WRITE_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Capture:
    """The exact working tree of a repository at one moment.

    Attributes:
        root: the top folder of the work tree.
        directory: the folder that was named, relative to the root; `.` for the root itself.
        tree: hash of the git tree.
        object_format: `sha1` or `sha256`.
        commit: what HEAD was; None before the first commit.
        branch: None if HEAD was detached.
        remote: address of the branch's remote, without credentials; None if it has none.
        changed: the tree is not that of the commit.
        unpushed: the commit is on no branch of the remote as far as this repository knows, so it has to travel.
        submodules: commit of each repository inside the work tree; their files are part of the tree.
        left_out: why each file that git sees is not in the tree.
        folders_left_out: untracked environments, caches and earlier runs, which are not in it either.
        links_out: links that lead out of the tree; another machine may not have what they name.
        changed_since: files that were written after the program had started; they are as the capture found them.
        file_count: files and links in the tree.
        directory_file_count: those in the directory that was named.
        byte_count: bytes in them.
    """

    root: str
    directory: str
    tree: str
    object_format: str
    commit: str | None
    branch: str | None
    remote: str | None
    changed: bool
    unpushed: bool
    submodules: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    folders_left_out: tuple[str, ...] = ()
    links_out: tuple[str, ...] = ()
    changed_since: tuple[str, ...] = ()
    file_count: int = 0
    directory_file_count: int = 0
    byte_count: int = 0

    @property
    def origin(self) -> Origin:
        """What is kept with the tree of where it comes from: nothing of this machine."""
        return Origin(
            remote=self.remote,
            branch=self.branch,
            commit=self.commit,
            changed=self.changed,
            unpushed=self.unpushed,
            submodules=self.submodules,
            left_out=self.left_out,
            folders_left_out=self.folders_left_out,
            links_out=self.links_out,
            changed_since=self.changed_since,
            file_count=self.file_count,
            byte_count=self.byte_count,
        )


def capture(directory: Path, folder: Path, rules: CaptureRules | None = None, *, afresh: bool = False) -> Capture:
    """Capture the working tree of the repository that a directory is in.

    Args:
        directory: any folder of the work tree.
        folder: where repositories of ours are kept, `LAUNCH_HOME/captures`.
        rules: what to leave out.
        afresh: hash and write every file, whatever was known.

    Raises:
        NotFoundError: the directory does not exist, or is in no git repository.
        InvalidSpecError: git cannot read the repository, a file cannot be read, or the files hold too many bytes.
        ConflictError: files keep changing.
    """
    directory = directory.resolve()
    repository = open_repository(directory) if directory.is_dir() else None
    if repository is None:
        missing = "is in no git repository" if directory.is_dir() else "does not exist"
        raise NotFoundError(f"Directory {directory} {missing}. Name a folder of a repository, or git init it.")
    rules = rules or CaptureRules()
    rules = replace(rules, take=(*rules.take, *taken_by_ignore_file(repository.root)))
    private = PrivateRepository.of(repository.root, repository.object_format, folder)
    taking = _Taking(repository, private, rules, afresh)
    for attempt in range(ATTEMPTS):
        time.sleep(attempt * PAUSE_S)
        taken = taking.take()
        if taken is not None:
            return _describe(repository, directory, *taken, rules)
    raise ConflictError(
        f"Files in {repository.root} change while it is captured{taking.problem}. Launch again once nothing writes to"
        " it, or name them in .gitignore."
    )


@dataclass(slots=True)
class _Taking:
    """One capture, which may take a few attempts.

    Attributes:
        problem: what the last attempt came to grief on.
    """

    repository: Repository
    private: PrivateRepository
    rules: CaptureRules
    afresh: bool
    problem: str = ""

    def take(self) -> tuple[WorkingTree, str] | None:
        """Give the files and their tree; None if something changed meanwhile."""
        started_ns = time.time_ns()
        tree = read_working_tree(self.repository, self.rules)
        _refuse_too_large(self.repository.root, tree, self.rules.max_bytes)
        self.private.remember_objects(tree.objects)
        known = NOTHING_KNOWN if self.afresh else self.private.known()
        ids = {name: known.of(name, status) for name, status in tree.files.items()}
        changed = [name for name, object_id in ids.items() if object_id is None]
        if not changed and known.tree and len(ids) == len(known.files):
            return tree, known.tree
        hashed = self._hash(tree, changed)
        if hashed is None:
            return None
        files = {name: Hashed(status_key(tree.files[name]), hashed.get(name) or ids[name] or "") for name in ids}
        tree_id = self._write_tree(tree, files)
        self.private.remember(Known(tree_id, files, started_ns))
        return tree, tree_id

    def _hash(self, tree: WorkingTree, names: list[bytes]) -> dict[bytes, str] | None:
        """Hash files, and write those that git has not yet; None if one of them changed meanwhile."""
        with tempfile.TemporaryDirectory(dir=self.private.path, prefix=".links-") as links:
            paths = [self._to_hash(tree, name, Path(links)) for name in names]
            if None in paths:
                return None
            found = [path for path in paths if path is not None]
            ids = self._objects(found, names)
        changed = [name for name in names if _changed(self.repository.root, name, tree.files[name])]
        if changed:
            self.problem = f": {printable(os.fsdecode(changed[0]))}"
        if ids is None or changed:
            return None
        return dict(zip(names, ids, strict=True))

    def _to_hash(self, tree: WorkingTree, name: bytes, links: Path) -> bytes | None:
        """Give the path of what to hash: the file, or a file that holds a link's target; None if that has gone."""
        path = _on_disk(self.repository.root, name)
        if not stat.S_ISLNK(tree.files[name].st_mode):
            return path
        try:
            target = os.readlink(path)  # noqa: PTH115  # names are bytes here
        except OSError:
            return None
        copy = links / str(sum(1 for _ in links.iterdir()))
        copy.write_bytes(target)
        return os.fsencode(copy)

    def _objects(self, paths: list[bytes], names: list[bytes]) -> list[str] | None:
        if not paths:
            return []
        if len(paths) <= WRITE_AT_ONCE or self.afresh:
            return self._hash_objects(paths, names, "-w")
        ids = self._hash_objects(paths, names)
        if ids is None:
            return None
        found = self.private.reading.output("cat-file", "--batch-check", feed="\n".join([*ids, ""]).encode())
        missing = {line.split(b" ", 1)[0].decode() for line in found.splitlines() if line.endswith(b" missing")}
        places = [place for place, object_id in enumerate(ids) if object_id in missing]
        if places:
            self._hash_objects([paths[place] for place in places], names, "-w")
        return ids

    def _hash_objects(self, paths: list[bytes], names: list[bytes], *options: str) -> list[str] | None:
        feed = b"".join(quoted(path) + b"\n" for path in paths)
        answer = self.private.writing.ask("hash-object", "--no-filters", "--stdin-paths", *options, feed=feed)
        if answer.code:
            _refuse_unreadable(self.repository.root, names)
            self.problem = f": {answer.error}"
            return None
        return answer.output.decode().split()

    def _write_tree(self, tree: WorkingTree, files: Mapping[bytes, Hashed]) -> str:
        lines = [b"%s %s\t%s\0" % (_mode(tree.files[n]), h.object_id.encode(), n) for n, h in sorted(files.items())]
        with tempfile.TemporaryDirectory(dir=self.private.path, prefix=".index-") as folder:
            git = self.private.writing
            git = replace(git, variables={**git.variables, "GIT_INDEX_FILE": f"{folder}/index"})
            answer = git.ask("update-index", "-z", "--index-info", feed=b"".join(lines))
            if answer.code or answer.error:  # it says which names it will not take, and takes the others
                raise failure(self.repository.root, ["update-index"], answer)
            return git.output("write-tree", "--missing-ok").decode().strip()


def _describe(repository: Repository, directory: Path, tree: WorkingTree, tree_id: str, rules: CaptureRules) -> Capture:
    within = directory.relative_to(repository.root).as_posix()
    prefix = b"" if within == "." else os.fsencode(within) + b"/"
    return Capture(
        root=str(repository.root),
        directory=within,
        tree=tree_id,
        object_format=repository.object_format,
        commit=repository.commit,
        branch=repository.branch,
        remote=repository.remote,
        changed=tree_id != repository.commit_tree,
        unpushed=_is_unpushed(repository),
        submodules=dict(sorted(tree.submodules.items())),
        left_out=dict(sorted(tree.left_out.items())),
        folders_left_out=tuple(sorted(tree.folders_left_out)),
        links_out=tuple(_links_out(repository.root, tree)),
        changed_since=tuple(_changed_since(tree, rules)),
        file_count=len(tree.files),
        directory_file_count=sum(name.startswith(prefix) for name in tree.files),
        byte_count=sum(status.st_size for status in tree.files.values()),
    )


def _is_unpushed(repository: Repository) -> bool:
    if repository.commit is None or repository.remote_name is None:
        return repository.commit is not None
    known = ("--not", f"--remotes={repository.remote_name}")
    return bool(repository.git.ask("rev-list", "--max-count=1", repository.commit, *known).output.strip())


def _links_out(root: Path, tree: WorkingTree) -> Iterable[str]:
    for name, status in sorted(tree.files.items()):
        if stat.S_ISLNK(status.st_mode) and _leads_out(os.fsencode(root), _on_disk(root, name)):
            yield os.fsdecode(name)


def _changed_since(tree: WorkingTree, rules: CaptureRules) -> Iterable[str]:
    if rules.since_ns is not None:
        yield from (os.fsdecode(name) for name, at in sorted(tree.files.items()) if rules.is_written_since(at))


def _leads_out(root: bytes, link: bytes) -> bool:
    try:
        target = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))  # noqa: PTH115, PTH118, PTH120
    except OSError:
        return False
    return target != root and not target.startswith(root + b"/")


def _on_disk(root: Path, name: bytes) -> bytes:
    return os.path.join(os.fsencode(root), name)  # noqa: PTH118  # names are bytes here


def _mode(status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return b"120000"
    return b"100755" if status.st_mode & stat.S_IXUSR else b"100644"


def _changed(root: Path, name: bytes, before: os.stat_result) -> bool:
    try:
        return status_key(os.lstat(_on_disk(root, name))) != status_key(before)
    except OSError:
        return True


def _refuse_too_large(root: Path, tree: WorkingTree, limit: int) -> None:
    total = sum(status.st_size for status in tree.files.values())
    if total > limit:
        largest = sorted(tree.files.items(), key=lambda item: -item[1].st_size)[:5]
        listed = ", ".join(f"{os.fsdecode(name)} ({status.st_size / 1e6:.0f} MB)" for name, status in largest)
        message = (
            f"holds {total / 1e6:.0f} MB in {len(tree.files)} files, more than {limit / 1e6:.0f} MB."
            f" Keep data out of it, or name it in .gitignore or .launchignore. The largest: {listed}"
        )
        raise InvalidSpecError(f"Repository {root}", [Fault("", message)])


def _refuse_unreadable(root: Path, names: list[bytes]) -> None:
    """Raise with all the files that cannot be read, if there are some."""
    faults: list[Fault] = []
    for name in names:
        path = _on_disk(root, name)
        if os.path.isfile(path) and not os.access(path, os.R_OK, effective_ids=True):  # noqa: PTH113
            message = "cannot be read: Permission denied. Make it readable, or name it in .gitignore"
            faults.append(Fault(os.fsdecode(name), message))
    if faults:
        raise InvalidSpecError(f"Repository {root}", faults)
