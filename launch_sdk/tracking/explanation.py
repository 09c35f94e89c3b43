"""Where a config value comes from, for people."""

from __future__ import annotations

from collections.abc import Mapping

from launch_sdk.tracking.key_paths import join_path, split_path
from launch_sdk.tracking.layers import ABSENT, Tree, look_up
from launch_sdk.tracking.protocol import merge
from launch_sdk.tracking.values import is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from launch_sdk.tracking.layers import Path


class Explanation:
    """Where a value, or each value of a group, comes from; it prints as a few lines.

    Attributes:
        path: dotted path of the value in the config.
        value: what the config has; a plain dict for a group.
        layer: who gave it; for a group the highest layer that gave a part of it.
        layers: pairs of layer and what it said, lowest first; the last one is `layer`.
        leaves: an explanation of each value of a group; of a single value, itself.
    """

    __slots__ = ("layer", "layers", "leaves", "path", "value")

    def __init__(
        self, path: str, value: Any, layers: list[tuple[str, Any]], leaves: Sequence[Explanation] = ()
    ) -> None:
        self.path = path
        self.value = value
        self.layers = layers
        self.layer = layers[-1][0]
        self.leaves = tuple(leaves) or (self,)

    @property
    def hidden(self) -> list[tuple[str, Any]]:
        """Pairs of layer and value that are not in force, nearest first."""
        return self.layers[-2::-1]

    def __str__(self) -> str:
        if self.leaves != (self,):
            return "\n".join(map(str, self.leaves))
        lines = [f"{self.path} = {self.value!r}, from {self.layer}"]
        return "\n".join([*lines, *(f"  hides {value!r}, from {layer}" for layer, value in self.hidden)])

    __repr__ = __str__


def explain(node: Mapping[str, Any], tree: Tree, base: Path, key: str) -> Explanation:
    """Explain a key of a node.

    Args:
        node: a node of a config.
        tree: what the nodes of that config share.
        base: where the node is.
        key: dotted path below the node.

    Raises:
        KeyError: there is no such key.
    """
    path = split_path(key)
    value = look_up(node, path)
    if value is ABSENT:
        raise KeyError(f"the config has no '{join_path((*base, *path))}'; it has {', '.join(node) or 'nothing yet'}")
    with tree:
        return _explained(tree, (*base, *path), value)


def _explained(tree: Tree, path: Path, value: Any) -> Explanation:
    layers = [(layer, _copied(said)) for layer, said in tree.layers_of(path, value)]
    if not hasattr(value, "explain"):
        return Explanation(join_path(path), value, layers)
    leaves = [_explained(tree, (*path, key), item) for key, item in value.items()]
    return Explanation(join_path(path), layers[-1][1], layers, leaves)


def _copied(value: Any) -> Any:
    if not is_object(value):
        return value
    copy: dict[str, Any] = {}
    merge(copy, value)
    return copy
