"""`launch-agent`: run what is put on queues, on this machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from launch_sdk.cli.command import DONE, Parser, finish, say
from launch_sdk.specs.resources import parse_resources

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
  launch-agent                               serve the default queue, one run at a time
  launch-agent --queues gpu,cpu --max-jobs 4 two queues, four runs at once over both
  launch-agent --max-jobs -1 --slots gpu=2   as many as share two GPUs: launch --resources gpu=1"""


def main(arguments: Sequence[str] | None = None) -> None:
    finish(_main, arguments)


def _main(arguments: Sequence[str]) -> int:
    parser = Parser("launch-agent", "Run what is put on queues, on this machine.", EXAMPLES)
    parser.add_argument("-q", "--queues", "--queue", default="default", help="names, separated by commas")
    parser.add_argument(
        "-j", "--max-jobs", "--max_jobs", type=int, default=1, help="runs at once over all queues; -1: no limit"
    )
    parser.add_argument("--max-schedulers", "--max_schedulers", type=int, default=-1, help="sweeps led at once")
    parser.add_argument("--name", help="what the Prefect UI calls the agent")
    parser.add_argument("--exit-when-idle", type=float, metavar="SECONDS", help="end after so long without work")
    parser.add_argument(
        "--slots", metavar="gpu=N,cpu=N", help="what runs may have for themselves; default: all that the machine has"
    )
    parser.add_argument(
        "--preemptible", action="store_true", help="SIGTERM means that the host takes its machine: put the runs back"
    )
    options = parser.parse_args(arguments)
    slots = parse_resources(options.slots, "--slots") if options.slots else None
    queues = [name.strip() for name in options.queues.split(",") if name.strip()]
    if not queues:
        parser.error("--queues names no queue")
    if options.max_jobs == 0 or options.max_jobs < -1:
        parser.error("--max-jobs must be at least 1, or -1 for no limit")
    if options.max_schedulers == 0 or options.max_schedulers < -1:
        parser.error("--max-schedulers must be at least 1, or -1 for no limit")
    say(f"Agent for {', '.join(queues)}: {'no limit' if options.max_jobs < 0 else options.max_jobs} at once.")
    from launch_sdk._prefect.embedded import connect

    say(f"Server: {connect()}")
    from launch_sdk._prefect import names
    from launch_sdk._prefect.project import project_folder
    from launch_sdk._prefect.queues import ensure_queues
    from launch_sdk.agent.agent import serve
    from launch_sdk.agent.starter import Project

    async def run() -> None:
        await ensure_queues([name for name in queues if name == names.DEFAULT_QUEUE])
        await serve(
            queues,
            max_jobs=options.max_jobs,
            max_schedulers=options.max_schedulers,
            name=options.name,
            exit_when_idle_s=options.exit_when_idle,
            slots=slots,
            preemptible=options.preemptible,
            on_event=say,
            project=Project(project_folder(), names.PRELOADED),
        )

    asyncio.run(run())
    return DONE


if __name__ == "__main__":
    main()
