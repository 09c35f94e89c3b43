"""Files that a run uses and makes."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import launch_sdk as launch
from launch_sdk.tracking import files, protocol

TEXT = b"a,b\n1,2\n"
DIGEST = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    (tmp_path / "data.csv").write_bytes(TEXT)


def test_a_used_file_is_recorded_by_its_digest_and_kept(tmp_path: Path) -> None:
    with launch.init() as run:
        assert run.use_file("data.csv") == str(tmp_path / "data.csv")
        assert run.use_file(tmp_path / "data.csv", name="again") == str(tmp_path / "data.csv")
    url = f"file://{tmp_path}/data.csv"
    wanted = {"url": url, "sha256": DIGEST, "bytes": len(TEXT)}
    assert protocol.read_snapshot(run.dir).used_files == {
        "data.csv": {"name": "data.csv", **wanted},
        "again": {"name": "again", **wanted},
    }
    kept = tmp_path / "home" / "store" / "files" / DIGEST
    assert kept.read_bytes() == TEXT
    assert not kept.stat().st_mode & 0o222
    assert [path.name for path in kept.parent.iterdir()] == [DIGEST]


def test_a_large_file_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_KEPT_BYTES", 3)
    with launch.init() as run:
        run.use_file("data.csv")
    assert protocol.read_snapshot(run.dir).used_files["data.csv"]["sha256"] == DIGEST
    assert not (tmp_path / "home" / "store").exists()


def test_a_file_url_is_a_path_and_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "a b%ö\n.csv"
    odd.write_bytes(TEXT)
    with launch.init() as run:
        assert run.use_file(files.file_url(str(odd))) == str(odd)
        assert run.use_file(f"file://localhost{tmp_path}/data.csv") == str(tmp_path / "data.csv")


def test_a_logged_file_is_copied_as_it_was(tmp_path: Path) -> None:
    with launch.init() as run:
        copy = run.log_file("data.csv", name="result")
        (tmp_path / "data.csv").write_bytes(b"changed")
        again = run.log_file("data.csv", name="result")
    assert Path(copy).read_bytes() == TEXT
    assert Path(again).read_bytes() == b"changed"
    record = protocol.read_snapshot(run.dir).logged_files["result"]
    assert Path(run.dir, record["path"]) == Path(again)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with launch.init() as run:
        for name, error in (("gone", FileNotFoundError), (".", IsADirectoryError), ("pipe", OSError)):
            with pytest.raises(error):
                run.use_file(name)
            with pytest.raises(error):
                run.log_file(name)
    assert protocol.read_snapshot(run.dir).used_files == {}
    with pytest.raises(ValueError, match="on the finished run"):
        run.use_file("data.csv")


@pytest.mark.parametrize(
    "url", ["ext::x://y", "memory://x", "simplecache::https://h/x", "github://a:b@/c", "ssh://h/x"]
)
def test_a_url_of_another_scheme_is_refused(url: str) -> None:
    with launch.init() as run, pytest.raises(ValueError, match="a URL begins with one of file, http"):
        run.use_file(url)


def test_without_fsspec_a_url_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with (
        launch.init() as run,
        pytest.raises(ImportError, match=r"https://h/x needs fsspec.*launch-sdk\[files\]") as told,
    ):
        run.use_file("https://me:hunter2@h/x?token=1")
    assert "hunter2" not in str(told.value)


def test_what_a_supervisor_has_found_is_used_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: dict[str, Any] = {"url": "s3://b/data.csv", "sha256": DIGEST, "bytes": len(TEXT), "path": "/kept/it"}
    run_dir = tmp_path / "the run"
    run_dir.mkdir()
    monkeypatch.setenv("LAUNCH_RUN_DIR", str(run_dir))
    store = str(tmp_path / "shared")
    document = {"version": 1, "store": store, "files": {"data.csv": handed}}
    (run_dir / protocol.USED_FILES).write_text(json.dumps(document))
    with launch.init() as run:
        assert run.use_file("data.csv") == "/kept/it"
        run.use_file(tmp_path / "data.csv", name="other")
    used = protocol.read_snapshot(run.dir).used_files
    assert used["data.csv"] == {"name": "data.csv", "url": "s3://b/data.csv", "sha256": DIGEST, "bytes": len(TEXT)}
    assert os.listdir(store) == [DIGEST]  # noqa: PTH208
