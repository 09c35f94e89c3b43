"""Real git repositories, made as a user makes them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from launch_sdk.sources.capture_rules import CaptureRules
from launch_sdk.sources.git_capture import Capture, capture
from launch_sdk.sources.git_pack import PackedCapture, pack_work_tree
from launch_sdk.sources.git_replay import replay
from launch_sdk.sources.packed import GitSource

USER_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_ALLOW_PROTOCOL": "file",
}


@dataclass(frozen=True)
class UserRepository:
    """A user's repository, and where its captures go.

    Attributes:
        root: its work tree.
        base: a folder around it.
    """

    root: Path
    base: Path

    def git(self, *words: str | Path, feed: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.root, env=USER_ENVIRONMENT, input=feed, capture_output=True, check=True
        )
        return done.stdout.decode(errors="surrogateescape").strip()

    def write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def commit(self, message: str = "more") -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def other(self, name: str) -> UserRepository:
        """Name another repository beside this one, which shares the places of captures."""
        return UserRepository(self.base / name, self.base)

    def clone(self, name: str, *options: str) -> UserRepository:
        self.git("clone", "-q", *options, self.root.as_uri(), self.base / name)
        return self.other(name)

    @property
    def store(self) -> Path:
        return self.base / "store"

    def capture(self, rules: CaptureRules | None = None, directory: str = ".") -> Capture:
        return capture(self.root / directory, self.base / "captures", rules)

    def pack(self, rules: CaptureRules | None = None, directory: str = ".") -> PackedCapture:
        return pack_work_tree(self.root / directory, self.base / "captures", self.store, rules)

    def replay(self, source: str) -> Path:
        target = self.base / f"laid out {len(list(self.base.glob('laid out*')))}"
        replay(GitSource.parse(source), self.store, target)
        return target

    def names(self, rules: CaptureRules | None = None) -> set[str]:
        """Capture, lay out, and name what is there."""
        target = self.replay(self.pack(rules).source)
        return {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_symlink() or not p.is_dir()}


@pytest.fixture
def repository(tmp_path: Path) -> UserRepository:
    """A repository with one commit and nothing else."""
    made = empty(tmp_path / "work")
    made.write({"train.py": b"print(1)\n", "pkg/model.py": b"x = 1\n"})
    made.commit("one")
    return made


@pytest.fixture
def bare_start(tmp_path: Path) -> UserRepository:
    """A repository with no commit and no file."""
    return empty(tmp_path / "work")


def empty(root: Path) -> UserRepository:
    root.mkdir()
    made = UserRepository(root, root.parent)
    made.git("init", "-q", "-b", "main")
    return made
