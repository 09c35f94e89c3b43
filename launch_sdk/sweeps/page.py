"""The texts of a sweep in the Prefect UI: a line, a table, a page in markdown. Pure.

Whatever a user or a program wrote shows as text. The UI's two versions differ in what they take for markdown: both do
for a page and for a description, but for the cells of a table only version 1 does; hence `plain` and `cell`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from launch_sdk.sweeps.report import (
    Progress,
    duration,
    flat_parameters,
    progress,
    ranked,
    short,
    short_names,
    varying_parameters,
)
from launch_sdk.sweeps.runs import SweepRun, latest_attempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.pictures import Picture
    from launch_sdk.sweeps.planning import Finish

MAX_BEST = 5
MAX_LINKED = 100
MAX_ROWS = 1000
MAX_TEXT = 300
MAX_WHY = 100
LETTERS_WIDE = 58  # what a markdown table may be wide beside the metric before it leaves the page of version 2
JOINER = "\u2060"  # takes no space and ends what markdown would read on
HARMLESS = re.compile(r"(?:[^\W_]|[ .,:;%()/+=-]|(?<=[^\W_])_(?=[^\W_]))*")
BEGINS_BLOCK = re.compile(r"[-+=]+( |$)|\d+[.)] ")  # a list, a rule, an underline
LOOKALIKES = str.maketrans({"*": "∗", "`": "ˋ", "~": "∼"})  # noqa: RUF001  # that is the point


def plain(text: object, limit: int = MAX_TEXT) -> str:
    """Write text so that markdown shows it as it is, on one line, also between the bars of a table."""
    line = " ".join(str(text).split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)


def cell(text: object, limit: int = 24) -> str:
    """Write a cell of a table artifact so that it shows the same with and without markdown.

    What markdown acts on is parted from what follows by a character of no width; `*`, backtick and `~`, which act
    wherever they stand, become their likes.
    """
    line = short(text, limit)
    if HARMLESS.fullmatch(line) and not BEGINS_BLOCK.match(line):
        return line
    return JOINER + re.sub(r"([<\[\]!&\\_|#>])", rf"{JOINER}\1{JOINER}", line.translate(LOOKALIKES))


def headline(spec: SweepSpec, state: Progress, *, is_over: bool = False) -> str:
    """Say in one line how far the sweep is, or was when it ended; markdown."""
    of = f" of {state.total}" if state.total else ""
    words = [
        f"{state.finished} finished{of}",
        f"{state.active} {'not ended' if is_over else 'running'}",
        f"{state.failed} failed",
    ]
    if state.best and spec.metric and (value := state.best.metric(spec.metric)) is not None:
        words.append(f"best {plain(spec.metric.name)} {value:.6g} (run {state.best.index})")
    if state.seconds_left is not None and state.active and not is_over:
        words.append(f"about {duration(state.seconds_left)} left")
    return ", ".join(words)


def table(spec: SweepSpec, runs: Sequence[SweepRun]) -> list[dict[str, Any]]:
    """Give the rows of the table artifact, newest first; every row has the same columns, as the UI expects.

    Of a long sweep it holds the newest `MAX_ROWS` runs: it is written again and again, as a whole.
    """
    current = latest_attempts(runs)[-MAX_ROWS:]
    names = sorted({name for run in current for name in flat_parameters(run.parameters)})
    headings = _distinct([_metric_name(spec), *short_names(names)], taken=("run", "state", "duration", "why", "link"))
    rows: list[dict[str, Any]] = []
    for run in reversed(current):
        values = flat_parameters(run.parameters)
        cells = [_number(run.metric(spec.metric)), *(cell(values[n]) if n in values else "" for n in names)]
        metric, *parameters = zip(headings, cells, strict=True)
        rows.append(
            {
                "run": run.index,
                metric[0]: metric[1],
                "state": run.state.value,
                "duration": duration(run.duration_s),
                **dict(parameters),
                "why": cell(run.error or run.stop_reason or "", MAX_WHY),
                "link": run.url or "",
            }
        )
    return rows


def rows_title(attempts: int) -> str:
    """Say what the table artifact of a sweep with so many runs shows."""
    if attempts <= MAX_ROWS:
        return "Every run of the sweep, the newest first"
    return f"The newest {MAX_ROWS} runs of the sweep; launch sweep export writes all"


def summary_page(
    spec: SweepSpec,
    runs: Sequence[SweepRun],
    pictures: Sequence[Picture],
    finish: Finish | None = None,
    notices: Sequence[str] = (),
) -> str:
    """Write the markdown artifact: how it goes, the best runs, the pictures, links to the runs."""
    parts = [f"# {plain(spec.name or 'Sweep')}", headline(spec, progress(spec, runs), is_over=finish is not None)]
    if spec.description:
        parts.append(plain(spec.description, limit=4000))
    if finish:
        parts.append(f"**Ended**: {plain(finish.reason)}")
    parts += [f"> {plain(notice)}" for notice in notices]
    if best := ranked(spec, runs)[:MAX_BEST]:
        parts += ["## Best runs", _best_table(spec, runs, best)]
    for picture in pictures:
        parts += [f"## {picture.title}", plain(picture.caption), f"![{picture.title}]({picture.url})"]
    if current := latest_attempts(runs):
        parts += [f"## {_runs_title(len(current))}", _linked_table(spec, current[::-1][:MAX_LINKED])]
    return "\n\n".join(parts)


def _best_table(spec: SweepSpec, runs: Sequence[SweepRun], best: Sequence[SweepRun]) -> str:
    """Compare the best runs in the parameters that differ, as many as fit the page."""
    names = varying_parameters(runs)
    headings = short_names(names)
    columns = [[heading, *_values(best, name)] for name, heading in zip(names, headings, strict=True)]
    room, shown = LETTERS_WIDE, list[list[str]]()
    for column in columns:
        room -= max(len(text) for text in column) + 2
        if room >= 0:
            shown.append(column)
    rows = [["run", _metric_name(spec), *(column[0] for column in shown)]]
    rows += [["", _number(run.metric(spec.metric)), *(column[i + 1] for column in shown)] for i, run in enumerate(best)]
    lines = [[plain(text) for text in row] for row in rows]
    for line, run in zip(lines[1:], best, strict=True):
        line[0] = _link(run)
    return _markdown_table(lines)


def _linked_table(spec: SweepSpec, runs: Sequence[SweepRun]) -> str:
    lines = [["run", "state", plain(_metric_name(spec)), "took", "parameters"]]
    for run in runs:
        values = flat_parameters(run.parameters)
        words = [
            f"{name}={short(value)}" for name, value in zip(short_names(list(values)), values.values(), strict=True)
        ]
        said = f" {run.error or run.stop_reason}" if run.error or run.stop_reason else ""
        number = _number(run.metric(spec.metric))
        told = f"{plain(', '.join(words))}{' — ' + plain(said.strip()) if said else ''}"
        lines.append([_link(run), run.state.value, plain(number), duration(run.duration_s), told])
    return _markdown_table(lines)


def _markdown_table(lines: Sequence[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([rows[0], "|" + " --- |" * len(lines[0]), *rows[1:]])


def _runs_title(count: int) -> str:
    return f"The last {MAX_LINKED} of {count} runs" if count > MAX_LINKED else "Runs"


def _values(runs: Sequence[SweepRun], name: str) -> list[str]:
    rows = [flat_parameters(run.parameters) for run in runs]
    return [short(row[name]) if name in row else "" for row in rows]


def _link(run: SweepRun) -> str:
    return f"[{run.index}]({run.url})" if run.url else str(run.index)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _metric_name(spec: SweepSpec) -> str:
    return short(spec.metric.name) if spec.metric else "metric"


def _distinct(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Keep columns apart that would have the same heading."""
    used = set(taken)
    result: list[str] = []
    for name in names:
        heading, number = " ".join(name.split()) or "(no name)", 2
        while heading in used:
            heading, number = f"{name} ({number})", number + 1
        used.add(heading)
        result.append(heading)
    return result
