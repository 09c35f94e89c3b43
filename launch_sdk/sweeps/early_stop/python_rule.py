"""A function of the user's as a rule."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.sweeps.early_stop.protocol import Decision

if TYPE_CHECKING:
    from pathlib import Path

    from launch_sdk.sweeps.early_stop.protocol import History

_log = logging.getLogger("launch_sdk.sweeps")


@dataclass(frozen=True)
class PythonRule:
    """Asks a function, and ends nothing if that fails: a mistake in it must not cost a run.

    Attributes:
        source: where it comes from, `stop.py:decide`, for messages.
        function: takes the histories and gives `(run id, reason)` pairs.
    """

    source: str
    function: Callable[[Sequence[History]], Iterable[tuple[str, str]] | None]

    def decide(self, histories: Sequence[History]) -> list[Decision]:
        active = {history.run_id for history in histories if history.is_active}
        try:
            pairs = [(str(run_id), " ".join(str(reason).split())) for run_id, reason in self.function(histories) or ()]
        except Exception as error:  # noqa: BLE001  # whatever the user's code does
            _log.warning("%s failed and ended no run: %s: %s", self.source, type(error).__name__, error)
            return []
        return [Decision(run_id, reason or self.source) for run_id, reason in pairs if run_id in active]


def load_rule(source: str, directory: Path) -> PythonRule:
    """Load a function from a file of the sweep's program.

    Args:
        source: `FILE.py:FUNCTION`, relative to the directory.
        directory: a copy of the program's folder; the file can import what lies beside it.

    Raises:
        InvalidSpecError: there is no such file or function, or the file cannot be imported.
    """
    file, _, name = source.rpartition(":")
    path = directory / file
    if not path.is_file():
        raise _fault(source, f"{file} is not in the folder of the program")
    module_spec = importlib.util.spec_from_file_location(f"launch_early_stop_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise _fault(source, f"{file} is no Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.path.insert(0, str(path.parent))
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise _fault(source, f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    function = getattr(module, name, None)
    if not callable(function):
        raise _fault(source, f"{file} has no function {name}; write def {name}(histories): ...")
    return PythonRule(source, cast("Callable[..., Any]", function))


def _fault(source: str, message: str) -> InvalidSpecError:
    return InvalidSpecError("The sweep", [Fault("early_terminate.source", f"{source}: {message}")])
