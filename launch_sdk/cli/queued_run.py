"""A run on a queue, as the terminal shows it: what it prints, until it is over."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from launch_sdk.cli.command import DONE, FAILED, INTERRUPTED, print_json, say
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.supervise import Follower
from launch_sdk.specs.run_state import RunState

if TYPE_CHECKING:
    import argparse

    from launch_sdk.client import LaunchedRun

WAITS_AFTER_S = 3.0
LOOK_AGAIN_S = 3.0
LOGS_LATE_S = 3.0


class RunOutput:
    """What a run on a queue prints, as it comes: from its directory where this machine has it, else from the server."""

    def __init__(self, run: LaunchedRun, stream: TextIO) -> None:
        self.run = run
        self.stream = stream
        self.directory = RunDirectory.of(run.id)
        self.follower = Follower(self.directory, self._print)
        self.seen: set[str] = set()
        self.latest = 0.0

    def show(self) -> None:
        """Print what is new."""
        if self.directory.path.exists():
            self.follower.look()
        else:
            self._show_logs()

    def show_rest(self) -> None:
        """Print what was still to come when the run ended: the server gets its last lines a little after that."""
        if self.directory.path.exists():
            self.follower.look(at_end=True)
            return
        quiet_until = time.monotonic() + LOGS_LATE_S
        while time.monotonic() < quiet_until:
            if self._show_logs():
                quiet_until = time.monotonic() + LOGS_LATE_S
            time.sleep(0.3)

    def _show_logs(self) -> bool:
        """Print lines not seen yet. They arrive out of order, so the last seconds are read again each time."""
        new = [
            line for line in self.run.log_lines(max(self.latest - LOGS_LATE_S, 0.0)) if line.line_id not in self.seen
        ]
        self.seen.update(line.line_id for line in new)
        self.latest = max([self.latest, *(line.time for line in new)])
        self._print([line.message for line in new if not line.is_of_agent])
        return bool(new)

    def _print(self, lines: list[str]) -> None:
        self.stream.write("".join(f"{line}\n" for line in lines))
        self.stream.flush()


class WaitReason:
    """Says why a run waits: once it has waited a while, and again when the reason has become another."""

    def __init__(self, run: LaunchedRun) -> None:
        self.run = run
        self.next_look = time.monotonic() + WAITS_AFTER_S
        self.told = ""

    def look(self) -> None:
        """Look again, if it is time."""
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + LOOK_AGAIN_S
        reason = self.run.waits or ""
        if reason and reason != self.told:
            self.told = reason
            say(f"Waiting: {reason}")


def follow(run: LaunchedRun, options: argparse.Namespace) -> int:
    """Print what a run prints until it is over; the exit code is its state's."""
    view = run.refresh()
    say(f"Run {run.id} is on queue {view.queue!r}: {view.url}")
    if options.detach:
        if options.json:
            print_json(view.to_json())
        return DONE
    output = RunOutput(run, sys.stderr if options.json else sys.stdout)
    telling = WaitReason(run)
    try:
        while not (view := run.refresh()).state.is_terminal:
            output.show()
            if view.state is RunState.QUEUED:
                telling.look()
            time.sleep(0.3)
        output.show_rest()
    except KeyboardInterrupt:
        say(f"The run goes on. End it: launch run cancel {run.id}")
        return INTERRUPTED
    say(f"Run {run.id} {view.state.value}" + (f": {view.error}" if view.error else ""))
    if options.json:
        print_json(view.to_json())
    return DONE if view.state is RunState.FINISHED else FAILED
