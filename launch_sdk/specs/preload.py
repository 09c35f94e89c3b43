"""What an agent imports beforehand for the programs of a queue: `preload: [numpy, torch]`.

Naming it at all has Python programs that run in the agent's environment forked instead of started in an interpreter of
their own; an empty list means: with no module imported.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.document import Document

KEY = "preload"
MAX_MODULES = 50
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def read_preload(value: object, document: Document, faults: list[Fault]) -> tuple[str, ...] | None:
    """Read the key `preload` of a queue's or an agent's file; None if it says nothing."""
    if value is None:
        return None
    if not isinstance(value, list):
        faults.append(document.fault((KEY,), f"(value: {value!r}): must be a list of modules, as in [numpy, torch]"))
        return None
    words = cast("list[Any]", value)
    faults += [document.fault((KEY, index), told) for index, told in preload_faults(words)]
    if len(words) > MAX_MODULES:
        faults.append(document.fault((KEY,), f"names {len(words)} modules; {MAX_MODULES} are the most"))
    return tuple(dict.fromkeys(str(word) for word in words))


def preload_faults(words: Sequence[object]) -> list[tuple[int, str]]:
    """Say what is wrong with names of modules, each with its place."""
    return [
        (index, f"(value: {word!r}): is no name of a module, as numpy or sklearn.linear_model")
        for index, word in enumerate(words)
        if not isinstance(word, str) or not _MODULE.fullmatch(word)
    ]


def split_preload(text: str) -> tuple[str, ...]:
    """Read `numpy,torch` as names of modules, each once; an empty text names none."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
