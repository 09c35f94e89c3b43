"""Desk: what a sweep's messages do to a scheduler. The same for a program of its own and for a test in one process.

The sweep speaks: `open`, `poll`, `next`, `exit`; each is answered once. While `next` is being answered, the scheduler
may ask for the sweep's own `suggestion`. All messages are JSON objects.
"""
# ruff: noqa: SLF001  # the hooks have W&B's names, which begin with an underscore
# pyright: reportPrivateUsage=false

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, cast

from launch_sdk.scheduling.scheduler import Scheduler, nobody_to_ask, odd_values
from launch_sdk.scheduling.sweep_run import SweepRun, unwrapped
from launch_sdk.tracking.values import decode, encode

VERSION = 1
Message = Mapping[str, Any]
Asker = Callable[[Message], Message]
HOOKS = {
    "open": "_load_state",
    "poll": "_poll",
    "next": "_get_next_sweep_run",
    "exit": "_exit",
}


class Desk:
    """Holds one scheduler and answers for it.

    Args:
        kind: its class.
        ask: puts a question to the sweep and returns the answer.
    """

    def __init__(self, kind: type[Scheduler], ask: Asker) -> None:
        self.kind = kind
        self.ask = ask
        self.scheduler: Scheduler | None = None
        self._note = ""

    def answer(self, message: Message) -> dict[str, Any]:
        """Do what a message says; a hook that raises is told as `error`, with its traceback on standard error."""
        wanted = str(message.get("do"))
        acts: dict[str, Callable[[Message], dict[str, Any]]] = {
            "open": self._open,
            "poll": self._poll,
            "next": self._next,
            "exit": self._exit,
        }
        try:
            said = acts[wanted](message)
            return {**said, **self._wishes()}
        except Exception as error:  # noqa: BLE001  # whatever the user's class does
            traceback.print_exc()
            sys.stderr.flush()
            made = self.scheduler is not None or wanted != "open"
            hook = HOOKS.get(wanted, wanted) if made else "__init__"
            return {"error": " ".join(f"{type(error).__name__}: {error}".split()), "hook": hook}

    def _open(self, message: Message) -> dict[str, Any]:
        sweep: Any = decode(message["sweep"])
        self.scheduler = self.kind({**sweep, "state": decode(message.get("state"))})
        self._take_in(message)
        self.scheduler._load_state()
        return {"protocol": VERSION, "scheduler": self.kind.__name__}

    def _poll(self, message: Message) -> dict[str, Any]:
        self._take_in(message)
        self._of_the_class()._poll()
        return {}

    def _next(self, message: Message) -> dict[str, Any]:
        scheduler = self._of_the_class()
        free = scheduler.available_workers
        worker = free[0] if free else 0
        scheduler._ask = self._suggestion
        try:
            given: object = scheduler._get_next_sweep_run(worker)
        finally:
            scheduler._ask = nobody_to_ask
        if given is None:
            return {"parameters": None}
        run = _as_run(given)
        run.index = int(message["index"])
        run.worker_id = worker if run.worker_id is None else run.worker_id
        scheduler._runs[run.index] = run
        return {"parameters": encode(run.parameters)}

    def _exit(self, message: Message) -> dict[str, Any]:
        self._take_in(message)
        self._of_the_class()._exit()
        return {}

    def _suggestion(self) -> Mapping[str, Any] | None:
        answer = self.ask({"ask": "suggestion"})
        if answer.get("error"):
            raise RuntimeError(answer["error"])
        return cast("Mapping[str, Any] | None", decode(answer.get("parameters")))

    def _take_in(self, message: Message) -> None:
        scheduler = self._of_the_class()
        runs = scheduler._runs
        for told in cast("list[Any]", decode(message.get("runs") or [])):
            run = runs.setdefault(told["index"], SweepRun())
            run.index = told["index"]
            run.take_in(told)
        for run in runs.values():
            if run.is_alive and run.worker_id is None:
                run.worker_id = next(iter(scheduler.available_workers), None)

    def _wishes(self) -> dict[str, Any]:
        """Say what the class wants besides: runs ended, the sweep ended, its state kept."""
        scheduler = self._of_the_class()
        stops, end = scheduler._stops, scheduler._end
        said: dict[str, Any] = {"stops": [[index, reason] for index, reason in stops.items()], "state": self._state()}
        scheduler._stops = {}
        if end is not None:
            said["end"] = {"outcome": end[0], "reason": end[1]}
        return said

    def _state(self) -> Any:
        try:
            return encode(self._of_the_class()._save_state())
        except Exception as error:  # noqa: BLE001  # as in W&B: a state that cannot be saved ends nothing
            note = f"_save_state failed, nothing was saved: {type(error).__name__}: {error}"
            if note != self._note:
                self._note = note
                print(note, file=sys.stderr, flush=True)  # noqa: T201  # the log of the sweep
            return None

    def _of_the_class(self) -> Scheduler:
        if self.scheduler is None:
            raise RuntimeError("the sweep has not opened this scheduler")
        return self.scheduler


def _as_run(given: object) -> SweepRun:
    """Read what `_get_next_sweep_run` returned.

    Raises:
        TypeError: it is no run, or has values that a program cannot be given.
    """
    if isinstance(given, Mapping):
        given = SweepRun(parameters=unwrapped(cast("Mapping[str, Any]", given)))
    if not isinstance(given, SweepRun):
        raise TypeError(f"it returned {type(given).__name__}; return a SweepRun, a mapping of parameters, or None")
    if given.index >= 0:
        raise TypeError(f"it returned run {given.index} again; make a new SweepRun for each run")
    if not given.parameters:
        raise TypeError("it returned a run without parameters; return None for no run")
    if odd := list(odd_values(given.parameters)):
        raise TypeError(f"parameters must be numbers, text, true or false, lists or mappings; {', '.join(odd[:9])}")
    return given
