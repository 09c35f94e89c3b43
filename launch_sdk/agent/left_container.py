"""The container and the layers that a flow has left: removed by its guard, once nothing else of the run is left."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from launch_sdk.containers.left_builds import noted_builds
from launch_sdk.containers.removal import FOLDER
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.processes import is_dead

if TYPE_CHECKING:
    from pathlib import Path

    from launch_sdk.agent.wire import Order

TIMEOUT_S = 30.0


def remove_left_container(order: Order) -> None:
    """Remove them in a process of its own, if there are any; whoever finds the note later does it otherwise."""
    home = launch_home()
    dead = _dead_builders(home, order.flow_run_id)
    if not dead and not (home / FOLDER / f"{order.flow_run_id}.json").exists():
        return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [sys.executable, "-P", "-m", "launch_sdk.containers.removal", str(home), order.flow_run_id, *dead],
            env=order.env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )


def _dead_builders(home: Path, run_id: str) -> list[str]:
    """Name the processes of a run that were building when they died; another attempt of it may be building by now."""
    noted = [one.process for one in noted_builds(home) if one.path.name.startswith(f"{run_id}.")]
    return [process for process in noted if is_dead(process)]
