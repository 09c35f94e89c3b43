"""`launch --dry-run`: everything that a run would be, and who said each part of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from launch_sdk.environments.current import PYTHON_OF_IMAGES, program_arguments
from launch_sdk.runs.environment import CURRENT, describe_environment
from launch_sdk.tracking.input_paths import leaves
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.values import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launch_sdk.specs.launch_config import LaunchConfig
    from launch_sdk.specs.run_spec import RunSpec

OPTIONS = {
    "source": "URI",
    "entry_point": "--entry-point",
    "args": "--args",
    "environment": "--environment",
    "name": "--name",
    "project": "--project",
    "queue": "--queue",
    "git_version": "--git-version",
    "metric_sources": "--config",
}
_DEFAULT = "default"


def dry_run(
    spec: RunSpec, queue: str | None, said: LaunchConfig, config: LaunchConfig, base: str | None
) -> dict[str, Any]:
    """Describe a run that is not started.

    Args:
        spec: the run.
        queue: where it would go; None for here.
        said: what the options say.
        config: what the launch config says.
        base: what the run repeats or is one of, in words; None if nothing.

    Raises:
        LaunchError: its requirements are missing, or not allowed.
    """
    if spec.container is not None:
        runs_in, interpreter = {"container": dict(spec.container)}, PYTHON_OF_IMAGES
    else:
        runs_in = describe_environment(spec)
        interpreter = sys.executable if spec.environment == CURRENT else f"{runs_in.get('path', '')}/bin/python"
    return {
        **spec.to_dict(),
        "config": encode(spec.config),
        "files": encode(spec.files),
        "queue": queue,
        "runs_in": runs_in,
        "command": program_arguments(spec.entry_point, spec.args, interpreter),
        "given_by": dict(_given_by(spec, queue, said, config, base)),
    }


def _given_by(
    spec: RunSpec, queue: str | None, said: LaunchConfig, config: LaunchConfig, base: str | None
) -> Iterator[tuple[str, str]]:
    layers = ((said, OPTIONS), (config, dict.fromkeys(OPTIONS, "--config")))
    for key in OPTIONS:
        attribute = "uri" if key == "source" else key
        giver = next((names[key] for layer, names in layers if getattr(layer, attribute)), None)
        if key == "source" and base is not None:
            giver = "--git-version" if said.git_version else "--config" if config.git_version else base
        value = queue if key == "queue" else getattr(spec, key, None)
        if giver or value:
            yield key, giver or (base if base and key not in {"queue", "name"} and value else _DEFAULT)
    for part in ("config", "files"):
        values: Mapping[str, Any] = getattr(spec, part)
        for path, _ in leaves(values):
            yield f"{part}.{join_path(path)}", _giver_of_value(part, path, said, config) or base or _DEFAULT


def _giver_of_value(part: str, path: tuple[str, ...], said: LaunchConfig, config: LaunchConfig) -> str | None:
    for layer, name in ((said, "--set"), (config, "--config")):
        if any(_is_at_or_below(path, at) for at, _ in leaves(getattr(layer, part))):
            return name
    return None


def _is_at_or_below(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return path[: len(other)] == other
