"""What a client sees of runs and sweeps, and the JSON that commands print of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.sweeps.runs import SweepRun, best_run, latest_attempts
from launch_sdk.tracking.protocol import LAUNCH_LAYER
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launch_sdk.specs.run_state import RunState
    from launch_sdk.specs.sweep_spec import SweepSpec


@dataclass(frozen=True)
class LogLine:
    """One line that the server keeps of a run.

    Attributes:
        line_id: its id.
        time: when it was written, unix seconds.
        message: what it says.
        is_of_agent: whether the agent says it, which only hands the run over.
    """

    line_id: str
    time: float
    message: str
    is_of_agent: bool = False


@dataclass(frozen=True)
class RunView:
    """What the server knows of one run.

    Attributes:
        run_id, name, url: who it is and its page in the Prefect UI.
        state: where it is in its life.
        job: `flow/deployment` that it is a run of; None if its deployment is gone.
        queue: where it was put; None if it was on none.
        parameters: of its flow; for a program they are its RunSpec.
        summary: last logged values, with what people changed later.
        created, started, ended: unix seconds; None if not yet.
        error: why it failed; None if it did not.
        recorded: the config that the program recorded, with what people changed later; None before its end.
        inputs: what the program declared as its inputs, as in the run protocol; None if nothing.
        provenance: by path, who gave each value of the config, lowest first; None if that is not known.
        layer: who gave what is laid over its values: `launch` or `sweep`.
        code: which code it had and where that comes from, as in the run protocol; None if that is not known (yet).
        lock: what it ran with, as its `environment.json` says; None if that is not known here.
        is_program: whether it is a program that `run-job` has started, so that `parameters` are a RunSpec.
        version: of its job, as `v3`; None if it is of none.
        attempts: its earlier starts, oldest first, if it was put back: how each ended, and when.
        waits: why it waits, where somebody asked; None if it does not, or nobody did.
    """

    run_id: str
    name: str
    state: RunState
    job: str | None
    queue: str | None
    parameters: Mapping[str, Any]
    summary: Mapping[str, Any]
    created: float | None
    started: float | None
    ended: float | None
    error: str | None
    url: str | None
    recorded: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] | None = None
    provenance: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    layer: str = LAUNCH_LAYER
    code: Mapping[str, Any] | None = None
    lock: Mapping[str, Any] | None = None
    is_program: bool = False
    version: str | None = None
    attempts: tuple[Mapping[str, Any], ...] = ()
    waits: str | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """The program's config, once it has recorded it; else what is laid over it. Of another flow, its parameters."""
        given = cast("Mapping[str, Any]", self.parameters.get("config", self.parameters) or {})
        return given if self.recorded is None else self.recorded

    @property
    def spec(self) -> RunSpec | None:
        """What was run, if it was a program."""
        return RunSpec.from_dict(self.parameters) if self.is_program else None

    @property
    def to_repeat(self) -> RunSpec | None:
        """What repeats it, if it was a program: the same spec, and what it ran with."""
        spec = self.spec
        return replace(spec, lock=self.lock or spec.lock) if spec else None

    def to_json(self) -> dict[str, Any]:
        duration = self.ended - self.started if self.started is not None and self.ended is not None else None
        return {
            "run_id": self.run_id,
            "name": self.name,
            "state": self.state.value,
            "job": self.job,
            "job_version": self.version,
            "queue": self.queue,
            "parameters": encode(self.parameters),
            "config": encode(self.config),
            "summary": encode(self.summary),
            "metric": None,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "duration_s": duration,
            "url": self.url,
            "error": self.error,
            "waits": self.waits,
            "provenance": encode(self.provenance),
            "code": encode(self.code),
            "differs": list((self.lock or {}).get("differs", ())),
            "attempts": [dict(one) for one in self.attempts],
        }


@dataclass(frozen=True)
class SweepView:
    """What the server knows of one sweep.

    Attributes:
        sweep_id, name, url: who it is and its page in the Prefect UI.
        state: of its parent run.
        spec: what was asked for.
        document: the same as its file gives it.
        runs: every attempt of every index.
        scheduler: its parent run, and the host and process that drive it, if known.
        message: what its state says: why it ended.
        notices: what its user should know while it runs.
        queue, source: where its runs go, and their code.
    """

    sweep_id: str
    name: str
    state: RunState
    spec: SweepSpec
    runs: Sequence[SweepRun]
    scheduler: Mapping[str, Any]
    message: str | None
    url: str
    queue: str
    source: str | None = None
    notices: Sequence[str] = field(default_factory=tuple)
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def best(self) -> SweepRun | None:
        return best_run(latest_attempts(self.runs), self.spec.metric)

    def to_json(self) -> dict[str, Any]:
        metric = self.spec.metric
        best = self.best
        return {
            "sweep_id": self.sweep_id,
            "name": self.name,
            "state": self.state.value,
            "method": self.spec.method,
            "metric": {"name": metric.name, "goal": metric.goal} if metric else None,
            "best": self._row(best, ("index", "run_id", "parameters", "metric")) if best else None,
            "runs": [self._row(run) for run in latest_attempts(self.runs)],
            "scheduler": dict(self.scheduler),
            "message": self.message,
            "notices": list(self.notices),
            "queue": self.queue,
            "url": self.url,
        }

    def _row(self, run: SweepRun, keys: Sequence[str] | None = None) -> dict[str, Any]:
        row = {
            "index": run.index,
            "run_id": run.run_id,
            "name": run.name,
            "state": run.state.value,
            "parameters": encode(run.parameters),
            "metric": encode(run.metric(self.spec.metric)),
            "duration_s": run.duration_s,
            "stop_reason": run.stop_reason,
            "error": run.error,
            "url": run.url,
        }
        return {key: row[key] for key in keys} if keys else row
