"""`key=value` words of a command line, as nested values with types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.document import parse_document
from launch_sdk.specs.inputs import names_file, split_file_parameter
from launch_sdk.tracking.key_paths import join_path, split_path

if TYPE_CHECKING:
    from collections.abc import Sequence


def parse_overrides(words: Sequence[str], option: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Read `lr=0.1 files.conf/train.yaml.optimizer.lr=0.2` as values of the run config and of config files, by path.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    own: list[str] = []
    of_files: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for word in words:
        key, equals, text = word.partition("=")
        place = split_file_parameter(key) if equals else None
        if equals and names_file(key):
            faults.append(Fault(option, f"{word!r}: name a key in the file, as in {key}.KEY={text}"))
        elif place is None:
            own.append(word)
        else:
            of_files.setdefault(place[0], []).append(f"{join_path(place[1])}={text}")
    read = {path: _read(part, f"{option} files.{path}", faults) for path, part in [("", own), *of_files.items()]}
    if faults:
        raise InvalidSpecError("The command line", faults)
    return read.pop(""), read


def _read(words: Sequence[str], option: str, faults: list[Fault]) -> dict[str, Any]:
    try:
        return parse_assignments(words, option.removesuffix(" files."))
    except InvalidSpecError as error:
        faults += error.faults
        return {}


def parse_assignments(words: Sequence[str], option: str) -> dict[str, Any]:
    """Read `a.b=1 c=text` as `{"a": {"b": 1}, "c": "text"}`; values are YAML: `1e-3`, `true`, `[1, 2]`.

    Args:
        words: the words; of two for one key the later wins, but a key and one below it contradict each other.
        option: what to call them in an error.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    values: dict[str, Any] = {}
    groups: dict[tuple[str, ...], str] = {}
    faults: list[Fault] = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key or not all(split_path(key)):
            faults.append(Fault(option, f"{word!r} must be key=value, as in lr=0.1 or optimizer.lr=0.1"))
            continue
        try:
            value = parse_document(text).value if text.strip() else text
        except InvalidSpecError:
            value = text
        fault = _set(values, split_path(key), value, groups)
        if fault:
            faults.append(Fault(option, f"{word!r}: {fault}"))
    if faults:
        raise InvalidSpecError("The command line", faults)
    return values


def _set(values: dict[str, Any], path: tuple[str, ...], value: Any, groups: dict[tuple[str, ...], str]) -> str | None:
    """Set a nested value, and note for each group above it which word made it; say what contradicts it."""
    if path in groups:
        return f"contradicts {groups[path]}: it would replace the whole of {path[-1]!r}. Leave one of them out"
    node = values
    for key in path[:-1]:
        below = node.setdefault(key, {})
        if not isinstance(below, dict):
            return f"{key!r} has a value already"
        node = cast("dict[str, Any]", below)
    node[path[-1]] = value
    for end in range(1, len(path)):
        groups.setdefault(path[:end], join_path(path))
    return None
