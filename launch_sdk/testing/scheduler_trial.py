"""Trying a scheduler without a server: `try_scheduler(MyScheduler, sweep, objective)`, in this process.

Example:
    def test_my_scheduler_finds_the_minimum():
        sweep = {"metric": {"name": "loss"}, "run_cap": 20, "parameters": {"x": {"min": 0.0, "max": 1.0}}}
        trial = try_scheduler(MyScheduler, sweep, lambda parameters: (parameters["x"] - 0.3) ** 2)
        assert trial.best.metric < 0.01
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.document import Document, read_document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.curve import Curve
from launch_sdk.sweeps.custom_scheduler import CustomScheduler
from launch_sdk.sweeps.deciding import Decider
from launch_sdk.sweeps.early_stop import make_early_stop
from launch_sdk.sweeps.planning import Finish, Launch, Stop
from launch_sdk.sweeps.runs import SweepRun, best_run, latest_attempts
from launch_sdk.sweeps.samplers import sampler_of
from launch_sdk.sweeps.samplers.optuna_source import load_optuna_source
from launch_sdk.testing.fake_schedulers import InProcess
from launch_sdk.tracking.values import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.scheduling.scheduler import Scheduler

Objective = Callable[[Mapping[str, Any]], float | Iterable[float]]
MAX_CYCLES = 100_000


@dataclass(frozen=True)
class SchedulerTrial:
    """What came of a sweep that was tried.

    Attributes:
        outcome: `finished`, `stopped` or `failed`.
        reason: why it ended, in words.
        runs: every run, in the order of their indices.
        best: the best of them; None if none has a result.
        most_at_once: how many runs went on together at most.
        state: what `_save_state` gave last; give it back as `state` to try a resume.
    """

    outcome: str
    reason: str
    runs: Sequence[SweepRun]
    best: SweepRun | None
    most_at_once: int
    state: Any


def try_scheduler(
    kind: type[Scheduler],
    sweep: Mapping[str, Any] | str | Path,
    objective: Objective,
    *,
    runs: Sequence[SweepRun] = (),
    state: Any = None,
) -> SchedulerTrial:
    """Run a sweep with a scheduler in this process, without a server and without programs.

    In each cycle every run that goes on logs one value; one with no more values has finished.

    Args:
        kind: the class.
        sweep: a sweep file or what is in one; it needs to name neither a program nor `scheduler.job`.
        objective: stands for the program: from parameters to the metric, or to its values one by one. One that raises
            makes the run fail.
        runs: the runs of an earlier trial, to try a resume.
        state: its state.

    Raises:
        InvalidSpecError: the sweep has faults.
    """
    spec, document = _read(sweep, kind.__name__)
    goal = spec.metric.goal if spec.metric else "minimize"
    source = load_optuna_source(spec, document.directory)
    sampler = None if spec.method == "custom" else sampler_of(spec, source)
    pruner = source.pruner if source is not None else None
    early_stop = make_early_stop(spec.early_stop, goal=goal, directory=document.directory, pruner=pruner)
    scheduler = CustomScheduler(InProcess(kind), kind.__name__, spec, sampler)
    scheduler.open("trial", document.value, runs, state=state)
    decider = Decider(spec, sampler, early_stop, scheduler)
    world = _World(spec, objective, {run.run_id: run for run in runs})
    for cycle in range(MAX_CYCLES):
        for action in decider.actions(world.seen, now=float(cycle)):
            if isinstance(action, Finish):
                scheduler.close(world.seen)
                latest = latest_attempts(world.seen)
                best = best_run(latest, spec.metric)
                return SchedulerTrial(action.outcome, action.reason, latest, best, world.most, scheduler.state)
            world.do(action, float(cycle))
        world.advance(float(cycle))
    raise RuntimeError(f"the sweep has not ended after {MAX_CYCLES} cycles; give it a run_cap")


class _World:
    """The runs, and what becomes of them."""

    def __init__(self, spec: SweepSpec, objective: Objective, runs: dict[str, SweepRun]) -> None:
        self.spec = spec
        self.objective = objective
        self.runs = runs
        self.values: dict[str, Iterator[float]] = {}
        self.most = 0

    @property
    def seen(self) -> list[SweepRun]:
        return list(self.runs.values())

    def do(self, action: Launch | Stop, now: float) -> None:
        if isinstance(action, Stop):
            run = self.runs[action.run_id]
            self.runs[run.run_id] = replace(run, state=RunState.STOPPED, ended=now, stop_reason=action.reason)
            return
        run_id = f"{action.index}/{action.attempt}"
        self.runs[run_id] = SweepRun(
            action.index, action.attempt, run_id, run_id, RunState.RUNNING, action.parameters, started=now
        )
        self.values[run_id] = self._logged(action.parameters)
        self.most = max(self.most, sum(run.is_active for run in self.runs.values()))

    def _logged(self, parameters: Mapping[str, Any]) -> Iterator[float]:
        given = self.objective(loads(dumps(parameters)))
        yield from [float(given)] if isinstance(given, int | float) else given

    def advance(self, now: float) -> None:
        name = self.spec.metric.name if self.spec.metric else "value"
        for run in [run for run in self.runs.values() if run.is_active]:
            try:
                value = next(self.values[run.run_id])
            except StopIteration:
                self.runs[run.run_id] = replace(run, state=RunState.FINISHED, ended=now)
            except Exception as error:  # noqa: BLE001  # a program may fail in any way
                self.runs[run.run_id] = replace(run, state=RunState.FAILED, ended=now, error=str(error))
            else:
                curve = Curve.of_values([*run.curve.values, value])
                self.runs[run.run_id] = replace(run, curve=curve, summary={name: value})


def _read(sweep: Mapping[str, Any] | str | Path, name: str) -> tuple[SweepSpec, Document]:
    document = Document(dict(sweep), "The sweep") if isinstance(sweep, Mapping) else read_document(Path(sweep))
    value: dict[str, Any] = dict(document.value)
    value["scheduler"] = {"job": name, **(value.get("scheduler") or {})}
    if not value.get("program") and not value.get("job"):
        value["program"] = "objective.py"
    complete = replace(document, value=value)
    return parse_sweep(complete), complete
