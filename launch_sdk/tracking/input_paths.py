"""Paths of job inputs: how they are written, and which part of a nested config a pair of include and exclude covers.

A path is written as in `key_paths`. One dot at the end is ignored, and the empty path is a prefix of everything.
"""

from __future__ import annotations

from launch_sdk.tracking.key_paths import split_path
from launch_sdk.tracking.values import is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, TypeAlias

    Keys: TypeAlias = tuple[str, ...]

NEAREST = 3
CLOSE = 0.75
LISTED = 8
MAX_COMPARED = 2_000


def split_prefix(text: str) -> Keys:
    r"""Split the path of an input at its dots.

    Args:
        text: `trainer.lr` is two keys, `trainer\.lr` one.

    Raises:
        ValueError: it ends in a single backslash.
    """
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise ValueError(rf"Path {text!r} ends in a single backslash; write \\ for a backslash in a key")
    keys = split_path(text)
    return keys if keys[-1] else keys[:-1]


class PathFilter:
    """Which leaves of a nested config are inputs.

    Attributes:
        include: paths whose leaves are inputs; empty means all.
        exclude: paths whose leaves are not; they win over `include`.
    """

    __slots__ = ("exclude", "include")

    def __init__(self, include: Iterable[Keys] = (), exclude: Iterable[Keys] = ()) -> None:
        self.include = tuple(tuple(path) for path in include)
        self.exclude = tuple(tuple(path) for path in exclude)

    def covers(self, path: Keys) -> bool:
        """Say whether the leaf at `path` is an input. Keys are compared whole: `train` does not cover `trainer`."""
        if any(path[: len(prefix)] == prefix for prefix in self.exclude):
            return False
        return not self.include or any(path[: len(prefix)] == prefix for prefix in self.include)

    def covers_all_below(self, path: Keys) -> bool:
        """Say whether every leaf at or below `path` is an input, whatever it is."""
        return self.covers(path) and not any(longer[: len(path)] == path for longer in self.exclude)

    def covers_some_below(self, path: Keys) -> bool:
        """Say whether a leaf at or below `path` may be an input."""
        if any(path[: len(prefix)] == prefix for prefix in self.exclude):
            return False
        return self.covers(path) or any(longer[: len(path)] == path for longer in self.include)

    def filter(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is left of a tree: a new one, without its empty dicts; lists and other values are leaves."""
        kept: dict[str, Any] = {}
        for path, value in leaves(tree):
            if self.covers(path):
                *parents, last = path
                node = kept
                for key in parents:
                    node = node.setdefault(key, {})
                node[last] = value
        return kept


def leaves(tree: Mapping[str, Any], at: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Give each leaf of a nested dict with its path: all that is no dict. An empty dict has none."""
    for key, value in tree.items():
        if is_object(value):
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), value


def ends(tree: Mapping[str, Any], at: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Give each leaf of a nested dict with its path, and each empty dict below it too."""
    for key, value in tree.items():
        if is_object(value) and value:
            yield from ends(value, (*at, key))
        else:
            yield (*at, key), value


def file_key(path: str) -> str:
    """Return the one way to write a file's path: `./conf//x.yaml` is `conf/x.yaml`."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def nearest(name: str, names: list[str]) -> str:
    """Say which inputs come near to a name: `the nearest is trainer.lr`; the first ones if none does."""
    from difflib import get_close_matches  # only a refused value needs it

    if not names:
        return "there is none"
    last = name.rpartition(".")[2]
    close = get_close_matches(name, names[:MAX_COMPARED], n=NEAREST, cutoff=CLOSE)
    same = [one for one in names if one.rpartition(".")[2] == last]
    found = list(dict.fromkeys([*close, *same]))[:NEAREST]
    if found:
        return f"the nearest are {', '.join(found)}" if len(found) > 1 else f"the nearest is {found[0]}"
    return f"inputs are {listed(names)}"


def listed(names: list[str]) -> str:
    """Join names, the first ones if there are many: `lr, seed and 3 more`."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"
