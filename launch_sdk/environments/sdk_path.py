"""Lays `launch_sdk` on the path of a program whose interpreter has none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIABLE: Final = "LAUNCH_SDK_PATH"  # read by wandb_hook/sitecustomize.py, which adds it behind everything else


def sdk_variables(home: Path) -> dict[str, str]:
    """Give the variable that leads to a folder with this `launch_sdk` and nothing else.

    What is installed beside `launch_sdk` here must not be seen by the program, so that folder holds one link.
    """
    package = Path(__file__).resolve().parents[1]
    name = hashlib.sha256(str(package).encode()).hexdigest()[:16]
    link = home / "sdk" / name / package.name
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(package)
    except FileExistsError:
        if link.readlink() != package:
            raise
    return {VARIABLE: str(link.parent)}


def program_path(source: Path, folders: Sequence[str]) -> list[str]:
    """Give where the packages of a source lie that are used from the run's own copy: each folder, or its `src`."""
    places = [source / folder for folder in folders]
    return [str(place / "src" if (place / "src").is_dir() else place) for place in places]
