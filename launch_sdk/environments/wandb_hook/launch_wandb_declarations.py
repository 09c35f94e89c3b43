"""What the W&B client in a program declares and, being offline, keeps to itself: told to the supervisor of the run.

`sitecustomize` beside this file loads it when the program imports the client's module of job inputs. What goes wrong
here never reaches the program. It runs in whatever interpreter the program has, so it imports nothing of ours.
"""

# ruff: noqa: PTH100, PTH118, PTH123, INP001  # no package: the directory stands on the path; and the client needs none
from __future__ import annotations

import json
import os
import sys
from copy import deepcopy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DECLARATIONS = "wandb.jsonl"
MAX_FILE_BYTES = 1 << 20


def extend(loader: Any) -> None:
    """Have the loader of `wandb.sdk.launch.inputs.internal` add to the module that it loads."""
    execute = loader.exec_module

    def exec_module(module: Any) -> None:
        execute(module)
        try:
            _listen(module)
        except Exception as error:  # noqa: BLE001  # the program comes first
            _complain(error)

    loader.exec_module = exec_module


def _listen(module: Any) -> None:
    declare_file, declare_config = module.handle_config_file_input, module.handle_run_config_input
    apply = module.StagedLaunchInputs.apply

    def handle_config_file_input(path: str, include: Any = None, exclude: Any = None, schema: Any = None) -> None:
        plain = _plain(schema)
        declare_file(path, include, exclude, schema)
        _tell(lambda: {"file": path, "text": _text(path), **_filter(include, exclude, plain)})

    def handle_run_config_input(include: Any = None, exclude: Any = None, schema: Any = None) -> None:
        plain = _plain(schema)
        declare_config(include, exclude, schema)
        _tell(lambda: {"config": True, **_filter(include, exclude, plain)})

    def applied(self: Any, run: Any) -> Any:
        _tell(lambda: {"log": os.path.abspath(run.settings.sync_file)})
        return apply(self, run)

    module.handle_config_file_input = handle_config_file_input
    module.handle_run_config_input = handle_run_config_input
    module.StagedLaunchInputs.apply = applied


def _plain(schema: Any) -> Any:
    """Give a schema as a dict of its own: the client takes the definitions out of the one that it is given."""
    try:
        return schema.model_json_schema() if hasattr(schema, "model_json_schema") else deepcopy(schema)
    except Exception as error:  # noqa: BLE001  # the client will say what is wrong with it
        _complain(error)
        return None


def _filter(include: Any, exclude: Any, schema: Any) -> dict[str, Any]:
    return {"include": list(include or ()), "exclude": list(exclude or ()), "schema": schema or None}


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(MAX_FILE_BYTES)


def _tell(what: Callable[[], dict[str, Any]]) -> None:
    """Append one line for the supervisor, with one call of the kernel."""
    try:
        path = os.path.join(os.environ["LAUNCH_RUN_DIR"], DECLARATIONS)
        line = json.dumps(what(), default=str) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except Exception as error:  # noqa: BLE001  # the program comes first
        _complain(error)


def _complain(error: Exception) -> None:
    sys.stderr.write(f"launch: the inputs that this program declares with wandb are not seen: {error!r}\n")
