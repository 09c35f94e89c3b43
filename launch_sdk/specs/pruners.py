"""Optuna's pruners by name: made here, so that a sweep file's mistakes in them are found when it is read."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from optuna.pruners import BasePruner


def make_pruner(name: str, args: Mapping[str, Any]) -> BasePruner:
    """Make a pruner of Optuna's.

    Args:
        name: a class of `optuna.pruners`, as in `MedianPruner`.
        args: its keyword arguments; one that is a pruner itself is `{pruner: NAME, args: {...}}`, with `type` in
            place of `pruner` as in the block `optuna`, or its name.

    Raises:
        LookupError: there is no such pruner; it says which there are.
        TypeError: it does not take these arguments.
        ValueError: one of them is out of range.
    """
    from optuna import pruners
    from optuna.exceptions import ExperimentalWarning

    known = [each for each in pruners.__all__ if each != "BasePruner"]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise LookupError(f"{name!r} is no pruner of Optuna's; {hint}")
    made = {key: _made(value) if key == "wrapped_pruner" else value for key, value in args.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return getattr(pruners, name)(**made)


def _made(value: object) -> object:
    if isinstance(value, str):
        return make_pruner(value, {})
    inner: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
    name = inner.get("pruner") or inner.get("type")
    if isinstance(name, str):
        return make_pruner(name, inner.get("args") or {})
    return cast("object", value)
