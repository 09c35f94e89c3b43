"""Collects a run's metrics from its sources into the run's records, as if the program had logged them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.metrics.wandb_runs import WandbRuns
from launch_sdk.specs.metric_source import FileSource, StdoutSource, parse_metric_sources
from launch_sdk.tracking.values import dumps
from launch_sdk.tracking.writer import RecordWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from launch_sdk.metrics.source import Source
    from launch_sdk.tracking.protocol import Record

LOOK_BUDGET_S: Final = 0.05
END_BUDGET_S: Final = 60.0


class Collector:
    """Reads every source and writes what they give.

    The records file is opened with the first record only, so a run that logs by itself has no second writer.
    """

    def __init__(self, sources: Iterable[Source], records: Path, on_notice: Callable[[str], None]) -> None:
        """Collect metrics.

        Args:
            sources: what to read.
            records: the run's records file.
            on_notice: given each line that the user should see.
        """
        self._sources = list(sources)
        self._records = records
        self._on_notice = on_notice
        self._writer: RecordWriter | None = None
        self._next_step = 0

    def look(self, *, at_end: bool = False) -> None:
        """Take in what is new.

        While the program runs this takes `LOOK_BUDGET_S` at most; at the end everything is read, but a minute's work.
        """
        deadline = time.monotonic() + (END_BUDGET_S if at_end else LOOK_BUDGET_S)
        pending = list(self._sources)
        while pending:
            pending = [source for source in pending if self._read(source, at_end=at_end)]
            if time.monotonic() >= deadline:
                break
        if pending and at_end:
            self._on_notice("launch: more metrics than can be read in a minute; the last are missing.")
        for source in self._sources:
            for notice in source.notices():
                self._on_notice(notice)

    def close(self) -> None:
        if self._writer:
            self._writer.close()
            self._writer = None

    def _read(self, source: Source, *, at_end: bool) -> bool:
        try:
            records, more = source.read(at_end=at_end)
            for record in records:
                self._write(record)
        except Exception as error:  # noqa: BLE001  # a run does not die of its metrics
            self._sources.remove(source)
            self._on_notice(f"launch: metrics are no longer read from {source}: {error!r}")
            return False
        return more

    def _write(self, record: Record) -> None:
        if "log" in record:
            record.setdefault("step", self._next_step)
            self._next_step = max(self._next_step, record["step"] + 1)
        if self._writer is None:
            self._writer = RecordWriter(self._records)
        self._writer.write(dumps(record))


def collector_of(
    metric_sources: Iterable[Mapping[str, Any]],
    *,
    run_dir: Path,
    work: Path,
    records: Path,
    output: Path,
    declarations: str,
    on_notice: Callable[[str], None],
    is_confined: bool = False,
) -> Collector:
    """Make the collector of a run: its W&B runs, and the sources that its spec names.

    Args:
        metric_sources: of the run's spec, checked.
        run_dir: the run directory.
        work: where the program is started.
        records: the run's records file.
        output: what the program prints.
        declarations: name of the file in which the W&B hook tells what it has seen.
        on_notice: given each line that the user should see.
        is_confined: the program may not be believed: no file is read outside of these two directories.
    """
    sources: list[Source] = [WandbRuns(run_dir, work, declarations, is_confined=is_confined)]
    parsed, _ = parse_metric_sources(list(metric_sources))
    for source in parsed:
        if isinstance(source, StdoutSource):
            from launch_sdk.metrics.stdout import StdoutMetrics

            sources.append(StdoutMetrics(source, output))
        elif isinstance(source, FileSource):
            from launch_sdk.metrics.rows import FileMetrics

            sources.append(FileMetrics(source, work))
        else:
            from launch_sdk.metrics.tensorboard import TensorboardMetrics

            sources.append(TensorboardMetrics(source, work))
    return Collector(sources, records, on_notice)
