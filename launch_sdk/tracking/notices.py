"""Warnings that point at the user's line, whatever the depth of ours."""

from __future__ import annotations

import os
import sys
import warnings


class LaunchWarning(UserWarning):
    """Something that the script asked for was not done, and the program goes on."""


def warn_caller(message: str) -> None:
    """Warn with the place of the nearest frame outside this package."""
    warnings.warn(message, LaunchWarning, stacklevel=_level_of_the_caller())


def warn_always(message: str) -> None:
    """Warn as `warn_caller` does, but never raise: under `-W error` the message goes to standard error."""
    try:
        warn_caller(message)
    except LaunchWarning:
        os.write(2, f"{message}\n".encode(errors="backslashreplace"))


def _level_of_the_caller() -> int:
    level = 0
    frame = sys._getframe()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # skip_file_prefixes needs Python 3.12
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
        level += 1
    return level
