"""The environment lock: what a program runs with, in its run directory."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import launch_sdk
from launch_sdk.tracking import environment

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _install(site: Path, name: str, version: str, direct_url: dict[str, Any] | None = None) -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    if direct_url is not None:
        (folder / "direct_url.json").write_text(json.dumps(direct_url))


def test_it_lists_what_importlib_finds() -> None:
    expected = {(environment.normalised(d.name), d.version) for d in importlib.metadata.distributions()}
    found = environment.capture()
    assert {(package["name"], package["version"]) for package in found["packages"]} == expected
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))


def test_it_says_where_packages_came_from_but_no_password(tmp_path: Path) -> None:
    git = {"url": "https://me:token@host/r.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}, "subdirectory": "p"}
    _install(tmp_path / "site", "Of_Git", "1.0", git)
    _install(tmp_path / "site", "archive", "2", {"url": "https://host/a.tar.gz?key=x", "archive_info": {}})
    local = {"url": f"file://{tmp_path}/my%20code/lib", "dir_info": {"editable": True}}
    _install(tmp_path / "site", "local", "0.1", local)
    (tmp_path / "my code" / "lib").mkdir(parents=True)
    found = environment.installed_packages([str(tmp_path / "site")], str(tmp_path / "my code"))
    assert found == [
        {"name": "archive", "version": "2", "url": "https://host/a.tar.gz"},
        {"name": "local", "version": "0.1", "url": local["url"], "editable": True, "path": "lib"},
        {
            "name": "of-git",
            "version": "1.0",
            "url": "https://host/r.git",
            "vcs": "git",
            "commit": "abc",
            "subdirectory": "p",
        },
    ]


def test_of_two_packages_with_one_name_the_first_on_the_path_counts(tmp_path: Path) -> None:
    _install(tmp_path / "a", "six", "1.16.0")
    _install(tmp_path / "b", "six", "1.17.0")
    paths = [str(tmp_path / name) for name in ("missing", "a", "b")]
    assert environment.installed_packages(paths) == [{"name": "six", "version": "1.16.0"}]


def test_a_folder_of_an_egg_says_its_version_inside(tmp_path: Path) -> None:
    (tmp_path / "demo.egg-info").mkdir()
    (tmp_path / "demo.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 3.1\n\nText: no")
    (tmp_path / "old-2.0-py3.11.egg-info").write_text("Name: old\nVersion: 2.0\n")
    assert [p["version"] for p in environment.installed_packages([str(tmp_path)])] == ["3.1", "2.0"]


def test_damaged_folders_and_documents_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "nameless.egg-info").mkdir()
    _install(tmp_path, "list", "1")
    (tmp_path / "list-1.dist-info" / "direct_url.json").write_text("[1]")
    _install(tmp_path, "none", "1", {"url": "https://host", "vcs_info": None, "dir_info": None})
    (tmp_path / "torn-1.dist-info").mkdir()
    (tmp_path / "torn-1.dist-info" / "direct_url.json").write_bytes(b'{"url": "\xff')
    names = [package["name"] for package in environment.installed_packages([str(tmp_path)])]
    assert names == ["list", "none", "torn"]


def test_gpus_are_named_by_their_driver(tmp_path: Path) -> None:
    for number in (0, 1):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
        (tmp_path / f"0000:0{number}:00.0" / "information").write_text("Model: \t\t NVIDIA A100\nIRQ: 5\n")
    assert environment.gpu_names(str(tmp_path)) == ["NVIDIA A100"] * 2
    assert environment.gpu_names(str(tmp_path / "missing")) == []


def test_the_first_log_of_a_run_records_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with launch_sdk.init() as run:
        assert environment.read(run.dir) == {}
        run.log({"loss": 1})
        assert environment.read(run.dir)["packages"]
    with launch_sdk.init() as run:
        pass
    assert environment.read(run.dir)["executable"] == sys.executable


def test_what_the_supervisor_wrote_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_RUN_DIR", str(tmp_path))
    said = {"prefix": sys.prefix, "differs": ["six 1 -> 2"], "from": "requirements.txt", "packages": []}
    (tmp_path / "environment.json").write_text(json.dumps(said))
    with launch_sdk.init():
        pass
    assert environment.read(tmp_path) == said
    (tmp_path / "environment.json").write_text(json.dumps({**said, "prefix": "/elsewhere"}))
    with launch_sdk.init():
        pass
    found = environment.read(tmp_path)
    assert (found["prefix"], found["differs"], found["from"]) == (sys.prefix, said["differs"], said["from"])
    assert found["packages"]


def test_neither_init_nor_the_lock_imports_what_is_slow(tmp_path: Path) -> None:
    code = (
        "import sys, launch_sdk; launch_sdk.init(); assert 'launch_sdk.tracking.environment' not in sys.modules;"
        "launch_sdk.log({'a': 1}); print({'importlib.metadata', 'urllib.parse', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
