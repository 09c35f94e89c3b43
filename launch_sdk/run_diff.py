"""What differs between two runs: their code, arguments, config, packages and metrics."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.secrets import secret_paths
from launch_sdk.tracking.input_paths import file_key, leaves
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.values import encode, is_object

if TYPE_CHECKING:
    from launch_sdk.views import RunView

MAX_COMPARED_BYTES = 256 * 1024  # of a file whose changed lines are counted
STARTS = ("entry_point", "environment", "job")
MACHINE = ("python", "implementation", "platform", "gpus")
SECRET = "(secret)"  # noqa: S105 - what is shown in place of one


@dataclass(frozen=True)
class RunSide:
    """One of two runs.

    Attributes:
        view: what the server, or its directory, knows of it.
        files: its packed source: content by name; None if that is not here.
        environment: what its directory says that it ran with: `packages`, a list of names and versions, and more;
            None if that is not known.
    """

    view: RunView
    files: Mapping[str, bytes] | None = None
    environment: Mapping[str, Any] | None = None


def run_diff(before: RunSide, after: RunSide) -> dict[str, Any]:
    """Compare two runs.

    Returns:
        `runs` (their two ids), and a list of differences under each of `code`, `arguments`, `config`, `packages` and
        `metrics`. A difference has `what` (a file, a key, a package, a metric), and `before` and `after`, of which one
        is missing where there is nothing; a file has `change` (`added`, `removed`, `changed`) and how many lines were
        `added` and `removed` instead. `unknown` says, for each list that may lack something, why.
    """
    unknown: dict[str, str] = {}
    return {
        "runs": [before.view.run_id, after.view.run_id],
        "code": _code(before, after, unknown),
        "arguments": _pairs(_start(before.view, ("args",)), _start(after.view, ("args",))),
        "config": _config(before.view, after.view),
        "packages": _packages(before, after, unknown),
        "metrics": _pairs(before.view.summary, after.view.summary),
        "unknown": unknown,
    }


def _start(view: RunView, keys: Sequence[str]) -> dict[str, Any]:
    return {key: view.parameters[key] for key in keys if view.is_program and view.parameters.get(key)}


def _code(before: RunSide, after: RunSide, unknown: dict[str, str]) -> list[dict[str, Any]]:
    found = _pairs(_start(before.view, STARTS), _start(after.view, STARTS))
    sources = [side.view.parameters.get("source") if side.view.is_program else None for side in (before, after)]
    if sources[0] == sources[1]:
        if sources[0] is None:
            unknown["code"] = "neither run is a program that was started with its source"
        return found
    if before.files is None or after.files is None:
        missing = [side.view.run_id for side in (before, after) if side.files is None]
        unknown["code"] = f"the source of {' and '.join(missing)} is not packed in this run store"
        return [*found, *_pairs({"source": sources[0]}, {"source": sources[1]})]
    names = sorted({*before.files, *after.files})
    changed = [_file(name, before.files.get(name), after.files.get(name)) for name in names]
    return [*found, *(one for one in changed if one)]


def _file(name: str, before: bytes | None, after: bytes | None) -> dict[str, Any] | None:
    if before == after:
        return None
    change = "added" if before is None else "removed" if after is None else "changed"
    return {"what": name, "change": change, **_lines(before or b"", after or b"")}


def _lines(before: bytes, after: bytes) -> dict[str, int]:
    """Count the lines that were added and removed; nothing for what is large or no text."""
    if max(len(before), len(after)) > MAX_COMPARED_BYTES or b"\0" in before + after:
        return {}
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    blocks = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    return {"added": sum(j2 - j1 for _, _, _, j1, j2 in blocks), "removed": sum(i2 - i1 for _, i1, i2, _, _ in blocks)}


def _config(before: RunView, after: RunView) -> list[dict[str, Any]]:
    """Compare the configs, and what was written into config files; secrets are only said to differ."""
    found = _pairs(_values(before), _values(after))
    secret = _secrets(before) | _secrets(after)
    return [
        {key: SECRET if key != "what" and _is_below(one["what"], secret) else value for key, value in one.items()}
        for one in found
    ]


def _is_below(what: str, secret: set[str]) -> bool:
    return any(what == path or what.startswith(f"{path}.") for path in secret)


def _values(view: RunView) -> dict[str, Any]:
    found = {join_path(path): value for path, value in leaves(view.config)}
    files: Mapping[str, Mapping[str, Any]] = view.parameters.get("files") or {} if view.is_program else {}
    for path, values in files.items():
        found |= {f"files.{file_key(path)}.{join_path(at)}": value for at, value in leaves(values)}
    return found


def _secrets(view: RunView) -> set[str]:
    inputs: Mapping[str, Any] = view.parameters.get("inputs") or {} if view.is_program else {}
    found = {join_path(path) for path in secret_paths(inputs.get("config"))}
    files: Mapping[str, Any] = inputs.get("files") or {}
    for path, schema in files.items():
        found |= {f"files.{file_key(path)}.{join_path(at)}" for at in secret_paths(schema)}
    return found


def _packages(before: RunSide, after: RunSide, unknown: dict[str, str]) -> list[dict[str, Any]]:
    missing = [side.view.run_id for side in (before, after) if side.environment is None]
    if missing:
        unknown["packages"] = f"what {' and '.join(missing)} ran with is not recorded here"
        return []
    return _pairs(_installed(before.environment or {}), _installed(after.environment or {}))


def _installed(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Give the interpreter, the machine, the version of each package by name and the digest of each file by its."""
    found = {key: environment[key] for key in MACHINE if environment.get(key)}
    listed: Any = environment.get("packages")
    packages = cast("list[Any]", listed) if isinstance(listed, list) else []
    found |= {str(one["name"]): one.get("version") for one in packages if is_object(one) and "name" in one}
    used: Any = environment.get("files")
    files = cast("list[Any]", used) if isinstance(used, list) else []
    return found | {f"file {one['name']}": one.get("sha256") for one in files if is_object(one) and "name" in one}


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the keys whose values differ, in the order of the first, then those that only the second has."""
    found: list[dict[str, Any]] = []
    for key in [*before, *(key for key in after if key not in before)]:
        sides = {name: encode(side[key]) for name, side in (("before", before), ("after", after)) if key in side}
        if len(sides) == 1 or not _is_same(sides["before"], sides["after"]):
            found.append({"what": key, **sides})
    return found


def _is_same(before: object, after: object) -> bool:
    return before == after and isinstance(before, bool) == isinstance(after, bool)
