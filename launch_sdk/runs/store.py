"""The run store: where packed sources are kept, by their digest, for every agent that may need them."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from launch_sdk.runs.home import launch_home
from launch_sdk.sources.directory import Pack, pack_directory, unpack


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

    def put_directory(self, directory: Path) -> Pack:
        """Keep a directory as it is now; the same content is kept once."""
        return pack_directory(directory, self.sources, leave_out=(launch_home(), self.path))

    def lay_out(self, source: str, target: Path) -> None:
        """Make `target` the run's own copy of a source.

        Args:
            source: `sha256:<digest>`, or the path of a local directory, which is packed first.
            target: a directory that does not exist yet, or an earlier copy, which is replaced.
        """
        if not source.startswith("sha256:"):
            source = self.put_directory(Path(source).expanduser()).source
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=".laying-out-"))
        try:
            unpack(source, self.sources, fresh)
            fresh.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)
            fresh.replace(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
