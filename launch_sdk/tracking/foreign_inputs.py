"""Inputs that a program declares with another SDK, held against what its run was given as if it had used this one."""

from __future__ import annotations

from launch_sdk.tracking import protocol
from launch_sdk.tracking.config import Config
from launch_sdk.tracking.config_root import add_layer, override
from launch_sdk.tracking.input_files import read_values
from launch_sdk.tracking.input_paths import file_key
from launch_sdk.tracking.inputs import InputError, declaration, merged, nothing, require_inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class ForeignInputs:
    """What a program has declared so far; declarations add up."""

    def __init__(self) -> None:
        self._declared = nothing()

    def add_config(self, include: Iterable[str] | None, exclude: Iterable[str] | None, schema: Any) -> None:
        """Take in a declaration of the run config.

        Raises:
            InputError: a path is malformed, or the schema refers to what is not in it.
            TypeError: an argument is of the wrong type.
        """
        self._declared = merged(self._declared, {**nothing(), "config": declaration(include, exclude, schema)})

    def add_file(self, path: str, include: Iterable[str] | None, exclude: Iterable[str] | None, schema: Any) -> None:
        """Take in a declaration of a config file.

        Raises:
            InputError: as for `add_config`.
            TypeError: as for `add_config`.
            ValueError: the file cannot be read.
        """
        one = {**declaration(include, exclude, schema), "values": read_values(path)}
        self._declared = merged(self._declared, {**nothing(), "files": {file_key(path): one}})

    def refusal(self, run_dir: str, own: Mapping[str, Any]) -> InputError | None:
        """Return what is to be raised because of the overrides of a run; None if all are inputs and fit.

        Args:
            run_dir: the run directory.
            own: the config as the program gives it, without the overrides.

        Raises:
            ValueError: the overrides cannot be read.
        """
        given = protocol.read_overrides(run_dir)
        config = Config()
        add_layer(config, own)
        override(config, given.config, given.layer)
        try:
            require_inputs(self._declared, config, given)
        except InputError as error:
            return error
        return None
