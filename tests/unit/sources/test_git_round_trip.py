"""Random repositories of every kind: what is laid out elsewhere is what was on disk; the repository is untouched."""

# ruff: noqa: PTH101, PTH103, PTH104, PTH108, PTH112, PTH114, PTH115, PTH118, PTH120, PTH211
# Names are bytes here, which pathlib does not take.
from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from launch_sdk.sources.git_pack import pack_work_tree
from launch_sdk.sources.git_replay import replay
from launch_sdk.sources.packed import GitSource
from tests.unit.sources.conftest import USER_ENVIRONMENT

EXAMPLES = int(os.environ.get("ROUND_TRIPS", "20"))
ENVIRONMENT = USER_ENVIRONMENT | {"GIT_OPTIONAL_LOCKS": "0"}

NAMES = st.sampled_from(
    [
        *(b"train.py", b"Train.py", b"run.sh", b"data.bin", b"README", b"readme", b"x.ign", b"a b", b"na\xc3\xafve"),
        *(b"line\nbreak", b"tab\there", b'quo"te', b"back\\slash", b"-rf", b"*", b"caf\xe9", b"end\r", b" lead"),
        b"git~1",
        *(b".hidden", b"HEAD", b"con", b":!x", b"#", b"!neg", b"trailing ", b"\x01", b"\xff\xfe", b".gitmodules"),
    ]
)
FOLDERS = st.sampled_from([b"", b"pkg", b"pkg/sub", b"Pkg", b"new\nline", b"\xe9", b"sp ace", b"x.ign", b"deep/a/b/c"])
PATHS = st.builds(os.path.join, FOLDERS, NAMES)
CONTENTS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(b"", b"a\r\nb\r\n", b"a\nb\n", b"a\r\nb\n", b"$Id$\n", b"\0\1\2", b"\xff\xfeh\0i\0", b"text without end"),
            b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n",
            b"<<<<<<< ours\n=======\n>>>>>>> theirs\n",
        ]
    ),
)
TARGETS = st.sampled_from([b"train.py", b"nothing", b"..", b"../..", b"/etc/hostname", b".", b"pkg", b"a\nb", b"\xff"])
ATTRIBUTES = st.sampled_from(
    [
        *(b"* text=auto\n", b"* text eol=crlf\n", b"* ident\n", b"* filter=evil diff=evil merge=evil\n"),
        *(b"*.py working-tree-encoding=UTF-16\n", b"* -text\n", b"[attr]binary filter=evil\n* binary\n"),
    ]
)
SETTINGS = st.sampled_from(
    [
        *(("core.autocrlf", "true"), ("core.autocrlf", "input"), ("core.eol", "crlf"), ("core.fileMode", "false")),
        *(("core.symlinks", "false"), ("core.ignoreCase", "true"), ("core.fsmonitor", "touch evil-ran; false")),
        *(("filter.evil.clean", "touch evil-ran; cat"), ("filter.evil.process", "touch evil-ran")),
        *(("filter.evil.required", "true"), ("core.untrackedCache", "true"), ("index.version", "4")),
        *(("core.splitIndex", "true"), ("diff.external", "touch evil-ran"), ("status.showUntrackedFiles", "no")),
    ]
)


def _git(folder: Path, *words: str | bytes, check: bool = False) -> bytes:
    """Run git as a user would; a step that git refuses in this state is no step."""
    done = subprocess.run(["git", *words], cwd=folder, env=ENVIRONMENT, capture_output=True, check=check)
    return done.stdout


def _clear(root: bytes, path: bytes) -> bytes | None:
    """Make room for a file; None where a link or a file is in the way of its folder."""
    place = root
    for part in path.split(b"/")[:-1]:
        place = os.path.join(place, part)
        if os.path.lexists(place) and (os.path.islink(place) or not os.path.isdir(place)):
            return None
    place = os.path.join(root, path)
    if os.path.isdir(place) and not os.path.islink(place):
        return None
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.lexists(place):
        os.unlink(place)
    return place


Step = Callable[[Path], None]


@dataclass(frozen=True)
class Write:
    path: bytes
    content: bytes
    executable: bool

    def __call__(self, root: Path) -> None:
        if place := _clear(os.fsencode(root), self.path):
            Path(os.fsdecode(place)).write_bytes(self.content)
            os.chmod(place, 0o755 if self.executable else 0o640)


@dataclass(frozen=True)
class Link:
    path: bytes
    target: bytes

    def __call__(self, root: Path) -> None:
        if place := _clear(os.fsencode(root), self.path):
            os.symlink(self.target, place)


@dataclass(frozen=True)
class Delete:
    path: bytes

    def __call__(self, root: Path) -> None:
        _clear(os.fsencode(root), self.path)


@dataclass(frozen=True)
class Rename:
    """Any file or folder, to any free place; a case-only rename among them."""

    before: bytes
    after: bytes

    def __call__(self, root: Path) -> None:
        before = os.path.join(os.fsencode(root), self.before)
        if os.path.lexists(before) and self.after not in {self.before, b""} and not self.after.startswith(self.before):
            after = os.path.join(os.fsencode(root), self.after)
            if not os.path.lexists(after) and os.path.isdir(os.path.dirname(after)):
                os.rename(before, after)


@dataclass(frozen=True)
class Replace:
    """A folder by a link to it, with its files beside."""

    folder: bytes

    def __call__(self, root: Path) -> None:
        place = os.path.join(os.fsencode(root), self.folder)
        if self.folder and os.path.isdir(place) and not os.path.islink(place):
            moved = os.path.join(os.fsencode(root), b"moved")
            if not os.path.lexists(moved):
                os.rename(place, moved)
                os.symlink(moved if len(self.folder) % 2 else b"moved", place)


@dataclass(frozen=True)
class Run:
    words: tuple[str | bytes, ...]

    def __call__(self, root: Path) -> None:
        _git(root, *self.words)


@dataclass(frozen=True)
class Inside:
    """A repository inside: a submodule or not, with or without a change of its own."""

    folder: bytes
    submodule: bool
    dirty: bool
    ignoring: bool

    def __call__(self, root: Path) -> None:
        place = root / os.fsdecode(self.folder)
        if os.path.lexists(place) or not place.parent.is_dir() or any(p.is_symlink() for p in place.parents):
            return
        place.mkdir()
        _git(place, "init", "-q")
        (place / "inner.py").write_bytes(b"x = 1\r\n")
        if self.ignoring:
            (place / ".gitignore").write_bytes(b"*.log\n")
            (place / "left.log").write_bytes(b"x")
        _git(place, "add", ".")
        _git(place, "commit", "-qm", "inner")
        if self.submodule:
            _git(root, "add", self.folder)
        if self.dirty:
            (place / "inner.py").write_bytes(b"x = 2\n")
            (place / "untracked").write_bytes(b"y")


GIT_STEPS = st.one_of(
    st.sampled_from(
        [
            *(("add", "-A"), ("add", "-u"), ("commit", "-qm", "all", "-a"), ("commit", "-qm", "staged")),
            *(("stash",), ("checkout", "-q", "--detach"), ("rm", "-rq", "--cached", "."), ("add", "-N", ".")),
            *(("update-index", "--skip-worktree", "train.py"), ("update-index", "--assume-unchanged", "train.py")),
            *(("branch", "other"), ("reset", "-q", "--soft", "HEAD~1"), ("gc", "-q"), ("checkout", "-q", "other")),
            *(("merge", "-q", "other"), ("sparse-checkout", "set", "pkg"), ("add", "-f", "x.ign")),
            ("update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",pkg"),
        ]
    ),
    PATHS.map(lambda path: ("add", "--", path)),
    SETTINGS.map(lambda pair: ("config", *pair)),
)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Write, PATHS, CONTENTS, st.booleans()),
    st.builds(Write, PATHS, CONTENTS, st.booleans()),
    st.builds(Write, st.sampled_from([b".gitattributes", b"pkg/.gitattributes"]), ATTRIBUTES, st.just(False)),
    st.builds(Write, st.sampled_from([b".gitignore", b"pkg/.gitignore"]), st.just(b"*.ign\n"), st.just(False)),
    st.builds(Link, PATHS, TARGETS),
    st.builds(Delete, PATHS),
    st.builds(Rename, PATHS | FOLDERS, PATHS | FOLDERS),
    st.builds(Replace, FOLDERS),
    st.builds(Run, GIT_STEPS),
    st.builds(Run, GIT_STEPS),
    st.builds(Inside, st.sampled_from([b"inner", b"pkg/inner", b"sp ace/in\nner"]), *[st.booleans()] * 3),
)
KINDS = st.sampled_from(["plain", "plain", "shallow", "linked", "sha256", "clone"])


def _make(kind: str, base: Path, first: list[Step]) -> Path:
    """Make a repository, with its first files where they were cloned from if it is a clone."""
    origin, root = base / "origin", base / "work tree"
    start = origin if kind in {"shallow", "linked", "clone"} else root
    start.mkdir()
    _git(start, "init", "-q", "-b", "main", *(["--object-format=sha256"] if kind == "sha256" else []), check=True)
    for step in first:
        step(start)
    if start == root:
        return root
    _git(start, "config", "--unset-all", "core.bare")
    for message in ("one", "two"):
        _git(start, "add", "-A")
        _git(start, "commit", "-qm", message, "--allow-empty")
    if kind == "linked":
        _git(start, "worktree", "add", "-q", "-b", "linked", str(root))
    else:
        depth = ["--depth=1"] if kind == "shallow" else []
        _git(base, "clone", "-q", *depth, origin.as_uri(), str(root))
    return root if (root / ".git").exists() else start


def _contents(root: Path) -> dict[bytes, tuple[str, int, bytes]]:
    """Read every file and link below a folder, but for what git keeps."""
    found: dict[bytes, tuple[str, int, bytes]] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        folders[:] = [name for name in folders if name != b".git"]
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in [*(n for n in files if n != b".git"), *links]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            key = os.path.relpath(path, os.fsencode(root))
            if stat.S_ISLNK(status.st_mode):
                found[key] = ("link", 0, os.readlink(path))
            else:
                found[key] = ("file", status.st_mode & 0o100, Path(os.fsdecode(path)).read_bytes())
    return found


def _ignored(root: Path) -> set[bytes]:
    """Ask git which untracked files it ignores, in the repositories inside too."""
    inner = [Path(os.fsdecode(f)) for f, names, files in os.walk(os.fsencode(root)) if b".git" in [*names, *files]]
    found: set[bytes] = set()
    for place in inner:
        words = ("-c", "core.fsmonitor=false", "ls-files", "-z", "--others", "--ignored", "--exclude-standard")
        prefix = os.path.relpath(os.fsencode(place), os.fsencode(root))
        names = [name for name in _git(place, *words, check=True).split(b"\0") if name]
        found |= {os.path.normpath(os.path.join(prefix, name)) for name in names}
    return found


def _with_folders(name: bytes) -> set[bytes]:
    parts = name.split(b"/")
    return {b"/".join(parts[:count]) for count in range(1, len(parts) + 1)}


def _everything(root: Path) -> dict[bytes, tuple[int, ...] | str]:
    """Describe every file and folder, those of git too, with its times."""
    found: dict[bytes, tuple[int, ...] | str] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in [b".", *folders, *files]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            times = (status.st_mtime_ns, status.st_ctime_ns)
            if name.startswith(b"sharedindex."):  # git marks half of a split index as in use whenever it is read
                times = (0, 0)
            found[path] = (status.st_mode, status.st_size, *times, status.st_ino)
            if stat.S_ISREG(status.st_mode):
                found[path + b" content"] = hashlib.sha1(Path(os.fsdecode(path)).read_bytes()).hexdigest()  # noqa: S324
    return found


def _check(root: Path, base: Path, turn: int) -> None:
    before = _everything(base / "work tree") | (_everything(base / "origin") if (base / "origin").exists() else {})
    packed = pack_work_tree(root, base / "captures", base / "store")
    after = _everything(base / "work tree") | (_everything(base / "origin") if (base / "origin").exists() else {})
    assert after == before
    replay(GitSource.parse(packed.source), base / "store", base / f"out {turn}")
    ignored = _ignored(root)
    expected = {name: value for name, value in _contents(root).items() if ignored.isdisjoint(_with_folders(name))}
    impossible = {name for name, value in expected.items() if b".gitmodules" in name.split(b"/") and value[0] == "link"}
    assert set(packed.capture.left_out) == set(map(os.fsdecode, impossible))
    for name in impossible:  # git forbids links of this name
        del expected[name]
    assert _contents(base / f"out {turn}") == expected
    assert not [*(base / "captures").rglob("evil-ran"), *(base / "store").rglob("evil-ran")]


SOME_STEPS = st.lists(STEPS, max_size=10)


@given(kind=KINDS, first=SOME_STEPS, then=SOME_STEPS, last=st.lists(STEPS, max_size=4))
@settings(
    deadline=None,
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate] if EXAMPLES < 100 else list(Phase),
    derandomize=EXAMPLES < 100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@pytest.mark.timeout(3600)
def test_any_work_tree_comes_back_and_is_untouched(
    kind: str, first: list[Step], then: list[Step], last: list[Step], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("round-trip")
    root = _make(kind, base, first)
    for step in then:
        step(root)
    _check(root, base, 1)
    for step in last:
        step(root)
    _check(root, base, 2)
