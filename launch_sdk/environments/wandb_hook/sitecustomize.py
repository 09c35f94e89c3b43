"""Tells the supervisor of a run what the W&B client in its program declares and keeps to itself when it is offline.

This directory stands first on PYTHONPATH of a launched program, so Python imports this module when it starts. It waits
until the program imports `wandb.sdk.launch.inputs.internal` (the client does so in each `wandb.init`) and then adds to
three of its functions. A program without wandb is left alone. What goes wrong here never reaches the program.

It runs in whatever interpreter the program has, so it imports nothing of ours.
"""

# ruff: noqa: PTH100, PTH118, PTH120, PTH123, INP001
# No package: the directory stands on the path. pathlib would cost every program 4 ms of its start.
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from typing import Any

WAITED_FOR = "wandb.sdk.launch.inputs.internal"
DECLARATIONS = "wandb.jsonl"
MAX_FILE_BYTES = 1 << 20


class _Finder:
    """Waits on `sys.meta_path` for one module, then steps aside."""

    @classmethod
    def find_spec(cls, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != WAITED_FOR:
            return None
        from importlib.util import find_spec

        if cls in sys.meta_path:
            sys.meta_path.remove(cls)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            _extend(spec.loader)
        return spec


def _extend(loader: Any) -> None:
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
        schema = _plain(schema)
        declare_file(path, include, exclude, schema)
        _tell(lambda: {"file": path, "text": _text(path), **_filter(include, exclude, schema)})

    def handle_run_config_input(include: Any = None, exclude: Any = None, schema: Any = None) -> None:
        schema = _plain(schema)
        declare_config(include, exclude, schema)
        _tell(lambda: {"config": True, **_filter(include, exclude, schema)})

    def applied(self: Any, run: Any) -> Any:
        _tell(lambda: {"log": os.path.abspath(run.settings.sync_file)})
        return apply(self, run)

    module.handle_config_file_input = handle_config_file_input
    module.handle_run_config_input = handle_run_config_input
    module.StagedLaunchInputs.apply = applied


def _plain(schema: Any) -> Any:
    """Give a schema as a dict of its own: the client takes the definitions out of the one that it is given."""
    if schema is None:
        return None
    if callable(getattr(schema, "model_json_schema", None)):
        return schema.model_json_schema()
    from copy import deepcopy

    return deepcopy(schema)


def _filter(include: Any, exclude: Any, schema: Any) -> dict[str, Any]:
    return {"include": list(include or ()), "exclude": list(exclude or ()), "schema": schema or None}


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(MAX_FILE_BYTES)


def _tell(what: Callable[[], dict[str, Any]]) -> None:
    """Append one line for the supervisor, with one call of the kernel."""
    try:
        import json

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


def _import_hidden() -> None:
    """Import the `sitecustomize` that would have been imported if this one did not stand before it."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if "LAUNCH_RUN_DIR" in os.environ:
    sys.meta_path.insert(0, _Finder)
_import_hidden()
