"""Scheduler: the class that chooses the runs of a sweep, to be derived in a job of one's own. Standard library only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from launch_sdk.scheduling.sweep_run import SweepRun

Suggest = Callable[[], "Mapping[str, Any] | None"]


class Scheduler:
    """Chooses the runs of a sweep, in a program of its own beside it.

    Derive it, end the file with `MyScheduler.main()`, make a job of the file by running it (`python my_scheduler.py
    --name MyScheduler`), and name that job as `scheduler.job` in a sweep file.

    In each cycle, which is every two seconds and whenever a run ends, the sweep calls `_poll` once and then
    `_get_next_sweep_run` for each free worker. The sweep keeps what it promises whatever the class does: there are
    never more than `num_workers` runs, and each suggestion is started once. A hook that raises, or takes longer than
    `scheduler.timeout`, ends the sweep as failed once the runs that go on have ended.

    When the sweep is resumed, the class is made anew: `runs` holds every run there was, and `_load_state` comes first.

    Attributes:
        sweep_id: the sweep.
        config: the sweep file: `config["parameters"]`, `config["metric"]`, ...
        settings: what the file says as `scheduler.settings`.
        num_workers: how many runs at once.
        run_cap: how many runs at most; None for no limit.
        prior: runs from before the sweep, as `{"parameters": ..., "metric": ...}`.
        saved_state: what `_save_state` gave last; None at first.
    """

    def __init__(self, sweep: Mapping[str, Any]) -> None:
        """Take in the sweep; a class of one's own calls `super().__init__(sweep)` first."""
        self.sweep_id: str = sweep["sweep_id"]
        self.config: Mapping[str, Any] = sweep["config"]
        self.settings: Mapping[str, Any] = sweep["settings"]
        self.num_workers: int = sweep["num_workers"]
        self.run_cap: int | None = sweep["run_cap"]
        self.prior: Sequence[Mapping[str, Any]] = sweep["prior"]
        self.saved_state: Any = sweep["state"]
        self._runs: dict[int, SweepRun] = {}
        self._stops: dict[int, str] = {}
        self._end: tuple[str, str] | None = None
        self._ask: Suggest = nobody_to_ask

    def _poll(self) -> None:
        """Look at the runs, once in every cycle, before new ones are started. Does nothing unless overridden."""

    def _get_next_sweep_run(self, worker_id: int) -> SweepRun | Mapping[str, Any] | None:
        """Choose the next run.

        Args:
            worker_id: the free worker that it is for, from 0.

        Returns:
            The run, or its parameters alone; None for none now. If none is wanted and no run goes on, the sweep has
            finished. Unless overridden it is what the sweep's own method suggests.
        """
        del worker_id
        return self.suggest()

    def _load_state(self) -> None:
        """Take up what `_save_state` left, in `saved_state`; called once, when the runs so far are known."""

    def _save_state(self) -> Any:
        """Return what to keep on the server for a resume: plain values, as JSON has them; None for nothing.

        It is called after every cycle. A failure is only noted.
        """
        return None

    def _exit(self) -> None:
        """Clean up; called once when the sweep ends, but not when it is killed."""

    @property
    def runs(self) -> list[SweepRun]:
        """Every run of the sweep, in the order in which they were suggested."""
        return [self._runs[index] for index in sorted(self._runs)]

    @property
    def busy_workers(self) -> dict[int, SweepRun]:
        """The runs that go on, by their worker."""
        return {run.worker_id: run for run in self._runs.values() if run.is_alive and run.worker_id is not None}

    @property
    def available_workers(self) -> list[int]:
        """The workers that have no run."""
        busy = self.busy_workers
        return [worker for worker in range(self.num_workers) if worker not in busy]

    @property
    def num_active_runs(self) -> int:
        """How many runs go on or wait to start."""
        return sum(run.is_alive for run in self._runs.values())

    @property
    def at_runcap(self) -> bool:
        """Whether the sweep has had all the runs that `run_cap` allows."""
        return self.run_cap is not None and len(self._runs) >= self.run_cap

    def suggest(self) -> SweepRun | None:
        """Ask the sweep's own `method` for the next run; None when it has no more.

        The answer is the same until the suggestion is returned from `_get_next_sweep_run`, where alone it may be asked.

        Raises:
            RuntimeError: the sweep has no method but this scheduler, or nothing is to be suggested now.
        """
        parameters = self._ask()
        return None if parameters is None else SweepRun(parameters=parameters)

    def stop_sweep(self, reason: str = "its scheduler wants no more runs") -> None:
        """Start no more runs; the sweep ends as stopped when those that go on have ended."""
        self._end = ("stopped", _line(reason))

    def fail_sweep(self, err: object) -> None:
        """Start no more runs; the sweep ends as failed, for this reason, when those that go on have ended."""
        self._end = ("failed", _line(err))

    def _stop_run(self, run: SweepRun | str | int, reason: str = "its scheduler has ended it") -> bool:
        """End a run early; the last values that it has logged are its result.

        Args:
            run: the run, its id or its index.
            reason: what a person reads beside it.

        Returns:
            Whether there is such a run and it runs.
        """
        found = self._find(run)
        if found is None or found.state != "running":
            return False
        self._stops[found.index] = _line(reason)
        return True

    def _get_metrics_from_run(self, run: SweepRun | str | int) -> list[float]:
        """Return the values that a run has logged of the sweep's metric, in order; empty if there are none."""
        found = self._find(run)
        return list(found.values) if found else []

    def _find(self, run: SweepRun | str | int) -> SweepRun | None:
        if isinstance(run, SweepRun):
            return run
        known = (one for one in self._runs.values() if run in {one.index, one.id, one.run_id})
        return next(known, None)

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> None:
        """End the file with this. Started by a sweep, it schedules; started by hand, it makes a job of the file."""
        from launch_sdk.scheduling.serving import descriptor, serve

        if (number := descriptor()) is not None:
            serve(cls, number)
            return
        from launch_sdk.scheduling.registering import register

        register(cls, sys.argv[1:] if arguments is None else arguments)


def _line(text: object) -> str:
    return " ".join(str(text).split()) or "no reason given"


def nobody_to_ask() -> Mapping[str, Any] | None:
    """Refuse a question for which there is no time."""
    raise RuntimeError("suggest() can be called in _get_next_sweep_run only")


def odd_values(value: Any, path: str = "") -> Iterable[str]:
    """Name the places of values that a run cannot be given: what is neither plain nor a number of a library."""
    if isinstance(value, Mapping):
        for key, item in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from odd_values(item, f"{path}.{key}" if path else str(key))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from odd_values(item, f"{path}[{index}]")
    elif not (value is None or isinstance(value, bool | int | float | str) or hasattr(value, "__float__")):
        yield f"{path} is {type(value).__name__}"
