"""What a run has logged of one metric, read from its records while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from launch_sdk.sweeps.curve import Curve
from launch_sdk.sweeps.runs import metric_value
from launch_sdk.tracking import protocol
from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from pathlib import Path


class MetricHistory:
    """Follows a metric in a records file.

    Attributes:
        curve: what was logged so far.
    """

    def __init__(self, records: Path, metric: str) -> None:
        """Follow a metric.

        Args:
            records: the run's records; they need not exist yet.
            metric: key of the logged value; dots lead into nested values.
        """
        self.curve = Curve()
        self._records = records
        self._metric = metric
        self._offset = 0
        self._written = 0
        self._seen = 0

    def look(self) -> None:
        """Take in what was logged since the last look."""
        records, self._offset = protocol.read_records(self._records, self._offset)
        for record in records:
            logged, step, time = record.get("log"), record.get("step"), record.get("time")
            value = metric_value(logged, self._metric) if is_object(logged) else None
            if value is not None and isinstance(step, int):
                self._seen += 1
                self.curve.add(step, value, float(cast("float", time)) if isinstance(time, int | float) else 0.0)

    def text(self) -> str:
        """Look, and return the curve as text."""
        self.look()
        self._written = self._seen
        return self.curve.to_text()

    def news(self) -> str | None:
        """Do as `text`, if the curve has grown since the last call of either; None if not."""
        self.look()
        return self.text() if self._seen != self._written else None
