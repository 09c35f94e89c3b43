"""What a script declares to be its inputs, and the refusal of overrides that are none.

Declarations add up: includes, excludes and schemas accumulate. Before `init()` they wait and are published
when the run starts; during a run they are published at once. Publishing writes an `inputs` record with everything
declared so far, after the overrides that the supervisor gave have been checked against it.
"""

from __future__ import annotations

import os

from launch_sdk.tracking import current, protocol
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.input_checks import config_faults, file_faults, with_integers
from launch_sdk.tracking.input_files import checked_path, read_values
from launch_sdk.tracking.input_paths import PathFilter, file_key, split_prefix
from launch_sdk.tracking.notices import warn_caller
from launch_sdk.tracking.values import is_array, is_object, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from launch_sdk.tracking.run import Run

    Declared = dict[str, Any]


class InputError(ValueError):
    """A declaration of inputs is wrong, or an override is no input. The message lists everything at once."""


def manage_config(
    include: Iterable[str] | None = None, exclude: Iterable[str] | None = None, schema: Any = None
) -> None:
    r"""Declare which values of the run config may be set by whoever launches the job.

    Without a declaration all of them may. Several calls add up, their schemas too. May be called before `init()`.

    Under a supervisor its overrides are checked against everything declared: that each is an input, is of the type that
    the script itself gives to the value (if it gives one by now: an integer may stand for a float; None fits any), and
    fits the schema (if `jsonschema` can be imported). What is not overridden is not checked. During a run another call
    may include more until the first `log()`, which refuses what none has included.

    Args:
        include: paths of what may be set, with all that is below them: `["trainer.lr"]`; all if there are none. `\.`
            is a dot in a key.
        exclude: paths of what may not be set; they win over `include`.
        schema: JSON Schema of the values as a dict, or a pydantic model or an instance of one.

    Raises:
        InputError: an override is no input or does not fit, a path is malformed, or the schema is no valid one.
        TypeError: an argument is of the wrong type.
    """
    _declare(None, declaration(include, exclude, schema))


def manage_config_file(
    path: str | os.PathLike[str],
    include: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    schema: Any = None,
) -> None:
    """Declare a config file to be an input; the run config is then none, unless `manage_config` is called too.

    In a launched run the file has the values that were given already, for it was patched before the program started;
    outside one, nothing is done to it.

    Args:
        path: a JSON, YAML or TOML file, relative to the working directory and below it.
        include: as for `manage_config`, of the values in the file.
        exclude: as for `manage_config`, of the values in the file.
        schema: as for `manage_config`, of the values in the file.

    Raises:
        InputError: the path is none of these, the file cannot be read as what it is called, or as for `manage_config`.
        TypeError: an argument is of the wrong type.
    """
    declared = declaration(include, exclude, schema)
    try:
        name = checked_path(os.fspath(path))
        declared["values"] = read_values(name)
    except ValueError as error:
        raise InputError(f"manage_config_file({os.fspath(path)!r}): {error}") from None
    _declare(name, declared)


def load_config() -> Config:
    """Return the values of the run config that were given at launch, in a config of their own; empty outside a launch.

    What was declared to be no input is not among them. A change to it does not reach the run. Where the
    script has an integer 8.0 is 8, as in the run config.

    Raises:
        ValueError: the supervisor's overrides cannot be read.
    """
    run = current.current_run()
    directory = run.dir if run is not None else os.environ.get(protocol.RUN_DIR)
    given = protocol.read_overrides(directory).config if directory else {}
    declared = (run.inputs if run is not None else current.staged_inputs()) or {}
    own = declared.get("config")
    values = _filter_of(own).filter(given) if is_object(own) else given
    return Config(values if run is None else with_integers(values, run.config))


manage_wandb_config = manage_config
load_wandb_config = load_config


def publish(run: Run, declared: Declared, *, may_follow: bool = False) -> None:
    """Check the overrides of a run against what is declared, and record it.

    Args:
        run: a run that goes on.
        declared: everything declared, added to what the run has.
        may_follow: whether another declaration may include what this one does not; the run is asked again when it logs.

    Raises:
        InputError: overrides are refused; the message lists all of them. Nothing is recorded then.
    """
    together = merged(run.inputs or nothing(), declared)
    given = protocol.read_overrides(run.dir)

    def require_all() -> None:
        whole = together if together["config"] or given.checked else {**together, "config": _NO_INPUT}
        require_inputs(whole, run.config, given)

    if run.has_logged:
        require_all()
    else:
        require_inputs(together, run.config, given, may_follow=may_follow)
    for one in together["files"].values():  # what is no input stays out of the record
        one["values"] = _filter_of(one).filter(one["values"]) if is_object(one["values"]) else None
    run.declare(together, require_all)


def require_inputs(declared: Declared, config: Config, given: protocol.Overrides, *, may_follow: bool = False) -> None:
    """Hold what a run was given against everything declared so far.

    Args:
        declared: in the form of an `inputs` record.
        config: of the run, the overrides in it.
        given: the overrides.
        may_follow: whether a declaration may follow that includes more; what is excluded is refused at once.

    Raises:
        InputError: some are no inputs or do not fit; the message lists all of them.
    """
    faults = _faults(declared, config, given, may_follow=may_follow or given.checked)
    if faults and may_follow:  # then all at once
        faults = _faults(declared, config, given, may_follow=given.checked)
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise InputError(f"The {given.layer} gave what is no input of this program:\n{lines}")


def _faults(declared: Declared, config: Config, given: protocol.Overrides, *, may_follow: bool) -> list[str]:
    faults: list[str] = []
    own = declared["config"]
    if own is not None:
        faults += config_faults(config, given.config, _filter_of(own), own["schema"], may_follow=may_follow)
    files = {file_key(path): values for path, values in given.files.items()}
    for path, one in declared["files"].items():
        before = None if given.checked else given.file_values.get(path)
        faults += file_faults(path, one, files.get(path, {}), _filter_of(one), before=before, may_follow=may_follow)
    return faults


def _declare(path: str | None, declared: Declared) -> None:
    added = {**nothing(), "config": declared} if path is None else {**nothing(), "files": {path: declared}}
    run = current.current_run()
    if run is None:
        current.stage_inputs(merged(current.staged_inputs() or nothing(), added))
    else:
        before = run.inputs
        publish(run, added, may_follow=not run.has_logged)
        if run.has_logged and run.inputs != before:
            warn_caller(
                "inputs were declared after the first log(): what the run was given is held against them only now;"
                " declare them before init(), or right after it"
            )


def nothing() -> Declared:
    """Return the declaration of nothing at all."""
    return {"config": None, "files": {}}


def merged(first: Declared, second: Declared) -> Declared:
    """Add declarations up; neither is changed."""
    before: Declared = first.get("files") or {}
    files: Declared = {path: dict(one) for path, one in before.items()}
    for path, one in second["files"].items():
        files[path] = dict(_added(files.get(path), one))
    own = first.get("config") if second["config"] is None else _added(first.get("config"), second["config"])
    return {"config": own, "files": files}


def _added(first: Declared | None, second: Declared) -> Declared:
    if first is None:
        return second
    both = {key: [*first[key], *(path for path in second[key] if path not in first[key])] for key in _LISTS}
    return {**second, **both, "schema": _both_schemas(first["schema"], second["schema"])}


def _both_schemas(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    if first is None or second is None or first == second:
        return first if second is None else second
    from launch_sdk.tracking.added_schemas import added_schemas  # few scripts declare two

    return added_schemas(first, second)


_LISTS = ("include", "exclude")
_NO_INPUT: Declared = {"include": [], "exclude": [[]], "schema": None}  # of the config, where only files are declared


def declaration(include: Iterable[str] | None, exclude: Iterable[str] | None, schema: Any) -> Declared:
    """Return the declaration of a config or a file as it is recorded.

    Raises:
        InputError: a path is malformed, or the schema refers to what is not in it.
        TypeError: an argument is of the wrong type.
    """
    return {"include": _paths("include", include), "exclude": _paths("exclude", exclude), "schema": schema_of(schema)}


def _paths(name: str, given: Iterable[str] | None) -> list[list[str]]:
    if isinstance(given, (str, bytes)):
        raise TypeError(f"{name} must be a list of paths, as in {name}=[{given!r}]")
    paths: list[list[str]] = []
    for path in given or ():
        if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # scripts are not all typed
            raise TypeError(f"{name} must be a list of texts such as 'trainer.lr', not of {path!r}")
        try:
            keys = list(split_prefix(path))
        except ValueError as error:
            raise InputError(f"{name}: {error}") from None
        if keys not in paths:
            paths.append(keys)
    return paths


def _filter_of(declaration: Declared) -> PathFilter:
    return PathFilter(*([tuple(path) for path in declaration.get(key) or ()] for key in _LISTS))


def schema_of(given: Any) -> dict[str, Any] | None:
    """Return a schema as plain JSON values.

    Args:
        given: a dict, a pydantic model or an instance of one; None is none.

    Raises:
        InputError: it refers to what is not in it, or is no valid schema of an object; every fault is listed.
        TypeError: it is none of these.
    """
    if given is None:
        return None
    method = getattr(given, "model_json_schema", None)
    schema = plain(method(by_alias=False) if callable(method) else given)  # configs have the names of the fields
    if not is_object(schema) or not (callable(method) or isinstance(given, dict)):
        kind = given.__name__ if isinstance(given, type) else type(given).__name__
        raise TypeError(f"schema must be a dict (JSON Schema), a pydantic model or an instance of one, not {kind}")
    outside = sorted(set(_outside_references(schema)))
    if outside:
        raise InputError(f"schema refers to {', '.join(outside)}, which is not fetched; put the definition under $defs")
    from launch_sdk.tracking.declared_schemas import schema_faults  # most scripts declare no schema

    if faults := schema_faults(schema):
        raise InputError("The declared schema is no JSON Schema of inputs:\n" + "\n".join(f"  {one}" for one in faults))
    return schema


def _outside_references(value: Any) -> list[str]:
    if is_array(value):
        return [found for item in value for found in _outside_references(item)]
    if not is_object(value):
        return []
    target = value.get("$ref")
    own = [target] if isinstance(target, str) and not target.startswith("#") else []
    return [*own, *(found for item in value.values() for found in _outside_references(item))]
