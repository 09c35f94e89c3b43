"""The W&B runs of one program: their logs, wherever the client puts them, and what the program declares as inputs.

The client writes below `WANDB_DIR`, unless the script names a directory of its own; a hook in the program's interpreter
then says where (`environments/wandb_hook`). One program may start several runs, one after the other or at once.
"""

from __future__ import annotations

import json
import posixpath
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.metrics.lines import LineReader
from launch_sdk.metrics.tail import Tail, is_within
from launch_sdk.metrics.wandb_file import LogReader
from launch_sdk.metrics.wandb_records import Translator
from launch_sdk.tracking.added_schemas import added_schemas
from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.tracking.protocol import Record

LOOK_FOR_RUNS_EVERY_S = 0.5
MAX_RUNS = 1000
MERGING = (
    "launch: this program starts more than one W&B run. They are recorded as one: steps count on, and what a later one"
    " gives in its config and summary replaces what an earlier one gave. To keep them apart, launch them one by one."
)
PATTERNS = ("wandb/offline-run-*/run-*.wandb", "wandb/run-*/run-*.wandb")


class WandbRuns:
    """Follows every W&B run of a program. A program without wandb costs two looks into the run directory a second."""

    def __init__(self, run_dir: Path, work: Path, declarations: str, *, is_confined: bool = False) -> None:
        """Follow the runs of a program.

        Args:
            run_dir: the run directory, which is the client's `WANDB_DIR`.
            work: where the program was started.
            declarations: name of the hook's file in the run directory.
            is_confined: whether logs anywhere else are left alone, whatever the hook's file says.
        """
        self._places = (run_dir, work)
        self._is_confined = is_confined
        self._declared = LineReader(Tail(run_dir / declarations, within=run_dir))
        self._inputs = DeclaredInputs()
        self._logs: dict[Path, RunLog] = {}
        self._next_search = 0.0
        self._notices: list[str] = []
        self._merging_told = False

    def read(self, *, at_end: bool) -> tuple[list[Record], bool]:
        records = self._read_declarations(at_end=at_end)
        self._search(at_end=at_end)
        more = False
        for log in list(self._logs.values()):
            new, is_more = log.read(first_step=self._next_step(log))
            records += new
            more = more or is_more
        return records, more

    def notices(self) -> list[str]:
        told, self._notices = self._notices, []
        for log in self._logs.values():
            told += log.notices()
        if not self._merging_told and sum(log.has_begun for log in self._logs.values()) > 1:
            self._merging_told = True
            told.append(MERGING)
        return told

    def _read_declarations(self, *, at_end: bool) -> list[Record]:
        records: list[Record] = []
        for line in self._declared.read(at_end=at_end)[0]:
            try:
                told: object = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(told, dict):
                continue
            declaration = cast("dict[str, Any]", told)
            if isinstance(log := declaration.get("log"), str):
                self._follow(Path(log))
            elif self._inputs.take(declaration):
                records.append(self._inputs.record())
        return records

    def _search(self, *, at_end: bool) -> None:
        if time.monotonic() < self._next_search and not at_end:
            return
        self._next_search = time.monotonic() + LOOK_FOR_RUNS_EVERY_S
        for place in self._places:
            for pattern in PATTERNS:
                for path in sorted(place.glob(pattern)):
                    if "latest-run" not in path.parts:
                        self._follow(path)

    def _follow(self, path: Path) -> None:
        real = path.resolve()
        if real in self._logs or len(self._logs) >= MAX_RUNS:
            return
        within = next((place for place in self._places if is_within(real, place)), None)
        if within is not None or not self._is_confined:
            self._logs[real] = RunLog(real, within if self._is_confined else None)

    def _next_step(self, log: RunLog) -> int:
        """A run that begins when all others are over goes on counting; one beside others counts for itself."""
        others = [other for other in self._logs.values() if other is not log and other.last_step is not None]
        if any(not other.finished for other in others):
            return 0
        return max((other.last_step for other in others if other.last_step is not None), default=-1) + 1


class RunLog:
    """One `.wandb` file."""

    def __init__(self, path: Path, within: Path | None = None) -> None:
        self.path = path
        self._tail = Tail(path, within)
        self._reader = LogReader()
        self._translator: Translator | None = None
        self._refusal_told = False

    @property
    def has_begun(self) -> bool:
        return self._translator is not None and not self._reader.refused

    @property
    def finished(self) -> bool:
        return self._translator is not None and self._translator.finished

    @property
    def last_step(self) -> int | None:
        return self._translator.last_step if self._translator else None

    def read(self, *, first_step: int) -> tuple[list[Record], bool]:
        """Read what is new; `first_step` counts when this is the first piece."""
        data, anew = self._tail.read()
        if not data:
            return [], False
        if anew or self._translator is None:
            self._reader, self._translator = LogReader(), Translator(first_step)
        return self._translator.translate(self._reader.feed(data)), True

    def notices(self) -> list[str]:
        if not self._reader.refused or self._refusal_told:
            return []
        self._refusal_told = True
        return [f"launch: {self.path} is not a log of W&B that is understood here; its metrics are not seen."]


class DeclaredInputs:
    """What a program has declared as inputs so far: filters and schemas add up."""

    def __init__(self) -> None:
        self.config: dict[str, Any] | None = None
        self.files: dict[str, dict[str, Any]] = {}

    def take(self, declaration: Mapping[str, Any]) -> bool:
        """Take in one line of the hook; False if it is none."""
        if declaration.get("config") is True:
            self.config = _added(self.config, declaration)
            return True
        path = declaration.get("file")
        if not isinstance(path, str) or not path:
            return False
        name = posixpath.normpath(path)
        values = _values(name, declaration.get("text"))
        self.files[name] = {**_added(self.files.get(name), declaration), "values": values}
        return True

    def record(self) -> Record:
        return {"time": time.time(), "inputs": {"config": self.config, "files": dict(self.files)}}


def split_path(path: str) -> list[str]:
    r"""Split `a.b\.c` into `["a", "b.c"]`, as W&B does; a trailing dot is ignored."""
    keys, key, escaped = list[str](), "", False
    for character in path:
        if escaped or character not in {"\\", "."}:
            key += character if character == "." or not escaped else f"\\{character}"
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            keys.append(key)
            key = ""
    return [*keys, key] if key else keys


def _added(present: Mapping[str, Any] | None, declaration: Mapping[str, Any]) -> dict[str, Any]:
    before = present or {"include": [], "exclude": [], "schema": None}
    added = {side: [*before[side], *_paths(declaration.get(side))] for side in ("include", "exclude")}
    first, schema = before["schema"], declaration.get("schema")
    if is_object(schema) and is_object(first) and schema != first:
        schema = added_schemas(first, schema)
    return {**added, "schema": schema if is_object(schema) else first}


def _paths(value: object) -> list[list[str]]:
    words = cast("Sequence[object]", value) if isinstance(value, list) else ()
    return [split_path(word) for word in words if isinstance(word, str)]


def _values(path: str, text: object) -> Any:
    """Read the values of a config file; None if they cannot be read."""
    if not isinstance(text, str):
        return None
    import yaml

    try:
        return json.loads(text) if path.endswith(".json") else yaml.load(text, Loader=yaml.CSafeLoader)
    except (ValueError, RecursionError, yaml.YAMLError):
        return None
