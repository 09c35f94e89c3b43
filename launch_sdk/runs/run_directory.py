"""The directory of one launched run: every name in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launch_sdk.runs.home import launch_home
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where a launched run keeps its files.

    Attributes:
        path: `LAUNCH_HOME/runs/<run id>`; the program sees it as LAUNCH_RUN_DIR.
    """

    path: Path

    @classmethod
    def of(cls, run_id: str) -> RunDirectory:
        return cls(launch_home() / "runs" / run_id)

    @property
    def work(self) -> Path:
        """The run's own copy of the source: of a whole work tree, if its program starts in a folder of one."""
        return self.path / "work"

    @property
    def records(self) -> Path:
        return self.path / protocol.RECORDS

    @property
    def output(self) -> Path:
        """What the program wrote to its standard output and standard error."""
        return self.path / protocol.OUTPUT

    @property
    def checkpoints(self) -> Path:
        """What every attempt of the run finds as the one before has left it."""
        return self.path / protocol.CHECKPOINTS

    def history(self) -> list[dict[str, Any]]:
        """Return the logged rows, each with `_step` and `_time` beside its values."""
        if not self.records.exists():
            return []
        records, _ = protocol.read_records(self.records)
        return [{**r["log"], "_step": r["step"], "_time": r["time"]} for r in records if "log" in r]

    def provenance(self) -> dict[str, list[dict[str, Any]]]:
        """Return, by dotted path, the layers that gave each value of the config, lowest first; empty if not known."""
        said = protocol.read_provenance(self.path)
        found = {path: [{"layer": layer, "value": value} for layer, value in pairs] for path, pairs in said.items()}
        for path in protocol.hiding_unknown(self.path):
            found[path][-1][protocol.HIDES] = protocol.UNKNOWN
        return found

    def last_lines(self, count: int = 20) -> str:
        """Return the end of the program's output, at most 8 kB of it."""
        try:
            with self.output.open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - 8192))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-count:])
