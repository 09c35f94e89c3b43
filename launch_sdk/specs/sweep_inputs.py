"""Where the parameters of a sweep go: into the run config or into config files; and whether a job takes them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.distributions import Categorical
from launch_sdk.specs.inputs import FILE_PREFIX, split_file_parameter
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.protocol import merge
from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launch_sdk.specs.distributions import Distribution
    from launch_sdk.specs.inputs import JobInputs
    from launch_sdk.specs.space import ParameterPath, Space

    Files = dict[str, dict[str, Any]]

FILES = FILE_PREFIX.removesuffix(".")
FILE_ENDS = (".json", ".yaml", ".yml", ".toml")
MAX_TRIED = 200  # values of one parameter


def split_parameters(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], Files]:
    """Say which parameters are values of the run config, and which of config files.

    A parameter named `files.conf/train.yaml.optimizer.lr` stands in a file; so does `optimizer.lr` below `train.yaml`
    below `files`, where the parameters are nested.

    Args:
        parameters: a suggestion, nested.

    Returns:
        The nested values of the config, and those of each file by its path.
    """
    config: dict[str, Any] = {}
    files: Files = {}
    for name, value in parameters.items():
        place = split_file_parameter(name)
        if place is not None:
            merge(files.setdefault(place[0], {}), nested(place[1], value))
        elif name == FILES and is_object(value) and any(_is_file(path, below) for path, below in value.items()):
            for path, below in value.items():
                if _is_file(path, below):
                    merge(files.setdefault(path, {}), below)
                else:
                    merge(config, {name: {path: below}})
        else:
            merge(config, {name: value})
    return config, files


def nested(keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Put a value below its keys, of which there is at least one."""
    for key in reversed(keys[1:]):
        value = {key: value}
    return {keys[0]: value}


def _is_file(path: str, below: object) -> bool:
    return path.endswith(FILE_ENDS) and is_object(below)


def space_faults(inputs: JobInputs, space: Space) -> list[tuple[ParameterPath, str]]:
    """List the parameters that a job does not take, and those that can have a value that it does not take.

    Each parameter is tried with all of its values, or with the lowest and the highest that it can have; the others have
    their first value meanwhile.

    Args:
        inputs: of the job.
        space: of the sweep.

    Returns:
        Path of the parameter, empty where none is to blame, and what is wrong.
    """
    first = {path: next(_tried(distribution)) for path, distribution in space}
    found: dict[tuple[str, str], None] = {}
    for path, distribution in space:
        for value in _tried(distribution):
            config, files = split_parameters(space.nest({**first, path: value}))
            found.update({(fault.path, fault.message): None for fault in inputs.faults(config, files)})
    dotted = {_dotted(path): path for path, _ in space}
    return [(_blamed(where, dotted), _told(where, message, dotted)) for where, message in found]


def _tried(distribution: Distribution) -> Iterator[Any]:
    if isinstance(distribution, Categorical):
        yield from distribution.options[:MAX_TRIED]
        return
    ends = [distribution.quantile(u) for u in (0.0, 1.0)]
    finite = [end for end in ends if isfinite(end)]
    yield from finite or [distribution.quantile(0.5)]


def _dotted(path: ParameterPath) -> str:
    """Write a parameter's path as the job's inputs are written."""
    place = split_file_parameter(path[0]) if len(path) == 1 else None
    if place is not None:
        return f"{FILE_PREFIX}{place[0]}.{join_path(place[1])}"
    if path[0] == FILES and len(path) > 2 and path[1].endswith(FILE_ENDS):  # noqa: PLR2004  # files, path, key
        return f"{FILE_PREFIX}{path[1]}.{join_path(path[2:])}"
    return f"config.{join_path(path)}"


def _blamed(where: str, dotted: Mapping[str, ParameterPath]) -> ParameterPath:
    for name, path in dotted.items():
        if where == name or where.startswith((f"{name}.", f"{name}[")) or name.startswith(f"{where}."):
            return path
    return ()


def _told(where: str, message: str, dotted: Mapping[str, ParameterPath]) -> str:
    return message if where in dotted else f"{where} {message}"
