"""One run, from its spec to its outcome: lay out the source, hand over the overrides, supervise the program."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from launch_sdk.containers.settled import Surroundings
from launch_sdk.environments import wandb
from launch_sdk.errors import NotFoundError, RunFailedError
from launch_sdk.metrics.collector import Collector, collector_of
from launch_sdk.runs.config_files import patch_files
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.notebooks import as_script
from launch_sdk.runs.packing import pack_source
from launch_sdk.runs.places import Place, PreparedRun, process_place
from launch_sdk.runs.provenance import tell_provenance
from launch_sdk.runs.supervise import Follower, Program, TimeIsUpError, supervise
from launch_sdk.runs.used_files import hand_over
from launch_sdk.specs.container import image_of_source
from launch_sdk.specs.job import checked
from launch_sdk.specs.run_policy import Ending, RunPolicy
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from launch_sdk.runs.program_fork import ProgramFork
    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.run_spec import RunSpec

ERROR_LINES = 12
FINISHED = "finished.json"  # of the run directory: its program has ended with success
DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)
TOLD_TO_END = (-signal.SIGTERM, 128 + signal.SIGTERM)  # not by us: then a run is over before its program is


@dataclass(frozen=True)
class Outcome:
    """How a run's program ended.

    Attributes:
        exit_code: 0 for success; minus the signal's number if a signal ended it.
        summary: last value of each metric.
        error: what went wrong, with the program's last lines; None on success.
        is_preempted: it failed after its host had asked for its machine: by SIGTERM, or as the program has said.
        has_timed_out: it was ended, for it ran longer than it may.
    """

    exit_code: int
    summary: Mapping[str, Any]
    error: str | None
    is_preempted: bool = False
    has_timed_out: bool = False

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def ending(self) -> Ending:
        """How an attempt ended that did not succeed."""
        return Ending.PREEMPTED if self.is_preempted else Ending.FAILED


async def execute(
    spec: RunSpec,
    run: RunDirectory,
    *,
    store: RunStore,
    identity: Mapping[str, str],
    on_lines: Callable[[list[str]], None],
    on_summary: Callable[[Mapping[str, Any]], None] = lambda _summary: None,
    pass_fds: Sequence[int] = (),
    around: Surroundings | None = None,
    fork: ProgramFork | None = None,
) -> Outcome:
    """Run a spec to its end.

    Args:
        spec: what to run.
        run: where to run it; a second attempt with the same directory starts afresh.
        store: where the source is.
        identity: the `LAUNCH_*` variables that tell the program which run it is.
        on_lines: given each batch of new lines of output.
        on_summary: given the summary so far, about ten times a second; the same mapping each time.
        pass_fds: descriptors that the program inherits, under the same numbers; a container inherits none.
        around: what the run's queue gives to its container; None for a run that is on no queue.
        fork: where the program may be forked if it runs in this interpreter; None to start it as a new process anyway.

    Raises:
        RunFailedError: the run could not be started, or its directory cannot be written; it might next time.
        LaunchError: it cannot be started; a value is no input of its job, or does not fit.
    """
    if identity.get(protocol.ATTEMPT, "1") != "1" and (run.path / FINISHED).exists():
        on_lines(["launch: the program had finished already when its run was lost; it is not started again."])
        return Outcome(0, protocol.read_snapshot(run.path).summary, None)
    spec = checked(spec)
    policy = RunPolicy.of(spec.policy)
    layer = protocol.SWEEP_LAYER if identity.get(protocol.SWEEP_ID) else protocol.LAUNCH_LAYER
    async with _on_a_disk(run), AsyncExitStack() as stack:
        async with _starting(policy.start_timeout_s):
            spec = await asyncio.to_thread(pack_source, spec, store, lambda line: on_lines([line]))
            start = await asyncio.to_thread(prepare, spec, run, store, layer)
            tell = _telling(run, on_lines)
            entry_point, notices = await asyncio.to_thread(as_script, spec.entry_point, start)
            if notices:
                tell(notices)
            started = replace(spec, entry_point=entry_point)
            prepared = PreparedRun(started, run, start, identity, store, tell, pass_fds, fork)
            place = await stack.enter_async_context(_place(prepared, around or Surroundings()))
        collector = stack.enter_context(closing(_collector(prepared, place, on_lines)))
        follower = Follower(run, on_lines, collector, before=place.take_over)
        follower.skip()
        program = await place.start_program()
        running = supervise(
            program, follower, on_look=lambda: on_summary(follower.summary), timeout_s=policy.run_timeout_s
        )
        outcome = await _outcome(spec, run, follower, program, running)
    if outcome.succeeded:
        with suppress(OSError):  # a disk that is full takes nothing from what the program has done
            protocol.write_atomically(run.path, FINISHED, json.dumps({"version": protocol.VERSION, "exit_code": 0}))
    await asyncio.to_thread(tell_provenance, run)
    return outcome


def _place(prepared: PreparedRun, around: Surroundings) -> AbstractAsyncContextManager[Place]:
    """Choose where the program runs: in a container if its run or its queue says so."""
    if prepared.spec.container is None and around.containers is None:
        return process_place(prepared)
    from launch_sdk.runs.container_place import container_place

    return container_place(prepared, around)


async def _outcome(
    spec: RunSpec, run: RunDirectory, follower: Follower, program: Program, running: Coroutine[Any, Any, int]
) -> Outcome:
    try:
        exit_code = await running
    except TimeIsUpError as late:
        error = f"{program_name(spec)}: {late}, its run_timeout_s. Its last lines:\n{_last_lines(run)}"
        return Outcome(-signal.SIGTERM, follower.summary, error, has_timed_out=True)
    if not exit_code:
        return Outcome(0, follower.summary, None)
    is_preempted = follower.is_preempting or exit_code in TOLD_TO_END
    return Outcome(exit_code, follower.summary, describe_failure(spec, run, exit_code, program.note), is_preempted)


@asynccontextmanager
async def _starting(timeout_s: float | None) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        late = f"The run did not start within {timeout_s} s, its start_timeout_s: its code and environment took longer."
        raise RunFailedError(late) from None


@asynccontextmanager
async def _on_a_disk(run: RunDirectory) -> AsyncGenerator[None]:
    """Say of a disk that is full or broken which directory cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FAULTS:
            raise
        where = error.filename or run.path
        raise RunFailedError(
            f"{where} cannot be written: {error.strerror or error}. Free some space below {launch_home()}, or set"
            " LAUNCH_HOME to another disk where the agent starts."
        ) from error


def prepare(spec: RunSpec, run: RunDirectory, store: RunStore, layer: str = protocol.LAUNCH_LAYER) -> Path:
    """Make the run's directory: its copy of the source with its config files written, and its overrides.

    Returns:
        The folder in it that the program starts in.

    Raises:
        NotFoundError: the source, or the entry point or a config file in it, does not exist.
        InvalidSpecError: a config file cannot take a value; or a file that the repeated run had used is not there.
    """
    run.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(run)
    start = store.lay_out(spec.source, run.work)
    protocol.write_code(run.path, store.record(spec.source))
    hand_over(spec.lock, run, store)
    program = spec.entry_point[0] if spec.entry_point else ""
    if program.endswith(".py") and not (start / program).is_file():
        scripts = sorted(p.relative_to(start).as_posix() for p in start.rglob("*.py"))[:8]
        raise NotFoundError(
            f"Entry point {program} is not in the source. It holds {', '.join(scripts) or 'no .py file'}."
            " Name one with -E, as in -E train.py"
        )
    held = patch_files(start, spec.files)
    checked = spec.inputs is not None
    config, files = dict(spec.config), dict(spec.files)
    protocol.write_overrides(run.path, config, files, layer, checked=checked, file_values=None if checked else held)
    return start


def _clear(run: RunDirectory) -> None:
    """Make room for one more attempt: what the last one printed is kept beside it.

    What it has recorded is kept too if the program goes on from there: if it left a checkpoint, or was preempted.
    """
    goes_on = _goes_on(run)
    for name in (wandb.DECLARATIONS, protocol.PROVENANCE, FINISHED, *([] if goes_on else [protocol.RECORDS])):
        (run.path / name).unlink(missing_ok=True)
    shutil.rmtree(run.path / "wandb", ignore_errors=True)
    if run.output.exists():
        before = len(list(run.path.glob("output-*.log")))
        run.output.replace(run.path / f"output-{before + 1}.log")
    run.checkpoints.mkdir(exist_ok=True)


def _goes_on(run: RunDirectory) -> bool:
    if run.checkpoints.is_dir() and any(run.checkpoints.iterdir()):
        return True
    records, _ = protocol.read_records(run.records)
    return any(record.get(protocol.PREEMPTING) is True for record in records)


def _telling(run: RunDirectory, on_lines: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
    """Tell at once what happens before the program starts, and keep it where the program's output goes."""

    def tell(lines: list[str]) -> None:
        on_lines(lines)
        with run.output.open("a", encoding="utf-8") as output:
            output.write("".join(f"{line}\n" for line in lines))

    return tell


def _collector(prepared: PreparedRun, place: Place, on_lines: Callable[[list[str]], None]) -> Collector:
    """Make what reads the metrics that the program does not log through the run protocol."""
    spec, run, start = prepared.spec, prepared.run, prepared.start
    if notice := wandb.mode_notice(os.environ):
        on_lines([notice])
    return collector_of(
        spec.metric_sources,
        run_dir=place.folder,
        work=start,
        records=run.records,
        output=run.output,
        declarations=wandb.DECLARATIONS,
        on_notice=lambda line: on_lines([line]),
        is_confined=place.is_confined,
    )


def describe_failure(spec: RunSpec, run: RunDirectory, exit_code: int, note: str | None = None) -> str:
    """Say how a program failed, with what is known beside its exit code, and with its last lines."""
    how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"exited with code {exit_code}"
    known = f"{note} " if note else ""
    return f"{program_name(spec)} {how}. {known}Its last lines:\n{_last_lines(run)}"


def _last_lines(run: RunDirectory) -> str:
    return run.last_lines(ERROR_LINES) or "(it printed nothing)"


def program_name(spec: RunSpec) -> str:
    """Return what a person calls the program: the script, not the interpreter that starts it."""
    started = spec.entry_point[0] if spec.entry_point else image_of_source(spec.source) or "the image"
    is_interpreter = started.rpartition("/")[2].startswith("python")
    return next((word for word in spec.entry_point if word.endswith(".py")), started) if is_interpreter else started
