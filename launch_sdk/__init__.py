"""W&B Launch and Sweeps, self-hosted, on Prefect.

A training script needs nothing else:

    import launch_sdk as launch

    with launch.init(config={"lr": 0.1}) as run:
        run.log({"loss": 0.5})

Every name is loaded when it is first used, so importing this costs a script almost nothing.
"""

from __future__ import annotations

from os import getcwd as _getcwd  # loaded already

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from launch_sdk._prefect.flow_job import job
    from launch_sdk.api import Api, launch, sweep
    from launch_sdk.client import LaunchClient
    from launch_sdk.scheduling.scheduler import Scheduler
    from launch_sdk.scheduling.sweep_run import SweepRun
    from launch_sdk.tracking.config import Config
    from launch_sdk.tracking.current import finish, init, log, mark_preempting
    from launch_sdk.tracking.inputs import (
        InputError,
        load_config,
        load_wandb_config,
        manage_config,
        manage_config_file,
        manage_wandb_config,
    )
    from launch_sdk.tracking.require import require
    from launch_sdk.tracking.run import Run
    from launch_sdk.tracking.summary import Summary

    config: Config
    run: Run | None
    summary: Summary

__all__ = [
    "Api",
    "InputError",
    "LaunchClient",
    "Scheduler",
    "SweepRun",
    "config",
    "finish",
    "init",
    "job",
    "launch",
    "load_config",
    "load_wandb_config",
    "log",
    "manage_config",
    "manage_config_file",
    "manage_wandb_config",
    "mark_preempting",
    "require",
    "run",
    "summary",
    "sweep",
]

_HOMES = {
    "Api": "launch_sdk.api",
    "InputError": "launch_sdk.tracking.inputs",
    "LaunchClient": "launch_sdk.client",
    "Scheduler": "launch_sdk.scheduling.scheduler",
    "SweepRun": "launch_sdk.scheduling.sweep_run",
    "finish": "launch_sdk.tracking.current",
    "init": "launch_sdk.tracking.current",
    "job": "launch_sdk._prefect.flow_job",
    "launch": "launch_sdk.api",
    "load_config": "launch_sdk.tracking.inputs",
    "load_wandb_config": "launch_sdk.tracking.inputs",
    "log": "launch_sdk.tracking.current",
    "manage_config": "launch_sdk.tracking.inputs",
    "manage_config_file": "launch_sdk.tracking.inputs",
    "manage_wandb_config": "launch_sdk.tracking.inputs",
    "mark_preempting": "launch_sdk.tracking.current",
    "require": "launch_sdk.tracking.require",
    "sweep": "launch_sdk.api",
}
try:  # where a replay starts the program, wherever the program goes later
    _started_in = _getcwd()  # noqa: PTH109  # pathlib costs 4 ms
except OSError:
    _started_in = None
_OF_THE_CURRENT_RUN = {"config": "current_config", "run": "current_run", "summary": "current_summary"}


def __getattr__(name: str) -> Any:
    from importlib import import_module  # only needed once a name is used

    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in _OF_THE_CURRENT_RUN:
        # These change with the run, so they are asked for each time and never kept.
        return getattr(import_module("launch_sdk.tracking.current"), _OF_THE_CURRENT_RUN[name])()
    raise AttributeError(f"module 'launch_sdk' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
