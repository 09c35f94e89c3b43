"""The container and the layers that a flow has left: removed by its guard, once nothing else of the run is left."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

from launch_sdk.containers.left_builds import FOLDER as BUILDS
from launch_sdk.containers.removal import FOLDER
from launch_sdk.runs.home import launch_home

if TYPE_CHECKING:
    from launch_sdk.agent.wire import Order

TIMEOUT_S = 30.0


def remove_left_container(order: Order) -> None:
    """Remove them in a process of its own, if there are any; whoever finds the note later does it otherwise."""
    home = launch_home()
    has_built = any((home / BUILDS).glob(f"{order.flow_run_id}.*.json"))
    if not has_built and not (home / FOLDER / f"{order.flow_run_id}.json").exists():
        return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [sys.executable, "-P", "-m", "launch_sdk.containers.removal", str(home), order.flow_run_id],
            env=order.env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
        )
