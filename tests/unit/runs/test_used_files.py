"""A repeated run gets the files that the run before had used."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.runs.used_files import hand_over, lock_of
from launch_sdk.tracking import files

TEXT = b"a,b\n"
DIGEST = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    (tmp_path / "run").mkdir()
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


def used(url: str | None, **more: Any) -> dict[str, Any]:
    return {"name": "data", "url": url, "sha256": DIGEST, "bytes": len(TEXT), **more}


def handed(run: RunDirectory) -> dict[str, Any]:
    return json.loads((run.path / "used_files.json").read_text())["files"]


def test_a_file_comes_from_the_store_though_it_has_changed_where_it_was(
    run: RunDirectory, store: RunStore, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(TEXT)
    with files.opened(str(data)) as source:
        files.keep(source, store.path / "files")
    data.write_bytes(b"changed")
    hand_over({"files": [used(files.file_url(str(data)))]}, run, store)
    assert Path(handed(run)["data"]["path"]).read_bytes() == TEXT


def test_a_file_that_was_too_large_for_the_store_is_checked_where_it_is(
    run: RunDirectory, store: RunStore, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_bytes(TEXT)
    hand_over({"files": [used(data.as_uri())]}, run, store)
    assert handed(run)["data"]["path"] == str(data)


def test_every_file_that_changed_or_is_gone_is_named_at_once(
    run: RunDirectory, store: RunStore, tmp_path: Path
) -> None:
    (tmp_path / "changed").write_bytes(b"x")
    lock = {
        "files": [
            used((tmp_path / "changed").as_uri(), name="one"),
            used((tmp_path / "gone").as_uri(), name="two"),
            used("ftp://h/x", name="three"),
            used(None, name="four"),
            {"name": "five", "sha256": "../../etc/passwd"},
            "six",
        ]
    }
    with pytest.raises(InvalidSpecError) as told:
        hand_over(lock, run, store)
    said = {fault.path: fault.message for fault in told.value.faults}
    assert "has changed since: SHA-256" in said["one"]
    assert "No such file or directory. Put it back there, or launch the directory" in said["two"]
    assert "not with 'ftp'" in said["three"]
    assert "cannot be had from anywhere" in said["four"]
    assert len(told.value.faults) == 6


def test_a_damaged_copy_in_the_store_is_not_used(run: RunDirectory, store: RunStore, tmp_path: Path) -> None:
    (store.path / "files").mkdir(parents=True)
    (store.path / "files" / DIGEST).write_bytes(b"damaged")
    data = tmp_path / "data.csv"
    data.write_bytes(TEXT)
    hand_over({"files": [used(data.as_uri())]}, run, store)
    assert handed(run)["data"]["path"] == str(data)


@contextmanager
def serving(folder: Path) -> Generator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_url_is_fetched_checked_and_kept(run: RunDirectory, store: RunStore, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="fsspec needs it for http")
    (tmp_path / "data.csv").write_bytes(TEXT)
    with serving(tmp_path) as address:
        hand_over({"files": [used(f"{address}/data.csv")]}, run, store)
        assert Path(handed(run)["data"]["path"]).read_bytes() == TEXT
        with pytest.raises(InvalidSpecError, match="cannot be had from"):
            hand_over({"files": [used(f"{address}/gone.csv", sha256="0" * 64)]}, run, store)
    hand_over({"files": [used(f"{address}/data.csv")]}, run, store)  # nobody has to serve it any more


def test_what_a_run_used_is_part_of_what_it_ran_with(run: RunDirectory) -> None:
    assert lock_of(run.path) == {}
    run.records.write_text(json.dumps({"time": 1, "use_file": used("file:///x")}) + "\n")
    (run.path / "environment.json").write_text('{"python": "3.11.7"}')
    assert lock_of(run.path) == {"python": "3.11.7", "files": [used("file:///x")]}
