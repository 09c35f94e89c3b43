"""Code from ssh addresses: a real OpenSSH server, with keys, and a person's own settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launch_sdk.errors import ConflictError, LaunchError
from launch_sdk.sources.git_fetch import FetchedTree, fetch_tree
from launch_sdk.specs.git_address import parse_git_address
from tests.end_to_end.test_git_launch import git
from tests.ssh_server import SSHD, SshServer, serve_ssh

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    SSHD is None or os.geteuid() != 0, reason="needs sshd (Debian: openssh-server), and to start it as root"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with serve_ssh(tmp_path_factory.mktemp("ssh") / "server") as started:
        yield started


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "train.py").write_text("print(1)\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def fetch(url: str, home: Path) -> FetchedTree:
    address = parse_git_address(url, by_hand=True)
    return fetch_tree(address, None, ".", home / "git", home / "store")


def test_both_forms_of_address_are_fetched_with_the_persons_key(
    server: SshServer, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command())
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    for url in (f"ssh://{server.user}@127.0.0.1:{server.port}{repository}", f"{server.user}@box:{repository}"):
        assert fetch(url, tmp_path).source.partition("#")[2] == tree


def test_a_server_whose_key_nobody_has_checked_is_not_trusted(
    server: SshServer, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command(knows_host=False))
    with pytest.raises(ConflictError, match=r"ssh does not know the key of 127\.0\.0\.1"):
        fetch(f"ssh://{server.user}@127.0.0.1:{server.port}{repository}", tmp_path)


def test_a_key_that_the_server_does_not_know_is_told_with_what_to_do(
    server: SshServer, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", server.command(key="other_key"))
    with pytest.raises(LaunchError, match="Add a key that it knows: ssh-add, or IdentityFile"):
        fetch(f"ssh://{server.user}@127.0.0.1:{server.port}{repository}", tmp_path)
