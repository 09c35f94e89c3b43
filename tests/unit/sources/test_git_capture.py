"""What a capture records and takes, and what it does where there is no ordinary repository."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from launch_sdk.errors import ConflictError, InvalidSpecError, NotFoundError
from launch_sdk.sources.capture_rules import CaptureRules
from launch_sdk.sources.git_capture import capture
from launch_sdk.sources.origin import Origin
from launch_sdk.tracking.metadata import without_credentials
from tests.unit.sources.conftest import UserRepository, empty

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


def test_a_capture_says_where_it_comes_from(repository: UserRepository) -> None:
    repository.git("remote", "add", "origin", "https://example.org/team/code.git")
    captured = repository.capture(directory="pkg")
    assert captured.root == str(repository.root)
    assert (captured.directory, captured.branch, captured.remote) == (
        "pkg",
        "main",
        "https://example.org/team/code.git",
    )
    assert captured.commit == repository.git("rev-parse", "HEAD")
    assert captured.tree == repository.git("rev-parse", "HEAD^{tree}")
    assert (captured.file_count, captured.directory_file_count, captured.byte_count) == (2, 1, 15)


def test_where_a_capture_comes_from_can_be_written_down_and_read_back(repository: UserRepository) -> None:
    (repository.root / "out").symlink_to("/data")
    repository.write({".env": b"x"})
    origin = repository.capture().origin
    assert Origin.from_dict(json.loads(json.dumps(origin.to_dict()))) == origin
    assert (origin.changed, origin.links_out, list(origin.left_out)) == (True, ("out",), [".env"])


def test_a_work_tree_is_unchanged_only_as_its_commit_has_it(repository: UserRepository) -> None:
    assert not repository.capture().changed
    repository.write({"new": b""})
    assert repository.capture().changed


def test_the_tree_tells_every_kind_of_change(repository: UserRepository) -> None:
    trees = [repository.capture().tree]
    steps = [
        lambda: repository.write({"train.py": b"print(2)\n"}),
        lambda: (repository.root / "train.py").chmod(0o755),
        lambda: (repository.root / "train.py").rename(repository.root / "Train.py"),
        (repository.root / "pkg/model.py").unlink,
        lambda: (repository.root / "link").symlink_to("Train.py"),
        lambda: repository.write({"untracked": b""}),
    ]
    for step in steps:
        step()
        trees.append(repository.capture().tree)
    assert len(set(trees)) == len(steps) + 1


def test_staging_and_committing_change_no_tree(repository: UserRepository) -> None:
    repository.write({"new.py": b"x", "train.py": b"y"})
    tree = repository.capture().tree
    repository.git("add", "-A")
    assert repository.capture().tree == tree
    repository.commit()
    assert repository.capture().tree == tree


def test_a_directory_in_no_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is in no git repository"):
        capture(tmp_path, tmp_path / "captures")


def test_a_directory_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        capture(tmp_path / "nowhere", tmp_path / "captures")


def test_a_repository_without_a_commit_is_captured(bare_start: UserRepository) -> None:
    bare_start.write({"train.py": b"x"})
    captured = bare_start.capture()
    assert (captured.commit, captured.branch, captured.unpushed, captured.file_count) == (None, "main", False, 1)


def test_a_repository_without_anything_has_an_empty_tree(bare_start: UserRepository) -> None:
    assert bare_start.capture().file_count == 0
    assert bare_start.names() == set()


def test_a_detached_head_has_no_branch(repository: UserRepository) -> None:
    repository.git("checkout", "-q", "--detach")
    captured = repository.capture()
    assert captured.branch is None
    assert captured.commit == repository.git("rev-parse", "HEAD")


def test_a_shallow_clone_is_captured(repository: UserRepository) -> None:
    repository.commit("two")
    shallow = repository.clone("shallow", "--depth=1")
    assert shallow.git("rev-list", "--count", "HEAD") == "1"
    assert shallow.names() == {"train.py", "pkg/model.py"}
    assert not shallow.capture().unpushed


def test_a_linked_work_tree_is_captured_itself(repository: UserRepository) -> None:
    repository.git("worktree", "add", "-q", "-b", "side", repository.base / "linked")
    linked = repository.other("linked")
    linked.write({"more.py": b""})
    assert linked.names() == {"train.py", "pkg/model.py", "more.py"}
    assert linked.capture().branch == "side"


def test_a_sparse_checkout_is_captured_as_it_is_on_disk(repository: UserRepository) -> None:
    repository.git("sparse-checkout", "set", "pkg")
    repository.write({"other/untracked": b""})
    assert "pkg/model.py" in repository.names()


def test_a_commit_is_unpushed_until_the_remote_has_it(repository: UserRepository) -> None:
    clone = repository.clone("clone")
    assert not clone.capture().unpushed
    clone.commit("mine")
    assert clone.capture().unpushed
    clone.git("push", "-q", "origin", "HEAD:refs/heads/mine")
    assert not clone.capture().unpushed


def test_the_branch_says_which_remote_counts(repository: UserRepository) -> None:
    repository.git("remote", "add", "origin", "https://example.org/a")
    repository.git("remote", "add", "fork", "git@example.org:me/a.git")
    repository.git("config", "branch.main.remote", "fork")
    assert repository.capture().remote == "git@example.org:me/a.git"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://user:hunter2@example.org/a.git", "https://example.org/a.git"),
        ("https://ghp_hunter2@example.org/a.git", "https://example.org/a.git"),
        ("https://user:hunt/er2@example.org/a.git", "https://example.org/a.git"),
        ("https://example.org/a.git?token=hunter2", "https://example.org/a.git"),
        ("ssh://git:hunter2@example.org/a.git", "ssh://example.org/a.git"),
        ("ssh://git@example.org:22/a.git", "ssh://git@example.org:22/a.git"),
        ("git:hunter2@example.org:a.git", "example.org:a.git"),
        ("git@example.org:team/a.git", "git@example.org:team/a.git"),
        ("https://example.org:8443/@scope/a.git", "https://example.org:8443/@scope/a.git"),
        ("/srv/a.git", "/srv/a.git"),
    ],
)
def test_a_remote_loses_its_credentials_and_nothing_else(url: str, kept: str) -> None:
    assert without_credentials(url) == kept


def test_a_password_in_the_remote_is_written_nowhere(repository: UserRepository) -> None:
    repository.git("remote", "add", "origin", "https://user:hunter2@example.org/a.git")
    packed = repository.pack()
    assert "hunter2" not in str(packed)
    kept = [p for folder in ("captures", "store") for p in (repository.base / folder).rglob("*") if p.is_file()]
    assert kept
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_what_looks_like_a_secret_is_left_out_with_a_reason(repository: UserRepository) -> None:
    repository.write({".env": b"KEY=1", "sub/id_rsa": b"", "server.pem": b"", ".env.local": b"", ".env.example": b""})
    assert repository.names() == {"train.py", "pkg/model.py", ".env.example"}
    left_out = repository.capture().left_out
    assert set(left_out) == {".env", "sub/id_rsa", "server.pem", ".env.local"}
    assert "looks like a secret; take it with !sub/id_rsa in .launchignore" in left_out["sub/id_rsa"]


def test_a_tracked_file_is_no_secret(repository: UserRepository) -> None:
    repository.write({"test.pem": b""})
    repository.commit()
    assert "test.pem" in repository.names()


def test_left_out_files_can_be_taken(repository: UserRepository) -> None:
    repository.write({".env": b"KEY=1", "a.pem": b"", "b.pem": b"", ".launchignore": b"!.env\n!/a.pem\n"})
    assert repository.names(CaptureRules(take=("b.p*",))) >= {".env", "a.pem", "b.pem"}


def test_a_launchignore_leaves_out_tracked_files_too(repository: UserRepository) -> None:
    repository.write({"data/big.bin": b"", "notes.txt": b"", "keep.txt": b""})
    repository.commit()
    repository.write({".launchignore": b"data/\nnotes.*\n", "notes.md": b""})
    assert repository.names() == {"train.py", "pkg/model.py", "keep.txt", ".launchignore"}


def test_a_link_that_git_forbids_in_a_folder_called_gitmodules_is_left_out(repository: UserRepository) -> None:
    (repository.root / ".gitmodules").mkdir()
    (repository.root / ".gitmodules/link").symlink_to("x")
    assert repository.capture().left_out == {".gitmodules/link": "has a name that git keeps for itself"}


def test_two_untracked_gigabytes_are_left_out_at_once(repository: UserRepository) -> None:
    with (repository.root / "weights.bin").open("wb") as file:
        file.truncate(2 * 1024**3)
    started = time.monotonic()
    captured = repository.capture()
    assert time.monotonic() - started < 5
    assert captured.left_out["weights.bin"].startswith("holds 2147 MB, more than 100 MB")


def test_a_large_file_can_be_taken(repository: UserRepository) -> None:
    repository.write({"taken.bin": b"x" * 3000, "left.bin": b"x" * 3000, ".launchignore": b"!taken.bin\n"})
    assert list(repository.capture(CaptureRules(max_file_bytes=2000)).left_out) == ["left.bin"]


def test_too_much_in_all_is_refused_and_the_largest_are_named(repository: UserRepository) -> None:
    repository.write({"a.bin": b"x" * 3000, "b.bin": b"x" * 2000})
    with pytest.raises(InvalidSpecError, match=r"more than 0 MB\. Keep data out.*The largest: a\.bin .*, b\.bin"):
        repository.capture(CaptureRules(max_bytes=4000))


def test_environments_caches_and_earlier_runs_are_left_out(repository: UserRepository) -> None:
    repository.write({".venv/bin/x": b"", "__pycache__/x.pyc": b"", "launch/run-1/metadata.json": b"{}"})
    captured = repository.capture()
    assert captured.folders_left_out == (".venv", "__pycache__", "launch")
    assert captured.file_count == 2


def test_ignored_files_stay_behind_but_tracked_ones_do_not(repository: UserRepository) -> None:
    repository.write({".gitignore": b"*.log\n", "a.log": b"", "b.log": b""})
    repository.git("add", "-f", "b.log")
    assert repository.names() == {"train.py", "pkg/model.py", ".gitignore", "b.log"}


def test_links_out_of_the_tree_are_kept_and_named(repository: UserRepository) -> None:
    (repository.root / "data").symlink_to("/datasets")
    (repository.root / "pkg/up").symlink_to("../../elsewhere")
    (repository.root / "inside").symlink_to("pkg/model.py")
    packed = repository.pack()
    assert packed.capture.links_out == ("data", "pkg/up")
    assert str((repository.replay(packed.source) / "data").readlink()) == "/datasets"


def test_pipes_are_left_out(repository: UserRepository) -> None:
    os.mkfifo(repository.root / "pipe")
    repository.git("add", "-A")
    (repository.root / "train.py").unlink()
    os.mkfifo(repository.root / "train.py")
    assert repository.capture().left_out == {"train.py": "is not a file"}


def test_a_name_of_gits_own_is_left_out(repository: UserRepository) -> None:
    repository.write({"pkg/.GIT/config": b""})
    assert repository.capture().left_out == {"pkg/.GIT/config": "has a name that git keeps for itself"}


@pytest.fixture
def submodule(repository: UserRepository) -> UserRepository:
    library = empty(repository.base / "library")
    library.write({"lib.py": b"x = 1\n", ".gitignore": b"*.log\n"})
    library.commit("library")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "vendor/lib")
    repository.commit("with a submodule")
    return repository.other("work/vendor/lib")


def test_a_dirty_submodule_is_captured_with_its_changes(repository: UserRepository, submodule: UserRepository) -> None:
    submodule.write({"lib.py": b"x = 2\n", "new.py": b"", "a.log": b""})
    packed = repository.pack()
    target = repository.replay(packed.source)
    assert (target / "vendor/lib/lib.py").read_bytes() == b"x = 2\n"
    assert (target / "vendor/lib/new.py").exists()
    assert not (target / "vendor/lib/a.log").exists()
    assert packed.capture.submodules == {"vendor/lib": submodule.git("rev-parse", "HEAD")}


def test_a_submodule_that_was_not_fetched_is_an_empty_folder(
    repository: UserRepository, submodule: UserRepository
) -> None:
    assert submodule.root.is_dir()
    clone = repository.clone("clone")
    assert clone.names() == {"train.py", "pkg/model.py", ".gitmodules"}


def test_a_submodule_without_its_repository_is_taken_file_by_file(
    repository: UserRepository, submodule: UserRepository
) -> None:
    (submodule.root / ".git").unlink()
    assert "vendor/lib/lib.py" in repository.names()


def test_another_work_tree_of_the_same_repository_is_left_out(repository: UserRepository) -> None:
    repository.git("worktree", "add", "-q", "-b", "side", repository.root / "trees/side")
    captured = repository.capture()
    assert captured.left_out == {"trees/side": "is another work tree of the same repository"}


def test_a_repository_inside_is_captured(repository: UserRepository) -> None:
    inner = empty(repository.root / "inner")
    inner.write({"x.py": b"", "pkg/y.py": b""})
    assert repository.names() == {"train.py", "pkg/model.py", "inner/x.py", "inner/pkg/y.py"}


def test_a_work_tree_elsewhere_is_refused(repository: UserRepository) -> None:
    (repository.base / "private").mkdir()
    repository.git("config", "core.worktree", str(repository.base))
    with pytest.raises(InvalidSpecError, match=r"core\.worktree names another folder"):
        repository.capture()


def test_a_submodule_with_a_work_tree_elsewhere_is_left_out(
    repository: UserRepository, submodule: UserRepository
) -> None:
    submodule.git("config", "core.worktree", "/etc")
    assert "core.worktree names another folder" in repository.capture().left_out["vendor/lib"]


def test_a_bare_repository_has_no_work_tree(repository: UserRepository) -> None:
    repository.git("config", "core.bare", "true")
    with pytest.raises(InvalidSpecError, match=r"core\.bare says that it has no work tree"):
        repository.capture()


def test_a_broken_repository_is_named(repository: UserRepository) -> None:
    shutil.rmtree(repository.root / ".git")
    (repository.root / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(InvalidSpecError, match="git cannot read it: not a git repository"):
        repository.capture()


def test_a_damaged_index_is_said_in_gits_words(repository: UserRepository) -> None:
    (repository.root / ".git/index").write_bytes(b"nonsense" * 20)
    with pytest.raises(InvalidSpecError, match=r"git ls-files failed: .*bad signature"):
        repository.capture()


def test_a_folder_called_git_that_is_none_is_passed_over(repository: UserRepository) -> None:
    (repository.root / "pkg/.git").mkdir()
    assert repository.capture(directory="pkg").root == str(repository.root)


@needs_root
def test_a_repository_of_another_user_is_refused_with_the_remedy(repository: UserRepository) -> None:
    os.chown(repository.root / ".git", 12345, 12345)
    os.chown(repository.root, 12345, 12345)
    with pytest.raises(InvalidSpecError, match=r"belongs to another user.*safe\.directory " + str(repository.root)):
        repository.capture()


@needs_root
def test_files_that_cannot_be_read_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    with tempfile.TemporaryDirectory() as folder:
        made = empty(Path(folder) / "work")
        made.write({"a": b"", "b": b"", "c": b""})
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, 65534, 65534)
        (made.root / "a").chmod(0)
        (made.root / "b").chmod(0)
        os.seteuid(65534)
        try:
            with pytest.raises(InvalidSpecError) as caught:
                capture(made.root, Path(folder) / "captures")
        finally:
            os.seteuid(0)
        assert [fault.path for fault in caught.value.faults] == ["a", "b"]


def test_nothing_that_a_repository_names_is_run(repository: UserRepository) -> None:
    evil = repository.base / "evil"
    evil.mkdir()
    command = f"touch {evil}/ran; cat"
    for key in ("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "core.fsmonitor", "diff.external"):
        repository.git("config", key, command)
    for key in ("core.sshCommand", "core.gitProxy", "core.pager", "core.editor", "remote.origin.uploadpack"):
        repository.git("config", key, command)
    for key, value in (("remote.origin.url", f"ext::{command}"), ("remote.origin.promisor", "true")):
        repository.git("config", key, value)
    repository.git("config", "protocol.ext.allow", "always")
    repository.git("config", "extensions.partialClone", "origin")
    repository.git("config", "core.repositoryFormatVersion", "1")
    repository.write({".gitattributes": b"* filter=evil diff=evil\n"})
    for hook in ("post-index-change", "pre-commit", "reference-transaction", "post-checkout"):
        path = repository.root / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {evil}/ran\n")
        path.chmod(0o755)
    for stored in (repository.root / ".git/objects").glob("??/*"):
        stored.unlink()  # what is missing would be fetched
    repository.names()
    assert not list(evil.iterdir())


def test_git_variables_of_the_environment_are_not_obeyed(
    repository: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = repository.capture()
    other = empty(repository.base / "other")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.root / "objects"))
    assert repository.capture() == expected
    assert not (other.root / "index").exists()


def test_a_change_that_keeps_size_and_time_is_seen(repository: UserRepository) -> None:
    path = repository.root / "train.py"
    before = repository.capture().tree
    times = path.stat()
    path.write_bytes(b"print(7)\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert repository.capture().tree != before


def test_changes_right_after_a_capture_are_seen(repository: UserRepository) -> None:
    trees: list[str] = []
    for turn in range(8):
        (repository.root / "train.py").write_bytes(b"%02d" % turn)
        trees.append(repository.capture().tree)
    assert len(set(trees)) == 8


def test_a_file_that_keeps_changing_is_a_clear_error(repository: UserRepository) -> None:
    end = threading.Event()

    def grow() -> None:
        with (repository.root / "train.py").open("ab") as file:
            while not end.is_set():
                file.write(b"x")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(ConflictError, match="change while it is captured"):
            repository.capture()
    finally:
        end.set()
        writer.join()
    assert repository.capture().file_count == 2


def test_many_capture_the_same_work_tree_at_once(repository: UserRepository) -> None:
    with ThreadPoolExecutor(4) as pool:
        captures = [pool.submit(repository.capture) for _ in range(12)]
    assert len({done.result().tree for done in captures}) == 1


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"version": 1}', '{"version": 1, "files": {"a": 1}}'])
def test_what_was_remembered_may_be_damaged(content: str, repository: UserRepository) -> None:
    expected = repository.capture().tree
    (remembered,) = (repository.base / "captures").glob("*/files.json")
    remembered.write_text(content)
    assert repository.capture().tree == expected


def test_what_another_process_is_making_is_left_alone(repository: UserRepository) -> None:
    making = repository.base / "captures/.making-x"
    making.mkdir(parents=True)
    (making / "root").touch()
    repository.capture()
    assert (making / "root").exists()


def test_what_was_remembered_of_a_deleted_work_tree_is_forgotten(repository: UserRepository) -> None:
    repository.capture()
    shutil.rmtree(repository.root)
    empty(repository.base / "next").capture()
    (kept,) = (repository.base / "captures").iterdir()
    assert (kept / "root").read_text() == str(repository.base / "next")
