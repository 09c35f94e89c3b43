"""A user's `optuna_source`: functions of a file in the sweep's code that say what to search, and with what.

    search_space(trial)   asks the trial for parameters, conditional ones too; what it returns as a mapping is added
    objective(trial)      the same for an objective as Optuna has it: it is left at its first report, or after 2 s
    study()               whose sampler, pruner and ended trials are taken
    sampler(), pruner()   if there is no study()

The file is the user's code. It is loaded where the sweep is driven, from the agent's copy of the code, nowhere else.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from launch_sdk.specs.sweep_spec import SweepSpec

KEY = "optuna.optuna_source"
FUNCTIONS = ("search_space", "objective", "study", "sampler", "pruner")


@dataclass(frozen=True)
class OptunaSource:
    """What a file gives.

    Attributes:
        file: its path in the sweep's code, for messages.
        folder: where it is, from which it imports its neighbours.
        space: `search_space` or `objective`; None if it has neither.
        is_objective: whether `space` is an objective.
        sampler: a fresh one, never to be used itself but to be copied; None for that of the sweep file.
        pruner: the same.
        trials: from before the sweep.
    """

    file: str
    folder: Path
    space: Callable[[Any], Any] | None = None
    is_objective: bool = False
    sampler: BaseSampler | None = None
    pruner: BasePruner | None = None
    trials: tuple[FrozenTrial, ...] = ()

    @contextmanager
    def importing(self) -> Generator[None]:
        """Let the file import what lies beside it."""
        sys.path.insert(0, str(self.folder))
        try:
            yield
        finally:
            sys.path.remove(str(self.folder))

    def failure(self, doing: str, error: BaseException) -> InvalidSpecError:
        """Say in words, with the line of the file, what its code has raised."""
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self._path]
        where = f"{self.file}:{lines[-1]}" if lines else self.file
        told = " ".join(f"{type(error).__name__}: {error}".split())
        return InvalidSpecError("The sweep", [Fault(KEY, f"{doing} in {where}: {told}")])

    @property
    def _path(self) -> str:
        return str(self.folder / self.file.rpartition("/")[2])


def load_optuna_source(spec: SweepSpec, code: Path | None) -> OptunaSource | None:
    """Load the file that a sweep names; None if it names none.

    Args:
        spec: the sweep.
        code: the agent's copy of the sweep's code.

    Raises:
        InvalidSpecError: there is no such file, it leads out of the code, it cannot be imported, or a function of it
            fails or does not give what its name says.
    """
    if spec.optuna is None or spec.optuna.source is None:
        return None
    file = spec.optuna.source
    path = _path_of(file, code)
    empty = OptunaSource(file, path.parent)
    functions = _functions(empty, path)
    if not functions:
        raise _fault(f"{file} has none of the functions {', '.join(FUNCTIONS)}; write def search_space(trial): ...")
    space = functions.get("search_space") or functions.get("objective")
    if space is None and not spec.space.dimensions:
        raise _fault(f"nothing to search: {file} has no search_space(trial), and the sweep file no parameters")
    study = _made(empty, functions, "study")
    made = [study.sampler, study.pruner] if study else [_made(empty, functions, one) for one in ("sampler", "pruner")]
    return OptunaSource(
        file,
        path.parent,
        space,
        is_objective=space is not None and "search_space" not in functions,
        sampler=made[0],
        pruner=made[1],
        trials=_ended_trials(file, study, spec) if study else (),
    )


def _path_of(file: str, code: Path | None) -> Path:
    path = code / file if code is not None else None
    if path is None or not path.is_file():
        raise _fault(f"{file} is not in the code of the sweep's program; put it there, or correct its name")
    if code is None or not path.resolve().is_relative_to(code.resolve()):
        raise _fault(f"{file} leads out of the code of the sweep's program through a link; put the file itself there")
    return path


def _functions(source: OptunaSource, path: Path) -> dict[str, Callable[..., Any]]:
    spec = importlib.util.spec_from_file_location(f"launch_optuna_source_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise _fault(f"{source.file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        with source.importing():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise source.failure("cannot be imported:", error) from error
    found = {name: getattr(module, name, None) for name in FUNCTIONS}
    return {name: cast("Callable[..., Any]", one) for name, one in found.items() if callable(one)}


def _made(source: OptunaSource, functions: dict[str, Callable[..., Any]], name: str) -> Any:
    """Call `study`, `sampler` or `pruner`; None if the file has no such function."""
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.study import Study

    if name not in functions:
        return None
    try:
        with source.importing():
            made = functions[name]()
    except (Exception, SystemExit) as error:
        raise source.failure(f"{name}() failed", error) from error
    wanted = {"study": Study, "sampler": BaseSampler, "pruner": BasePruner}[name]
    if not isinstance(made, wanted):
        raise _fault(f"{name}() in {source.file} gives a {type(made).__name__}; it must give a {name} of Optuna's")
    return made


def _ended_trials(file: str, study: Study, spec: SweepSpec) -> tuple[FrozenTrial, ...]:
    """Take the results that a study brings along, after checking that it wants what the sweep wants."""
    directions = [one.name.lower() for one in study.directions]
    goal = spec.metric.goal if spec.metric else "minimize"
    if directions != [goal]:
        raise _fault(f"study() in {file} is to {' and '.join(directions)}, but the metric's goal is to {goal}")
    return tuple(one for one in study.get_trials(deepcopy=True) if one.state.is_finished())


def _fault(message: str) -> InvalidSpecError:
    return InvalidSpecError("The sweep", [Fault(KEY, message)])
