"""One run: what it is called, where it writes, what it logs."""

# ruff: noqa: PTH103, PTH118, PTH120
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os
import sys
import time
from threading import RLock

from launch_sdk.tracking import metadata, protocol
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.config_root import after_fork_in_child, listen, provenance, restore_locked
from launch_sdk.tracking.exits import exit_code_of
from launch_sdk.tracking.notices import warn_caller
from launch_sdk.tracking.summary import Summary
from launch_sdk.tracking.values import decode, dumps, encode, plain, to_text
from launch_sdk.tracking.writer import RecordWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from launch_sdk.tracking.code_capture import CodeCapture
    from launch_sdk.tracking.config_view import ConfigView
    from launch_sdk.tracking.place import Place


class Run:
    """A run that is going on: `log()` appends to its directory at once.

    Methods may be called from any thread. A forked child may log (its lines are whole, its steps count on from where
    the parent was), but only the process that made the run finishes it.

    Attributes:
        id: eight characters, or what the supervisor gave.
        name: for people.
        project: for people; runs are grouped by it.
        dir: absolute path of the run directory.
        config: the run's config.
        summary: the last value of each metric, and what the script sets there.
        inputs: what was declared so far, as its last record says; None if nothing was.
    """

    def __init__(
        self, place: Place, config: Config, register: bool | str | None = None, capture: CodeCapture | None = None
    ) -> None:
        """Open the run directory and write the first records.

        Args:
            place: where the run writes and what it is called.
            config: the root of its config; the run follows its changes.
            register: whether to make a job of the run, and under which name; None leaves it to the supervisor.
            capture: of its code, which goes on beside it and records the environment too; None if there is none.

        Raises:
            OSError: the directory cannot be written.
        """
        self.id = place.run_id
        self.name = place.name
        self.project = place.project
        self.dir = place.directory
        self.config = config
        self._lock = RLock()
        self._owner = os.getpid()
        self._open = True
        self._recorded: dict[str, Any] = {}
        self._warned_of_steps = False
        self._owes_environment = True
        self._capture = capture
        self._has_logged = False
        before = protocol.read_snapshot(self.dir)  # a run that was preempted goes on where it was
        self.inputs = before.inputs
        self._require_inputs: Callable[[], None] | None = None
        self._values = before.summary
        self._step = -1 if before.last_step is None else before.last_step
        self.summary = Summary(self._values, self._write_summary)
        self._writer = RecordWriter(os.path.join(self.dir, protocol.RECORDS))
        about: dict[str, Any] = metadata.capture(None if capture else protocol.read_code(self.dir))
        self._metadata = {"version": protocol.VERSION, **place.names(), "register": register, **about}
        self._write_config(config, [])
        listen(config, self._write_config)
        self._write_snapshots()

    @property
    def step(self) -> int:
        """The step that the next `log()` without `step` gets; the first is 0."""
        return self._step + 1

    @property
    def attempt(self) -> int:
        """Which start of the run this is: 1, and one more each time that an agent has started it again."""
        number = os.environ.get(protocol.ATTEMPT, "")
        return int(number) if number.isdecimal() else 1

    @property
    def checkpoint_dir(self) -> str:
        """Absolute path of a directory that every attempt of the run finds as the one before has left it.

        Raises:
            OSError: it cannot be made.
        """
        path = os.environ.get(protocol.CHECKPOINT_DIR) or os.path.join(self.dir, protocol.CHECKPOINTS)
        os.makedirs(path, exist_ok=True)
        return path

    def mark_preempting(self) -> None:
        """Say that the host is about to take its machine back: if the program fails now, the run starts again.

        It does so under its own id, on its own queue, with its checkpoint directory, up to 5 times. Call it as soon as
        the host says so, for instance in a handler of SIGTERM; then write a checkpoint and leave with another exit
        code than 0.

        Raises:
            ValueError: the run is finished.
        """
        with self._lock:
            self._require_open("mark_preempting")
            self._write({protocol.PREEMPTING: True})

    @property
    def entity(self) -> str:
        """Whose run it is: LAUNCH_ENTITY, WANDB_ENTITY, or who is logged in; empty if nobody can tell."""
        named = os.environ.get("LAUNCH_ENTITY") or os.environ.get("WANDB_ENTITY")
        if named:
            return named
        import getpass  # only scripts that ask pay for it

        try:
            return getpass.getuser()
        except (OSError, KeyError, ImportError):
            return ""

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Append metrics of one step.

        Without `step` each call is a step of its own: the last step plus one. With `step` the record carries that
        number and counting goes on from there. A lower step than the last is recorded under its own number and warned
        of once; the count does not go back.

        Args:
            data: values by name; numbers, text, lists, nested dicts (see `launch_sdk.tracking.values`).
            step: number of the step, 0 or more.
            commit: False records the data with the step that the next call will have.

        Raises:
            TypeError: `data` is no mapping.
            ValueError: the run is finished, or `step` is negative; or an override is no input, at the first call.
        """
        values = encode(data)
        if not isinstance(values, dict):
            raise TypeError(f"log() takes a dict of values by name, not {type(data).__name__}")
        with self._lock:
            self._require_open("log")
            if self._require_inputs is not None:
                self._refuse()
            self._has_logged = True
            number = self._step + 1 if step is None else self._checked(step)
            if step is not None or commit is not False:
                self._step = max(number, self._step)
            self._writer.write(f'{{"time":{time.time()!r},"step":{number},"log":{to_text(values)}}}')
            protocol.merge(self._values, decode(values))
        if self._capture is not None:
            self._capture.settle()
        elif self._owes_environment:
            self._write_environment()

    def use_file(self, path_or_url: str | os.PathLike[str], name: str | None = None) -> str:
        """Record a file that the run uses, by its SHA-256, and say where to read it.

        Where the run is repeated, the same bytes are there, whatever has become of the file; or the repeated run says,
        before it starts, that they cannot be had. A file of up to 100 MB is copied into the run store for that.

        Args:
            path_or_url: a local path, or a URL: `file:`, or `https:`, `s3:` and others, which need fsspec.
            name: what identifies the file in the run; what was given if None.

        Returns:
            The path to read it from.

        Raises:
            OSError: it cannot be read or fetched.
            ImportError: the URL needs a library that is not installed.
            ValueError: the run is finished, or URLs of this kind are not taken.
        """
        from launch_sdk.tracking import files  # few scripts use it

        self._require_open("use_file")
        record, path = files.use(self.dir, os.fspath(path_or_url), name)
        self._write({"use_file": record})
        return path

    def log_file(self, path: str | os.PathLike[str], name: str | None = None) -> str:
        """Keep a copy of a file that the run has made, as it is now, in the run directory.

        Args:
            path: of a file.
            name: what identifies it in the run; the path if None.

        Returns:
            The path of the copy; the same content is kept once.

        Raises:
            OSError: it cannot be read or copied.
            ValueError: the run is finished.
        """
        from launch_sdk.tracking import files  # few scripts use it

        self._require_open("log_file")
        record = files.log(self.dir, os.fspath(path), name)
        self._write({"log_file": record})
        return os.path.join(self.dir, record["path"])

    def finish(self, exit_code: int | None = None) -> None:
        """End the run: write its last record and its snapshots. A second call, or one in a forked child, does nothing.

        Args:
            exit_code: 0 for success; None means 0.

        Raises:
            ValueError: an override is no input, of a run that has logged nothing; it is over all the same, as failed.
        """
        with self._lock:
            if not self._open or self._owner != os.getpid():
                return
            if self._require_inputs is not None and not exit_code:
                try:
                    self._refuse()
                except ValueError:
                    self.finish(1)
                    raise
            self._open = False
            listen(self.config, None)
            restore_locked(self.config)
            self._write_unseen_changes()
            self._write({"finish": {"exit_code": exit_code or 0}})
            self._write_snapshots()
            self._write_environment()
            if self._capture is not None:
                self._capture.finish()
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish(exit_code_of(error))

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, name={self.name!r}, project={self.project!r}, dir={self.dir!r})"

    def declare(self, inputs: dict[str, Any], require: Callable[[], None] | None = None) -> None:
        """Record the inputs: everything declared so far, in the form of an `inputs` record.

        Args:
            inputs: the declarations.
            require: refuses what they do not make an input, by a ValueError; called when no declaration is to follow,
                since the run logs or is over. None if that has been done.

        Raises:
            ValueError: the run is finished.
        """
        with self._lock:
            self._require_open("manage_config")
            self.inputs = inputs
            self._require_inputs = require
            self._write({"inputs": inputs})

    def _refuse(self) -> None:
        require, self._require_inputs = self._require_inputs, None
        if require is not None:
            require()

    @property
    def has_logged(self) -> bool:
        """Whether this process has logged; a run that was preempted has steps before it has."""
        return self._has_logged

    @property
    def config_static(self) -> ConfigView:
        """The config, only to be read."""
        from launch_sdk.tracking.config_view import ConfigView  # few scripts ask for it

        return ConfigView(self.config)

    @property
    def is_open(self) -> bool:
        """Whether `log()` still records."""
        return self._open

    def after_fork_in_child(self) -> None:
        """Replace the lock, which another thread of the parent may have held; the capture is the parent's."""
        self._lock = RLock()
        self._capture = None
        after_fork_in_child(self.config)

    def _checked(self, step: int) -> int:
        number = int(step)
        if number != step or not 0 <= number <= protocol.LAST_STEP:
            raise ValueError(f"step must be a whole number from 0 on, not {step!r}")
        if number < self._step and not self._warned_of_steps:
            self._warned_of_steps = True
            warn_caller(f"log() was given step {number} after step {self._step}; it is recorded as step {number}")
        return number

    def _require_open(self, what: str) -> None:
        if not self._open:
            raise ValueError(f"{what}() on the finished run '{self.name}'; call launch.init() for a new one")

    def _write(self, record: dict[str, Any]) -> None:
        with self._lock:
            self._writer.write(dumps({"time": time.time(), **record}))

    def _write_summary(self, changed: dict[str, Any]) -> None:
        with self._lock:
            self._require_open("summary")
            self._write({"summary": changed})

    def _write_config(self, changed: dict[str, Any], removed: list[list[str]]) -> None:
        record = {"config": changed, "removed": removed} if removed else {"config": changed}
        with self._lock:
            self._write(record)
            protocol.config_update(self._recorded, plain(record))

    def _write_unseen_changes(self) -> None:
        """Record what was changed inside a list or another value that does not tell of its changes."""
        if dumps(self.config) != dumps(self._recorded):
            self._write({"config": self.config, "removed": [[key] for key in self._recorded]})

    def _write_environment(self) -> None:
        """Write what the program runs with, once; by the process that made the run."""
        if not self._owes_environment or self._owner != os.getpid():
            return
        self._owes_environment = False
        from launch_sdk.tracking import environment  # kept out of `init`

        git: Any = self._metadata["git"]
        root = git.get("root") if git else None
        try:
            environment.write(self.dir, str(root or os.path.dirname(sys.argv[0]) or "."))
        except (OSError, ValueError) as error:
            self._writer.failed(str(error))

    def _write_snapshots(self) -> None:
        """Replace the four snapshot files; a failing disk is warned of once, as in `log()`."""
        try:
            protocol.write_atomically(self.dir, protocol.CONFIG, dumps(self.config))
            document = {"version": protocol.VERSION, "values": provenance(self.config)}
            protocol.write_atomically(self.dir, protocol.PROVENANCE, dumps(document))
            protocol.write_atomically(self.dir, protocol.SUMMARY, dumps(self._values))
            protocol.write_atomically(self.dir, protocol.METADATA, dumps(self._metadata))
        except OSError as error:
            self._writer.failed(error.strerror or str(error))
