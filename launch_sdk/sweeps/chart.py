"""What the pictures of a sweep show, as plain values: they cross a process border as JSON. Draws nothing itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from launch_sdk.sweeps.importance import importances
from launch_sdk.sweeps.report import flat_parameters, short
from launch_sdk.sweeps.runs import SweepRun, latest_attempts

if TYPE_CHECKING:
    from launch_sdk.specs.sweep_spec import SweepSpec

FEW = 6  # different numbers up to which each is written at its axis
WIDE = 100.0  # ends of a metric that differ more than this factor are far apart
WIDE_FEW, TOO_WIDE = 7.0, 1e12  # ends of a few numbers that were listed by factors; beyond is 0 with a rounding error
NOTHING = 1e-12  # share of an axis
FAR = 1e100  # what lies farther out is drawn here: matplotlib's own sums overflow beyond


@dataclass(frozen=True)
class ChartRun:
    """One run in a picture.

    Attributes:
        index: place in the sweep.
        value: its metric if it is finite and the run has a result, no farther out than 1e100; None otherwise.
        parameters: name with dots to value.
        is_over: whether it has ended.
    """

    index: int
    value: float | None
    parameters: Mapping[str, Any]
    is_over: bool


@dataclass(frozen=True)
class Chart:
    """A sweep as its pictures need it.

    Attributes:
        metric, goal: what is made better, and which way that is.
        runs: in order of index.
        logarithmic: dotted names of the parameters that are searched by their logarithm.
    """

    metric: str
    goal: Literal["minimize", "maximize"]
    runs: Sequence[ChartRun]
    logarithmic: Sequence[str] = ()

    @classmethod
    def of(cls, spec: SweepSpec, runs: Sequence[SweepRun]) -> Chart | None:
        """Take what the pictures show from a sweep; None if it has no metric."""
        metric = spec.metric
        if metric is None:
            return None
        shown: list[ChartRun] = []
        for run in latest_attempts(runs):
            value = run.metric(metric) if run.state.has_result else None
            if value is not None:
                value = max(-FAR, min(value, FAR)) if math.isfinite(value) else None
            shown.append(ChartRun(run.index, value, flat_parameters(run.parameters), run.state.is_terminal))
        logarithmic = [".".join(path) for path, one in spec.space if "log" in one.name]
        return cls(metric.name, metric.goal, shown, logarithmic)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Chart:
        """Read what `to_json` gave."""
        runs = [ChartRun(**run) for run in cast("Sequence[dict[str, Any]]", document["runs"])]
        return cls(document["metric"], document["goal"], runs, document["logarithmic"])

    @property
    def best_first(self) -> list[ChartRun]:
        """The runs with a value, best first, the earlier of equals first."""
        sign = 1 if self.goal == "minimize" else -1
        valued = [(run.value, run) for run in self.runs if run.value is not None]
        return [run for _, run in sorted(valued, key=lambda pair: (sign * pair[0], pair[1].index))]

    def best_so_far(self) -> list[tuple[int, float]]:
        """Give the best value of each run with a value and all before it, as (index, value)."""
        better = min if self.goal == "minimize" else max
        rows: list[tuple[int, float]] = []
        for run in self.runs:
            if run.value is not None:
                rows.append((run.index, better(run.value, rows[-1][1]) if rows else run.value))
        return rows

    def varying(self) -> dict[str, Axis]:
        """Give the axis of each parameter that differs between the runs with a value, by its dotted name."""
        rows = [run.parameters for run in self.best_first]
        names = sorted({name for row in rows for name in row})
        columns = {name: [row.get(name) for row in rows] for name in names}
        different = {name: values for name, values in columns.items() if len({repr(value) for value in values}) > 1}
        return {name: Axis.of(values, name in self.logarithmic) for name, values in different.items()}

    def importances(self) -> dict[str, float]:
        """Weigh the varying parameters, greatest first; see `importance.importances`."""
        return importances({name: axis.places for name, axis in self.varying().items()})


@dataclass(frozen=True)
class Axis:
    """A vertical axis of the parallel coordinates.

    Attributes:
        places: of every run, on [0, 1].
        ticks: (place, text) of what is written beside it.
        is_logarithmic: equal steps are equal factors.
    """

    places: Sequence[float]
    ticks: Sequence[tuple[float, str]]
    is_logarithmic: bool = False

    @classmethod
    def of(cls, values: Sequence[Any], logarithmic: bool = False) -> Axis:
        """Lay values out: numbers by size, all else evenly, in order.

        Args:
            values: of every run.
            logarithmic: whether the numbers are to be laid out by their logarithm, if all are above zero; a few
                numbers far apart (16, 32, 64, 128) always are.
        """
        numbers = [_number(value) for value in values]
        finite = [number for number in numbers if number is not None]
        if len(finite) < len(values) or min(finite) == max(finite):
            return cls._categorical(values)
        low, high = min(finite), max(finite)
        by_factors = len(set(finite)) <= FEW and low > 0 and WIDE_FEW < high / low < TOO_WIDE
        is_logarithmic = low > 0 and (logarithmic or by_factors)
        return cls._numeric(finite, is_logarithmic)

    @classmethod
    def of_metric(cls, values: Sequence[float]) -> Axis:
        """Lay the values of a metric out: by their logarithm if they span more than two powers of ten."""
        is_wide = min(values) > 0 and max(values) / min(values) > WIDE
        return cls.of(values, is_wide)

    @classmethod
    def _numeric(cls, values: Sequence[float], is_logarithmic: bool) -> Axis:
        place = math.log if is_logarithmic else float
        known = sorted(set(values))
        start, span = place(known[0]), place(known[-1]) - place(known[0])
        if len(known) > FEW:
            middle = math.exp(start + span / 2) if is_logarithmic else known[0] + span / 2
            whole = all(value.is_integer() for value in known)
            known = [known[0], float(round(middle)) if whole else middle, known[-1]]
        nothing = 0.0 if is_logarithmic else NOTHING * span  # a rounding error is written as 0
        ticks = [((place(value) - start) / span, f"{value if abs(value) > nothing else 0:.4g}") for value in known]
        return cls([(place(value) - start) / span for value in values], ticks, is_logarithmic)

    @classmethod
    def _categorical(cls, values: Sequence[Any]) -> Axis:
        texts = ["none" if value is None else value if isinstance(value, str) else str(value) for value in values]
        known = sorted(set(texts), key=lambda text: (_number_in(text), text))
        step = 1.0 / max(len(known) - 1, 1)
        places = {text: number * step if len(known) > 1 else 0.5 for number, text in enumerate(known)}
        return cls([places[text] for text in texts], [(place, short(text)) for text, place in places.items()])


def _number(value: object) -> float | None:
    """Return a finite number of a size that can be drawn; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -FAR <= value <= FAR else None


def _number_in(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.inf
    return math.inf if math.isnan(number) else number
