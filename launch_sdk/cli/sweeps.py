"""`launch sweep ACTION ...`: looking at sweeps, taking out their results, and their life."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.command import DONE, Parser, how_to_call, print_json, say
from launch_sdk.cli.tables import print_table
from launch_sdk.errors import NotFoundError
from launch_sdk.sweeps.report import flat_parameters
from launch_sdk.sweeps.runs import latest_attempts
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from launch_sdk.client import LaunchClient, LaunchedSweep
    from launch_sdk.views import SweepView

    Action = Callable[[LaunchClient, argparse.Namespace], int]

EXAMPLES = """\
  launch sweep show SWEEP                    its runs, its best, what went wrong
  launch sweep best SWEEP --config > best.yaml
  launch sweep export SWEEP -o runs.csv      every run: parameters, metric, state, times (or .json, .parquet)
  launch sweep dashboard SWEEP               Optuna's dashboard on a copy of it (extra: dashboard)
  launch sweep pause SWEEP                   start no more runs for now; launch sweep resume SWEEP goes on
  launch sweep stop SWEEP                    start no more runs; it ends when those that run have ended
  launch sweep cancel SWEEP                  end it and its runs now; launch sweep resume SWEEP goes on
  launch sweep rerun-failed SWEEP            start what has failed again, with the same parameters
  launch sweep schema > sweep.schema.json    for editors: # yaml-language-server: $schema=sweep.schema.json"""
FORMATS = ("csv", "json", "parquet")


def main(arguments: Sequence[str]) -> int:
    """Run `launch sweep ACTION ...`."""
    options = _parse(arguments)
    if options.action == "schema":
        from launch_sdk.specs.sweep_schema import sweep_schema

        print_json(sweep_schema())
        return DONE
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        return ACTIONS[options.action][1](client, options)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("launch sweep", "Look after the sweeps on the server.", EXAMPLES)
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (text, _) in ACTIONS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "list":
            command.add_argument("--limit", type=int, default=20, help="how many at most (default 20)")
        else:
            command.add_argument("id", metavar="SWEEP")
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    text = "Print the JSON Schema of a sweep file, for editors."
    schema = commands.add_parser("schema", help=text, description=text)
    schema.add_argument("--json", action="store_true", help="changes nothing: it is JSON")
    best, export = commands.choices["best"], commands.choices["export"]
    best.add_argument("--config", action="store_true", help="print its config alone, as a file that --configs reads")
    export.add_argument("-o", "--output", metavar="FILE", help="file to write; default: standard output")
    export.add_argument("--format", choices=FORMATS, help="default: by the end of FILE's name, else csv")
    commands.choices["dashboard"].add_argument("--browser", action="store_true", help="open it in a browser")
    for name in ("resume", "rerun-failed"):
        commands.choices[name].add_argument("--wait", action="store_true", help="watch until it has ended")
    options = parser.parse_args(arguments)
    if options.action == "export":
        _settle_format(export, options)
    return options


def _settle_format(parser: Parser, options: argparse.Namespace) -> None:
    if options.json and options.format not in {None, "json"}:
        parser.error(f"--json and --format {options.format} contradict one another")
    ending = Path(options.output).suffix.lstrip(".") if options.output else ""
    options.format = options.format or ("json" if options.json else ending if ending in FORMATS else "csv")
    if options.format == "parquet" and not options.output:
        parser.error("Parquet is written to a file; name it with -o FILE")


def _list(client: LaunchClient, options: argparse.Namespace) -> int:
    views = client.sweeps(options.limit)
    if options.json:
        print_json([view.to_json() for view in views])
        return DONE
    rows = [(v.sweep_id, v.state.value, len(latest_attempts(v.runs)), _best_value(v), v.name) for v in views]
    print_table(("sweep", "state", "runs", "best", "name"), rows)
    return DONE


def _best_value(view: SweepView) -> str:
    value = view.best.metric(view.spec.metric) if view.best else None
    return "" if value is None or view.spec.metric is None else f"{view.spec.metric.name} {value:.6g}"


def _show(client: LaunchClient, options: argparse.Namespace) -> int:
    view = client.sweep(options.id).refresh()
    if options.json:
        print_json(view.to_json())
        return DONE
    from launch_sdk.cli.sweep_view import print_sweep

    print_sweep(view)
    return DONE


def _best(client: LaunchClient, options: argparse.Namespace) -> int:
    view = client.sweep(options.id).refresh()
    best = view.best
    if best is None:
        raise NotFoundError(_why_no_best(view))
    if not options.config:
        document: dict[str, Any] = view.to_json()["best"] | {"name": best.name, "url": best.url}
        if options.json:
            print_json(document)
            return DONE
        rows = [("run", best.run_id), ("index", best.index), ("metric", _best_value(view))]
        parameters = flat_parameters(best.parameters)
        print_table(("field", "value"), [*rows, *((f"parameters.{key}", parameters[key]) for key in parameters)])
        return DONE
    config = client.run(best.run_id).refresh().config
    if options.json:
        print_json(encode(config))
        return DONE
    from launch_sdk.cli.best_config import config_yaml

    sys.stdout.write(config_yaml(config))
    return DONE


def _why_no_best(view: SweepView) -> str:
    told = f"Sweep {view.sweep_id} has no best run"
    if view.spec.metric is None:
        return f"{told}: its file names no metric. See all: launch sweep export {view.sweep_id}"
    return f"{told}: none has ended with a finite {view.spec.metric.name!r}. See launch sweep show {view.sweep_id}"


def _export(client: LaunchClient, options: argparse.Namespace) -> int:
    from launch_sdk.sweeps.export import flat_rows, nested_rows, write_csv, write_json, write_parquet

    view = client.sweep(options.id).refresh()
    metric, count = view.spec.metric, len(latest_attempts(view.runs))
    if options.format == "parquet":
        write_parquet(flat_rows(metric, view.runs), Path(options.output))
    elif options.output:
        with Path(options.output).open("w", encoding="utf-8", newline="") as file:
            if options.format == "json":
                write_json(nested_rows(metric, view.runs), file)
            else:
                write_csv(flat_rows(metric, view.runs), file)
    elif options.format == "json":
        write_json(nested_rows(metric, view.runs), sys.stdout)
    else:
        write_csv(flat_rows(metric, view.runs), sys.stdout)
    if options.output:
        say(f"Wrote {count} run{'' if count == 1 else 's'} to {options.output}.")
    return DONE


def _stop(client: LaunchClient, options: argparse.Namespace) -> int:
    sweep = client.sweep(options.id)
    return _wish(
        sweep,
        sweep.stop,
        options,
        "starts no more runs and ends with those that run. Now: launch sweep cancel",
    )


def _cancel(client: LaunchClient, options: argparse.Namespace) -> int:
    sweep = client.sweep(options.id)
    return _wish(sweep, sweep.cancel, options, "and its runs are asked to end. Go on with: launch sweep resume")


def _pause(client: LaunchClient, options: argparse.Namespace) -> int:
    sweep = client.sweep(options.id)
    return _wish(
        sweep, sweep.pause, options, "starts no more runs; those that run go on. Go on with: launch sweep resume"
    )


def _wish(sweep: LaunchedSweep, carry_out: Callable[[], None], options: argparse.Namespace, told: str) -> int:
    before = sweep.refresh()
    carry_out()
    if options.json:
        print_json(sweep.refresh().to_json())
    elif before.state.is_terminal and not any(run.is_active for run in before.runs):
        say(f"Sweep {sweep.id} has ended already: it is {before.state.value}.")
    else:
        say(f"Sweep {sweep.id} {told} {sweep.id}")
    return DONE


def _resume(client: LaunchClient, options: argparse.Namespace) -> int:
    sweep = client.resume_sweep(options.id)
    say(f"Sweep {sweep.id} goes on. {_how_to_look(sweep)}")
    return _go_on(client, sweep, options)


def _rerun_failed(client: LaunchClient, options: argparse.Namespace) -> int:
    sweep = client.sweep(options.id)
    count = sweep.rerun_failed()
    say(f"{count} run{' starts' if count == 1 else 's start'} again with the same parameters. {_how_to_look(sweep)}")
    return _go_on(client, sweep, options)


def _how_to_look(sweep: LaunchedSweep) -> str:
    return f"See: {how_to_call('launch')} sweep show {sweep.id}"


def _go_on(client: LaunchClient, sweep: LaunchedSweep, options: argparse.Namespace) -> int:
    from launch_sdk.cli.launch_sweep import follow

    return follow(client, sweep, detach=not options.wait, as_json=options.json)


def _delete(client: LaunchClient, options: argparse.Namespace) -> int:
    sweep = client.sweep(options.id)
    view = sweep.refresh()
    sweep.delete()
    if options.json:
        print_json(view.to_json())
    else:
        say(f"Deleted sweep {sweep.id} and its {len(view.runs)} runs from the server; their directories stay.")
    return DONE


def _dashboard(client: LaunchClient, options: argparse.Namespace) -> int:
    from launch_sdk.cli.dashboard import show_dashboard

    view = client.sweep(options.id).refresh()
    return show_dashboard(view, as_json=options.json, opens_browser=options.browser)


ACTIONS: dict[str, tuple[str, Action]] = {
    "list": ("List the latest sweeps.", _list),
    "show": ("Show a sweep and its runs.", _show),
    "best": ("Show the best run of a sweep, or print its config.", _best),
    "export": ("Write every run of a sweep as CSV, JSON or Parquet.", _export),
    "dashboard": ("Look at a copy of a sweep in Optuna's dashboard, until Ctrl-C.", _dashboard),
    "pause": ("Start no more runs for now; those that run go on.", _pause),
    "resume": ("Go on after a pause, or after the sweep has ended early.", _resume),
    "stop": ("Start no more runs; the sweep ends when those that run have ended.", _stop),
    "cancel": ("End a sweep and its runs now; it can be resumed.", _cancel),
    "rerun-failed": ("Start the failed and lost runs again, with the same parameters.", _rerun_failed),
    "delete": ("Delete a sweep and its runs from the server.", _delete),
}
