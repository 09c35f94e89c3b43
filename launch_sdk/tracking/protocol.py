"""The wire contract between a run and whoever supervises it: names, record schema, reader.

A run is one directory. The program appends to `records.jsonl`, one JSON object a line, and that file is the truth;
the three snapshots are conveniences. `docs/reference/protocol.md` states the same for other languages.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from json import JSONDecodeError

from launch_sdk.tracking.values import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Record: TypeAlias = dict[str, Any]
    Directory: TypeAlias = str | os.PathLike[str]

VERSION = 1

RUN_DIR = "LAUNCH_RUN_DIR"
RUN_ID = "LAUNCH_RUN_ID"
RUN_NAME = "LAUNCH_RUN_NAME"
PROJECT = "LAUNCH_PROJECT"
SWEEP_ID = "LAUNCH_SWEEP_ID"

OVERRIDES = "overrides.json"
RECORDS = "records.jsonl"
CONFIG = "config.json"
SUMMARY = "summary.json"
METADATA = "metadata.json"
OUTPUT = "output.log"


class Records(list["Record"]):
    """Records in the order of the file.

    Attributes:
        skipped: how many lines were no record (torn by a crash or a full disk, or written by somebody else).
    """

    skipped: int = 0


class Overrides:
    """What a supervisor hands to a run: values that beat the script's own.

    Attributes:
        config: nested config values.
        files: nested values by the path of the file that they go into.
    """

    __slots__ = ("config", "files")

    def __init__(self, config: dict[str, Any], files: dict[str, Any]) -> None:
        self.config = config
        self.files = files


class Snapshot:
    """Everything that a run directory says about its run.

    Attributes:
        config: nested config at this moment.
        summary: the last value of each metric, and what the script put there itself.
        metadata: what was captured at the start; empty if the program does not write it.
        exit_code: of the last finish record; None while the run goes on, or if it was killed.
        last_step: the highest step logged; None if nothing was.
        skipped: how many lines of the records could not be read.
    """

    __slots__ = ("config", "exit_code", "last_step", "metadata", "skipped", "summary")

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.last_step: int | None = None
        self.skipped = 0

    def apply(self, record: Record) -> None:
        """Take one more record into account."""
        summary_update(self.summary, record)
        config_update(self.config, record)
        step = record.get("step")
        if isinstance(step, int):
            self.last_step = step if self.last_step is None else max(step, self.last_step)
        finish = record.get("finish")
        # A run that goes on after its finish record (a second init, a restart after preemption) is not finished.
        self.exit_code = finish.get("exit_code") if isinstance(finish, dict) else None


def read_records(path: Directory, offset: int = 0) -> tuple[Records, int]:
    """Read the records that were appended since the last call.

    Args:
        path: the records file; one that does not exist yet has no records.
        offset: where to begin, in bytes: 0, or what the last call returned.

    Returns:
        The records, and the offset to continue at. A last line without its newline is left for the next call.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # pathlib costs training scripts 4 ms of import time
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return Records(), offset
    end = data.rfind(b"\n") + 1
    records = Records()
    for line in data[:end].split(b"\n"):
        if line.strip():
            record = _record(line)
            if record is None:
                records.skipped += 1
            else:
                records.append(record)
    return records, offset + end


def read_snapshot(run_dir: Directory) -> Snapshot:
    """Rebuild a run's config, summary and end from its records; the snapshot files serve where there are none."""
    snapshot = Snapshot()
    records, _ = read_records(os.path.join(run_dir, RECORDS))  # noqa: PTH118  # as in read_records
    for record in records:
        snapshot.apply(record)
    snapshot.skipped = records.skipped
    snapshot.metadata = _read_object(run_dir, METADATA)
    if not records:
        snapshot.config = _read_object(run_dir, CONFIG)
        snapshot.summary = _read_object(run_dir, SUMMARY)
    return snapshot


def summary_of(records: Iterable[Record]) -> dict[str, Any]:
    """Return the summary that the records add up to."""
    summary: dict[str, Any] = {}
    for record in records:
        summary_update(summary, record)
    return summary


def summary_update(summary: dict[str, Any], record: Record) -> None:
    """Take one record into a summary, in place: the last write of a key wins, logged or set.

    Logged objects are merged, so `{"val": {"loss": 1}}` then `{"val": {"acc": 2}}` keeps both; set ones replace.
    """
    logged = record.get("log")
    if isinstance(logged, dict):
        merge(summary, logged)
    written = record.get("summary")
    if isinstance(written, dict):
        summary.update(written)


def config_update(config: dict[str, Any], record: Record) -> None:
    """Take one record into a config, in place: first its `removed` paths go, then its `config` is merged."""
    removed = record.get("removed")
    for path in removed if isinstance(removed, list) else ():  # pyright: ignore[reportUnknownVariableType]
        _remove(config, path)
    changed = record.get("config")
    if isinstance(changed, dict):
        merge(config, changed)


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Merge nested values, in place: objects are merged key by key, everything else (lists too) is replaced."""
    for key, value in values.items():
        present = into.get(key)
        if not isinstance(value, Mapping):
            into[key] = value
        elif isinstance(present, dict):
            merge(present, value)
        else:
            into[key] = {}
            merge(into[key], value)


def write_overrides(run_dir: Directory, config: Mapping[str, Any], files: Mapping[str, Any] | None = None) -> None:
    """Write what the run is to use in place of its script's own values, before the program starts.

    Args:
        run_dir: an existing directory.
        config: nested config values.
        files: nested values by the path of the file that they go into.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(run_dir, OVERRIDES, dumps({"version": VERSION, "config": config, "files": files or {}}))


def read_overrides(run_dir: Directory) -> Overrides:
    """Read what `write_overrides` wrote; both parts are empty if there is no such file.

    Raises:
        ValueError: the file is not JSON, is not of this shape, or is of a later version.
    """
    path = os.path.join(run_dir, OVERRIDES)  # noqa: PTH118  # as in read_records
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # as in read_records
            document = loads(file.read())
    except FileNotFoundError:
        return Overrides({}, {})
    except JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("version", VERSION) != VERSION:  # pyright: ignore[reportUnknownMemberType]
        raise ValueError(
            f'{path} is not a version {VERSION} overrides document: {{"version": {VERSION}, "config": {{}}}}'
        )
    parts = [document.get(name) or {} for name in ("config", "files")]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    for name, part in zip(("config", "files"), parts, strict=True):  # pyright: ignore[reportUnknownArgumentType]
        if not isinstance(part, dict):
            raise ValueError(f"{path}: '{name}' must be an object")  # noqa: TRY004  # the file is wrong, not a type
    return Overrides(*parts)  # pyright: ignore[reportUnknownArgumentType]


def write_atomically(run_dir: Directory, name: str, text: str) -> None:
    """Replace a file of the run directory in one step: a reader sees the old text or the new, never a part.

    Raises:
        OSError: the file cannot be written; the old one is still there.
    """
    path = os.path.join(run_dir, name)  # noqa: PTH118  # as in read_records
    draft = f"{path}.{os.getpid()}.new"
    try:
        with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123  # as in read_records
            file.write(text + "\n")
        os.replace(draft, path)  # noqa: PTH105  # as in read_records
    except OSError:
        if os.path.exists(draft):  # noqa: PTH110  # as in read_records
            os.unlink(draft)  # noqa: PTH108  # as in read_records
        raise


def _record(line: bytes) -> Record | None:
    try:
        record = loads(line.decode("utf-8"))
    except ValueError:
        return None
    return record if isinstance(record, dict) else None  # pyright: ignore[reportUnknownVariableType]


def _read_object(run_dir: Directory, name: str) -> dict[str, Any]:
    try:
        with open(os.path.join(run_dir, name), "rb") as file:  # noqa: PTH118, PTH123  # as in read_records
            return _record(file.read()) or {}
    except FileNotFoundError:
        return {}


def _remove(config: dict[str, Any], path: Any) -> None:
    if not isinstance(path, list) or not path:
        return
    *parents, last = path  # pyright: ignore[reportUnknownVariableType]
    node: Any = config
    for key in parents:  # pyright: ignore[reportUnknownVariableType]
        node = node.get(key) if isinstance(node, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(node, dict):
        node.pop(last, None)  # pyright: ignore[reportUnknownMemberType]
