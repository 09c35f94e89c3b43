"""The pictures of a sweep: best value so far, parallel coordinates, importance of the parameters.

matplotlib draws, Optuna (PED-ANOVA, Watanabe et al. 2023, arXiv:2304.10255) weighs the parameters. The Prefect UI
shows `data:` images in markdown, so the result is one PNG as text.
"""

# matplotlib has annotations of its own that a strict checker cannot follow.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import base64
import io
import math
import warnings
from typing import TYPE_CHECKING, Any

from launch_sdk.sweeps.report import flat_parameters, ranked, short
from launch_sdk.sweeps.runs import SweepRun, latest_attempts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from launch_sdk.specs.sweep_spec import SweepSpec

MIN_RUNS = 2
MIN_RUNS_FOR_IMPORTANCE = 6
BLUE, GREY, RED = "#2563eb", "#94a3b8", "#dc2626"


def draw(spec: SweepSpec, runs: Sequence[SweepRun]) -> str | None:
    """Draw a sweep.

    Returns:
        A `data:image/png` URL of about 60 kB; None while there are fewer than two results.
    """
    best_first = ranked(spec, runs)
    if len(best_first) < MIN_RUNS or spec.metric is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.2), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes: Mapping[str, Axes] = figure.subplot_mosaic([["best", "importance"], ["parallel", "parallel"]])
    _best_so_far(axes["best"], spec, runs)
    _importance(axes["importance"], spec, best_first)
    _parallel_coordinates(axes["parallel"], spec, best_first)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is no news to anybody
        canvas.print_png(buffer)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def best_so_far(spec: SweepSpec, runs: Sequence[SweepRun]) -> list[tuple[int, float, float]]:
    """Return (index, value, best value of this and all earlier indices) of each run with a finite metric."""
    rows: list[tuple[int, float, float]] = []
    if spec.metric is None:
        return rows
    best: float | None = None
    for run in latest_attempts(runs):
        value = run.metric(spec.metric)
        if value is None or not math.isfinite(value) or not run.state.has_result:
            continue
        best = value if best is None or spec.metric.is_better(value, best) else best
        rows.append((run.index, value, best))
    return rows


def importances(spec: SweepSpec, best_first: Sequence[SweepRun]) -> dict[str, float]:
    """Weigh the parameters, most important first; the weights add up to 1. Empty with too few runs to tell."""
    columns = _varying_columns(best_first)
    if len(best_first) < MIN_RUNS_FOR_IMPORTANCE or spec.metric is None or not columns:
        return {}
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(direction=spec.metric.goal)
        distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
        for position, run in enumerate(best_first):
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: heights[position] for name, (heights, _) in columns.items()},
                    distributions=dict.fromkeys(columns, distribution),
                    value=run.metric(spec.metric),
                )
            )
        return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _varying_columns(runs: Sequence[SweepRun]) -> dict[str, tuple[list[float], list[tuple[float, str]]]]:
    """Give each varying parameter's place of every run on [0, 1], and labels for that axis: (place, text)."""
    rows = [flat_parameters(run.parameters) for run in runs]
    columns: dict[str, tuple[list[float], list[tuple[float, str]]]] = {}
    for name in sorted({key for row in rows for key in row}):
        values = [row.get(name) for row in rows]
        if len({repr(value) for value in values}) > 1:
            columns[name] = _axis(values)
    return columns


def _axis(values: list[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = min(values), max(values)
        logarithmic = low > 0 and high / low > 50  # noqa: PLR2004  # a range that nobody searches linearly
        place = math.log if logarithmic else float
        span = place(high) - place(low)
        return [(place(v) - place(low)) / span for v in values], [(0.0, short(low)), (1.0, short(high))]
    texts = sorted({repr(value) for value in values})
    step = 1.0 / (len(texts) - 1)
    places = {text: i * step for i, text in enumerate(texts)}
    return [places[repr(v)] for v in values], [(i * step, short(text.strip("'"))) for i, text in enumerate(texts)]


def _best_so_far(axes: Axes, spec: SweepSpec, runs: Sequence[SweepRun]) -> None:
    rows = best_so_far(spec, runs)
    indices = [index for index, _, _ in rows]
    axes.plot(indices, [value for _, value, _ in rows], "o", color=GREY, markersize=4, label="run")
    axes.step(indices, [best for _, _, best in rows], where="post", color=BLUE, linewidth=2, label="best so far")
    axes.set(title="Best so far", xlabel="run", ylabel=spec.metric.name if spec.metric else "")
    axes.legend(frameon=False)
    axes.grid(visible=True, alpha=0.25)


def _importance(axes: Axes, spec: SweepSpec, best_first: Sequence[SweepRun]) -> None:
    weights = importances(spec, best_first)
    axes.set(title="Parameter importance")
    if not weights:
        axes.text(0.5, 0.5, f"after {MIN_RUNS_FOR_IMPORTANCE} runs", ha="center", va="center", color=GREY)
        axes.set_axis_off()
        return
    names = list(reversed(weights))
    axes.barh(names, [weights[name] for name in names], color=BLUE)
    axes.grid(visible=True, axis="x", alpha=0.25)


def _parallel_coordinates(axes: Axes, spec: SweepSpec, best_first: Sequence[SweepRun]) -> None:
    columns = _varying_columns(best_first)
    metric = spec.metric
    if metric is None:
        return
    values = [value for run in best_first if (value := run.metric(metric)) is not None]
    heights, labels = _axis(values) if len(set(values)) > 1 else ([0.5] * len(values), [(0.5, short(values[0]))])
    columns = {**columns, metric.name: (heights, labels)}
    positions = range(len(columns))
    for rank in reversed(range(len(best_first))):  # the best is drawn last, on top
        line = [places[rank] for places, _ in columns.values()]
        colour = RED if rank == 0 else BLUE
        axes.plot(positions, line, color=colour, alpha=1.0 if rank == 0 else max(0.12, 0.7 - rank / len(best_first)))
    for position, (_, ticks) in enumerate(columns.values()):
        axes.axvline(position, color=GREY, linewidth=1)
        for height, text in ticks:
            axes.annotate(text, (position, height), textcoords="offset points", xytext=(4, 2), fontsize=8)
    axes.set(title="Parallel coordinates (red: best)", xticks=list(positions), yticks=[])
    axes.set_xticklabels(list(columns))
    axes.margins(x=0.06)
