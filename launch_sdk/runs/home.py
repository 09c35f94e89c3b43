"""Where this machine keeps what it launches: LAUNCH_HOME, `~/.launch` unless set."""

from __future__ import annotations

import os
from pathlib import Path


def launch_home() -> Path:
    """Return the folder, made if needed, readable by its owner only."""
    home = Path(os.environ.get("LAUNCH_HOME") or Path.home() / ".launch").expanduser().resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home
