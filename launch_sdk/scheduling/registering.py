"""A scheduler's file that somebody starts by hand makes a job of itself, as W&B's scheduler jobs do."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.scheduling.scheduler import Scheduler

NEEDS = 'Making a job needs the launching side too: pip install "launch-sdk[prefect]"'


def register(kind: type[Scheduler], arguments: Sequence[str]) -> None:
    """Make the folder of the running file a job, `job-NAME`, and say how a sweep uses it."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None:
        raise SystemExit(f"{kind.__name__}.main() is for the end of a file; there is none here")
    options = _parse(kind, Path(file).name, arguments)
    for ignored, why in _ignored(options):
        print(f"{ignored} changes nothing: {why}", file=sys.stderr)  # noqa: T201  # a command's messages
    try:
        saved = _save(Path(file).resolve(), options)
    except ImportError as error:
        raise SystemExit(f"{NEEDS} ({error})") from None
    print(f"Job {saved.job.reference}. In a sweep file:\n\nscheduler:\n  job: {saved.job.name}", flush=True)  # noqa: T201


def _parse(kind: type[Scheduler], file: str, arguments: Sequence[str]) -> argparse.Namespace:
    told = f"Make a scheduler job of {file} and the folder that it is in. A sweep file names it as scheduler.job."
    parser = argparse.ArgumentParser(prog=file, description=told, allow_abbrev=False)
    parser.add_argument("--name", default=kind.__name__, help="the job is called job-NAME (default %(default)s)")
    parser.add_argument("--project", help="what the job belongs to")
    parser.add_argument("--entity", help="W&B's; changes nothing")
    parser.add_argument("--queue", help="queue of the job; default: the queue 'default'")
    parser.add_argument("--num_workers", help="W&B's; the sweep file says it")
    parser.add_argument("--enable_git", action="store_true", help="W&B's; the code is always taken as it is")
    return parser.parse_args(arguments)


def _ignored(options: argparse.Namespace) -> list[tuple[str, str]]:
    why = {
        "--entity": (options.entity, "a server is one team"),
        "--num_workers": (options.num_workers, "scheduler.num_workers of the sweep file counts"),
        "--enable_git": (options.enable_git, "the code is taken exactly as it is, in git or not"),
    }
    return [(flag, reason) for flag, (given, reason) in why.items() if given]


def _save(file: Path, options: argparse.Namespace) -> Any:
    """Save the job. By name: this package is what a scheduler's own environment has, and must not need the rest."""
    client = importlib.import_module("launch_sdk.client")
    errors = importlib.import_module("launch_sdk.errors")
    run_spec = importlib.import_module("launch_sdk.specs.run_spec")
    spec = run_spec.RunSpec(source=str(file.parent), entry_point=(file.name,), project=options.project)
    try:
        with client.LaunchClient() as connection:
            return connection.save_job(spec, name=f"job-{options.name}", queue=options.queue)
    except errors.LaunchError as error:
        raise SystemExit(f"error: {error}") from None
