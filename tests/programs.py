"""Running a program of this machine to its end, as a run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.runs.supervise import start_process, supervise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from launch_sdk.runs.program_fork import ProgramFork
    from launch_sdk.runs.supervise import Follower


async def run_program(
    argv: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    follower: Follower,
    pass_fds: Sequence[int] = (),
    fork: ProgramFork | None = None,
    **supervision: Any,
) -> int:
    """Start it and follow it to its end; its exit code. What is not named here goes to `supervise`."""
    output = follower.run.output
    program = start_process(
        argv, directory=directory, environment=environment, output=output, pass_fds=pass_fds, fork=fork
    )
    return await supervise(program, follower, **supervision)
