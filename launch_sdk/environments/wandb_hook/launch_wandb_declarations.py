"""What the W&B client in a program declares and, being offline, keeps to itself: told to the supervisor of the run.

And held against what the run was given: an override that is no input raises `launch_sdk.InputError` in the program, as
our own SDK does, at the declaration or, for one that waits for its run, in `wandb.init`.

`sitecustomize` beside this file loads it when the program imports the client's modules of the config and of job inputs.
What else goes wrong here never reaches the program. It runs in whatever interpreter the program has, so of ours it
imports `launch_sdk.tracking` only, which needs the standard library alone, and only if there are overrides.
"""

# ruff: noqa: PTH100, PTH118, PTH123, INP001  # no package: the directory stands on the path; and the client needs none
from __future__ import annotations

import json
import os
import sys
import time
from copy import deepcopy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DECLARATIONS = "wandb.jsonl"
OVERRIDES = "overrides.json"
RECORDS = "records.jsonl"
MAX_FILE_BYTES = 1 << 20
ROOT = os.path.abspath(os.path.join(__file__, "..", "..", "..", ".."))

_own: dict[str, Any] = {}  # the config of the last W&B run before overrides were laid over it
_kept: list[Any] = []  # what is declared so far, as `ForeignInputs`


def extend(loader: Any) -> None:
    """Have the loader of one of the client's two modules add to the module that it loads."""
    execute = loader.exec_module

    def exec_module(module: Any) -> None:
        execute(module)
        try:
            (_listen if hasattr(module, "StagedLaunchInputs") else _remember)(module)
        except Exception as error:  # noqa: BLE001  # the program comes first
            _complain(error)

    loader.exec_module = exec_module


def _listen(module: Any) -> None:
    declare_file, declare_config = module.handle_config_file_input, module.handle_run_config_input
    apply, run_class = module.StagedLaunchInputs.apply, sys.modules["wandb.sdk.wandb_run"].Run
    mark = run_class.mark_preempting
    start = run_class._on_start  # noqa: SLF001  # the client has no other place at which `wandb.init` may be refused

    def handle_config_file_input(path: str, include: Any = None, exclude: Any = None, schema: Any = None) -> None:
        plain = _plain(schema)
        declare_file(path, include, exclude, schema)
        _tell(lambda: {"file": path, "text": _text(path), **_filter(include, exclude, plain)})
        _note(lambda inputs: inputs.add_file(path, list(include or ()), list(exclude or ()), plain))
        _require(module.wandb.run)

    def handle_run_config_input(include: Any = None, exclude: Any = None, schema: Any = None) -> None:
        plain = _plain(schema)
        declare_config(include, exclude, schema)
        _tell(lambda: {"config": True, **_filter(include, exclude, plain)})
        _note(lambda inputs: inputs.add_config(list(include or ()), list(exclude or ()), plain))
        _require(module.wandb.run)

    def applied(self: Any, run: Any) -> Any:
        _tell(lambda: {"log": os.path.abspath(run.settings.sync_file)})
        return apply(self, run)

    def started(self: Any) -> None:
        start(self)
        _require(self)

    def marked(self: Any) -> None:
        _append(RECORDS, lambda: {"time": time.time(), "preempting": True})
        mark(self)

    run_class.mark_preempting = marked
    module.handle_config_file_input = handle_config_file_input
    module.handle_run_config_input = handle_run_config_input
    module.StagedLaunchInputs.apply = applied
    run_class._on_start = started  # noqa: SLF001  # what is raised in `apply` the client keeps to itself


def _remember(module: Any) -> None:
    """Keep what the program itself says of its config: the client lays the overrides over it."""
    merge_locked = module.Config.merge_locked

    def keeping(self: Any, *args: Any, **options: Any) -> Any:
        try:
            _own.clear()
            _own.update(deepcopy(dict(self.items())))
            args = (_with_integers(args[0], _own), *args[1:])
        except Exception as error:  # noqa: BLE001  # the program comes first
            _complain(error)
        return merge_locked(self, *args, **options)

    module.Config.merge_locked = keeping


def _with_integers(given: Any, own: Any) -> Any:
    """Give 4 for 4.0 where the program has an integer, at any depth: `range(4.0)` fails."""
    kinds: set[Any] = {type(given), type(own)}
    if kinds == {dict}:
        return {key: _with_integers(value, own.get(key)) for key, value in given.items()}
    if kinds == {list} and own and all(type(item) is int for item in own):
        return [_with_integers(item, own[0]) for item in given]
    return int(given) if type(own) is int and type(given) is float and given.is_integer() else given


def _note(add: Callable[[Any], None]) -> None:
    """Keep a declaration, if there is anything that it could refuse."""
    try:
        if not _kept and _overrides():
            _kept.append(_foreign_inputs())
        for inputs in _kept:
            add(inputs)
    except Exception as error:  # noqa: BLE001  # the program comes first
        _complain(error, "what this program was given is not held against what it declares with wandb")


def _require(run: Any) -> None:
    """Refuse, once there is a run, what is given and is no input."""
    refusal: Exception | None = None
    try:
        if run is not None and _kept:
            given = {key.strip("-") for key in _overrides().get("config") or ()}
            own = {key: value for key, value in dict(run.config).items() if key not in given and key[:1] != "_"}
            own.update((key, value) for key, value in _own.items() if key in given)
            refusal = _kept[0].refusal(os.environ["LAUNCH_RUN_DIR"], own)
    except Exception as error:  # noqa: BLE001  # the program comes first
        _complain(error, "what this program was given is not held against what it declares with wandb")
    if refusal is not None:
        raise refusal


def _overrides() -> dict[str, Any]:
    """Return the overrides of the run; nothing if there are none."""
    try:
        with open(os.path.join(os.environ["LAUNCH_RUN_DIR"], OVERRIDES), encoding="utf-8") as file:
            given = json.load(file)
    except FileNotFoundError:
        return {}
    return given if given.get("config") or given.get("files") else {}


def _foreign_inputs() -> Any:
    """Import our part from beside this file, unless the program's own environment has it."""
    try:
        from launch_sdk.tracking.foreign_inputs import ForeignInputs
    except ImportError:
        sys.path.append(ROOT)
        try:
            from launch_sdk.tracking.foreign_inputs import ForeignInputs
        finally:
            sys.path.remove(ROOT)
    return ForeignInputs()


def _plain(schema: Any) -> Any:
    """Give a schema as a dict of its own: the client takes the definitions out of the one that it is given."""
    try:
        return schema.model_json_schema(by_alias=False) if hasattr(schema, "model_json_schema") else deepcopy(schema)
    except Exception as error:  # noqa: BLE001  # the client will say what is wrong with it
        _complain(error)
        return None


def _filter(include: Any, exclude: Any, schema: Any) -> dict[str, Any]:
    return {"include": list(include or ()), "exclude": list(exclude or ()), "schema": schema or None}


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(MAX_FILE_BYTES)


def _tell(what: Callable[[], dict[str, Any]]) -> None:
    """Tell the supervisor of a declaration."""
    _append(DECLARATIONS, what)


def _append(name: str, what: Callable[[], dict[str, Any]]) -> None:
    """Append one line to a file of the run directory, with one call of the kernel."""
    try:
        path = os.path.join(os.environ["LAUNCH_RUN_DIR"], name)
        line = json.dumps(what(), default=str) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except Exception as error:  # noqa: BLE001  # the program comes first
        _complain(error)


def _complain(error: Exception, what: str = "the inputs that this program declares with wandb are not seen") -> None:
    sys.stderr.write(f"launch: {what}: {error!r}\n")
