"""The wire contract between a run and whoever supervises it: names, record schema, reader.

A run is one directory. The program appends to `records.jsonl`, one JSON object a line, and that file is the truth;
the three snapshots are conveniences. `docs/reference/protocol.md` states the same for other languages.
"""

# ruff: noqa: PTH105, PTH108, PTH110, PTH118, PTH123
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os
from json import JSONDecodeError
from stat import S_ISREG

from launch_sdk.tracking.values import dumps, is_array, is_object, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    Record: TypeAlias = dict[str, Any]
    Directory: TypeAlias = str | os.PathLike[str]

VERSION = 1

RUN_DIR = "LAUNCH_RUN_DIR"
RUN_ID = "LAUNCH_RUN_ID"
RUN_NAME = "LAUNCH_RUN_NAME"
PROJECT = "LAUNCH_PROJECT"
SWEEP_ID = "LAUNCH_SWEEP_ID"
ATTEMPT = "LAUNCH_ATTEMPT"
CHECKPOINT_DIR = "LAUNCH_CHECKPOINT_DIR"
CONFIG_PATHS = "LAUNCH_CONFIG_PATHS"
OF_A_RUN = ("LAUNCH_RUN_", "LAUNCH_SWEEP_")  # what begins so is a run's own; nothing that outlives it is given that
CONFIG_OPTION = "--configs"
CONFIG_DEFAULTS = "config-defaults.yaml"

OVERRIDES = "overrides.json"
RECORDS = "records.jsonl"
CONFIG = "config.json"
SUMMARY = "summary.json"
METADATA = "metadata.json"
PROVENANCE = "provenance.json"
HIDES = "hides"  # of a value in it, beside its layer
UNKNOWN = "unknown"  # what it hides, if anything: the program does not tell
CODE = "code.json"
ENVIRONMENT = "environment.json"
OUTPUT = "output.log"
USED_FILES = "used_files.json"
CHECKPOINTS = "checkpoints"

PREEMPTING = "preempting"  # of a record

LAUNCH_LAYER = "launch"
SWEEP_LAYER = "sweep"

LAST_STEP = 2**63 - 1


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
        layer: who gave them: `launch` or `sweep`.
        checked: whether the supervisor knows the job's inputs and found all of these among them.
        file_values: what the files that `files` changed held before, by path.
    """

    __slots__ = ("checked", "config", "file_values", "files", "layer")

    def __init__(
        self,
        config: dict[str, Any],
        files: dict[str, Any],
        layer: str = LAUNCH_LAYER,
        checked: bool = False,
        file_values: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.files = files
        self.layer = layer
        self.checked = checked
        self.file_values = file_values or {}


class Snapshot:
    """Everything that a run directory says about its run.

    Attributes:
        config: nested config at this moment.
        inputs: the last declaration of inputs; None if the program made none.
        summary: the last value of each metric, and what the script put there itself.
        metadata: what was captured at the start; empty if the program does not write it.
        exit_code: of the last finish record; None while the run goes on, or if it was killed.
        last_step: the highest step logged; None if nothing was.
        used_files: the last `use_file` record of each name.
        logged_files: the last `log_file` record of each name.
        skipped: how many lines of the records could not be read.
    """

    __slots__ = (
        *("config", "exit_code", "inputs", "last_step", "logged_files", "metadata", "skipped", "summary"),
        "used_files",
    )

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.inputs: dict[str, Any] | None = None
        self.summary: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.last_step: int | None = None
        self.used_files: dict[str, dict[str, Any]] = {}
        self.logged_files: dict[str, dict[str, Any]] = {}
        self.skipped = 0

    def apply(self, record: Record) -> None:
        """Take one more record into account."""
        summary_update(self.summary, record)
        config_update(self.config, record)
        step = record.get("step")
        if isinstance(step, int):
            self.last_step = step if self.last_step is None else max(step, self.last_step)
        inputs = record.get("inputs")
        if is_object(inputs):
            self.inputs = inputs
        for kind, known in (("use_file", self.used_files), ("log_file", self.logged_files)):
            file = record.get(kind)
            if is_object(file) and isinstance(file.get("name"), str):
                known[file["name"]] = file
        finish = record.get("finish")
        if is_object(finish):
            self.exit_code = finish.get("exit_code")
        elif "config" in record:
            # Each start writes the config: a second init or a restart after preemption goes on with the run.
            self.exit_code = None


def read_records(path: Directory, offset: int = 0) -> tuple[Records, int]:
    """Read the records that were appended since the last call.

    Args:
        path: the records file; one that does not exist yet, or is no regular file, has no records.
        offset: where to begin, in bytes: 0, or what the last call returned.

    Returns:
        The records, and the offset to continue at. A last line without its newline is left for the next call.

    Raises:
        OSError: the file exists and cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Records(), offset
    with open(descriptor, "rb") as file:
        # The program owns this name: a pipe or a device in its place must neither block a supervisor nor never end.
        if not S_ISREG(os.fstat(descriptor).st_mode):
            return Records(), offset
        file.seek(offset)
        data = file.read()
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
    records, _ = read_records(os.path.join(run_dir, RECORDS))
    for record in records:
        snapshot.apply(record)
    snapshot.skipped = records.skipped
    snapshot.metadata = read_object(run_dir, METADATA)
    if not records:
        snapshot.config = read_object(run_dir, CONFIG)
        snapshot.summary = read_object(run_dir, SUMMARY)
    return snapshot


def summary_update(summary: dict[str, Any], record: Record) -> None:
    """Take one record into a summary, in place: the last write of a key wins, logged or set.

    Logged objects are merged, so `{"val": {"loss": 1}}` then `{"val": {"acc": 2}}` keeps both; set ones replace.
    """
    logged = record.get("log")
    if is_object(logged):
        merge(summary, logged)
    written = record.get("summary")
    if is_object(written):
        summary.update(written)


def config_update(config: dict[str, Any], record: Record) -> None:
    """Take one record into a config, in place: first its `removed` paths go, then its `config` is merged."""
    removed = record.get("removed")
    for path in removed if is_array(removed) else ():
        _remove(config, path)
    changed = record.get("config")
    if is_object(changed):
        merge(config, changed)


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Merge nested values, in place: dicts are merged key by key, everything else (lists too) is replaced."""
    for key, value in values.items():
        present = into.get(key)
        if not is_object(value):
            into[key] = value
        elif is_object(present):
            merge(present, value)
        else:
            into[key] = {}
            merge(into[key], value)


def write_overrides(
    run_dir: Directory,
    config: Mapping[str, Any],
    files: Mapping[str, Any] | None = None,
    layer: str = LAUNCH_LAYER,
    *,
    checked: bool = False,
    file_values: Mapping[str, Any] | None = None,
) -> None:
    """Write what the run is to use in place of its script's own values, before the program starts.

    Args:
        run_dir: an existing directory.
        config: nested config values.
        files: nested values by the path of the file that they go into.
        layer: who gave them: `launch` or `sweep`.
        checked: whether they were checked against the job's inputs.
        file_values: what the files that were changed held before, by path; None or left out if that is not known.

    Raises:
        OSError: the file cannot be written.
    """
    document = {"version": VERSION, "layer": layer, "checked": checked, "config": config, "files": files or {}}
    write_atomically(run_dir, OVERRIDES, dumps(document | ({"file_values": file_values} if file_values else {})))


def read_overrides(run_dir: Directory) -> Overrides:
    """Read what `write_overrides` wrote; both parts are empty if there is no such file.

    Raises:
        ValueError: the file is not JSON, is not of this shape, or is of a later version.
    """
    path = os.path.join(run_dir, OVERRIDES)
    try:
        with open(path, encoding="utf-8") as file:
            document = loads(file.read())
    except FileNotFoundError:
        return Overrides({}, {})
    except JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not is_object(document) or document.get("version", VERSION) != VERSION:
        raise ValueError(
            f'{path} is not a version {VERSION} overrides document: {{"version": {VERSION}, "config": {{}}}}'
        )
    layer = document.get("layer")
    config, files, file_values = (_part(document, name, path) for name in ("config", "files", "file_values"))
    layer = layer if isinstance(layer, str) else LAUNCH_LAYER
    return Overrides(config, files, layer, document.get("checked") is True, file_values)


def write_code(run_dir: Directory, record: Mapping[str, Any]) -> None:
    """Write which code a run has and where that comes from, before the program starts.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomically(run_dir, CODE, dumps({"version": VERSION, **record}))


def read_code(run_dir: Directory) -> dict[str, Any]:
    """Read what `write_code` wrote, without the version; empty if there is no such file."""
    return {key: value for key, value in read_object(run_dir, CODE).items() if key != "version"}


def read_provenance(run_dir: Directory) -> dict[str, list[tuple[str, Any]]]:
    r"""Read which layer gave each config value of a run, and what it hides.

    Args:
        run_dir: a run directory.

    Returns:
        Pairs of layer and value, lowest first, by the dotted path of the value, in which a dot of a key is written
        `\.`; the last pair is in force. Empty if the program writes none, or what it wrote is no such document.
    """
    values = read_object(run_dir, PROVENANCE).get("values")
    found: dict[str, list[tuple[str, Any]]] = {}
    for path, layers in values.items() if is_object(values) else ():
        pairs = [layer for layer in layers if is_object(layer)] if is_array(layers) else []
        if pairs:
            found[path] = [(str(pair.get("layer")), pair.get("value")) for pair in pairs]
    return found


def hiding_unknown(run_dir: Directory) -> list[str]:
    """Return the paths in `provenance.json` of values that may hide others of which the program does not tell."""
    values = read_object(run_dir, PROVENANCE).get("values")
    last = {path: said[-1] for path, said in values.items() if is_array(said) and said} if is_object(values) else {}
    return [path for path, one in last.items() if is_object(one) and one.get(HIDES) == UNKNOWN]


def write_atomically(run_dir: Directory, name: str, text: str) -> None:
    """Replace a file of the run directory in one step: a reader sees the old text or the new, never a part.

    Raises:
        OSError: the file cannot be written; the old one is still there.
    """
    path = os.path.join(run_dir, name)
    draft = f"{path}.{os.getpid()}.new"
    try:
        with open(draft, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(draft, path)
    except OSError:
        if os.path.exists(draft):
            os.unlink(draft)
        raise


def _part(document: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    part = document.get(name, {})
    if not is_object(part):
        raise ValueError(f"{path}: '{name}' must be an object")
    return part


def _record(line: bytes) -> Record | None:
    try:
        record = loads(line.decode("utf-8"))
    except ValueError:
        return None
    return record if is_object(record) else None


def read_object(run_dir: Directory, name: str) -> dict[str, Any]:
    """Read one JSON object of the run directory; empty if there is none, or none that can be read."""
    try:
        with open(os.path.join(run_dir, name), "rb") as file:
            return _record(file.read()) or {}
    except FileNotFoundError:
        return {}


def _remove(config: dict[str, Any], path: Any) -> None:
    if not is_array(path) or not path:
        return
    *parents, last = path
    node: Any = config
    for key in parents:
        node = node.get(key) if is_object(node) else None
    if is_object(node):
        node.pop(last, None)
