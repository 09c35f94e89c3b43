"""Config files as inputs, seen from the script: which paths are allowed, and what the file holds."""

# ruff: noqa: PTH109, PTH110, PTH113, PTH117, PTH123
# pathlib would cost every training script 4 ms of import time.
from __future__ import annotations

import os

from launch_sdk.tracking.input_paths import file_key
from launch_sdk.tracking.values import MAX_ITEMS, is_object, plain, written_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXTENSIONS = (".json", ".yaml", ".yml", ".toml")


def checked_path(path: str) -> str:
    """Return the one way to write the path of a config file, `x.yaml` for `./x.yaml`.

    Raises:
        ValueError: it is absolute, leads out of the working directory, names no file, or is of no known kind.
    """
    name = file_key(path)
    if not name or "\0" in name:
        raise ValueError("give the path of a file, as in 'config.yaml'")
    if os.path.isabs(name):
        raise ValueError(f"the path must be relative; give it from the working directory {os.getcwd()} on")
    if ".." in name.split("/"):
        raise ValueError("the path leads upward; the file must be in the working directory or below it")
    if not name.lower().endswith(EXTENSIONS):
        raise ValueError(f"only {', '.join(EXTENSIONS)} files can be inputs")
    here = os.path.realpath(".")
    if os.path.commonpath([here, os.path.realpath(name)]) != here:
        raise ValueError("the path is a link out of the working directory; the file must be in it or below it")
    if not os.path.exists(name):
        raise ValueError(f"there is no such file in the working directory {os.getcwd()}")
    if not os.path.isfile(name):
        raise ValueError("this is no file")
    return name


def read_values(path: str) -> dict[str, Any] | None:
    """Return what a config file holds; None for a YAML file where no YAML library can be imported.

    Raises:
        ValueError: the file cannot be read, or its top level is no mapping.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            values = _parse(path, file.read())
    except ImportError:
        return None
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    except Exception as error:  # noqa: BLE001  # each library has its own kind of error for a malformed file
        raise ValueError(f"the file cannot be read: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if written_out(values) > MAX_ITEMS:
        raise ValueError(f"the file holds more than {MAX_ITEMS} values, its aliases written out")
    values = plain(values)
    if not is_object(values):
        raise ValueError(f"the file must hold a mapping of names to values, and holds a {type(values).__name__}")
    return values


def _parse(path: str, text: str) -> Any:
    if path.lower().endswith(".json"):
        import json

        return json.loads(text) if text.strip() else None
    if path.lower().endswith(".toml"):
        import tomllib

        return tomllib.loads(text)
    return _parse_yaml(text)


def _parse_yaml(text: str) -> Any:
    """Read YAML with the library that the script's environment has."""
    try:
        import yaml
    except ImportError:
        from ruamel.yaml import YAML

        return YAML(typ="safe", pure=True).load(text)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return yaml.safe_load(text)
