"""`launch-agent`: run what is put on queues, on this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from launch_sdk.cli.command import DONE, Parser, finish, say
from launch_sdk.errors import NotFoundError
from launch_sdk.runs.home import launch_home
from launch_sdk.specs.agent_config import (
    DEFAULTS,
    FILE_NAME,
    AgentConfig,
    config_of_environment,
    limit_fault,
    read_agent_config,
    split_queues,
)
from launch_sdk.specs.placement import DEFAULT_QUEUE
from launch_sdk.specs.preload import preload_faults, split_preload
from launch_sdk.specs.resources import parse_resources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

STATUS_EVERY_S = {0: 300.0, 1: 20.0, 2: 20.0}  # by verbosity; W&B's
EXAMPLES = """\
  launch-agent                               serve the default queue, one run at a time
  launch-agent --queues gpu,cpu --max-jobs 4 two queues, four runs at once over both
  launch-agent --max-jobs -1 --slots gpu=2   as many as share two GPUs: launch --resources gpu=1
  launch-agent -c agent.yaml                 what a file says (queues, max_jobs, ...); options win

Without -c the file launch-config.yaml in LAUNCH_HOME is read, if it is there. Over the file stand the variables
LAUNCH_AGENT_QUEUES, LAUNCH_AGENT_MAX_JOBS, LAUNCH_AGENT_MAX_SCHEDULERS, LAUNCH_AGENT_NAME; over these the options."""


def main(arguments: Sequence[str] | None = None) -> None:
    finish(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    config = (
        options_config(parser, options)
        .over(config_of_environment(os.environ))
        .over(file_config(options.config))
        .over(DEFAULTS)
    )
    for what, value in (("Entity", config.entity), ("Project", options.project)):
        if value:
            say(f"{what} {value!r} is W&B's; a server is one team, so it changes nothing.")
    log, tell = open_log(config.log_file)
    try:
        _serve(config, options, tell)
    finally:
        if log is not None:
            log.close()
    return DONE


def make_parser() -> Parser:
    parser = Parser("launch-agent", "Run what is put on queues, on this machine.", EXAMPLES)
    parser.add_argument("project", nargs="?", help="W&B's; a server is one team, so it changes nothing")
    parser.add_argument(
        "-q", "--queues", "--queue", action="append", help="names, separated by commas; default: 'default'"
    )
    parser.add_argument("-e", "--entity", help="W&B's; a server is one team, so it changes nothing")
    parser.add_argument(
        "-j", "--max-jobs", "--max_jobs", type=int, help="runs at once over all queues; default: 1; -1: no limit"
    )
    parser.add_argument(
        "--max-schedulers", "--max_schedulers", type=int, help="sweeps led at once; default: -1, no limit; 0: none"
    )
    parser.add_argument("-c", "--config", metavar="FILE", help="agent file (YAML)")
    parser.add_argument("-l", "--log-file", "--log_file", metavar="FILE", help="write what it says there; -: to stdout")
    parser.add_argument("-v", "--verbose", action="count", help="say every 20 s what runs; -vv: with what Prefect logs")
    parser.add_argument("--name", help="what the Prefect UI calls the agent")
    parser.add_argument("--exit-when-idle", type=float, metavar="SECONDS", help="end after so long without work")
    parser.add_argument(
        "--slots", metavar="gpu=N,cpu=N", help="what runs may have for themselves; default: all that the machine has"
    )
    parser.add_argument(
        "--preload",
        metavar="MODULE,...",
        help="import these, and fork the Python programs of queues that say nothing of it; '': fork them only",
    )
    parser.add_argument(
        "--preemptible", action="store_true", help="SIGTERM means that the host takes its machine: put the runs back"
    )
    return parser


def options_config(parser: Parser, options: argparse.Namespace) -> AgentConfig:
    """Read what the command line says."""
    queues = None if options.queues is None else split_queues(options.queues)
    if queues is not None and not queues:
        parser.error("--queues names no queue")
    for key in ("max_jobs", "max_schedulers"):
        value = getattr(options, key)
        if value is not None and (message := limit_fault(key, value)):
            parser.error(f"--{key.replace('_', '-')} {message}")
    verbosity = None if options.verbose is None else min(options.verbose, 2)
    preload = None if options.preload is None else split_preload(options.preload)
    if faults := preload_faults(preload or ()):
        parser.error("; ".join(f"--preload {told}" for _, told in faults))
    return AgentConfig(
        queues,
        options.entity,
        options.max_jobs,
        options.max_schedulers,
        verbosity,
        options.name,
        options.log_file,
        preload,
    )


def file_config(named: str | None) -> AgentConfig:
    """Read the agent's file: the one that is named must exist, the usual one may."""
    path = launch_home() / FILE_NAME if named is None else Path(named).expanduser()
    if named is None and not path.exists():
        return AgentConfig()
    if not path.exists():
        raise NotFoundError(f"Agent config {named} does not exist. Name a YAML file, or leave --config out.")
    return read_agent_config(path)


def open_log(log_file: str | None) -> tuple[TextIO | None, Callable[[str], None]]:
    """Open where the agent writes what it says.

    Raises:
        OSError: the file cannot be written.
    """
    if log_file is None:
        return None, say
    if log_file == "-":
        return None, lambda text: print(text, file=sys.stdout, flush=True)
    log = Path(log_file).expanduser().open("a", encoding="utf-8", buffering=1)
    return log, lambda text: print(text, file=log, flush=True)


def _serve(config: AgentConfig, options: argparse.Namespace, tell: Callable[[str], None]) -> None:
    slots = parse_resources(options.slots, "--slots") if options.slots else None
    queues = config.queues or ()
    max_jobs, verbosity = config.max_jobs or 1, config.verbosity or 0
    tell(f"Agent for {', '.join(queues)}: {'no limit' if max_jobs < 0 else max_jobs} at once.")
    if verbosity > 1:
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "DEBUG")
    from launch_sdk._prefect.embedded import connect

    tell(f"Server: {connect()}")
    from launch_sdk._prefect import names
    from launch_sdk._prefect.project import project_folder
    from launch_sdk._prefect.queues import ensure_queues
    from launch_sdk.agent.agent import serve
    from launch_sdk.agent.starter import Project

    async def run() -> None:
        await ensure_queues([name for name in queues if name == DEFAULT_QUEUE])
        await serve(
            queues,
            max_jobs=max_jobs,
            max_schedulers=-1 if config.max_schedulers is None else config.max_schedulers,
            name=config.name,
            exit_when_idle_s=options.exit_when_idle,
            slots=slots,
            preemptible=options.preemptible,
            on_event=tell,
            project=Project(project_folder(), names.PRELOADED),
            status_every_s=STATUS_EVERY_S[verbosity],
            preload=config.preload,
        )

    asyncio.run(run())


if __name__ == "__main__":
    main()
