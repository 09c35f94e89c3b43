"""Captures in a store: once, only what is new, and with the commits that nobody else has."""

from __future__ import annotations

import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.sources import git_pack
from launch_sdk.sources.git_pack import origin_of_tree, pack_capture
from launch_sdk.sources.origin import Origin
from launch_sdk.sources.packed import GitSource, content_of, file_of, is_packed, program_directory
from tests.unit.sources.conftest import UserRepository


def _packs(repository: UserRepository) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in repository.store.glob("*.pack")}


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311  # nothing secret: bytes that cannot be compressed


def test_the_same_tree_is_stored_once(repository: UserRepository) -> None:
    first = repository.pack()
    kept = {path.name for path in repository.store.iterdir()}
    repository.commit("the same files")
    clone = repository.clone("clone")
    again, cloned = repository.pack(), clone.pack()
    assert content_of(again.source) == content_of(first.source) == content_of(cloned.source)
    assert {path.name for path in repository.store.iterdir() if path.suffix == ".pack"} == {
        name for name in kept if name.endswith(".pack")
    }
    assert repository.pack().source == again.source


def test_a_source_says_where_it_comes_from_in_a_document_that_cannot_be_forged(repository: UserRepository) -> None:
    repository.git("remote", "add", "origin", "https://me:secret@example.org/code.git")
    repository.write({".env": b"x", "new": b""})
    packed = repository.pack()
    source = GitSource.parse(packed.source)
    origin = origin_of_tree(source, repository.store)
    assert (origin.remote, origin.branch) == ("https://example.org/code.git", "main")
    assert (origin.commit, origin.changed, origin.unpushed) == (packed.capture.commit, True, True)
    assert list(origin.left_out) == [".env"]
    document = repository.store / f"{source.digest}.json"
    document.write_text(document.read_text().replace("main", "other"))
    assert origin_of_tree(source, repository.store) == Origin()
    document.unlink()
    assert origin_of_tree(source, repository.store) == Origin()


def test_a_later_tree_adds_only_what_is_new(repository: UserRepository) -> None:
    repository.write({"big.bin": _noise(200_000)})
    repository.pack()
    before = _packs(repository)
    repository.write({"train.py": b"print(2)\n"})
    packed = repository.pack()
    (new,) = set(_packs(repository)) - set(before)
    assert _packs(repository)[new] < 1000
    assert (repository.replay(packed.source) / "big.bin").read_bytes() == _noise(200_000)


def test_a_tree_that_is_a_part_of_the_base_adds_nothing(repository: UserRepository) -> None:
    repository.pack()
    before = _packs(repository)
    shutil.rmtree(repository.root / "pkg")
    (repository.root / "train.py").unlink()
    repository.write({"model.py": b"x = 1\n"})
    packed = repository.pack()
    assert _packs(repository) == before
    assert (repository.replay(packed.source) / "model.py").read_bytes() == b"x = 1\n"


def test_much_that_is_new_makes_a_new_base(repository: UserRepository) -> None:
    repository.pack()
    repository.write({"big.bin": _noise(50_000)})
    repository.pack()
    sizes = sorted(_packs(repository).values())
    repository.write({"train.py": b"print(3)\n"})
    packed = repository.pack()
    assert len(_packs(repository)) == len(sizes) + 1
    assert (repository.replay(packed.source) / "train.py").read_bytes() == b"print(3)\n"


def test_another_store_gets_all_of_it(repository: UserRepository) -> None:
    repository.pack()
    repository.write({"train.py": b"print(2)\n"})
    other = UserRepository(repository.root, repository.base / "elsewhere")
    other.base.mkdir()
    captured = repository.capture()
    packed = pack_capture(captured, repository.base / "captures", other.store)
    assert (other.replay(packed.source) / "pkg/model.py").read_bytes() == b"x = 1\n"


def test_a_store_that_lost_a_pack_gets_it_again(repository: UserRepository) -> None:
    repository.pack()
    repository.write({"train.py": b"print(2)\n"})
    repository.pack()
    for pack in repository.store.glob("*.pack"):
        pack.unlink()
    assert (repository.replay(repository.pack().source) / "train.py").read_bytes() == b"print(2)\n"


def test_objects_that_the_user_has_deleted_since_are_written_again(repository: UserRepository) -> None:
    repository.write({f"many/{number}": b"%d" % number for number in range(202)})
    repository.commit()
    repository.capture()  # so many that those which the user's repository has are not written
    for stored in (repository.root / ".git/objects").glob("??/*"):
        stored.unlink()
    repository.git("symbolic-ref", "HEAD", "refs/heads/none")
    assert len(list((repository.replay(repository.pack().source) / "many").iterdir())) == 202


def test_too_large_a_repository_of_ours_is_started_afresh(
    repository: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_pack, "MAX_PRIVATE_BYTES", 0)
    repository.pack()
    assert not list((repository.base / "captures").iterdir())
    repository.write({"train.py": b"print(2)\n"})
    assert (repository.replay(repository.pack().source) / "train.py").read_bytes() == b"print(2)\n"


def test_commits_that_the_remote_lacks_travel_in_a_bundle(repository: UserRepository) -> None:
    clone = repository.clone("clone")
    assert clone.pack().origin.history is None
    clone.write({"train.py": b"print(2)\n"})
    commit = clone.commit("mine")
    packed = clone.pack()
    assert packed.capture.unpushed
    bundle = repository.store / f"{packed.origin.history}.bundle"
    repository.git("fetch", "-q", bundle, "refs/launch/*:refs/launch/*")
    assert repository.git("show", f"{commit}:train.py") == "print(2)"
    assert clone.pack().origin.history == packed.origin.history


def test_a_shallow_clone_sends_its_own_commits(repository: UserRepository) -> None:
    repository.commit("two")
    shallow = repository.clone("shallow", "--depth=1")
    commit = shallow.commit("mine")
    packed = shallow.pack()
    repository.git("fetch", "-q", repository.store / f"{packed.origin.history}.bundle", "refs/launch/*:refs/launch/*")
    assert repository.git("cat-file", "-t", commit) == "commit"


def test_without_a_remote_the_whole_history_travels(repository: UserRepository) -> None:
    packed = repository.pack()
    bundle = repository.store / f"{packed.origin.history}.bundle"
    fresh = repository.base / "fresh"
    repository.git("init", "-q", fresh)
    repository.other("fresh").git("fetch", "-q", bundle, f"refs/launch/{packed.capture.commit}")


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("MAX_HISTORY_COMMITS", 1, "the remote lacks 2 commits, more than 1; push them"),
        ("MAX_HISTORY_BYTES", 10, "the commits that the remote lacks hold .* push them"),
    ],
)
def test_too_long_a_history_stays_behind_with_a_reason(
    limit: str, value: int, reason: str, repository: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("two")
    monkeypatch.setattr(git_pack, limit, value)
    for packed in (repository.pack(), repository.pack()):
        assert packed.origin.history is None
        assert re.fullmatch(reason, packed.origin.history_left_out)
    assert not list(repository.store.glob("*.bundle"))


def test_many_pack_the_same_work_tree_at_once(repository: UserRepository) -> None:
    with ThreadPoolExecutor(4) as pool:
        packing = [pool.submit(repository.pack) for _ in range(8)]
    (source,) = {done.result().source for done in packing}
    assert not [path for path in repository.store.iterdir() if path.name.startswith(".packing")]
    assert repository.replay(source)


def test_a_source_says_where_programs_start(repository: UserRepository) -> None:
    repository.write({"sub dir/caf\xe9:x/train.py": b""})
    packed = repository.pack(directory="sub dir/caf\xe9:x")
    source = GitSource.parse(packed.source)
    assert source.directory == "sub dir/caf\xe9:x"
    assert str(source) == packed.source
    assert packed.source.isascii()
    assert program_directory(packed.source, Path("/run")) == Path("/run/sub dir/caf\xe9:x")
    assert is_packed(packed.source)
    assert (repository.store / file_of(packed.source)).is_file()


@pytest.mark.parametrize(
    "text",
    [
        *("git+sha256:", "git+sha256:" + "0" * 64, "git+sha256:" + "0" * 64 + "#", "git+sha256:../../x#" + "0" * 40),
        *(f"git+sha256:{'0' * 64}#{'0' * 40}{end}" for end in (":..", ":a/../../b", ":/etc", ":%2e%2e/x", ":%00", ":")),
        f"git+sha256:{'G' * 64}#{'0' * 40}",
    ],
)
def test_a_malformed_source_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpecError):
        GitSource.parse(text)


def test_a_start_that_is_a_link_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/out").symlink_to("/etc")
    with pytest.raises(InvalidSpecError, match="is a link out of the tree"):
        program_directory(str(GitSource("0" * 64, "0" * 40, "out")), tmp_path / "work")
