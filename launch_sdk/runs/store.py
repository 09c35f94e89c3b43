"""The run store: where packed sources are kept, by their digest, for every agent that may need them."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from launch_sdk.errors import NotFoundError
from launch_sdk.runs.home import launch_home
from launch_sdk.sources.capture_rules import CaptureRules
from launch_sdk.sources.directory import Pack, origin_of_pack, pack_directory, unpack
from launch_sdk.sources.git_fetch import FetchedTree, fetch_tree
from launch_sdk.sources.git_pack import PackedCapture, files_of, origin_of_tree, pack_work_tree
from launch_sdk.sources.git_replay import replay
from launch_sdk.sources.packed import GIT, IMAGE, GitSource, file_of, is_packed, program_directory
from launch_sdk.sources.store_files import new_file
from launch_sdk.specs.git_address import GitAddress


@dataclass(frozen=True, slots=True)
class RunStore:
    """A folder that the machines which submit runs and those which run them all see.

    Attributes:
        path: the folder; `LAUNCH_HOME/store` where no `run-store` block says otherwise.
    """

    path: Path

    @classmethod
    def local(cls) -> RunStore:
        return cls(launch_home() / "store")

    @property
    def sources(self) -> Path:
        return self.path / "sources"

    def put_directory(self, directory: Path, rules: CaptureRules | None = None) -> Pack:
        """Keep a directory as it is now; the same content is kept once.

        In a git work tree the whole of it is captured, and programs start in the directory; elsewhere, and where git
        ignores the directory, it is packed alone.

        Args:
            directory: any folder.
            rules: what to leave out; LAUNCH_HOME and the store are left out anyway.

        Raises:
            NotFoundError, InvalidSpecError, ConflictError: as `capture` and `pack_directory` do.
        """
        captured = self.put_work_tree(directory, rules)
        if captured is not None and captured.capture.directory_file_count:
            return Pack(captured.source, captured.origin)
        return pack_directory(directory, self.sources, leave_out=(launch_home(), self.path), rules=rules)

    def put_work_tree(self, directory: Path, rules: CaptureRules | None = None) -> PackedCapture | None:
        """Keep the git work tree that a directory is in; None if it is in none, or there is no git.

        Args:
            directory: any folder of the work tree; programs start in it.
            rules: what to leave out; LAUNCH_HOME and the store are left out anyway.

        Raises:
            InvalidSpecError, ConflictError: as `capture` does.
        """
        rules = rules or CaptureRules()
        rules = replace(rules, leave_out=(*rules.leave_out, launch_home(), self.path))
        try:
            return pack_work_tree(directory, launch_home() / "captures", self.sources, rules)
        except NotFoundError:
            return None

    def put_commit(
        self, address: GitAddress, version: str | None = None, directory: str = ".", known_as: str | None = None
    ) -> FetchedTree:
        """Keep the files of a commit at a git address.

        Args:
            address: of the repository.
            version: a branch, a tag or a commit; None for the default branch.
            directory: where programs start in it.
            known_as: the address to record, of a repository on this machine; None for its own.

        Raises:
            LaunchError: as `fetch_tree` does.
        """
        return fetch_tree(address, version, directory, launch_home() / "git", self.sources, known_as=known_as)

    def holds(self, source: str) -> bool:
        """Say whether a packed source is here."""
        return (self.sources / file_of(source)).is_file()

    def record(self, source: str) -> dict[str, Any]:
        """Say what a packed source is: its name, its tree and folder, and what is known of its origin."""
        if source.startswith(IMAGE):
            return {"source": source}
        if not source.startswith(GIT):
            return {"source": source, **origin_of_pack(source, self.sources).to_dict()}
        named = GitSource.parse(source)
        origin = origin_of_tree(named, self.sources)
        return {"source": source, "tree": named.tree, "directory": named.directory, **origin.to_dict()}

    def take_over(self, source: str, other: RunStore) -> None:
        """Keep a packed source that another store holds."""
        for name in files_of(source, other.sources):
            with new_file(self.sources) as file:
                shutil.copyfile(other.sources / name, file)
                file.replace(self.sources / name)

    def lay_out(self, source: str, target: Path) -> Path:
        """Make `target` the run's own copy of a source.

        Args:
            source: a packed source; the path of a local directory, which is packed first; or an image, whose copy is
                an empty folder.
            target: a directory that does not exist yet, or an earlier copy, which is replaced.

        Returns:
            The folder that programs start in: `target`, or the folder in it that was submitted.

        Raises:
            NotFoundError: the store does not hold the source.
            InvalidSpecError: it is not what its name says, or cannot be laid out safely.
        """
        if source.startswith(IMAGE):
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            return target
        if not is_packed(source):
            source = self.put_directory(Path(source).expanduser()).source
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=".laying-out-"))
        try:
            if source.startswith(GIT):
                replay(GitSource.parse(source), self.sources, fresh)
            else:
                unpack(source, self.sources, fresh)
            fresh.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            fresh.replace(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return program_directory(source, target)
