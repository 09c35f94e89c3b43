"""Where a run's program runs: as a process of this machine, or in a container. `execute` does not know which."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from launch_sdk.environments import wandb
from launch_sdk.environments.current import program_arguments, program_environment
from launch_sdk.environments.sdk_path import sdk_variables
from launch_sdk.runs.environment import CURRENT, ProgramEnvironment, environment_of
from launch_sdk.runs.home import launch_home
from launch_sdk.runs.supervise import Program, start_process
from launch_sdk.specs.command import ARGS_FILE
from launch_sdk.tracking import protocol
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from launch_sdk.runs.program_fork import ProgramFork
    from launch_sdk.runs.run_directory import RunDirectory
    from launch_sdk.runs.store import RunStore
    from launch_sdk.specs.run_spec import RunSpec

ARGS_JSON = "args.json"


@dataclass(frozen=True)
class PreparedRun:
    """A run whose directory is laid out, and whose program has not started.

    Attributes:
        spec: of the run; its entry point is no notebook any more.
        run: its directory.
        start: the folder of its copy of the source that the program starts in.
        identity: the `LAUNCH_*` variables that tell the program which run it is.
        store: where the source is.
        tell: is told what happens before the program starts.
        pass_fds: descriptors for a process to inherit; to a container's program the one socket among them is bridged.
        fork: where a process may be forked, if it runs in this interpreter.
    """

    spec: RunSpec
    run: RunDirectory
    start: Path
    identity: Mapping[str, str]
    store: RunStore
    tell: Callable[[list[str]], None]
    pass_fds: Sequence[int] = ()
    fork: ProgramFork | None = None

    def arguments(self, interpreter: str, args_file: str) -> list[str]:
        """Give the argument vector; `${args_json_file}` in it becomes the path of a file with the config.

        Args:
            interpreter: what `python` and `.py` files are started with.
            args_file: the program's path of `args.json` in the run directory.
        """
        words = program_arguments(self.spec.entry_point, self.spec.args, interpreter)
        if ARGS_FILE not in words:
            return words
        path = self.run.path / ARGS_JSON
        path.write_text(json.dumps(encode(self.spec.config)), encoding="utf-8")
        return [args_file if word == ARGS_FILE else word for word in words]

    def wandb_variables(self, inherited: Mapping[str, str], run_dir: str) -> dict[str, str]:
        """Give the variables that the W&B client reads."""
        return wandb.wandb_environment(
            inherited,
            run_dir=Path(run_dir),
            run_id=self.identity.get(protocol.RUN_ID),
            name=self.identity.get(protocol.RUN_NAME),
            project=self.identity.get(protocol.PROJECT),
            sweep_id=self.identity.get(protocol.SWEEP_ID),
            config=self.spec.config,
            files=self.spec.files,
        )


class Place(Protocol):
    """Where a program is to be started. What it needs there is ready."""

    @property
    def folder(self) -> Path:
        """What the program has as its run directory, on this machine."""
        ...

    @property
    def is_confined(self) -> bool:
        """Whether the program cannot reach this machine, and must not be believed where it points to."""
        ...

    def take_over(self, *, at_end: bool) -> None:
        """Take what the program has recorded into the run directory, if it is kept elsewhere."""
        ...

    async def start_program(self) -> Program:
        """Start it; to be called once.

        Raises:
            RunFailedError: it cannot be started.
        """
        ...


class ProcessPlace:
    """This machine, in an environment."""

    is_confined = False

    def __init__(self, prepared: PreparedRun, environment: ProgramEnvironment) -> None:
        self._prepared = prepared
        self._environment = environment
        self.folder = prepared.run.path

    def take_over(self, *, at_end: bool) -> None:
        """Nothing to do: the program writes into the run directory itself."""

    async def start_program(self) -> Program:
        """Start the program in a process group of its own."""
        one, interpreter = self._prepared, self._environment.interpreter
        return start_process(
            one.arguments(interpreter, str(one.run.path / ARGS_JSON)),
            directory=one.start,
            environment=self._variables(self._environment.inherited),
            output=one.run.output,
            pass_fds=one.pass_fds,
            fork=one.fork if one.spec.environment == CURRENT else None,
        )

    def _variables(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Give all variables of the program: the run protocol's, and those that the W&B client reads."""
        run = self._prepared.run
        contract = self._prepared.wandb_variables(inherited, str(run.path))
        identity = self._prepared.identity
        own = {**contract, **sdk_variables(launch_home()), protocol.RUN_DIR: str(run.path), **identity}
        own[protocol.CHECKPOINT_DIR] = str(run.checkpoints)
        return program_environment(own, inherited)


@asynccontextmanager
async def process_place(prepared: PreparedRun) -> AsyncGenerator[ProcessPlace]:
    """Make ready the environment of a process; nobody deletes it before the end of the block."""
    async with environment_of(prepared.spec, prepared.run, prepared.tell, prepared.start) as environment:
        yield ProcessPlace(prepared, environment)
