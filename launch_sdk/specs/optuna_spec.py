"""The `optuna` block of a sweep file: what `method: optuna` searches with, in words of W&B's Optuna scheduler."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.early_stop_spec import EarlyStopSpec
from launch_sdk.specs.space import grid_faults
from launch_sdk.specs.sweep_keys import key_faults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document
    from launch_sdk.specs.space import Space

KEY = "optuna"
OPTUNA_KEYS = {"sampler": dict, "pruner": dict, "optuna_source": str}
PART_KEYS = {"type": str, "args": dict}
# A file of the program's folder: no root, no drive, no folder above.
SOURCE = re.compile(r"^(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\\:\0]*[^/\\:\0]\.py$")
DEFAULT_SAMPLER = "TPESampler"
GRID = "GridSampler"
MOST_GRID = 100_000  # Optuna's grid search makes every point when it begins


def _nothing() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Part:
    """A sampler or a pruner by name.

    Attributes:
        type: name of its class.
        args: its keyword arguments, plain values.
    """

    type: str
    args: Mapping[str, Any] = field(default_factory=_nothing)


@dataclass(frozen=True)
class OptunaSpec:
    """The block, checked.

    Attributes:
        sampler: what suggests, unless the source has a `sampler` or a `study`; None for Optuna's own default.
        pruner: what ends runs early; None ends none.
        source: a Python file of the program's folder with functions of the user's; None if there is none.
    """

    sampler: Part | None = None
    pruner: Part | None = None
    source: str | None = None

    @property
    def rules(self) -> tuple[EarlyStopSpec, ...]:
        """The pruner as a rule of early stopping."""
        if self.pruner is None:
            return ()
        return (EarlyStopSpec("optuna", {"pruner": self.pruner.type, "args": self.pruner.args}),)


def parse_optuna(
    document: Document, value: Mapping[str, Any], space: Space | None, faults: list[Fault]
) -> OptunaSpec | None:
    """Read the block.

    Args:
        document: a sweep file.
        value: its keys; what is of a wrong type has been told.
        space: the parameters of the file; None if it has none that can be read.
        faults: each fault is added here, with its path and line.

    Returns:
        The defaults if the method is `optuna` and there is no block; None with another method.
    """
    block = value.get(KEY)
    if value.get("method") != "optuna":
        if block is not None:
            faults.append(document.fault((KEY,), "goes with method: optuna; write that, or leave this out"))
        return None
    fields = cast("dict[str, Any]", block) if isinstance(block, dict) else {}
    faults += key_faults(document, (KEY,), fields, OPTUNA_KEYS)
    parts = {kind: _part(document, kind, fields.get(kind), faults) for kind in ("sampler", "pruner")}
    faults += [document.fault(("parameters",), told) for told in _same_names(space)]
    if parts["sampler"] == Part(GRID) and space is not None:
        faults += _grid_faults(document, space)
    return OptunaSpec(parts["sampler"], parts["pruner"], _source(document, value, fields.get("optuna_source"), faults))


def _part(document: Document, kind: str, given: object, faults: list[Fault]) -> Part | None:
    if not isinstance(given, dict):
        return None
    part, path = cast("dict[str, Any]", given), (KEY, kind)
    found = key_faults(document, path, part, PART_KEYS)
    name, args = part.get("type"), part.get("args")
    if name is None:
        found.append(document.fault(path, f"type is missing; give the name of a {kind} of Optuna's"))
    if isinstance(name, str) and (args is None or isinstance(args, dict)):
        from launch_sdk.specs.optuna_parts import part_faults  # it imports Optuna

        arguments = cast("dict[str, Any]", args or {})
        found += [document.fault((*path, *where), told) for where, told in part_faults(kind, name, arguments)]
        if not found:
            return Part(name, arguments)
    faults += found
    return None


def _source(document: Document, value: Mapping[str, Any], source: object, faults: list[Fault]) -> str | None:
    if not isinstance(source, str):
        return None
    path = (KEY, "optuna_source")
    if not SOURCE.fullmatch(source):
        told = f"must be a Python file in the folder of the program, as in search.py, not {source!r}"
        faults.append(document.fault(path, told))
    elif not value.get("program") and str(value.get("job") or "").count("/") == 1:
        told = "comes with the code of a program or a job of ours; a deployment has none that could be read"
        faults.append(document.fault(path, told))
    return source


def _grid_faults(document: Document, space: Space) -> list[Fault]:
    """Say why a `GridSampler` without a `search_space` of its own cannot go through the parameters."""
    faults = [document.fault(("parameters", *path), message) for path, message in grid_faults(space)]
    size = space.size()
    if size is not None and size > MOST_GRID:
        told = f"{GRID} makes all {size} points at once; write method: grid, which makes them one by one"
        faults.append(document.fault((KEY, "sampler"), told))
    return faults


def _same_names(space: Space | None) -> list[str]:
    """Say which parameters Optuna could not tell apart: `a.b` as one key, and `b` below `a`."""
    names = [".".join(path) for path, _ in space] if space else []
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"two parameters are called {name!r}, once nested and once as one key; rename one" for name in twice]
