r"""Paths of keys as text: `model.layers`; a dot in a key is written `\.` and a backslash `\\`.

The one place that knows how: paths of the config, of inputs, of a command line and of sweep parameters.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def join_path(keys: Iterable[str]) -> str:
    """Write keys as one text that `split_path` takes apart again."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") for key in keys)


def split_path(text: str) -> tuple[str, ...]:
    r"""Take a path apart; a backslash before anything but a dot or a backslash stands for itself."""
    keys, key, rest = list[str](), "", iter(text)
    for letter in rest:
        if letter == ".":
            keys.append(key)
            key = ""
        elif letter == "\\":
            following = next(rest, "")
            key += following if following in (".", "\\") else letter + following
        else:
            key += letter
    return (*keys, key)
