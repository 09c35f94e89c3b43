"""What a client gives for a run or a sweep on the server: reading it, waiting for it, changing it, ending it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from launch_sdk.edits import EditableValues, Edits
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.sweeps.export import data_frame, flat_rows
from launch_sdk.sweeps.runs import SweepRun, latest_attempts
from launch_sdk.views import LogLine, RunView, SweepView

if TYPE_CHECKING:
    from launch_sdk.session import Session
    from launch_sdk.specs.run_state import RunState

V = TypeVar("V", RunView, SweepView)
POLL_S = 0.5


class LaunchedRun:
    """A run on the server. Attributes are read from it each time; `wait` first if they should be final.

    `config` and `summary` may be changed, also when the run is over: `run.config["note"] = "kept"; run.update()`.
    Changes are this object's alone until `update()` writes them, stay while new values are read, and beat what the run
    itself records.
    """

    def __init__(self, session: Session, run_id: str) -> None:
        self._session = session
        self.id = run_id
        self._config = EditableValues()
        self._summary = EditableValues()

    def refresh(self) -> RunView:
        """Read everything the server knows of it."""
        return self._session.do(self._session.gateway.read_run(self.id))

    @property
    def name(self) -> str:
        return self.refresh().name

    @property
    def state(self) -> RunState:
        return self.refresh().state

    @property
    def config(self) -> EditableValues:
        """The run's config: what it recorded at its end, until then what it was given; with unsaved changes."""
        return self._config.load(self.refresh().config)

    @property
    def summary(self) -> EditableValues:
        """The run's last logged values, with unsaved changes."""
        return self._summary.load(self.refresh().summary)

    def update(self) -> None:
        """Write the changes of `config` and `summary` to the server; without changes, do nothing."""
        edits = Edits(self._config.changes(), self._summary.changes())
        if edits.is_empty:
            return
        self._session.do(self._session.gateway.edit_run(self.id, edits))
        self._config.saved()
        self._summary.saved()

    @property
    def url(self) -> str | None:
        return self.refresh().url

    @property
    def waits(self) -> str | None:
        """Why it waits, in words; None if it does not."""
        return self._session.do(self._session.gateway.why_waiting(self.id))

    def history(self) -> list[dict[str, Any]]:
        """Return the logged rows, if the run's directory is on this machine."""
        return RunDirectory.of(self.id).history()

    def logs(self) -> list[str]:
        """Return what the server keeps of the run's log; it gets the last lines a second or two after the run's end."""
        return [line.message for line in self.log_lines()]

    def log_lines(self, since: float = 0.0) -> list[LogLine]:
        """Return the lines of the log with their ids and times, those from `since` (unix seconds) on."""
        return self._session.do(self._session.gateway.read_logs(self.id, since))

    def wait(self, timeout_s: float | None = None) -> RunView:
        """Wait until it is over.

        Raises:
            TimeoutError: it is not over after `timeout_s` seconds.
        """
        return _until_over(self.refresh, f"Run {self.id}", timeout_s)

    def stop(self, reason: str = "asked to") -> None:
        """Ask the run to end; what it has logged counts as its result."""
        self._session.do(self._session.gateway.stop_run(self.id, reason))

    def cancel(self) -> None:
        """Give the run up: its program is ended."""
        self._session.do(self._session.gateway.cancel_run(self.id))


class LaunchedSweep:
    """A sweep on the server."""

    def __init__(self, session: Session, sweep_id: str) -> None:
        self._session = session
        self.id = sweep_id

    def refresh(self) -> SweepView:
        """Read everything the server knows of it."""
        return self._session.do(self._session.gateway.read_sweep(self.id))

    @property
    def best(self) -> SweepRun | None:
        return self.refresh().best

    @property
    def runs(self) -> Sequence[SweepRun]:
        return latest_attempts(self.refresh().runs)

    def wait(self, timeout_s: float | None = None) -> SweepView:
        """Wait until it is over.

        Raises:
            TimeoutError: it is not over after `timeout_s` seconds.
        """
        return _until_over(self.refresh, f"Sweep {self.id}", timeout_s)

    def stop(self) -> None:
        """Start no more runs; it ends when those that run have ended. It can be resumed."""
        self._session.do(self._session.gateway.stop_sweep(self.id))

    def cancel(self) -> None:
        """End it and its runs now; it can be resumed."""
        self._session.do(self._session.gateway.cancel_sweep(self.id))

    def pause(self) -> None:
        """Start no more runs until it is resumed; those that run go on.

        Raises:
            ConflictError: it has ended.
        """
        self._session.do(self._session.gateway.pause_sweep(self.id))

    def resume(self) -> None:
        """Go on after a pause, or after it has ended early.

        Raises:
            ConflictError: it goes on already, or has finished.
        """
        self._session.do(self._session.gateway.resume_sweep(self.id))

    def rerun_failed(self) -> int:
        """Start every run again that has failed or was lost, with its own parameters, also when the sweep is over.

        Returns:
            How many they are.

        Raises:
            ConflictError: there is none.
        """
        return self._session.do(self._session.gateway.rerun_failed(self.id))

    def delete(self) -> None:
        """Delete it and its runs from the server; their directories stay.

        Raises:
            ConflictError: it, or a run of it, goes on.
        """
        self._session.do(self._session.gateway.delete_sweep(self.id))

    def to_pandas(self) -> Any:
        """Return a data frame with a row for each index: state, metric, times, `parameters.*` and `summary.*`.

        Raises:
            ConflictError: pandas is not installed.
        """
        view = self.refresh()
        return data_frame(flat_rows(view.spec.metric, view.runs))


def _until_over(refresh: Callable[[], V], what: str, timeout_s: float | None) -> V:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not (view := refresh()).state.is_terminal:
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"{what} is still {view.state.value} after {timeout_s:g} s.")
        time.sleep(POLL_S)
    return view
