"""How a program is started: its argument vector and its variables."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from launch_sdk.environments import wandb
from launch_sdk.tracking.protocol import OF_A_RUN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PYTHON_OF_IMAGES = "python3"  # what images call it that have one, Debian's too
INTERPRETER_NAMES = frozenset({"python", "python3"})
# The server's, those of a run around this one, and those that say who is logged in to W&B.
_NOT_INHERITED = ("PREFECT_", *OF_A_RUN, *wandb.NOT_INHERITED)


def program_arguments(entry_point: Sequence[str], args: Sequence[str], interpreter: str = sys.executable) -> list[str]:
    """Give the argument vector: `python` and `.py` files are started with the interpreter, anything else as it is."""
    words = [*entry_point, *args]
    if not entry_point:  # of an image, which starts its own program
        return words
    if words[0] in INTERPRETER_NAMES:
        return [interpreter, *words[1:]]
    return [interpreter, *words] if words[0].endswith(".py") else words


def program_environment(protocol: Mapping[str, str], inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the program's variables: ours without the server's address and credentials, and the run's own.

    Args:
        protocol: the variables of the run: `LAUNCH_*`, and those of the W&B client.
        inherited: what it may inherit; None for the variables of this process.
    """
    ours = os.environ if inherited is None else inherited
    kept = {name: value for name, value in ours.items() if not name.startswith(_NOT_INHERITED)}
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(protocol)
