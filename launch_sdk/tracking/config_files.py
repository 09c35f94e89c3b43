"""Config values from files: `config-defaults.yaml`, those of `LAUNCH_CONFIG_PATHS` and `--configs`, and `init("file")`.

A file is YAML, JSON or TOML, by the end of its name. Each of its entries is `key: value`, or
`key: {desc: what it is, value: value}`; `wandb_version: 1` may stand beside them.
"""

# ruff: noqa: PTH109, PTH113, PTH122, PTH123
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os

from launch_sdk.tracking.layers import FIXED
from launch_sdk.tracking.notices import warn_caller
from launch_sdk.tracking.protocol import CONFIG_DEFAULTS, CONFIG_OPTION, CONFIG_PATHS
from launch_sdk.tracking.values import MAX_DEPTH, MAX_ITEMS, is_array, is_object, written_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

SUFFIXES = (".yaml", ".yml", ".json", ".toml")
_VERSION_KEY = "wandb_version"
_VERSION = 1
_BOOKKEEPING = (_VERSION_KEY, "_wandb")  # the latter is what W&B keeps for itself in the file of a run
_FORM = {"desc", "value"}


class ConfigFileError(ValueError):
    """A config file cannot be read; the message names each fault."""


class ConfigFileMissingError(ConfigFileError, FileNotFoundError):
    """A config file does not exist."""


def read_layers(environ: Mapping[str, str], argv: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Read the config files that apply to a run, lowest first, each with its name.

    They are `config-defaults.yaml` in the working directory, if it exists, then the comma-separated files of
    `LAUNCH_CONFIG_PATHS`, then those of each `--configs` of the command line.

    Raises:
        ConfigFileMissingError: all that is wrong is that some do not exist.
        ConfigFileError: some cannot be read; all faults of all files are named.
    """
    names = [CONFIG_DEFAULTS] if os.path.lexists(CONFIG_DEFAULTS) else []
    names += [*_split(environ.get(CONFIG_PATHS, "")), *_of_the_command_line(argv)]
    read: dict[str, dict[str, Any]] = {}
    faults: list[ConfigFileError] = []
    for name in names:
        read.pop(name, None)  # named again: it counts where it is named last
        try:
            read[name] = read_config_file(name)
        except ConfigFileError as error:
            faults.append(error)
    if faults:
        kind = ConfigFileMissingError if all(isinstance(fault, FileNotFoundError) for fault in faults) else None
        raise (kind or ConfigFileError)("\n".join(map(str, faults)))
    return [(f"./{name}" if name in FIXED else name, values) for name, values in read.items()]


def read_config_file(path: str) -> dict[str, Any]:
    """Read one config file; an empty one is warned of.

    Args:
        path: relative to the working directory; without one of `SUFFIXES` it is read as YAML.

    Raises:
        ConfigFileMissingError: it does not exist.
        ConfigFileError: it cannot be read; the message names each fault, with its line where there is one.
    """
    value = _parsed(path, _text_of(path))
    if value is None or value == {}:
        warn_caller(f"config file {path} is empty")
        return {}
    if not is_object(value):
        raise ConfigFileError(f"config file {path} must hold 'key: value' entries, not a {type(value).__name__}")
    faults = list(_faults_of(value))
    if faults:
        raise ConfigFileError("\n".join(f"config file {path}: {fault}" for fault in faults))
    return {key: _value_of(entry) for key, entry in value.items() if key not in _BOOKKEEPING}


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _of_the_command_line(argv: Sequence[str]) -> Iterator[str]:
    words = iter(argv[1:])
    for word in words:
        if word == "--":
            return
        option, equals, value = word.partition("=")
        if option == CONFIG_OPTION:
            given = value if equals else next(words, None)
            if given is not None and not _split(given):
                warn_caller(f"{CONFIG_OPTION} {given!r} names no config file; none is read for it")
            yield from _own(_split(given or ""))


def _own(names: list[str]) -> list[str]:
    """Leave alone what is no file name: the script has an option of its own with this name."""
    if all(name.endswith(SUFFIXES) or os.path.isfile(name) for name in names):
        return names
    warn_caller(f"{CONFIG_OPTION} {','.join(names)} names no {', '.join(SUFFIXES)} files; it is left to the script")
    return []


def _text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except FileNotFoundError:
        raise ConfigFileMissingError(
            f"config file {path} does not exist (the working directory is {os.getcwd()})"
        ) from None
    except OSError as error:
        raise ConfigFileError(f"config file {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigFileError(f"config file {path} is not UTF-8 text: byte {error.start} is {error.reason}") from None


def _parsed(path: str, text: str) -> Any:
    suffix = os.path.splitext(path)[1]
    read = {".json": _parse_json, ".toml": _parse_toml}.get(suffix, _parse_yaml)
    try:
        value = read(path, text)
        count = written_out(value)
    except RecursionError:
        raise ConfigFileError(f"config file {path} is nested too deeply") from None
    if count > MAX_ITEMS:
        raise ConfigFileError(f"config file {path} holds more than {MAX_ITEMS} values, its aliases written out")
    return value


def _parse_json(path: str, text: str) -> Any:
    import json

    try:
        return json.loads(text) if text.strip() else None
    except ValueError as error:
        raise ConfigFileError(f"config file {path} is not valid JSON: {error}") from None


def _parse_toml(path: str, text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigFileError(f"config file {path} is not valid TOML: {error}") from None


def _parse_yaml(path: str, text: str) -> Any:
    try:
        from launch_sdk.tracking.config_yaml import YamlError, parse_yaml
    except ImportError:
        remedy = "pip install pyyaml, or write the file as JSON or TOML"
        raise ConfigFileError(f"config file {path} is YAML, and PyYAML is not installed: {remedy}") from None
    try:
        return parse_yaml(text)
    except YamlError as error:
        raise ConfigFileError(f"config file {path}{error.place} is not valid YAML: {error}") from None


def _faults_of(entries: dict[Any, Any]) -> Iterator[str]:
    version = entries.get(_VERSION_KEY, _VERSION)
    if _value_of(version) != _VERSION:
        yield f"{_VERSION_KEY} is {version!r}; this reads version {_VERSION} only"
    for key, entry in entries.items():
        if not isinstance(key, str):
            yield f"the key {key!r} must be text; put it in quotes"
        elif is_object(entry) and entry.keys() == {"desc"}:
            yield f"'{key}' has a 'desc' and no 'value' beside it"
        elif _is_too_deep(entry):
            yield f"'{key}' is nested more than {MAX_DEPTH} deep, or in itself"


def _value_of(entry: Any) -> Any:
    return entry["value"] if is_object(entry) and "value" in entry and entry.keys() <= _FORM else entry


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    return list(value.values()) if is_object(value) else value if is_array(value) else []
