"""SweepSpec: a sweep file, read and checked. W&B's YAML, with `launch` and `scheduler` blocks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.command import command_faults
from launch_sdk.specs.document import unusable_values
from launch_sdk.specs.early_stop_spec import EarlyStopSpec, parse_early_stop
from launch_sdk.specs.image_sweep import SweptImage, parse_image
from launch_sdk.specs.initial_points import parse_initial
from launch_sdk.specs.metric import Goal, Impute, Metric, parse_metric
from launch_sdk.specs.metric_source import parse_metric_sources
from launch_sdk.specs.optuna_spec import OptunaSpec, parse_optuna
from launch_sdk.specs.placement import Placement
from launch_sdk.specs.run_spec import environment_fault
from launch_sdk.specs.scheduler_spec import SchedulerSpec, own_reference, parse_scheduler, parse_workers
from launch_sdk.specs.space import Space, grid_faults, parse_parameters
from launch_sdk.specs.sweep_container import SweepContainer, parse_container
from launch_sdk.specs.sweep_keys import describe, key_faults, nearest
from launch_sdk.specs.sweep_limits import Limits, parse_limits
from launch_sdk.specs.wandb_blocks import (
    CONTROLLER_KEYS,
    LAUNCH_KEYS,
    OVERRIDE_KEYS,
    SCHEDULER_KEYS,
    controller_faults,
    exponent_notes,
    has_own_scheduler,
    notes_of,
    placement_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.specs.document import Document, Path_

__all__ = ["KEYS", "LEARNING", "METHODS", "Goal", "Impute", "Method", "Metric", "SweepSpec", "parse_sweep"]

Method = Literal["grid", "random", "bayes", "tpe", "optuna", "custom"]
METHODS: tuple[str, ...] = get_args(Method)
LEARNING: frozenset[str] = frozenset({"bayes", "tpe", "optuna"})  # the methods that learn from the metric
TARGETS = ("program", "job", "image_uri")
KEYS = {
    "program": str,
    "job": str,
    "image_uri": str,
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
    "optuna": dict,
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


@dataclass(frozen=True)
class SweepSpec:
    """A sweep, as its file gives it.

    Attributes:
        method: how parameters are chosen.
        space: what the parameters may be.
        metric: what to make better; None only with `grid` and `random`.
        program: script to run, relative to the file's folder; None if a job or an image is run.
        job: what to run: the name of a job, or `flow/deployment`; None if a program or an image is run.
        command: how to start the program, with W&B's macros; None for the default.
        run_cap: how many runs at most; None for no limit but the space's own.
        num_workers: how many runs at once.
        scheduler: who chooses the runs, if not the method.
        seed: of the sampler; the same seed and results give the same suggestions.
        queue: where to run; None for the default.
        metric_sources: where metrics come from if the program logs none itself.
        environment: what its program runs in; see `RunSpec`.
        early_stop: rules of which each may end a run that is not worth going on with; a pruner of `optuna` is the last.
        optuna: what `method: optuna` searches with; None with another method.
        shuffle: whether a grid is gone through in a random order.
        initial: points that the first runs try, nested; a parameter that one lacks is chosen by the method.
        limits: what ends the sweep, or a run of it, early.
        overrides: config of every run, below its parameters, as `launch.overrides.run_config` gives it.
        args: arguments of every run, as `launch.overrides.args` gives them.
        notes: what the file says that changes nothing here.
        placement: how its runs stand on their queue.
        container: which container its runs want, and what of their agent's machine.
        image: what to run if it is an image; such a sweep is submitted as one of the job that is made of it.
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
    optuna: OptunaSpec | None = None
    shuffle: bool = False
    initial: tuple[Mapping[str, Any], ...] = ()
    limits: Limits = field(default_factory=Limits)
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    args: tuple[str, ...] = ()
    scheduler: SchedulerSpec = field(default_factory=SchedulerSpec)
    notes: tuple[str, ...] = ()
    placement: Placement = field(default_factory=Placement)
    container: SweepContainer = field(default_factory=SweepContainer)
    image: SweptImage | None = None

    @property
    def own_job(self) -> str | None:
        """The name of the job to run; None if a program or somebody else's deployment is run.

        Of W&B's `entity/project/name:alias` the last part counts.
        """
        if self.job is None or self.job.count("/") == 1:
            return None
        return own_reference(self.job)

    @property
    def needs_values(self) -> bool:
        """Whether the sweep wants every value of the metric that a run logs, not only the last."""
        wanted = bool(self.early_stop) or self.searches_by_code or self.scheduler.job is not None
        return self.metric is not None and (self.metric.needs_values or wanted)

    @property
    def searches_by_code(self) -> bool:
        """Whether the sweep names an `optuna_source`: it may have a search space, a sampler and a pruner."""
        return self.optuna is not None and self.optuna.source is not None

    @property
    def has_functions(self) -> bool:
        """Whether functions in the code of the program or job have a say in the sweep."""
        return self.searches_by_code or any(rule.type == "python" for rule in self.early_stop)

    @property
    def searched(self) -> str:
        """What is searched, in words."""
        count = len(self.space.searched)
        told = f"{count} parameter{'' if count == 1 else 's'}"
        source = self.optuna.source if self.optuna else None
        if source is None:
            return told
        return f"{told} and what {source} says" if self.space.dimensions else f"what {source} says"

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
    faults = key_faults(document, (), value, KEYS)
    space, space_faults = parse_parameters(document) if isinstance(value.get("parameters"), dict) else (None, [])
    faults += space_faults
    method = _method(document, value, faults)
    metric = parse_metric(document, value, faults)
    if method in LEARNING and value.get("metric") is None:
        faults.append(document.fault((), f"method {method} needs a metric; add metric: {{name: loss, goal: minimize}}"))
    optuna = parse_optuna(document, value, space, faults)
    if value.get("parameters") is None and optuna is not None and optuna.source:
        space = Space(())  # its code says what there is to search
    elif value.get("parameters") is None:
        faults.append(
            document.fault((), "parameters is missing; name at least one, as in parameters: {lr: {min: 0.0, max: 1.0}}")
        )
    faults += [*_kind_faults(document, value), *_target_faults(document, value)]
    if space is not None and not space_faults and method == "grid":
        faults += [document.fault(("parameters", *path), message) for path, message in grid_faults(space)]
    scheduler = _block(document, value, ("scheduler",), SCHEDULER_KEYS, faults)
    launch = _block(document, value, ("launch",), LAUNCH_KEYS, faults)
    overrides = _block(document, launch, ("launch", "overrides"), OVERRIDE_KEYS, faults)
    controller = _block(document, value, ("controller",), CONTROLLER_KEYS, faults)
    faults += controller_faults(document, controller)
    num_workers = parse_workers(document, scheduler, faults)
    placement = placement_of(document, launch, faults)
    scheduler_spec = parse_scheduler(document, scheduler, faults)
    container = parse_container(document, faults)
    run_cap = value.get("run_cap")
    if isinstance(run_cap, int) and not isinstance(run_cap, bool) and run_cap < 1:
        faults.append(document.fault(("run_cap",), f"must be at least 1, not {run_cap}"))
    command = _command(document, value, faults)
    metric_sources = _metric_sources(document, value, faults)
    image = parse_image(document, command, metric_sources, faults)
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
        early_stop=(*early_stop, *(optuna.rules if optuna else ())),
        optuna=optuna,
        shuffle=value.get("shuffle") or False,
        initial=initial,
        limits=limits,
        overrides=overrides.get("run_config") or {},
        args=tuple(str(word) for word in overrides.get("args") or ()),
        scheduler=scheduler_spec,
        notes=(*notes_of(value), *exponent_notes(space)),
        placement=placement,
        container=container,
        image=image,
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
        faults.append(document.fault(("method",), f"{method!r} is not a method; {nearest(method, METHODS)}"))
    return method if isinstance(method, str) else None


def _command(document: Document, value: Mapping[str, Any], faults: list[Fault]) -> tuple[str, ...] | None:
    command = value.get("command")
    if not isinstance(command, list):
        return None
    words: list[str] = []
    for index, word in enumerate(cast("list[object]", command)):
        if isinstance(word, str | int | float) and not isinstance(word, bool):
            words.append(str(word))
        else:
            faults.append(document.fault(("command", index), f"must be a word, not {describe(word)}"))
    if len(words) == len(cast("list[object]", command)):
        has_program = not value.get("program") and bool(value.get("job") or value.get("image_uri"))
        told = command_faults(words, has_program=has_program)
        faults += [document.fault(("command",), message) for message in told]
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
    if not value.get("program") and (value.get("job") or value.get("image_uri")):
        faults.append(document.fault(("environment",), "goes with program only; a job or an image has its own"))
    elif message := environment_fault(environment):
        faults.append(document.fault(("environment",), message))
    return environment


def _kind_faults(document: Document, value: Mapping[str, Any]) -> list[Fault]:
    kind = value.get("kind")
    if not isinstance(kind, str) or kind == "sweep":
        return []
    return [document.fault(("kind",), f"must be sweep, as this is a sweep file, not {kind!r}")]


def _target_faults(document: Document, value: Mapping[str, Any]) -> list[Fault]:
    """Exactly one of `program`, `job` and `image_uri` says what to run."""
    named = [key for key in TARGETS if value.get(key)]
    if len(named) != 1:
        there = "program (a script beside this file), job (a name or flow/deployment) or image_uri (an image)"
        told = f"nothing to run: give {there}" if not named else f"give one of {there}, not {' and '.join(named)}"
        return [document.fault(tuple(named[1:2]), told)]
    if isinstance(program := value.get("program"), str) and PurePath(os.path.normpath(program)).parts[:1] == ("..",):
        return [document.fault(("program",), f"{program!r} leads out of the folder of this file")]
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
    faults += key_faults(document, path, fields, known)
    return fields
