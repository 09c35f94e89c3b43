"""A real Docker engine for tests, and images that are made without a registry. Without one its tests are skipped."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.containers.base_images import present
from launch_sdk.containers.engine import Engine, connect
from launch_sdk.errors import LaunchError

BASE = "launch-base:bookworm"  # Python, and nothing of ours; `scripts/engine up` makes it
SHELL = "launch-tests-shell:1"  # a shell and a few commands of this machine, and no Python
NO_ENGINE = "NO DOCKER ENGINE, or no base image on it: scripts/engine up PIDFILE"


@cache
def engine() -> Engine:
    """Give this machine's engine; a test that asks for it is skipped where none answers."""
    try:
        found = connect()
    except LaunchError as error:
        pytest.skip(f"{NO_ENGINE}. {error}")
    if present(found.api, BASE) is None:
        pytest.skip(f"{NO_ENGINE}. There is no {BASE}")
    return found


def import_files(api: Any, name: str, files: Mapping[str, bytes | Path], changes: Sequence[str] = ()) -> str:
    """Make an image of files, by their paths in it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            body = data.read_bytes() if isinstance(data, Path) else data
            entry.size, entry.mode = len(body), 0o755
            tar.addfile(entry, io.BytesIO(body))
        for folder in ("tmp", "proc", "dev", "sys", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
    repository, _, tag = name.rpartition(":")
    api.import_image_from_data(content.getvalue(), repository=repository, tag=tag, changes=list(changes))
    return name


def shell_image(api: Any) -> str:
    """Give an image with a shell and no Python, made of this machine's own programs."""
    if present(api, SHELL) is None:
        programs = ("sh", "sleep", "cat", "ln", "mkfifo", "id", "ls", "touch", "rm", "env")
        files: dict[str, bytes | Path] = {}
        for program in programs:
            path = Path(str(shutil.which(program))).resolve()
            files[f"/bin/{program}"] = path
            shown = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
            files |= {name: Path(name).resolve() for name in re.findall(r"(/\S+) \(0x", shown)}
        import_files(api, SHELL, files, ["ENV PATH=/bin"])
    return SHELL


def foreign_image(api: Any, name: str, architecture: str) -> str:
    """Make an image that says that it is for another kind of machine."""
    layer, image = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w"):
        pass
    import hashlib

    body = layer.getvalue()
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/none"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(body).hexdigest()}"]},
    }
    text = json.dumps(config).encode()
    named = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = json.dumps([{"Config": named, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(fileobj=image, mode="w") as tar:
        for path, data in (("manifest.json", manifest), (named, text), ("layer.tar", body)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    api.load_image(image.getvalue())
    return name


def image_with_packages(api: Any, name: str, folder: Path, packages: Sequence[str]) -> str:
    """Give an image with the base's Python and packages from the cache of uv, in one layer."""
    if present(api, name) is None:
        uv = str(Path(sys.executable).with_name("uv"))
        python = re.search(r"(\d+\.\d+)", str(api_python(api)))
        version = python[1] if python else "3.11"
        install = [uv, "pip", "install", "-q", "--target", str(folder / "packages"), "--python-version", version]
        subprocess.run([*install, "--only-binary", ":all:", *packages], check=True, timeout=300)
        (folder / "Dockerfile").write_text(f"FROM {BASE}\nCOPY packages /opt/packages\nENV PYTHONPATH=/opt/packages\n")
        with contextlib.closing(io.BytesIO()) as content:
            with tarfile.open(fileobj=content, mode="w") as tar:
                tar.add(folder, ".")
            content.seek(0)
            said = list(api.build(fileobj=content, custom_context=True, tag=name, decode=True, rm=True))
        assert present(api, name) is not None, said[-3:]
    return name


@cache
def api_python(api: Any) -> str:
    """Say which Python the base image has."""
    made = api.create_container(BASE, ["python3", "--version"])["Id"]
    try:
        api.start(made)
        api.wait(made)
        return str(api.logs(made).decode())
    finally:
        api.remove_container(made, force=True)


def containers_of(api: Any, word: str) -> list[str]:
    """Name the containers, running or not, whose name holds a word."""
    return [name for one in api.containers(all=True) for name in one["Names"] if word in name]


@dataclass
class OwnEngine:
    """A dockerd of a test's own, which it may kill."""

    process: subprocess.Popen[bytes]
    address: str
    command: list[str]
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it again, as after a kill; where nobody reaps the dead, its containerd still seems to live."""
        for pidfile in Path(self.address.removeprefix("unix://")).parent.rglob("*pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(pidfile.read_text()), 9)
            pidfile.unlink()
        self.process = _dockerd(self.command, self.log, self.address)


def _dockerd(command: list[str], log: Path, address: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(LaunchError):
            connect(address).close()
            return process
        time.sleep(0.1)
    process.kill()
    pytest.skip(f"a second dockerd does not start here: {log.read_text()[-300:]}")


@contextlib.contextmanager
def own_engine(folder: Path) -> Generator[OwnEngine]:
    """Start a second engine, with no network and data of its own; all that it ran ends with the block."""
    engine()
    if os.getuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("NO SECOND DOCKER ENGINE: only root can start one")
    place = Path(f"/tmp/launch-engine-{os.getpid()}-{time.monotonic_ns() % 10**6}")  # noqa: S108  # a short path, for a socket
    place.mkdir(mode=0o700)
    address = f"unix://{place}/d.sock"
    # In a network of its own: a dockerd without a bridge takes away the one that another has made.
    command = ["unshare", "--net", "dockerd", "--data-root", str(place / "data"), "--exec-root", str(place / "exec")]
    command += ["--pidfile", str(place / "pid"), "-H", address, "--bridge", "none", "--iptables=false"]
    own = OwnEngine(_dockerd(command, folder / "dockerd.log", address), address, command, folder / "dockerd.log")
    try:
        yield own
    finally:
        with contextlib.suppress(Exception):
            api = connect(address).api
            for one in api.containers(all=True):
                api.remove_container(one["Id"], force=True)
        own.process.terminate()
        try:
            own.process.wait(20)
        except subprocess.TimeoutExpired:
            own.kill()
        for pidfile in place.rglob("*.pid"):  # the containerd that a killed dockerd has left
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(pidfile.read_text()), 9)
        for mounted in sorted({*place.rglob("merged"), *place.rglob("rootfs"), *place.rglob("netns/*")}, reverse=True):
            subprocess.run(["umount", "-l", str(mounted)], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(place, ignore_errors=True)
