"""SweepSpec: a sweep file, read and checked. W&B's YAML, with `launch` and `scheduler` blocks."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.command import command_faults
from launch_sdk.specs.document import unusable_values
from launch_sdk.specs.early_stop_spec import EarlyStopSpec, parse_early_stop
from launch_sdk.specs.initial_points import parse_initial
from launch_sdk.specs.metric_source import parse_metric_sources
from launch_sdk.specs.run_spec import environment_fault
from launch_sdk.specs.scheduler_spec import SchedulerSpec, own_reference, parse_scheduler, parse_workers
from launch_sdk.specs.space import Space, grid_faults, parse_parameters
from launch_sdk.specs.sweep_limits import Limits, parse_limits
from launch_sdk.specs.wandb_blocks import (
    CONTROLLER_KEYS,
    ENGINE,
    ENGINE_KEYS,
    LAUNCH_KEYS,
    OVERRIDE_KEYS,
    SCHEDULER_KEYS,
    controller_faults,
    has_own_scheduler,
    notes_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from launch_sdk.specs.document import Document, Path_

Method = Literal["grid", "random", "bayes", "tpe", "custom"]
Goal = Literal["minimize", "maximize"]
Impute = Literal["worst", "best", "latest"]
METHODS: tuple[str, ...] = get_args(Method)
GOALS: tuple[str, ...] = get_args(Goal)
IMPUTES: tuple[str, ...] = get_args(Impute)
MAX_UNKNOWN = 50  # of one mapping: finding the nearest known key takes time
KEYS = {
    "program": str,
    "job": str,
    "method": str,
    "metric": dict,
    "parameters": dict,
    "run_cap": int,
    "seed": int,
    "shuffle": bool,
    "initial": list,
    "max_time": (int, float, str),
    "max_run_time": (int, float, str),
    "max_failed": (int, float),
    "retries": int,
    "cost": dict,
    "command": list,
    "metric_sources": list,
    "environment": str,
    "early_terminate": (dict, list),
    "name": str,
    "description": str,
    "project": str,
    "entity": str,
    "scheduler": dict,
    "launch": dict,
    "controller": dict,
    "kind": str,
    "apiVersion": str,
}
NOT_SUPPORTED = frozenset({"image_uri", "metrics"})
METRIC_KEYS = {"name": str, "goal": str, "target": (int, float), "impute": str, "impute_while_running": (str, bool)}
_TYPE_NAMES = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    (int, str): "a whole number",
    (int, float): "a number",
    (str, bool): "text or false",
    (int, float, str): "a time, as in 90 (seconds), 30m, 2h or 1d12h",
    (dict, list): "a mapping or a list of mappings",
}


@dataclass(frozen=True)
class Metric:
    """What a sweep makes better.

    Attributes:
        name: key of a logged value; dots lead into nested values.
        goal: which way is better.
        target: the sweep ends once a run has reached this value; None for no such end.
        impute: what a run that ended without a result counts as for the search: the worst result of all, its own best
            value or its own latest one.
        impute_while_running: what a running run counts as; None if it is only known to run.
    """

    name: str
    goal: Goal = "minimize"
    target: float | None = None
    impute: Impute = "worst"
    impute_while_running: Impute | None = None

    @property
    def needs_values(self) -> bool:
        """Whether the search wants every value that a run logs, not only its last."""
        return self.impute == "best" or self.impute_while_running is not None

    def is_better(self, value: float, than: float) -> bool:
        return value < than if self.goal == "minimize" else value > than

    def reaches_target(self, value: float) -> bool:
        return self.target is not None and not self.is_better(self.target, value)


@dataclass(frozen=True)
class SweepSpec:
    """A sweep, as its file gives it.

    Attributes:
        method: how parameters are chosen.
        space: what the parameters may be.
        metric: what to make better; None only with `grid` and `random`.
        program: script to run, relative to the file's folder; None if `job` is given.
        job: what to run: the name of a job, or `flow/deployment`; None if `program` is given.
        command: how to start the program, with W&B's macros; None for the default.
        run_cap: how many runs at most; None for no limit but the space's own.
        num_workers: how many runs at once.
        scheduler: who chooses the runs, if not the method.
        seed: of the sampler; the same seed and results give the same suggestions.
        queue: where to run; None for the default.
        metric_sources: where metrics come from if the program logs none itself.
        environment: what its program runs in; see `RunSpec`.
        early_stop: rules of which each may end a run that is not worth going on with.
        shuffle: whether a grid is gone through in a random order.
        initial: points that the first runs try, nested; a parameter that one lacks is chosen by the method.
        limits: what ends the sweep, or a run of it, early.
        overrides: config of every run, below its parameters, as `launch.overrides.run_config` gives it.
        args: arguments of every run, as `launch.overrides.args` gives them.
        notes: what the file says that changes nothing here.
    """

    method: Method
    space: Space
    metric: Metric | None
    program: str | None
    job: str | None
    command: tuple[str, ...] | None
    run_cap: int | None
    num_workers: int
    seed: int
    queue: str | None = None
    name: str | None = None
    description: str | None = None
    project: str | None = None
    metric_sources: tuple[Mapping[str, Any], ...] = ()
    environment: str = "current"
    early_stop: tuple[EarlyStopSpec, ...] = ()
    shuffle: bool = False
    initial: tuple[Mapping[str, Any], ...] = ()
    limits: Limits = field(default_factory=Limits)
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    args: tuple[str, ...] = ()
    scheduler: SchedulerSpec = field(default_factory=SchedulerSpec)
    notes: tuple[str, ...] = ()

    @property
    def own_job(self) -> str | None:
        """The name of the job to run; None if a program or somebody else's deployment is run.

        Of W&B's `entity/project/name:alias` the last part counts.
        """
        if self.job is None or self.job.count("/") == 1:
            return None
        return own_reference(self.job)

    @property
    def run_limit(self) -> int | None:
        """How many runs the sweep can have at most, by its cap or by its space; None if endless."""
        size = self.space.size() if self.method == "grid" else None
        limits = [limit for limit in (self.run_cap, size) if limit is not None]
        return min(limits) if limits else None


def parse_sweep(document: Document) -> SweepSpec:
    """Read and check a sweep file.

    Raises:
        InvalidSpecError: with every fault at once, each with its path and line.
    """
    if not isinstance(cast("object", document.value), dict):
        raise InvalidSpecError(
            document.name, [document.fault((), "must be a mapping of sweep keys, as in method: bayes")]
        )
    if unusable := unusable_values(document):
        raise InvalidSpecError(document.name, unusable)
    value = cast("dict[str, Any]", document.value)
    faults = _key_faults(document, (), value, KEYS)
    space, space_faults = parse_parameters(document) if isinstance(value.get("parameters"), dict) else (None, [])
    faults += space_faults
    method = _method(document, value, faults)
    metric = _metric(document, value, faults)
    if method in {"bayes", "tpe"} and value.get("metric") is None:
        faults.append(document.fault((), f"method {method} needs a metric; add metric: {{name: loss, goal: minimize}}"))
    if value.get("parameters") is None:
        faults.append(
            document.fault((), "parameters is missing; name at least one, as in parameters: {lr: {min: 0.0, max: 1.0}}")
        )
    faults += _target_faults(document, value)
    if space is not None and not space_faults and method == "grid":
        faults += [document.fault(("parameters", *path), message) for path, message in grid_faults(space)]
    scheduler = _block(document, value, ("scheduler",), SCHEDULER_KEYS, faults)
    launch = _block(document, value, ("launch",), LAUNCH_KEYS, faults)
    overrides = _block(document, launch, ("launch", "overrides"), OVERRIDE_KEYS, faults)
    controller = _block(document, value, ("controller",), CONTROLLER_KEYS, faults)
    faults += controller_faults(document, controller)
    num_workers = parse_workers(document, scheduler, faults)
    scheduler_spec = parse_scheduler(document, scheduler, faults)
    run_cap = value.get("run_cap")
    if isinstance(run_cap, int) and not isinstance(run_cap, bool) and run_cap < 1:
        faults.append(document.fault(("run_cap",), f"must be at least 1, not {run_cap}"))
    command = _command(document, value, faults)
    metric_sources = _metric_sources(document, value, faults)
    environment = _environment(document, value, faults)
    early_stop = parse_early_stop(document, faults)
    limits = parse_limits(document, value, faults)
    if value.get("shuffle") is True and method != "grid":
        faults.append(document.fault(("shuffle",), f"goes with method: grid; {method} draws at random by itself"))
    usable = None if space_faults else space
    initial = parse_initial(document, usable, whole=method == "grid", faults=faults) if usable else ()
    if faults or space is None:
        raise InvalidSpecError(document.name, faults)
    return SweepSpec(
        method=cast("Method", method),
        space=space,
        metric=metric,
        program=value.get("program"),
        job=value.get("job"),
        command=command,
        run_cap=run_cap,
        num_workers=num_workers,
        seed=value.get("seed") or 0,
        queue=launch.get("queue"),
        name=value.get("name"),
        description=value.get("description"),
        project=value.get("project"),
        metric_sources=metric_sources,
        environment=environment,
        early_stop=early_stop,
        shuffle=value.get("shuffle") or False,
        initial=initial,
        limits=limits,
        overrides=overrides.get("run_config") or {},
        args=tuple(str(word) for word in overrides.get("args") or ()),
        scheduler=scheduler_spec,
        notes=notes_of(value),
    )


def _unknown(key: object, known: Mapping[str, Any]) -> str:
    if key in ENGINE_KEYS and known is SCHEDULER_KEYS:
        return ENGINE
    if key in NOT_SUPPORTED:
        return "is a key of W&B's that is not supported; leave it out"
    return f"unknown key; {_nearest(key, known)}"


def _key_faults(document: Document, path: Path_, value: Mapping[str, Any], known: Mapping[str, Any]) -> list[Fault]:
    unknown = [key for key in value if key not in known]
    faults = [document.fault((*path, key), _unknown(key, known)) for key in unknown[:MAX_UNKNOWN]]
    if len(unknown) > MAX_UNKNOWN:
        faults.append(document.fault(path, f"{len(unknown) - MAX_UNKNOWN} more keys are unknown"))
    for key, item in value.items():
        where = (*path, key)
        if key not in known:
            continue
        if item is not None and (not isinstance(item, known[key]) or (isinstance(item, bool) and known[key] is int)):
            faults.append(document.fault(where, f"must be {_TYPE_NAMES[known[key]]}, not {_describe(item)}"))
    return faults


def _nearest(word: object, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"


def _describe(item: object) -> str:
    return (
        f"{type(item).__name__} {item!r}" if isinstance(item, str | int | float | bool) else f"a {type(item).__name__}"
    )


def _method(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> str | None:
    method = value.get("method")
    if method is None and has_own_scheduler(value):
        return "custom"
    if method == "custom" and not has_own_scheduler(value):
        told = "goes with scheduler.job, which names the job that chooses the runs"
        faults.append(document.fault(("method",), told))
    elif method is None:
        faults.append(document.fault((), f"method is missing; choose one of {', '.join(METHODS)}"))
    elif isinstance(method, str) and method not in METHODS:
        faults.append(document.fault(("method",), f"{method!r} is not a method; {_nearest(method, METHODS)}"))
    return method if isinstance(method, str) else None


def _metric(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> Metric | None:
    metric = value.get("metric")
    if not isinstance(metric, dict):
        return None
    fields = cast("dict[str, Any]", metric)
    faults += _key_faults(document, ("metric",), fields, METRIC_KEYS)
    name, goal, target = fields.get("name"), fields.get("goal", "minimize"), fields.get("target")
    if not name:
        faults.append(document.fault(("metric",), "name is missing; give the key that the program logs"))
    if goal not in GOALS:
        faults.append(document.fault(("metric", "goal"), f"must be minimize or maximize, not {goal!r}"))
    if isinstance(target, bool) or (isinstance(target, float) and math.isnan(target)):
        faults.append(document.fault(("metric", "target"), f"must be a number, not {target!r}"))
    impute = fields.get("impute") or "worst"
    while_running = fields.get("impute_while_running")
    while_running = None if while_running in (None, False, "false") else while_running
    for key, wanted in (("impute", impute), ("impute_while_running", while_running or "worst")):
        if wanted not in IMPUTES:
            or_false = " or false" if key != "impute" else ""
            told = f"must be {', '.join(IMPUTES)}{or_false}, not {wanted!r}"
            faults.append(document.fault(("metric", key), told))
    return Metric(str(name), goal, target, impute, while_running)


def _command(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...] | None:
    command = value.get("command")
    if not isinstance(command, list):
        return None
    words: list[str] = []
    for index, word in enumerate(cast("list[object]", command)):
        if isinstance(word, str | int | float) and not isinstance(word, bool):
            words.append(str(word))
        else:
            faults.append(document.fault(("command", index), f"must be a word, not {_describe(word)}"))
    if len(words) == len(cast("list[object]", command)):
        faults += [document.fault(("command",), message) for message in command_faults(words)]
    return tuple(words)


def _metric_sources(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> tuple[Mapping[str, Any], ...]:
    sources = value.get("metric_sources")
    if not isinstance(sources, list):
        return ()
    _, found = parse_metric_sources(cast("list[object]", sources))
    faults += [document.fault(("metric_sources", *path), message) for path, message in found]
    if sources and not value.get("program") and value.get("job"):
        faults.append(document.fault(("metric_sources",), "go with program only; a job has its own"))
    return () if found else tuple(cast("list[Mapping[str, Any]]", sources))


def _environment(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> str:
    environment = value.get("environment")
    if not isinstance(environment, str):
        return "current"
    if not value.get("program") and value.get("job"):
        faults.append(document.fault(("environment",), "goes with program only; a job has its own"))
    elif message := environment_fault(environment):
        faults.append(document.fault(("environment",), message))
    return environment


def _target_faults(document: Document, value: Mapping[str, Any]) -> list[Fault]:
    """Exactly one of `program` and `job` says what to run."""
    if value.get("program") and value.get("job"):
        return [
            document.fault(
                ("job",), "give either program (a script beside this file) or job (a name or flow/deployment), not both"
            )
        ]
    if not value.get("program") and not value.get("job"):
        there = "program (a script beside this file) or job (a name or flow/deployment)"
        return [document.fault((), f"nothing to run: give {there}")]
    if isinstance(job := value.get("job"), str) and (job.count("/") > 2 or job.endswith("/")):  # noqa: PLR2004  # W&B's
        return [document.fault(("job",), f"{job!r} must be the name of a job, or a deployment as flow/deployment")]
    return []


def _block(
    document: Document, holder: Mapping[str, Any], path: Path_, known: Mapping[str, Any], faults: list[Fault]
) -> Mapping[str, Any]:
    block = holder.get(str(path[-1]))
    if not isinstance(block, dict):
        return {}
    fields = cast("dict[str, Any]", block)
    faults += _key_faults(document, path, fields, known)
    return fields
