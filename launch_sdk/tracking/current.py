"""The run of this process: `launch.init`, `launch.log`, `launch.config`, ...

There is at most one at a time. `init()` while one is going on finishes that one first. Under a supervisor, which gives
one run directory per process, a second `init()` goes on in the same directory and the last finish record counts.
"""

from __future__ import annotations

import atexit
import os
import sys

from launch_sdk.tracking import protocol
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.config_root import add_layer, allow_changes, override, stage
from launch_sdk.tracking.exits import ExitWatch
from launch_sdk.tracking.place import find_place
from launch_sdk.tracking.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from launch_sdk.tracking.code_capture import CodeCapture
    from launch_sdk.tracking.summary import Summary


class NoRunError(RuntimeError):
    """There is no run yet: call `launch.init()`."""


def new_config() -> Config:
    """Make a config that waits for its run, with the values of the config files that apply."""
    config = Config()
    if _may_have_files():
        from launch_sdk.tracking.config_files import read_layers

        for name, values in read_layers(os.environ, sys.argv):
            add_layer(config, values, name)
    stage(config, waits=True)
    return config


def _may_have_files() -> bool:
    """Say whether it is worth looking for config files: most scripts have none, and this must cost them nothing."""
    named = protocol.CONFIG_PATHS in os.environ or any(word.startswith(protocol.CONFIG_OPTION) for word in sys.argv)
    return named or os.path.lexists(protocol.CONFIG_DEFAULTS)


class _Current:
    """The state of this process: the run, or the config that waits for one."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.staged: Config | None = None
        self.staged_for: str | None = None
        self.staged_inputs: dict[str, Any] | None = None
        self.exits: ExitWatch | None = None

    def stage(self) -> Config:
        directory = os.environ.get(protocol.RUN_DIR)
        if self.staged is None:
            self.staged, self.staged_for = new_config(), None
        if directory and directory != self.staged_for:
            overrides = protocol.read_overrides(directory)
            override(self.staged, overrides.config, overrides.layer)
            self.staged_for = directory
        return self.staged

    def watch_the_end(self) -> None:
        if self.exits is None:
            self.exits = ExitWatch()
            self.exits.install()
            atexit.register(self.at_exit)
            os.register_at_fork(after_in_child=self.after_fork)

    def at_exit(self) -> None:
        if self.run is not None and self.exits is not None:
            self.run.finish(self.exits.code)

    def after_fork(self) -> None:
        if self.run is not None:
            self.run.after_fork_in_child()


_current = _Current()


def init(
    config: Any = None,
    project: str | None = None,
    name: str | None = None,
    register: bool | str | None = None,
    *,
    save_code: bool | None = None,
    allow_val_change: bool | None = None,
    config_include_keys: Collection[str] | None = None,
    config_exclude_keys: Collection[str] | None = None,
) -> Run:
    """Start a run; `with launch.init() as run:` finishes it at the end of the block, else it is finished at exit.

    A run of this process that is still going on is finished first. The layers of the run's config, each merged deeply
    over the one before: `config-defaults.yaml` in the working directory; the files of `LAUNCH_CONFIG_PATHS` and of
    `--configs` on the command line; what was put into `launch.config` before; `config`; what the script sets later;
    and what a sweep or a launch gives, which the script cannot change.

    Args:
        config: all that `Config.update` takes: a mapping, a dataclass instance, a model, an `argparse.Namespace`,
            flags, the name of a config file, or any object with attributes.
        project: what the run belongs to; the working directory's name if there is none.
        name: what people call it.
        register: whether to make a job of the run, and under which name.
        save_code: whether to capture the code of a script that nobody supervises, so that `launch RUN_DIRECTORY`
            repeats it exactly. A process beside the script does it. None: yes, unless `LAUNCH_DISABLE_CODE=true`.
        allow_val_change: False lets the script add config keys from now on, but change none.
        config_include_keys: take only these top-level keys of `config`.
        config_exclude_keys: take all top-level keys of `config` but these.

    Returns:
        The run. Its directory is `launch/run-<time>-<id>/` below the working directory, or `LAUNCH_RUN_DIR`.

    Raises:
        ConfigFileError: a config file cannot be read; it is a ValueError.
        InputError: an override is no input, by what was declared before; the run is finished with exit code 1.
        OSError: the run directory cannot be made or written.
        TypeError: `config` is none of these, or a key is no text.
        ValueError: the supervisor's overrides cannot be read, keys are both included and excluded, or a group of values
            is in itself.
    """
    finish()
    staged = _current.stage()
    if config_include_keys or config_exclude_keys:
        from launch_sdk.tracking.config_sources import selected

        config = selected(config, config_include_keys, config_exclude_keys)
    add_layer(staged, config)
    place = find_place(os.environ, project, name)
    run = Run(place, staged, register, _begin_capture(place.directory, save_code))
    stage(staged, waits=False)
    allow_changes(staged, allowed=allow_val_change is not False)
    _current.watch_the_end()
    _current.run, _current.staged = run, None
    _publish_inputs(run)
    return run


def _begin_capture(directory: str, save_code: bool | None) -> CodeCapture | None:
    """Start the capture of the code, if it is wanted; a supervisor has done it."""
    if os.environ.get(protocol.RUN_DIR):
        return None
    from launch_sdk.tracking import code_capture

    if not code_capture.is_wanted(save_code, os.environ):
        return None
    capture = code_capture.CodeCapture(directory)
    capture.start()
    return capture


def mark_preempting() -> None:
    """Say that the host takes its machine back, of the current run; see `Run.mark_preempting`.

    Raises:
        NoRunError: there is no run.
    """
    _required("mark_preempting()").mark_preempting()


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """Append metrics to the current run; see `Run.log`.

    Raises:
        NoRunError: there is no run.
    """
    _required("log()").log(data, step, commit)


def finish(exit_code: int | None = None) -> None:
    """Finish the current run; without one, do nothing."""
    run = current_run()
    if run is not None:
        run.finish(exit_code)
    _current.run = None


def current_run() -> Run | None:
    """Return the run of this process; None before `init()` and after `finish()`."""
    run = _current.run
    return run if run is not None and run.is_open else None


def current_config() -> Config:
    """Return the config of the current run, or the one that waits for the next `init()`."""
    run = current_run()
    return run.config if run is not None else _current.stage()


def current_summary() -> Summary:
    """Return the summary of the current run.

    Raises:
        NoRunError: there is no run.
    """
    return _required("summary").summary


def staged_inputs() -> dict[str, Any] | None:
    """Return what was declared for the next run; None if nothing was."""
    return _current.staged_inputs


def stage_inputs(inputs: dict[str, Any]) -> None:
    """Keep the declared inputs for the next run."""
    _current.staged_inputs = inputs


def _publish_inputs(run: Run) -> None:
    staged, _current.staged_inputs = _current.staged_inputs, None
    if staged is None:
        return
    from launch_sdk.tracking.inputs import publish

    try:
        publish(run, staged)
    except ValueError:
        run.finish(1)
        raise


def _required(what: str) -> Run:
    run = current_run()
    if run is None:
        raise NoRunError(f"launch.{what} needs a run; call launch.init() first")
    return run
