"""A run in the foreground: no server, no queue; its output is this command's output."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.command import DONE, FAILED, INTERRUPTED, print_json, say
from launch_sdk.cli.kept_runs import keep
from launch_sdk.errors import RunFailedError
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.runs.packing import pack_source
from launch_sdk.runs.processes import end_processes
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.runs.used_files import lock_of
from launch_sdk.specs.run_state import RunState
from launch_sdk.tracking import protocol
from launch_sdk.views import RunView

if TYPE_CHECKING:
    from launch_sdk.specs.run_spec import RunSpec

LEAVE_S = 10.0


def run_here(spec: RunSpec, *, as_json: bool, store: RunStore | None = None) -> int:
    """Run a spec to its end on this machine; its code is in `store`, by default that of this machine.

    Returns:
        0 if the program ended with success, 1 if not or if it could not be started, 130 if it was interrupted.

    Raises:
        LaunchError: its directory or its entry point is not right.
    """
    run_id = f"run-{time.strftime('%Y%m%d_%H%M%S')}-{secrets.token_hex(4)}"
    run = RunDirectory.of(run_id)
    store = store or RunStore.local()
    spec = pack_source(spec, store, say)
    out = sys.stderr if as_json else sys.stdout
    identity = {protocol.RUN_ID: run_id, protocol.RUN_NAME: spec.name or run_id}
    if spec.project:
        identity[protocol.PROJECT] = spec.project

    def show(lines: list[str]) -> None:
        out.write("".join(f"{line}\n" for line in lines))
        out.flush()

    started = time.time()
    code, outcome = _outcome(execute(spec, run, store=store, identity=identity, on_lines=show))
    if code == INTERRUPTED:  # whoever stops a run means all of it, daemons too
        with contextlib.suppress(KeyboardInterrupt):
            end_processes(run_id, LEAVE_S)
    state = _STATES[code]
    say(f"Run {run_id} {state.value}. It is kept in {run.path}")
    if outcome.error:
        say(outcome.error.partition(". Its last lines")[0] + ".")  # the lines themselves stand above
    snapshot = protocol.read_snapshot(run.path)
    if outcome.succeeded and snapshot.metadata.get("register"):
        say("No job was made of it, for this run is on no server. Put it on a queue: launch --queue NAME DIR")
    view = RunView(
        run_id=run_id,
        name=spec.name or run_id,
        state=state,
        job=None,
        queue=None,
        parameters=spec.to_dict(),
        summary=outcome.summary,
        created=started,
        started=started,
        ended=time.time(),
        error=outcome.error,
        url=None,
        recorded=snapshot.config or None,
        provenance=run.provenance() or None,
        code=protocol.read_code(run.path) or None,
        lock=lock_of(run.path, snapshot) or None,
        is_program=True,
    )
    if run.path.is_dir():
        keep(run, view)
    if as_json:
        print_json(view.to_json() | {"directory": str(run.path)})
    return code


_STATES = {DONE: RunState.FINISHED, FAILED: RunState.FAILED, INTERRUPTED: RunState.CANCELLED}


def _outcome(running: Coroutine[Any, Any, Outcome]) -> tuple[int, Outcome]:
    """Run to the end, or to Ctrl-C or the end of the terminal, which end the program too."""
    try:
        outcome = asyncio.run(_until_signalled(running))
    except RunFailedError as error:
        return FAILED, Outcome(1, {}, str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED, Outcome(1, {}, "it was interrupted")
    return (DONE if outcome.succeeded else FAILED), outcome


async def _until_signalled(running: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Be cancelled by SIGTERM and SIGHUP, as asyncio does for SIGINT: the program has a session of its own."""
    task = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if task is not None and signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await running
