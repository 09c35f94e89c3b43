"""The pictures of a sweep: best value so far, importance of the parameters, parallel coordinates.

matplotlib draws them as PNG; the Prefect UI shows `data:` images in markdown, 690 points wide.
"""

# matplotlib has annotations of its own that a strict checker cannot follow.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import base64
import io
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launch_sdk.sweeps.chart import Axis, Chart
from launch_sdk.sweeps.report import short, short_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

MIN_RUNS = 2
MAX_AXES = 8  # beside the metric's: more cannot be read on this width
MAX_BARS = 12
MAX_TICKS = 9
MAX_LINES = 120
LETTERS = 84  # that fit the width
WIDTH_IN, DPI = 9.2, 150  # twice the width that it is shown in, for sharp text
COLOURS = 64
BLUE, LIGHT, GREY, INK, RED = "#2563eb", "#cbd5e1", "#94a3b8", "#334155", "#dc2626"
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "text.parse_math": False,  # a `$` in a name is a dollar
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LIGHT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows.

    Attributes:
        title: heading for it.
        caption: how to read it.
        url: the PNG as a `data:` URL.
    """

    title: str
    caption: str
    url: str


def draw(chart: Chart) -> list[Picture]:
    """Draw a sweep; pictures that its runs cannot fill yet are left out. Together about 100 kB.

    Returns:
        None of them while fewer than two runs have a value.
    """
    if len(chart.best_first) < MIN_RUNS:
        return []
    weights = chart.importances()
    pictures = [
        Picture("Best so far", _curve_caption(chart), _png(3.4, lambda axes: _curve(axes, chart))),
        Picture(
            "Parallel coordinates",
            _parallel_caption(chart),
            _png(4.4, lambda axes: _parallel(axes, chart, list(weights))),
        ),
    ]
    if weights:
        height = 0.9 + 0.36 * min(len(weights), MAX_BARS)
        caption = "How differently the best quarter of the runs and all runs lie along a parameter (PED-ANOVA)."
        pictures.insert(1, Picture("Parameter importance", caption, _png(height, lambda axes: _bars(axes, weights))))
    return pictures


def _png(height_in: float, fill: Callable[[Axes], None]) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is no news to anybody
        mpl.rcdefaults()  # a style of the user's is for the user's own figures
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        fill(figure.subplots())
        canvas.draw()
        whole = Image.frombuffer("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
    image = whole.convert("RGB").quantize(COLOURS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _curve(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import MaxNLocator

    valued = [(run.index, run.value) for run in chart.runs if run.value is not None]
    best = chart.best_so_far()
    failed = [run.index for run in chart.runs if run.is_over and run.value is None]
    dots: dict[str, Any] = {"markersize": 5 if len(valued) < 100 else 3, "linestyle": "none"}  # noqa: PLR2004  # many dots are smaller ones
    axes.plot(*zip(*valued, strict=True), marker="o", color=GREY, label="run", **dots)
    axes.step(*zip(*best, strict=True), where="post", color=BLUE, linewidth=2.2, label="best so far")
    winner = chart.best_first[0]
    axes.plot([winner.index], best[-1][1:], "o", color=RED, markersize=8, label=f"best: run {winner.index}", zorder=3)
    if failed:
        axes.plot(
            failed, [0.02] * len(failed), "x", color=RED, transform=axes.get_xaxis_transform(), label="without a value"
        )
    _scale([value for _, value in valued], axes)
    axes.set(xlabel="run", ylabel=short(chart.metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, axis="y", color=LIGHT, alpha=0.6, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)


def _scale(values: Sequence[float], axes: Axes) -> None:
    """Take a logarithmic axis where a linear one would show a single bend."""
    low, high = min(values), max(values)
    middle = sorted(abs(value) for value in values)[len(values) // 2]
    if low > 0 and high / low > 100:  # noqa: PLR2004  # two powers of ten
        axes.set_yscale("log")
    elif middle > 0 and max(-low, high) / middle > 1000:  # noqa: PLR2004  # some run is far off
        axes.set_yscale("symlog", linthresh=middle)
    else:
        return
    axes.yaxis.get_major_locator().set_params(numticks=7)  # pyright: ignore[reportCallIssue]  # every logarithmic locator has it
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.6g}")
    axes.minorticks_off()


def _curve_caption(chart: Chart) -> str:
    ways = {"minimize": "Lower is better.", "maximize": "Higher is better."}
    return ways[chart.goal]


def _bars(axes: Axes, weights: dict[str, float]) -> None:
    shown = list(weights)[:MAX_BARS]
    names = dict(zip(weights, short_names(list(weights)), strict=True))
    values = [weights[name] for name in shown]
    axes.barh(range(len(shown)), values, color=BLUE, height=0.62)
    for position, value in enumerate(values):
        axes.text(value, position, f" {value:.0%}", va="center")
    axes.set_yticks(range(len(shown)), [_label(names[name]) for name in shown])
    axes.tick_params(axis="y", length=0)
    axes.set(xticks=[], xlim=(0, max(values) * 1.12))
    axes.spines["bottom"].set_visible(False)
    axes.invert_yaxis()


def _parallel(axes: Axes, chart: Chart, by_weight: list[str]) -> None:
    from matplotlib.collections import LineCollection

    best_first = chart.best_first
    varying = chart.varying()
    chosen = [name for name in by_weight or varying if name in varying][:MAX_AXES]
    metric = Axis.of_metric([run.value for run in best_first if run.value is not None])
    columns = [*(varying[name] for name in chosen), metric]
    shown = range(0, len(best_first), math.ceil(len(best_first) / MAX_LINES))
    lines = [[(x, axis.places[rank]) for x, axis in enumerate(columns)] for rank in shown]
    axes.add_collection(LineCollection(lines[:0:-1], colors=_shades(len(lines) - 1), linewidths=1.3))
    axes.add_collection(LineCollection(lines[:1], colors=[RED], linewidths=2.6, zorder=3))
    names = [_label(name) for name in short_names([*chosen, chart.metric])]
    letters = LETTERS // len(columns)
    is_crowded = any(len(name) > letters for name in names)
    for x, (axis, name) in enumerate(zip(columns, names, strict=True)):
        _upright(axes, x, axis, letters)
        height = 1.14 if is_crowded and x % 2 else 1.06
        axes.text(x, height, name, ha="center", weight="bold" if x == len(chosen) else "normal", zorder=4)
    axes.set(xlim=(-0.25, len(columns) - 0.4), ylim=(-0.13, 1.2 if is_crowded else 1.12))
    axes.set_axis_off()


def _upright(axes: Axes, x: int, axis: Axis, letters: int) -> None:
    """Draw one axis and its ticks, each at most `letters` long."""
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
    axes.plot([x, x], [0, 1], color=INK, linewidth=1.2, zorder=2)
    step = math.ceil(len(axis.ticks) / MAX_TICKS)
    for place, text in axis.ticks[::step]:
        shown = text if len(text) <= letters else text[: letters - 1] + "…"
        axes.text(x + 0.03, place, shown, va="center", fontsize=9.5, bbox=box, zorder=4)
    if axis.is_logarithmic:
        axes.text(x, -0.1, "log", ha="center", fontsize=9.5, color=GREY)


def _shades(count: int) -> list[tuple[float, float, float, float]]:
    """Give the colours of all runs but the best, worst first: from a pale grey to a full blue."""
    shades: list[tuple[float, float, float, float]] = []
    for position in range(count):
        good = position / max(count - 1, 1)
        pale, full = (0.72, 0.76, 0.82), (0.15, 0.39, 0.92)
        red, green, blue = (p + (f - p) * good for p, f in zip(pale, full, strict=True))
        shades.append((red, green, blue, 0.25 + 0.55 * good if count > 50 else 0.45 + 0.45 * good))  # noqa: PLR2004  # many lines are thinner paint
    return shades


def _parallel_caption(chart: Chart) -> str:
    count, shown = len(chart.varying()), len(chart.best_first)
    words = ["A line is a run: red the best, blue good, grey poor."]
    if count > MAX_AXES:
        words.append(f"The {MAX_AXES} most important of {count} parameters.")
    if shown > MAX_LINES:
        words.append(f"Every {math.ceil(shown / MAX_LINES)}th run by rank.")
    if without := sum(run.is_over for run in chart.runs) - shown:
        words.append(f"Left out: {without} {'run' if without == 1 else 'runs'} without a value.")
    return " ".join(words)


def _label(name: str) -> str:
    """Keep a name short and on one line."""
    text = " ".join(name.split())
    return text if len(text) <= 18 else text[:17] + "…"  # noqa: PLR2004  # an eighth of the width
