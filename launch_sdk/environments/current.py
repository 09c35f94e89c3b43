"""The `current` environment: the interpreter and the packages of whoever starts the program."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from launch_sdk.environments import wandb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERPRETER_NAMES = frozenset({"python", "python3"})
# The server's, those of a run around this one, and those that say who is logged in to W&B.
_NOT_INHERITED = ("PREFECT_", "LAUNCH_RUN_", "LAUNCH_SWEEP_", *wandb.NOT_INHERITED)


def program_arguments(entry_point: Sequence[str], args: Sequence[str]) -> list[str]:
    """Give the argument vector: `python` and `.py` files are started with this interpreter, anything else as it is."""
    words = [*entry_point, *args]
    if words[0] in INTERPRETER_NAMES:
        return [sys.executable, *words[1:]]
    return [sys.executable, *words] if words[0].endswith(".py") else words


def program_environment(protocol: Mapping[str, str]) -> dict[str, str]:
    """Give the program's variables: ours without the server's address and credentials, and the run's own.

    Args:
        protocol: the variables of the run: `LAUNCH_*`, and those of the W&B client.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    return inherited | {"PYTHONUNBUFFERED": "1"} | dict(protocol)
