"""From a run to a job, and from a sweep to what its job takes."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from launch_sdk.errors import ConflictError, InvalidSpecError
from launch_sdk.specs.command import render_command, words_after_program
from launch_sdk.specs.container import merged_containers
from launch_sdk.specs.inputs import infer_inputs, split_file_parameter
from launch_sdk.specs.own_config import own_config, without_unknown_defaults
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_inputs import space_faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from launch_sdk.specs.document import Document
    from launch_sdk.specs.job import Job
    from launch_sdk.specs.own_config import Provenance
    from launch_sdk.specs.space import ParameterPath, Space
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.views import RunView


def job_spec(view: RunView) -> RunSpec:
    """Give the spec of the job that repeats a run.

    Raises:
        ConflictError: the run was not the product's to run, or has not finished with success.
    """
    spec = view.spec
    if spec is None:
        raise ConflictError(
            f"Run {view.run_id} is one of {view.job or 'no job'}, whose program is not started by run-job."
            f" A deployment is a job already: launch --job FLOW/DEPLOYMENT"
        )
    if view.state is not RunState.FINISHED:
        raise ConflictError(f"Run {view.run_id} is {view.state.value}. A job is made of a run that has finished.")
    return with_inputs(spec, view.inputs, view.recorded or {}, view.provenance)


def with_inputs(
    spec: RunSpec, declared: Mapping[str, Any] | None, recorded: Mapping[str, Any], provenance: Provenance | None
) -> RunSpec:
    """Give the spec of a job: what the run declared, or the whole config of its program, is what the job takes.

    What the run was given on top of that config is none of it.
    """
    lock = spec.lock if spec.environment in {"auto", "lock"} else None  # a job on the agent's packages repeats no run
    inputs = infer_inputs(declared, own_config(recorded, provenance))
    if inputs.config is not None:
        inputs = replace(inputs, config=without_unknown_defaults(inputs.config, provenance))
    return replace(spec, config={}, files={}, name=None, lock=lock, inputs=inputs.to_dict())


def check_sweep(job: Job, sweep: SweepSpec, document: Document) -> None:
    """Check that a job can be what a sweep runs, before it starts.

    Raises:
        InvalidSpecError: it takes not these parameters, not this command, or not this container.
    """
    check_command(job, sweep, document)
    check_space(job, sweep.space, document)
    container = merged_containers(job.spec.container, sweep.container.wanted)
    try:
        RunSpec.from_dict(replace(job.spec, container=container).to_dict())
    except InvalidSpecError as error:
        faults = [document.fault(("launch",), f"{one.message} (job {job.name!r}, {one.path})") for one in error.faults]
        raise InvalidSpecError(document.name, faults) from None


def check_space(job: Job, space: Space, document: Document) -> None:
    """Check every value that a sweep can give to a job, before it starts.

    Raises:
        InvalidSpecError: the job does not take them; every fault with its line.
    """
    if job.inputs is None:
        return
    faults = [
        document.fault(("parameters", *path), f"{message} (job {job.name!r}){_nesting(path)}")
        for path, message in space_faults(job.inputs, space)
    ]
    if faults:
        raise InvalidSpecError(document.name, faults)


def check_command(job: Job, sweep: SweepSpec, document: Document) -> None:
    """Check that the command of a sweep starts the program of its job, before the sweep starts.

    Raises:
        InvalidSpecError: it starts another.
    """
    if sweep.command is None or words_after_program(sweep.command, job.spec.entry_point) is not None:
        return
    own = shlex.join(job.spec.entry_point) or "what its image starts"
    message = f"job {job.name!r} starts {own}; only arguments may follow, as in"
    example = ["${interpreter}", "${program}", "${args}"]
    raise InvalidSpecError(document.name, [document.fault(("command",), f"{message} {example}")])


def job_arguments(job: Job, sweep: SweepSpec, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the arguments of one run of a sweep over a job.

    To the job's own, or in place of them the sweep's, come those that the sweep's command gives. Without a command the
    parameters are arguments too, as they are of a program, if the job's program had no config to read them from.

    Args:
        job: the job.
        sweep: what runs it.
        parameters: the suggestion without the values of config files, nested.
    """
    words: Sequence[str] = ()
    if sweep.command is not None:
        words = words_after_program(sweep.command, job.spec.entry_point) or ()
    elif job.inputs is not None and job.inputs.is_open:
        words = ("${args}",)
    program = next(iter(job.spec.entry_point), "")  # an image may start one by itself
    given = render_command(words, program, parameters)
    return (*given, *sweep.args) if sweep.args else (*job.spec.args, *given)


def _nesting(path: ParameterPath) -> str:
    """Say how to write a nested value, to somebody who wrote its dotted path as one name."""
    name = path[0] if path and split_file_parameter(path[0]) is None else ""
    *groups, last = name.split(".")
    nested = f"{last}: ..."
    for group in reversed(groups):
        nested = f"{group}: {{parameters: {{{nested}}}}}"
    return f". {name!r} is one key; a nested value is {nested}" if groups else ""
