"""A sweep in the terminal: live progress, the table of the best runs, the command that repeats the best."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from launch_sdk.cli.command import how_to_call
from launch_sdk.specs.run_state import RunState
from launch_sdk.sweeps.report import duration, flat_parameters, progress, ranked, short, short_names, varying_parameters
from launch_sdk.sweeps.runs import latest_attempts

if TYPE_CHECKING:
    from types import TracebackType

    from launch_sdk.sweeps.runs import SweepRun
    from launch_sdk.views import SweepView

BEST_SHOWN = 10
UNLIMITED_WIDTH = 2000
STATE_STYLES = {
    RunState.FINISHED: "green",
    RunState.RUNNING: "cyan",
    RunState.FAILED: "red",
    RunState.LOST: "red",
    RunState.CANCELLED: "yellow",
    RunState.STOPPED: "yellow",
}


class LiveView:
    """Live progress on standard error: in place on a terminal, a line per change elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)
        self.last_line = ""
        self.said: set[str] = set()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def say(self, text: str) -> None:
        """Say something once, above the progress."""
        if text not in self.said:
            self.said.add(text)
            self.console.print(Text(text, style="yellow"), soft_wrap=True)

    def show(self, view: SweepView) -> None:
        """Show where the sweep is now."""
        for notice in view.notices:
            self.say(notice)
        for line in _stops(view):
            self.say(line)
        line = _status_line(view)
        if not self.console.is_terminal:
            if line.plain != self.last_line:
                self.console.print(line, soft_wrap=True)
            self.last_line = line.plain
            return
        state = progress(view.spec, view.runs)
        over = state.finished + state.failed if state.total else 0
        bar = Table.grid()  # a bar alone ends no line
        bar.add_row(ProgressBar(total=state.total or 100, completed=over, width=40))
        self.live.update(Group(bar, line, _active_table(view)))


def _status_line(view: SweepView) -> Text:
    state = progress(view.spec, view.runs)
    of = f"/{state.total}" if state.total else ""
    line = Text.assemble(
        (f"{state.finished}{of} done", "green"),
        ", ",
        (f"{state.active} {'not ended' if view.state.is_terminal else 'running'}", "cyan"),
        ", ",
        f"{state.failed} failed",
    )
    if state.best and view.spec.metric and (value := state.best.metric(view.spec.metric)) is not None:
        line.append(f", best {view.spec.metric.name} ").append(f"{value:.6g}", style="bold")
        line.append(f" (run {state.best.index})")
    if state.seconds_left is not None and state.active and not view.state.is_terminal:
        line.append(f", about {duration(state.seconds_left)} left", style="dim")
    if not view.runs:
        line.append(f" ({'waiting for an agent' if view.state is RunState.QUEUED else view.state.value})", style="dim")
    return line


def _active_table(view: SweepView) -> Table:
    table = Table.grid(padding=(0, 2))
    for run in [run for run in latest_attempts(view.runs) if run.is_active][:12]:
        value = run.metric(view.spec.metric)
        metric = "" if value is None or not view.spec.metric else f"{view.spec.metric.name}={value:.5g}"
        table.add_row(Text(run.name, style="dim"), Text(run.state.value, style=STATE_STYLES.get(run.state, "")), metric)
    return table


def print_result(view: SweepView) -> None:
    """Print the end of a sweep: why it ended, the best runs, what to do next."""
    console = wide_console(stderr=True)
    console.print(_status_line(view), soft_wrap=True)
    style = "green" if view.state.has_result else "red"
    reason = view.message or "its process has ended"
    console.print(Text(f"Sweep {view.sweep_id} {view.state.value}: {reason}", style=style), soft_wrap=True)
    if best := ranked(view.spec, view.runs)[:BEST_SHOWN]:
        console.print(runs_table(view, [run.index for run in best], title="Best runs", width=console.width))
        console.print("Repeat the best run:")
        console.print(Text(f"  {how_to_call('launch')} {best[0].run_id}", style="bold"), soft_wrap=True)
    console.print(Text.assemble("Look at it: ", (view.url, "underline")), soft_wrap=True)
    if view.state in {RunState.LOST, RunState.CANCELLED, RunState.STOPPED}:
        console.print(Text(f"Go on with: {how_to_call('launch-sweep')} --resume_id {view.sweep_id}"), soft_wrap=True)


def wide_console(*, stderr: bool) -> Console:
    """Give a console that folds at the edge of a terminal, and nowhere else."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else UNLIMITED_WIDTH)


def runs_table(view: SweepView, indices: list[int], title: str, width: int) -> Table:
    """Lay runs out: index, metric, state, duration and as many parameters as fit, those that vary first."""
    runs = {run.index: run for run in latest_attempts(view.runs)}
    shown = [runs[index] for index in indices]
    rows = [_cells(view, run) for run in shown]
    values = [flat_parameters(run.parameters) for run in shown]
    names = list(dict.fromkeys([*varying_parameters(shown), *sorted({name for row in values for name in row})]))
    columns = {
        heading: [escape(short(row[name])) if name in row else "" for row in values]
        for name, heading in zip(names, short_names(names), strict=True)
    }
    metric = view.spec.metric.name if view.spec.metric else "metric"
    headings = ["run", metric, "state", "took"]
    room = width - 1 - sum(3 + max(len(h), *(len(str(row[i])) for row in rows)) for i, h in enumerate(headings))
    fitting: list[str] = []
    for heading, cells in columns.items():
        room -= 3 + max(len(heading), *map(len, cells))
        if room < 0:
            break
        fitting.append(heading)
    left_out = len(columns) - len(fitting)
    caption = f"and {left_out} more parameters: launch sweep show {view.sweep_id} --json" if left_out else None
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    table.caption, table.caption_justify = caption, "left"
    for heading in headings:
        table.add_column(escape(heading), justify="right" if heading in {"run", "took"} else "left", no_wrap=True)
    for heading in fitting:
        table.add_column(escape(heading), no_wrap=True)
    for position, row in enumerate(rows):
        table.add_row(*row, *(columns[heading][position] for heading in fitting))
    return table


def _stops(view: SweepView) -> list[str]:
    """Say of each run that was asked to end why."""
    asked = [run for run in latest_attempts(view.runs) if run.stop_reason]
    return [f"Run {run.index} {run.state.value}: {run.stop_reason}" for run in asked if run.state.is_terminal]


def _cells(view: SweepView, run: SweepRun) -> list[Text | str]:
    value = run.metric(view.spec.metric)
    return [
        str(run.index),
        "" if value is None else f"{value:.6g}",
        Text(run.state.value, style=STATE_STYLES.get(run.state, "")),
        duration(run.duration_s),
    ]


def print_sweep(view: SweepView) -> None:
    """Print a sweep as `launch sweep show` does: on standard output, all runs."""
    console = wide_console(stderr=False)
    name = f"{view.spec.method} over {view.spec.searched} of {view.spec.program or view.spec.job}"
    console.print(Text.assemble((f"Sweep {view.sweep_id}", "bold"), f" ({name}): {view.state.value}"))
    if view.message:
        console.print(Text(view.message, style="dim"))
    for notice in view.notices:
        console.print(Text(notice, style="yellow"))
    console.print(_status_line(view))
    runs = latest_attempts(view.runs)
    if runs:
        console.print(runs_table(view, [run.index for run in runs], title="Runs", width=console.width))
    for run in [run for run in runs if run.error][:3]:
        console.print(Text(f"Run {run.index} {run.state.value}: {run.error}", style="red"))
    for line in _stops(view):
        console.print(Text(line, style="yellow"))
    console.print(Text.assemble("Look at it: ", (view.url, "underline")), soft_wrap=True)
