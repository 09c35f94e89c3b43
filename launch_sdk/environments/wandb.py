"""What the W&B client finds in the environment of a launched program: its own launch contract.

So scripts that import `wandb` run unchanged. By default the client stays offline: no account, no network; what it
writes is read from its files. The client is never imported here.
"""

from __future__ import annotations

import json
import os
import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MODE: Final = "LAUNCH_WANDB_MODE"
MODES: Final = ("offline", "online", "disabled")
MAX_VALUE_LENGTH: Final = 32_670  # the client's own limit of one variable; longer values go into numbered ones
FLUSH_EVERY_S: Final = "0.25"  # how old a metric may be before it is in the file that we read; the client's own is 15 s
HOOK: Final = Path(__file__).parent / "wandb_hook"
DECLARATIONS: Final = "wandb.jsonl"
MAX_PROJECT_LENGTH: Final = 128
# What belongs to a run around this one, or is decided here. Everything else (tags, notes, WANDB_WATCH, ...) is kept.
NOT_INHERITED: Final = (
    "WANDB_API_KEY",
    "WANDB_IDENTITY_TOKEN_FILE",
    "WANDB_ARTIFACTS",
    "WANDB_CONFIG",
    "WANDB_DIR",
    "WANDB_LAUNCH",
    "WANDB_MODE",
    "WANDB_NAME",
    "WANDB_RESUME",
    "WANDB_RUN_ID",
    "WANDB_SERVICE",
    "WANDB__SERVICE",
    "WANDB_SWEEP",
)


def wandb_environment(
    inherited: Mapping[str, str],
    *,
    run_dir: Path,
    run_id: str | None,
    name: str | None = None,
    project: str | None = None,
    sweep_id: str | None = None,
    config: Mapping[str, Any],
    files: Mapping[str, Any],
) -> dict[str, str]:
    """Give the variables that the W&B client reads.

    Args:
        inherited: the environment of the agent. `LAUNCH_WANDB_MODE` in it says how the client works: `offline` (the
            default), `online`, which needs `WANDB_API_KEY` there or a login in `~/.netrc`, or `disabled`.
        run_dir: below which the client writes.
        run_id: the run's id.
        name: what to call the run.
        project: what the run belongs to.
        sweep_id: the sweep that the run is part of. A client that is online would look for it on its server, so it is
            told only offline.
        config: overrides of the run config; what the client locks.
        files: overrides of config files, by path.
    """
    mode = wandb_mode(inherited)
    preferences = {"WANDB_QUIET": "true", "WANDB_CONSOLE": "off", "WANDB_ERROR_REPORTING": "false"}
    variables = {key: value for key, value in preferences.items() if key not in inherited}
    variables |= {
        "WANDB_LAUNCH": "true",
        "WANDB_MODE": mode,
        "WANDB_DIR": str(run_dir),
        "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": FLUSH_EVERY_S,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HOOK), inherited.get("PYTHONPATH")))),
        **_sharded("WANDB_CONFIG", config),
        **(_sharded("WANDB_LAUNCH_FILE_OVERRIDES", _both_spellings(files)) if files else {}),
    }
    named = {"WANDB_RUN_ID": run_id, "WANDB_NAME": name, "WANDB_PROJECT": _project(project)}
    if mode == "online":
        named["WANDB_API_KEY"] = inherited.get("WANDB_API_KEY")
    else:
        named["WANDB_SWEEP_ID"] = sweep_id
    return variables | {key: value for key, value in named.items() if value}


def wandb_mode(inherited: Mapping[str, str]) -> str:
    """Say how the client is to work: online only if that was asked for and somebody is logged in."""
    asked = inherited.get(MODE, "offline").strip().lower()
    if asked == "online" and not _is_logged_in(inherited):
        return "offline"
    return asked if asked in MODES else "offline"


def mode_notice(inherited: Mapping[str, str]) -> str | None:
    """Say what is wrong with `LAUNCH_WANDB_MODE`; None if nothing is."""
    asked = inherited.get(MODE, "offline").strip().lower()
    if asked not in MODES:
        return f"launch: {MODE}={asked} is none of {', '.join(MODES)}; the W&B client stays offline."
    if asked != wandb_mode(inherited):
        return (
            f"launch: {MODE}=online, but the agent is not logged in to W&B; the client stays offline."
            " Set WANDB_API_KEY where the agent starts, or log in there: wandb login"
        )
    return None


def _is_logged_in(inherited: Mapping[str, str]) -> bool:
    if inherited.get("WANDB_API_KEY"):
        return True
    import netrc
    from urllib.parse import urlsplit

    host = urlsplit(inherited.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = inherited.get("NETRC") or str(Path(inherited.get("HOME", "~")).expanduser() / ".netrc")
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _sharded(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    """Write a value as JSON, in numbered pieces if it is longer than the client allows one variable to be."""
    text = json.dumps(value, default=str)
    if len(text) <= MAX_VALUE_LENGTH:
        return {name: text}
    starts = range(0, len(text), MAX_VALUE_LENGTH)
    return {f"{name}_{i}": text[at : at + MAX_VALUE_LENGTH] for i, at in zip(count(), starts, strict=False)}


def _both_spellings(files: Mapping[str, Any]) -> dict[str, Any]:
    """The client compares paths letter by letter; a script may write ./config.yaml for config.yaml."""
    given = {path: _without_deletions(values) for path, values in files.items()}
    return {spelling: values for path, values in given.items() for spelling in (path, f"./{path}")}


def _without_deletions(values: Any) -> Any:
    """Leave out `{"$delete": true}`, which the client would write into the file; the keys are gone already."""
    if not is_object(values):
        return values
    return {key: _without_deletions(value) for key, value in values.items() if value != {"$delete": True}}


def _project(name: str | None) -> str | None:
    """Give a project's name as the client takes it: it refuses some characters and more than 128."""
    return re.sub(r"[/\\#?%:\r\n]", "-", name)[:MAX_PROJECT_LENGTH] if name else None
