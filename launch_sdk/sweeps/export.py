"""The results of a sweep as rows, for a file or a data frame: one row for each index, with its latest attempt."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO, cast

from launch_sdk.errors import ConflictError
from launch_sdk.sweeps.report import flat_parameters
from launch_sdk.sweeps.runs import SweepRun, latest_attempts
from launch_sdk.tracking.values import dumps, encode

if TYPE_CHECKING:
    from pathlib import Path

    from launch_sdk.specs.sweep_spec import Metric

Row = dict[str, Any]
NEEDS_PANDAS = "needs pandas and pyarrow: pip install pandas pyarrow. CSV and JSON need nothing: --format csv"


def nested_rows(metric: Metric | None, runs: Sequence[SweepRun]) -> list[Row]:
    """Give every index of a sweep, in order, with nested parameters and summary.

    Times are unix seconds, durations seconds; what did not happen is None.
    """
    return [
        {
            "index": run.index,
            "attempt": run.attempt,
            "run_id": run.run_id,
            "name": run.name,
            "state": run.state.value,
            "metric": run.metric(metric),
            "started": run.started,
            "ended": run.ended,
            "duration_s": run.duration_s,
            "stop_reason": run.stop_reason,
            "error": run.error,
            "parameters": dict(run.parameters),
            "summary": dict(run.summary),
        }
        for run in latest_attempts(runs)
    ]


def flat_rows(metric: Metric | None, runs: Sequence[SweepRun]) -> list[Row]:
    """Give the same rows with a column for each value: `parameters.model.depth`, `summary.loss`.

    Every row has every column, None where it has no such value. What is no number, text, truth value or None is JSON
    text.
    """
    rows = [_flat(row) for row in nested_rows(metric, runs)]
    fixed = [name for name in (rows[0] if rows else ()) if not name.startswith(("parameters.", "summary."))]
    others = {name for row in rows for name in row} - set(fixed)
    return [{name: row.get(name) for name in [*fixed, *sorted(others)]} for row in rows]


def _flat(row: Row) -> Row:
    flat = {name: value for name, value in row.items() if name not in {"parameters", "summary"}}
    for group in ("parameters", "summary"):
        values = flat_parameters(cast("Mapping[str, Any]", row[group]), f"{group}.")
        flat |= {name: _scalar(value) for name, value in values.items()}
    return flat


def _scalar(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else dumps(value)


def write_csv(rows: Sequence[Row], stream: TextIO) -> None:
    """Write flat rows as CSV with a header; None is an empty cell."""
    if not rows:
        return
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def write_json(rows: Sequence[Row], stream: TextIO) -> None:
    """Write nested rows as one JSON list; what JSON has no number for is written as in the run protocol."""
    json.dump(encode(list(rows)), stream, indent=2, ensure_ascii=False, allow_nan=False)
    stream.write("\n")


def data_frame(rows: Sequence[Row]) -> Any:
    """Make a pandas data frame of flat rows.

    Raises:
        ConflictError: pandas is not installed.
    """
    return _pandas("A data frame").DataFrame(list(rows))


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write flat rows as a Parquet file; a column whose values are of several kinds becomes text.

    Raises:
        ConflictError: pandas or what it writes Parquet with is not installed.
    """
    pandas = _pandas("Parquet")
    try:
        pandas.DataFrame(_of_one_kind(rows)).to_parquet(path, index=False)
    except ImportError:
        raise ConflictError(f"Parquet {NEEDS_PANDAS}") from None


def _of_one_kind(rows: Sequence[Row]) -> list[Row]:
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set[type]()).update([] if value is None else [type(cast("object", value))])
    mixed = {name for name, found in kinds.items() if len(found) > 1 and found != {int, float}}
    return [
        {name: str(value) if name in mixed and value is not None else value for name, value in row.items()}
        for row in rows
    ]


def _pandas(what: str) -> Any:
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise ConflictError(f"{what} {NEEDS_PANDAS}") from None
