"""The limits of a sweep besides its `run_cap`: how long it and its runs may take, and how many runs may fail."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.distributions import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document

COST_KEYS = {"metric": str, "max": (int, float)}
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
DURATION = r"^(\s*\d+(\.\d+)?\s*(s|m|min|h|d))+\s*$"
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhd])")


@dataclass(frozen=True)
class Limits:
    """What ends a sweep, or a run of it, besides its having tried everything.

    Attributes:
        max_time_s: the sweep ends so many seconds after its first run has started; None for no such end.
        max_run_time_s: a run is stopped after so many seconds, and what it has logged counts; None for no such end.
        max_failed: the sweep fails once more runs than this have failed; below 1 it is a fraction of those that have
            ended. None for W&B's rule alone: it fails if the first three fail.
        retries: how often a run that failed starts again with its own parameters.
        cost_metric: the logged value that says what a run has cost so far; None for no such end.
        max_cost: the sweep ends once its runs have cost so much together, all attempts counted.
    """

    max_time_s: float | None = None
    max_run_time_s: float | None = None
    max_failed: float | None = None
    retries: int = 0
    cost_metric: str | None = None
    max_cost: float = math.inf


def parse_limits(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> Limits:
    """Read the limits of a sweep file.

    Args:
        document: the file.
        value: its keys; what is of a wrong type is None or has been told.
        faults: each fault is added here, with its path and line.
    """
    max_failed, retries = value.get("max_failed"), value.get("retries")
    if max_failed is not None and not _is_count_or_fraction(max_failed):
        told = f"must be a whole number of at least 0, or a fraction between 0 and 1, not {max_failed!r}"
        faults.append(document.fault(("max_failed",), told))
    if isinstance(retries, int) and retries < 0:
        faults.append(document.fault(("retries",), f"must be at least 0, not {retries}"))
    cost_metric, max_cost = _cost(document, value.get("cost"), faults)
    return Limits(
        max_time_s=_duration(document, "max_time", value, faults),
        max_run_time_s=_duration(document, "max_run_time", value, faults),
        max_failed=max_failed,
        retries=retries or 0,
        cost_metric=cost_metric,
        max_cost=max_cost,
    )


def _cost(document: Document, given: object, faults: list[Fault]) -> tuple[str | None, float]:
    if not isinstance(given, dict):
        return None, math.inf
    cost = cast("dict[str, Any]", given)
    faults += [
        document.fault(("cost", key), f"unknown key; known are {', '.join(COST_KEYS)}")
        for key in cost
        if key not in COST_KEYS
    ]
    metric, most = cost.get("metric"), cost.get("max")
    if not isinstance(metric, str) or not metric:
        told = "must name a value that each run logs: what it has cost so far, as in metric: dollars"
        faults.append(document.fault(("cost", "metric") if "metric" in cost else ("cost",), f"metric {told}"))
    if not is_number(most) or not 0 < most < math.inf:
        told = "max must be a number above 0: what all runs together may cost"
        faults.append(document.fault(("cost", "max") if "max" in cost else ("cost",), told))
        return None, math.inf
    return str(metric), float(most)


def _is_count_or_fraction(value: object) -> bool:
    if not is_number(value):
        return False
    return value >= 0 if isinstance(value, int) else 0 < value < 1


def _duration(document: Document, key: str, value: Mapping[str, Any], faults: list[Fault]) -> float | None:
    given = value.get(key)
    if given is None:
        return None
    seconds = float(given) if is_number(given) else seconds_of(given) if isinstance(given, str) else 0.0
    if seconds <= 0 or not math.isfinite(seconds):
        told = f"must be a time, as in 90 (seconds), 30m, 2h or 1d12h, not {given!r}"
        faults.append(document.fault((key,), told))
        return None
    return seconds


def seconds_of(text: str) -> float:
    """Read a time such as `1h30m` as seconds; 0 if it is none."""
    if not text.isascii() or not re.match(DURATION, text):
        return 0.0
    return sum(float(number) * SECONDS[unit] for number, unit in _PART.findall(text))
