"""Laying captured trees out: exact, checked, and deaf to hostile ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.sources import git_replay
from launch_sdk.sources.git_pack import FORMAT
from launch_sdk.sources.packed import GitSource
from tests.unit.sources.conftest import UserRepository

HEX = "0123456789abcdef"


def test_bytes_modes_and_links_come_back(repository: UserRepository) -> None:
    repository.write({"data.bin": bytes(range(256)), "run.sh": b"#!/bin/sh\n", "crlf.txt": b"a\r\n", "empty": b""})
    (repository.root / "run.sh").chmod(0o700)
    (repository.root / "link").symlink_to("pkg/model.py")
    (repository.root / "dangling").symlink_to("nothing")
    target = repository.replay(repository.pack().source)
    assert (target / "data.bin").read_bytes() == bytes(range(256))
    assert (target / "crlf.txt").read_bytes() == b"a\r\n"
    assert os.access(target / "run.sh", os.X_OK)
    assert not os.access(target / "train.py", os.X_OK)
    assert [str((target / name).readlink()) for name in ("link", "dangling")] == ["pkg/model.py", "nothing"]
    assert not (target / ".git").exists()


def test_nothing_is_left_beside_what_was_laid_out(repository: UserRepository) -> None:
    target = repository.replay(repository.pack().source)
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")]


def test_a_settings_file_of_the_tree_is_not_obeyed(repository: UserRepository) -> None:
    repository.write(
        {".gitattributes": b"* text eol=crlf ident\n*.u working-tree-encoding=UTF-16\n", "x.u": b"a\n$Id$\n"}
    )
    target = repository.replay(repository.pack().source)
    assert (target / "x.u").read_bytes() == b"a\n$Id$\n"


def test_an_unknown_source_says_where_it_was_looked_for(repository: UserRepository) -> None:
    with pytest.raises(NotFoundError, match="is not in the run store"):
        repository.replay(str(GitSource("0" * 64, "0" * 40)))


def test_a_missing_pack_is_named(repository: UserRepository) -> None:
    source = repository.pack().source
    for pack in repository.store.glob("*.pack"):
        pack.unlink()
    with pytest.raises(NotFoundError, match=r"Pack .*\.pack of source"):
        repository.replay(source)


@pytest.mark.parametrize("kind", ["json", "pack"])
def test_what_is_damaged_is_refused(kind: str, repository: UserRepository) -> None:
    source = repository.pack().source
    (path,) = repository.store.glob(f"*.{kind}")
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidSpecError, match="is damaged"):
        repository.replay(source)


def test_the_tree_must_be_the_one_that_the_document_lists(repository: UserRepository) -> None:
    source = GitSource.parse(repository.pack().source)
    with pytest.raises(InvalidSpecError, match="is not the document of tree"):
        repository.replay(str(GitSource(source.digest, "0" * 40)))


@dataclass(frozen=True)
class Forger:
    """One who can write into the store, with any objects, under digests that fit."""

    repository: UserRepository

    def blob(self, content: bytes = b"x") -> str:
        return self.repository.git("hash-object", "-w", "--stdin", feed=content)

    def tree(self, *entries: tuple[bytes, bytes, str]) -> str:
        content = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(of) for mode, name, of in entries)
        return self.repository.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", feed=content)

    def keep(self, tree: str, **changes: object) -> str:
        objects = self.repository.git("cat-file", "--batch-check=%(objectname)", "--batch-all-objects")
        pack = subprocess.run(
            ["git", "pack-objects", "--stdout", "-q"],
            cwd=self.repository.root,
            input=objects.encode(),
            capture_output=True,
            check=True,
        ).stdout
        digest = self.write(pack, "pack")
        document = {"format": FORMAT, "tree": tree, "object_format": "sha1", "packs": [digest], **changes}
        return str(GitSource(self.write(json.dumps(document).encode(), "json"), tree))

    def write(self, content: bytes, kind: str) -> str:
        self.repository.store.mkdir(exist_ok=True)
        digest = hashlib.sha256(content).hexdigest()
        (self.repository.store / f"{digest}.{kind}").write_bytes(content)
        return digest


@pytest.fixture
def forger(bare_start: UserRepository) -> Forger:
    return Forger(bare_start)


def _refused(forger: Forger, source: str, match: str) -> None:
    forged = forger.repository
    before = {path for path in forged.base.rglob("*") if "laid out" not in str(path)}
    with pytest.raises(InvalidSpecError, match=match):
        forged.replay(source)
    assert {path for path in forged.base.rglob("*") if "laid out" not in str(path)} == before
    assert not [path for path in forged.base.glob("laid out*/**/*") if path.is_file()]


@pytest.mark.parametrize(
    "name", [b"..", b".", b".git", b".GIT", b"../evil", b"/evil", b"a/../../evil", b"", b".git/config"]
)
def test_a_name_that_must_not_be_written_is_refused(name: bytes, forger: Forger) -> None:
    _refused(forger, forger.keep(forger.tree((b"100644", name, forger.blob()))), "is no file that may be written|whole")


def test_a_folder_that_must_not_be_written_is_refused(forger: Forger) -> None:
    inner = forger.tree((b"100644", b"config", forger.blob()))
    for name in (b"..", b".git", b"."):
        _refused(forger, forger.keep(forger.tree((b"40000", name, inner))), "is no file that may be written")


def test_a_file_through_a_link_is_refused(forger: Forger) -> None:
    link, inner = forger.blob(b"/tmp"), forger.tree((b"100644", b"evil-of-ours", forger.blob()))
    _refused(
        forger, forger.keep(forger.tree((b"120000", b"a", link), (b"40000", b"a", inner))), "is a file and a folder"
    )
    assert not Path("/tmp/evil-of-ours").exists()  # noqa: S108


def test_a_name_twice_is_refused(forger: Forger) -> None:
    entry = (b"100644", b"a", forger.blob())
    _refused(forger, forger.keep(forger.tree(entry, entry)), "'a' is no file that may be written")


def test_a_submodule_is_refused(forger: Forger) -> None:
    _refused(forger, forger.keep(forger.tree((b"160000", b"a", "1" * 40))), "'a' is no file that may be written")


def test_all_bad_names_are_listed(forger: Forger) -> None:
    blob = forger.blob()
    source = forger.keep(forger.tree((b"100644", b"..", blob), (b"100644", b".git", blob)))
    with pytest.raises(InvalidSpecError) as caught:
        forger.repository.replay(source)
    assert len(caught.value.faults) == 2


def test_a_link_called_gitmodules_is_refused(forger: Forger) -> None:
    source = forger.keep(forger.tree((b"120000", b".gitmodules", forger.blob())))
    _refused(forger, source, "cannot be laid out|does not lay out")


def test_a_tree_with_a_missing_file_is_refused(forger: Forger) -> None:
    forger.blob()
    source = forger.keep(forger.tree((b"100644", b"a", "1" * 40)))
    _refused(forger, source, "is not whole|cannot be laid out")


def test_a_tree_that_is_not_there_is_refused(forger: Forger) -> None:
    forger.blob()
    _refused(forger, forger.keep("1" * 40), "is not whole")


def test_a_tree_of_billions_of_files_is_refused_soon(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_replay, "MAX_FILES", 1000)
    tree = forger.tree(*[(b"100644", b"%02d" % number, forger.blob()) for number in range(16)])
    for _ in range(10):
        tree = forger.tree(*[(b"40000", b"%02d" % number, tree) for number in range(16)])
    _refused(forger, forger.keep(tree), r"holds more than 537 MB or 1000 files")


def test_a_tree_of_deep_names_is_refused_soon(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_replay, "MAX_LISTING_BYTES", 100_000)
    tree = forger.tree(*[(b"100644", b"%02d" % number + b"x" * 200, forger.blob()) for number in range(16)])
    for _ in range(10):
        tree = forger.tree(*[(b"40000", b"%02d" % number, tree) for number in range(16)])
    _refused(forger, forger.keep(tree), "its list of files is longer")


def test_a_file_that_would_fill_the_disk_is_refused(forger: Forger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_replay, "MAX_PACK_BYTES", 1_000_000)
    source = forger.keep(forger.tree((b"100644", b"a", forger.blob(bytes(2_000_000)))))
    _refused(forger, source, "holds more than 1 MB")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": "other"}, "is not the document"),
        ({"packs": ["../../etc/passwd"]}, "is not the document"),
        ({"packs": 1}, "is no document of ours"),
        ({"object_format": "sha1\n[core]"}, "is not the document"),
        ({"object_format": "sha256"}, "is no pack that git can read|is not whole"),
    ],
)
def test_a_document_of_another_kind_is_refused(changes: dict[str, object], match: str, forger: Forger) -> None:
    _refused(forger, forger.keep(forger.tree((b"100644", b"a", forger.blob())), **changes), match)


def test_a_pack_that_is_none_is_refused(forger: Forger) -> None:
    tree = forger.tree((b"100644", b"a", forger.blob()))
    digest = forger.write(b"nonsense", "pack")
    _refused(forger, forger.keep(tree, packs=[digest]), "is no pack that git can read")
