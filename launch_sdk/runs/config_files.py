"""Writing values into the config files of a run's own copy of its source, before its program starts.

What stands in a file and is not given stays as it is: in YAML the comments, the order of keys, anchors and quotes
too, in TOML all of it, in JSON the indentation and the last newline. Values are laid over the file's own like this:

| given | result |
|---|---|
| a mapping over a mapping | merged key by key, at any depth; an empty one changes nothing |
| a mapping over a number, a text, a list or nothing | the mapping takes its place |
| a number, a text or a list over anything | takes its place, lists as a whole |
| `null` | null in its place; TOML has none and refuses it |
| `{"$delete": true}` | the key is removed; nothing happens if there is none |

A file that is empty counts as an empty mapping; one whose top level is a list or a single value is refused. A value
given for an anchored group of a YAML file is seen by its aliases too, as if a person had edited it; one given for an
alias or a merged key becomes that place's own.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import tomllib
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.runs.file_formats import UnreadableError, patched_json, patched_toml
from launch_sdk.runs.yaml_file import patched_yaml
from launch_sdk.tracking.config_yaml import parse_yaml
from launch_sdk.tracking.input_paths import file_key, leaves
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.values import MAX_ITEMS, is_object, plain, written_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATCHERS: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    ".json": patched_json,
    ".yaml": patched_yaml,
    ".yml": patched_yaml,
    ".toml": patched_toml,
}
READERS: dict[str, Callable[[str], Any]] = {
    ".json": json.loads,
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".toml": tomllib.loads,
}
MAX_FILE_BYTES = 4 * 1024 * 1024
NAMED_FILES = 5


def patch_files(directory: Path, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Write values into config files below a directory: all of them, or none if one is refused.

    Args:
        directory: the run's own copy of its source.
        files: nested values by the relative path of their file.

    Returns:
        What each changed file held before, by path (`x.yaml` for `./x.yaml`), as plain values; a file of which PyYAML
        makes something else, or nothing (a tag of somebody's own), is left out.

    Raises:
        NotFoundError: a file does not exist; near ones are named.
        InvalidSpecError: a path leads out of the directory, also by a link, or is no file of a known kind; a file
            cannot be read as what it is called, its top level is no mapping, or it cannot hold a value.
    """
    faults: list[Fault] = []
    missing: list[str] = []
    texts: dict[Path, str] = {}
    targets: dict[str, Path] = {}
    for given, values in files.items():
        name = file_key(given)
        fault = _refusal(directory, name)
        if fault:
            faults.append(Fault(f"files.{name}", fault))
        elif not (directory / name).exists():
            missing.append(name)
        elif values:
            targets[name] = (directory / name).resolve()
            _patch(targets[name], name, values, texts, faults)
    if faults:
        raise InvalidSpecError("The run", faults)
    if missing:
        raise NotFoundError(" ".join(_not_there(directory, name) for name in missing))
    held = {name: _values_of(name, _read(path)) for name, path in targets.items()}
    for path, text in texts.items():
        _replace(path, text)
    return {name: values for name, values in held.items() if values is not None}


def _refusal(directory: Path, name: str) -> str:
    """Say why a path is no config file of the run; nothing if it may be one."""
    path = PurePosixPath(name)
    if path.is_absolute():
        return "must be relative to the program's directory"
    if not path.parts or ".." in path.parts or "\0" in name:
        return "leads out of the program's directory"
    if path.suffix.lower() not in PATCHERS:
        return f"is no config file; {', '.join(PATCHERS)} are"
    root = directory.resolve()
    target = (directory / name).resolve()
    if not target.is_relative_to(root):
        return "is a link out of the program's directory"
    if target.exists() and not target.is_file():
        return "is no file"
    return ""


def _patch(target: Path, name: str, values: Mapping[str, Any], texts: dict[Path, str], faults: list[Fault]) -> None:
    raw = [join_path(at) for at, value in leaves(plain(values)) if isinstance(value, bytes)]
    if raw:
        faults.append(Fault(f"files.{name}", f"cannot hold bytes, which are given for {', '.join(raw)}"))
        return
    try:
        text = texts[target] if target in texts else _read(target)
        texts[target] = PATCHERS[PurePosixPath(name).suffix.lower()](text, plain(values))
    except UnreadableError as error:
        faults.append(Fault(f"files.{name}", str(error)))


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadableError(f"is larger than {MAX_FILE_BYTES / 1e6:.0f} MB")
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text: {error}") from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from None


def _values_of(name: str, text: str) -> dict[str, Any] | None:
    """Read a file's values as its program will; None if that fails."""
    body = text.removeprefix("\ufeff")
    try:
        values: Any = READERS[PurePosixPath(name).suffix.lower()](body) if body.strip() else None
        values = {} if values is None else values
        return plain(values) if is_object(values) and written_out(values) <= MAX_ITEMS else None
    except (ValueError, RecursionError):
        return None


def _not_there(directory: Path, name: str) -> str:
    found = [p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.suffix.lower() in PATCHERS]
    same = [one for one in sorted(found) if PurePosixPath(one).name == PurePosixPath(name).name]
    near = list(dict.fromkeys([*same, *get_close_matches(name, found), *sorted(found)]))[:NAMED_FILES]
    return f"Config file {name} is not in the source. It holds {', '.join(near) or 'no config file'}."


def _replace(path: Path, text: str) -> None:
    """Put the new text in place of the file in one step; its permissions stay."""
    mode = stat.S_IMODE(path.stat().st_mode)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".patching-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        Path(draft).chmod(mode)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
