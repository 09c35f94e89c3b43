"""Packing a directory and laying it out again: exact, reproducible, and deaf to hostile archives."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from launch_sdk.errors import ConflictError, InvalidSpecError, NotFoundError
from launch_sdk.sources.capture_rules import MAX_FILE_BYTES, MAX_PACK_BYTES
from launch_sdk.sources.directory import Pack, origin_of_pack, pack_directory, unpack


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    _write(directory, {"train.py": b"print(1)\n", "pkg/model.py": b"x = 1\n"})
    return directory


def _write(directory: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _git(directory: Path, *words: str) -> None:
    settings_ = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *settings_, *words], cwd=directory, check=True, capture_output=True)


def _names(pack: Pack, store: Path, tmp_path: Path) -> set[str]:
    target = tmp_path / "laid-out"
    unpack(pack.source, store, target)
    return {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_symlink() or p.is_file()}


def _keep(store: Path, content: bytes) -> str:
    """Put any bytes into the store under their own digest, as an attacker with access to it could."""
    store.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    (store / f"{digest}.tar").write_bytes(content)
    return f"sha256:{digest}"


def _archive(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def _file(name: str, size: int = 1) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_bytes_modes_and_links_come_back(code: Path, store: Path, tmp_path: Path) -> None:
    _write(code, {"data.bin": bytes(range(256)), "run.sh": b"#!/bin/sh\n", "empty": b""})
    (code / "run.sh").chmod(0o700)
    (code / "link").symlink_to("pkg/model.py")
    (code / "pkg/up").symlink_to("../train.py")
    (code / "folder-link").symlink_to("pkg")
    (code / "dangling").symlink_to("nothing")
    pack = pack_directory(code, store)
    target = tmp_path / "out"
    unpack(pack.source, store, target)
    assert not pack.origin.left_out
    assert (target / "data.bin").read_bytes() == bytes(range(256))
    assert (target / "empty").read_bytes() == b""
    assert (target / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (target / "train.py").stat().st_mode & 0o777 == 0o644
    links = ("link", "pkg/up", "folder-link", "dangling")
    assert [str((target / name).readlink()) for name in links] == ["pkg/model.py", "../train.py", "pkg", "nothing"]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda name: name not in {".", ".."} and len(name.encode()) < 200)


@given(files=st.dictionaries(NAMES | st.sampled_from(["a\nb", " x ", "naïve é", "-rf", "*"]), st.binary(max_size=64)))
@settings(deadline=None, max_examples=15, phases=[Phase.explicit, Phase.generate], derandomize=True)
def test_any_names_and_bytes_come_back(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("pack")
    for name, content in files.items():
        (base / "code" / "sub").mkdir(parents=True, exist_ok=True)
        (base / "code" / "sub" / name).write_bytes(content)
    (base / "code").mkdir(exist_ok=True)
    pack = pack_directory(base / "code", base / "store")
    unpack(pack.source, base / "store", base / "out")
    found = {p.name: p.read_bytes() for p in (base / "out").rglob("*") if p.is_file()}
    assert found == {name: content for name, content in files.items() if f"sub/{name}" not in pack.origin.left_out}


def test_a_name_that_is_no_utf8_comes_back(code: Path, store: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    _write(code, {name: b"1"})
    assert name in _names(pack_directory(code, store), store, tmp_path)


def test_the_same_content_has_the_same_digest_anywhere(code: Path, store: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "copy"
    _write(other, {"pkg/model.py": b"x = 1\n", "train.py": b"print(1)\n"})
    os.utime(other / "train.py", (1, 1))
    (other / "train.py").chmod(0o600)
    assert pack_directory(code, store).source == pack_directory(other, tmp_path / "store2").source
    assert pack_directory(code, store).source == pack_directory(code, store).source
    assert len(list(store.iterdir())) == 1


@pytest.mark.parametrize("change", [{"train.py": b"print(2)\n"}, {"new.py": b""}])
def test_other_content_has_another_digest(change: dict[str, bytes], code: Path, store: Path) -> None:
    before = pack_directory(code, store).source
    _write(code, change)
    assert pack_directory(code, store).source != before


def test_hard_links_are_packed_as_the_files_that_they_are(code: Path, store: Path, tmp_path: Path) -> None:
    copied = pack_directory(code, store).source
    (code / "pkg/model.py").unlink()
    (code / "pkg/model.py").hardlink_to(code / "train.py")
    unpack(pack_directory(code, store).source, store, tmp_path / "out")
    assert (tmp_path / "out/pkg/model.py").read_bytes() == b"print(1)\n"
    (code / "pkg/model.py").unlink()
    (code / "pkg/model.py").write_bytes(b"x = 1\n")
    assert pack_directory(code, store).source == copied


def test_a_git_work_tree_gives_what_git_sees(code: Path, store: Path, tmp_path: Path) -> None:
    _git(code, "init")
    _write(code, {".gitignore": b"*.log\nbuild/\n", "a.log": b"", "build/x": b"", "gone.py": b"", "sub/new.py": b""})
    _git(code, "add", "train.py", ".gitignore", "gone.py")
    _git(code, "commit", "-m", "one")
    (code / "gone.py").unlink()
    _write(code, {"naïve\nname.py": b"", "wandb/run/x": b"", "__pycache__/x.pyc": b"", ".venv/bin/x": b""})
    _write(code, {"launch/run-1-a/metadata.json": b"{}"})
    pack = pack_directory(code, store)
    expected = {"train.py", ".gitignore", "pkg/model.py", "sub/new.py", "naïve\nname.py"}
    assert _names(pack, store, tmp_path) == expected


def test_a_folder_of_a_work_tree_is_packed_alone(code: Path, store: Path, tmp_path: Path) -> None:
    _git(code, "init")
    _git(code, "add", ".")
    assert _names(pack_directory(code / "pkg", store), store, tmp_path) == {"model.py"}


def test_an_ignored_folder_is_packed_when_it_is_what_was_named(code: Path, store: Path, tmp_path: Path) -> None:
    _git(code, "init")
    _write(code, {".gitignore": b"*\n"})
    assert "model.py" in _names(pack_directory(code / "pkg", store), store, tmp_path)


def test_outside_git_what_patterns_name_is_not_packed(code: Path, store: Path, tmp_path: Path) -> None:
    _write(code, {"a.log": b"", "pkg/b.log": b"", "pkg/c.tmp": b"", "data/x.bin": b"", "keep.tmp": b"", ".venv/x": b""})
    _write(code, {".gitignore": b"*.log\n", "pkg/.gitignore": b"*.tmp\n", ".launchignore": b"data/\n"})
    patterns = {".gitignore", "pkg/.gitignore", ".launchignore"}
    assert _names(pack_directory(code, store), store, tmp_path) == {"train.py", "pkg/model.py", "keep.tmp", *patterns}


def test_a_repository_inside_is_left_out_with_a_reason(code: Path, store: Path) -> None:
    _git(code, "init")
    _write(code, {"inner/x.py": b""})
    _git(code / "inner", "init")
    assert pack_directory(code, store).origin.left_out == {"inner": "is another git repository"}


def test_caches_environments_and_earlier_runs_are_not_packed(code: Path, store: Path, tmp_path: Path) -> None:
    _write(code, {f"{name}/x": b"" for name in ("__pycache__", ".venv", "wandb", "node_modules", "pkg/.mypy_cache")})
    _write(code, {"launch/run-1-a/metadata.json": b"{}"})
    assert _names(pack_directory(code, store), store, tmp_path) == {"train.py", "pkg/model.py"}


def test_a_folder_of_code_that_is_called_launch_is_packed(code: Path, store: Path, tmp_path: Path) -> None:
    _write(code, {"launch/run.py": b""})
    assert "launch/run.py" in _names(pack_directory(code, store), store, tmp_path)


def test_a_store_inside_the_directory_is_not_packed_into_itself(code: Path) -> None:
    home = code / "home"
    first = pack_directory(code, home / "store", leave_out=(home,))
    assert pack_directory(code, home / "store", leave_out=(home,)).source == first.source


def test_a_directory_inside_a_hidden_folder_can_be_packed(code: Path, store: Path, tmp_path: Path) -> None:
    pack = pack_directory(code, store, leave_out=(tmp_path, code))
    assert _names(pack, store, tmp_path) == {"train.py", "pkg/model.py"}


@pytest.mark.parametrize("name", [".env", "sub/id_rsa", ".netrc", ".git-credentials"])
def test_what_looks_like_a_secret_is_left_out(name: str, code: Path, store: Path, tmp_path: Path) -> None:
    _write(code, {name: b"secret"})
    pack = pack_directory(code, store)
    assert pack.origin.left_out == {name: f"looks like a secret; take it with !{name} in .launchignore"}
    assert name not in _names(pack, store, tmp_path)
    assert origin_of_pack(pack.source, store) == pack.origin


def test_left_out_files_can_be_taken(code: Path, store: Path, tmp_path: Path) -> None:
    _write(code, {".env": b"secret", ".launchignore": b"!.env\n"})
    pack = pack_directory(code, store)
    assert not pack.origin.left_out
    assert ".env" in _names(pack, store, tmp_path)


def test_a_folder_of_secrets_alone_is_an_empty_pack(store: Path, tmp_path: Path) -> None:
    _write(tmp_path / "alone", {".env": b"secret"})
    assert _names(pack_directory(tmp_path / "alone", store), store, tmp_path) == set()


def test_a_large_file_is_left_out(code: Path, store: Path, tmp_path: Path) -> None:
    with (code / "weights.bin").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    pack = pack_directory(code, store)
    assert list(pack.origin.left_out) == ["weights.bin"]
    assert "weights.bin" not in _names(pack, store, tmp_path)


def test_whoever_may_read_a_store_may_read_its_packs(code: Path, store: Path) -> None:
    store.mkdir()
    for store_mode, mode in ((0o755, 0o644), (0o750, 0o640), (0o700, 0o600)):
        store.chmod(store_mode)
        digest = pack_directory(code, store).source.removeprefix("sha256:")
        assert stat.S_IMODE((store / f"{digest}.tar").stat().st_mode) == mode


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "pkg/../..", "pkg/../../etc", ".."])
def test_a_link_that_leads_out_is_left_out(target: str, code: Path, store: Path) -> None:
    (code / "link").symlink_to(target)
    assert pack_directory(code, store).origin.left_out == {"link": "is a link out of the directory"}


def test_pipes_and_sockets_are_left_out(code: Path, store: Path) -> None:
    os.mkfifo(code / "pipe")
    assert pack_directory(code, store).origin.left_out == {"pipe": "is not a file"}


def test_too_much_is_refused_and_the_largest_files_are_named(code: Path, store: Path) -> None:
    with (code / "weights.bin").open("wb") as file:
        file.truncate(MAX_PACK_BYTES + 1)
    (code / ".launchignore").write_text("!weights.bin\n")
    with pytest.raises(InvalidSpecError, match=r"more than 537 MB.*weights\.bin \(537 MB\)"):
        pack_directory(code, store)
    assert not store.exists()


def test_a_directory_that_does_not_exist_is_named(store: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere does not exist"):
        pack_directory(tmp_path / "nowhere", store)


def test_many_pack_the_same_directory_at_once(code: Path, store: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        packs = [pack.source for pack in pool.map(pack_directory, [code] * 12, [store] * 12)]
    assert len(set(packs)) == 1
    assert [path.name for path in store.iterdir()] == [f"{packs[0].removeprefix('sha256:')}.tar"]


def test_a_file_that_keeps_growing_is_an_error_and_leaves_no_pack(code: Path, store: Path) -> None:
    log = code / "grows.log"
    log.write_bytes(b"x" * 8_000_000)
    end = threading.Event()

    def grow() -> None:
        with log.open("ab") as file:
            while not end.is_set():
                file.write(b"x")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(ConflictError, match=r"grows\.log changed while it was packed"):
            pack_directory(code, store)
    finally:
        end.set()
        writer.join()
    assert not list(store.iterdir())


def test_files_that_come_and_go_give_a_pack_or_a_clear_error(code: Path, store: Path) -> None:
    end = threading.Event()
    flickering = code / "flickers"

    def flicker() -> None:
        while not end.is_set():
            flickering.write_bytes(b"x")
            flickering.unlink()

    other = threading.Thread(target=flicker)
    other.start()
    try:
        for _ in range(40):
            try:
                assert pack_directory(code, store).source
            except ConflictError as error:
                assert "flickers" in str(error)  # noqa: PT017  # whether it happens depends on the moment
    finally:
        end.set()
        other.join()
    assert not [path for path in store.iterdir() if path.name.startswith(".packing")]


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([_file("../evil")], id="parent"),
        pytest.param([_file("a/../../evil")], id="parent below"),
        pytest.param([_file("/tmp/evil-of-ours")], id="absolute"),  # noqa: S108  # it must not be written
        pytest.param([_special("a", tarfile.SYMTYPE, "/etc")], id="absolute link"),
        pytest.param([_special("a", tarfile.SYMTYPE, "..")], id="link out"),
        pytest.param([_special("a", tarfile.SYMTYPE, "."), _file("a/x")], id="file through a link"),
        pytest.param([_file("a/x"), _special("a", tarfile.SYMTYPE, ".")], id="link after its file"),
        pytest.param(
            [_special("a", tarfile.SYMTYPE, "."), _special("b", tarfile.SYMTYPE, "a/../..")], id="out through a link"
        ),
        pytest.param(
            [_special("d/a", tarfile.SYMTYPE, ".."), _special("d/b", tarfile.SYMTYPE, "a/../..")], id="link by link"
        ),
        pytest.param([_file("a"), _special("b", tarfile.LNKTYPE, "a")], id="hard link"),
        pytest.param([_special("b", tarfile.LNKTYPE, "/etc/passwd")], id="hard link out"),
        pytest.param([_special("a", tarfile.CHRTYPE)], id="device"),
        pytest.param([_special("a", tarfile.FIFOTYPE)], id="pipe"),
        pytest.param([_file(".")], id="the target itself"),
        pytest.param([_special(".", tarfile.SYMTYPE, "x")], id="a link as the target"),
    ],
)
def test_a_hostile_archive_is_refused_before_anything_is_written(
    members: list[tarfile.TarInfo], store: Path, tmp_path: Path
) -> None:
    source = _keep(store, _archive(*members))
    with pytest.raises(InvalidSpecError, match="leaves the directory"):
        unpack(source, store, tmp_path / "deep" / "out")
    assert [p for p in (tmp_path / "deep").rglob("*") if p.name != "out"] == []
    assert not Path("/tmp/evil-of-ours").exists()  # noqa: S108


def test_an_archive_that_would_fill_the_disk_is_refused(store: Path, tmp_path: Path) -> None:
    header = bytearray(_special("bomb", tarfile.GNUTYPE_SPARSE).tobuf())
    header[483:495] = b"%011o\0" % (MAX_PACK_BYTES + 1)  # the size that a sparse file has once it is laid out
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    source = _keep(store, bytes(header) + bytes(1024))
    with pytest.raises(InvalidSpecError, match="holds more than"):
        unpack(source, store, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100, _archive(_file("a", 5000))[:700]])
def test_what_is_no_archive_is_refused(content: bytes, store: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="is no pack of ours"):
        unpack(_keep(store, content), store, tmp_path / "out")


def test_a_damaged_pack_is_refused(code: Path, store: Path, tmp_path: Path) -> None:
    pack = pack_directory(code, store)
    path = store / f"{pack.source.removeprefix('sha256:')}.tar"
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidSpecError, match="is damaged"):
        unpack(pack.source, store, tmp_path / "out")


@pytest.mark.parametrize("source", ["", "sha256:", "sha256:xyz", "sha256:" + "g" * 64, "../" * 20 + "etc/passwd"])
def test_a_malformed_digest_is_refused(source: str, store: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="64 hexadecimal digits"):
        unpack(source, store, tmp_path / "out")


def test_an_unknown_digest_says_where_it_was_looked_for(store: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is not in the run store"):
        unpack("sha256:" + "0" * 64, store, tmp_path / "out")
