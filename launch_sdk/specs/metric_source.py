r"""Metric sources: where the metrics of a program come from if it logs none itself.

```yaml
metric_sources:
  - stdout: 'loss=(?P<loss>\S+)'      # named groups of a regular expression, found in the lines of the output
  - file: metrics.jsonl              # JSON lines, or a .csv with a header row
    step: epoch                      # the column that counts the steps
  - tensorboard: logs                # a directory of event files
```
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias, cast

KINDS = ("stdout", "file", "tensorboard")
ROW_FILES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
STEP_GROUP = "step"
MAX_SOURCES = 50
MAX_PATTERN_LENGTH = 1000
FaultAt: TypeAlias = tuple[tuple[int | str, ...], str]


@dataclass(frozen=True, slots=True)
class StdoutSource:
    """Named groups of a regular expression, searched in each line of the output; the group `step` is the step."""

    pattern: str

    def __str__(self) -> str:
        return f"stdout {self.pattern!r}"


@dataclass(frozen=True, slots=True)
class FileSource:
    """Rows of a JSON-lines or CSV file.

    Attributes:
        path: relative to where the program starts; may hold `*` and `?`.
        step: the column that is the step; None takes the column `step` if there is one.
    """

    path: str
    step: str | None = None

    def __str__(self) -> str:
        return f"file {self.path}"


@dataclass(frozen=True, slots=True)
class TensorboardSource:
    """Scalars of TensorBoard's event files.

    Attributes:
        path: the directory, relative to where the program starts; may hold `*` and `?`. A directory below it gives its
            metrics a prefix, as TensorBoard names runs.
    """

    path: str

    def __str__(self) -> str:
        return f"tensorboard {self.path}"


MetricSource: TypeAlias = StdoutSource | FileSource | TensorboardSource


def parse_metric_sources(value: object) -> tuple[list[MetricSource], list[FaultAt]]:
    """Read a list of metric sources.

    Returns:
        The sources, and every fault: where in the list, and what is wrong. The sources count only if there is no fault.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        return [], [((), "must be a list, as in [{file: metrics.jsonl}]")]
    items = cast("Sequence[object]", value)
    if len(items) > MAX_SOURCES:
        return [], [((), f"has {len(items)} entries; at most {MAX_SOURCES} are followed")]
    sources: list[MetricSource] = []
    faults: list[FaultAt] = []
    for index, item in enumerate(items):
        source, found = _parse(item)
        faults += [((index, *path), message) for path, message in found]
        sources += [source] if source else []
    return sources, faults


def _parse(item: object) -> tuple[MetricSource | None, list[FaultAt]]:
    if not isinstance(item, Mapping):
        return None, [((), "must be a mapping with one of stdout, file, tensorboard, as in {file: metrics.jsonl}")]
    entry = cast("Mapping[str, Any]", item)
    kinds = [kind for kind in KINDS if kind in entry]
    known = (*kinds, "step") if "file" in kinds else tuple(kinds)
    faults: list[FaultAt] = [((key,), _unknown(key)) for key in entry if key not in known]
    if len(kinds) != 1:
        told = f"has {' and '.join(kinds)}; make an entry of each" if kinds else f"needs one of {', '.join(KINDS)}"
        return None, [*faults, ((), told)]
    kind = kinds[0]
    if not isinstance(entry[kind], str) or not entry[kind].strip():
        return None, [*faults, ((kind,), f"must be text, not {entry[kind]!r}")]
    if kind == "stdout":
        return StdoutSource(entry[kind]), [*faults, *_pattern_faults(entry[kind])]
    faults += [((kind,), message) for message in path_faults(entry[kind])]
    if kind == "tensorboard":
        return TensorboardSource(entry[kind]), faults
    if PurePosixPath(entry[kind]).suffix.lower() not in ROW_FILES:
        faults.append(((kind,), f"{entry[kind]!r} must end in {', '.join(ROW_FILES)}, which says how to read it"))
    step = entry.get("step")
    if step is not None and (not isinstance(step, str) or not step):
        faults.append((("step",), f"must be the name of a column, not {step!r}"))
    return FileSource(entry[kind], cast("str | None", step)), faults


def path_faults(path: str) -> list[str]:
    """Say why a path could lead out of the program's directory."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or path.startswith("~"):
        return [f"{path!r} must be relative to the program's directory"]
    if ".." in parts.parts:
        return [f"{path!r} leads out of the program's directory"]
    return [f"{path!r} holds a NUL character"] if "\0" in path else []


def _pattern_faults(pattern: str) -> list[FaultAt]:
    import regex

    if len(pattern) > MAX_PATTERN_LENGTH:
        return [(("stdout",), f"is longer than {MAX_PATTERN_LENGTH} characters")]
    try:
        groups = regex.compile(pattern).groupindex
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        return [(("stdout",), f"{pattern!r} is no regular expression: {error}")]
    if not set(groups) - {STEP_GROUP}:
        return [(("stdout",), rf"{pattern!r} names no metric; put a named group around the value: loss=(?P<loss>\S+)")]
    return []


def _unknown(key: object) -> str:
    if key == "step":
        return "goes with file only; in a pattern name a group step, and event files hold their steps"
    near = difflib.get_close_matches(str(key), [*KINDS, "step"], n=1)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known are {', '.join(KINDS)}, step"
