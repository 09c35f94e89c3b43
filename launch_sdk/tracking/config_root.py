"""How a run fills and follows its config: layers from below, overrides on top, and who hears of the edits.

Everything here takes the root of a config.
"""

from __future__ import annotations

from threading import RLock

from launch_sdk.tracking.config import Config, as_fields, group_of, tree_of
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.layers import INIT, LOCKING, SCRIPT, as_whole, leaves_of, look_up, put, stripped
from launch_sdk.tracking.protocol import LAUNCH_LAYER
from launch_sdk.tracking.values import dumps, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from launch_sdk.tracking.layers import Listener, Path, Tree


def add_layer(config: Config, values: Any, layer: str = INIT) -> None:
    """Merge what a layer below the script says into a config, deeply; locked leaves keep their value.

    Args:
        config: the root of a config.
        values: as for `Config.update`.
        layer: who says so: a config file's name, or `init`, which comes after what the script assigned before it.
    """
    fields = {stripped(key): value for key, value in as_fields(values).items()}
    tree = tree_of(config)
    with tree:
        tree.layer = layer
        try:
            _merge(tree, config, (), fields)
        finally:
            tree.layer = SCRIPT


def override(config: Config, values: Mapping[str, Any], layer: str = LAUNCH_LAYER) -> None:
    """Merge values over a config deeply, and lock their leaves.

    Args:
        config: the root of a config.
        values: nested values of plain JSON; an empty mapping changes nothing.
        layer: who gave them: `sweep`, or `launch`, which wins whatever the order of the two; so does any other name.
    """
    tree = tree_of(config)
    with tree:
        tree.layer = layer if layer in LOCKING else LAUNCH_LAYER
        try:
            for path, value in leaves_of({stripped(key): value for key, value in values.items()}):
                tree.note_said(path, plain(value))
            locks, tree.locked, tree.layer = tree.overrides(), {}, None
            for path, lock in locks.items():
                lock.value = as_whole(lock.value, tree.own(path))
                put(tree.said[lock.layer], path, lock.value)
                _force(config, path, plain(lock.value))
            tree.locked = locks
        finally:
            tree.layer = SCRIPT


def stage(config: Config, *, waits: bool) -> None:
    """Say whether a config still waits for its run; until then `config["train"]["epochs"] = 4` makes `train`."""
    tree_of(config).staged = waits


def allow_changes(config: Config, *, allowed: bool) -> None:
    """Say whether the script may change values from now on, or only add some."""
    tree_of(config).unchanging = not allowed


def listen(config: Config, listener: Listener | None) -> None:
    """Call `listener(changed, removed)` after each edit from now on: nested new values, and paths that are gone."""
    tree_of(config).listener = listener


def after_fork_in_child(config: Config) -> None:
    """Replace the lock, which another thread of the parent may have held in the middle of an edit."""
    tree = tree_of(config)
    tree.lock, tree.depth = RLock(), 0


def restore_locked(config: Config) -> None:
    """Undo what the script changed inside a locked list, and warn of it; the end of a run does so."""
    tree = tree_of(config)
    with tree:
        for path, lock in tree.locked.items():
            value = look_up(config, path)
            if isinstance(value, list) and dumps(value) != dumps(lock.value):
                tree.refuse(path, value)
                parent: Any = look_up(config, path[:-1])
                dict.__setitem__(parent, path[-1], plain(lock.value))  # pyright: ignore[reportUnknownMemberType]


def provenance(config: Config) -> dict[str, list[dict[str, Any]]]:
    """Say of each leaf, by its dotted path, who gave it and what that hides: layers and values, lowest first."""
    tree = tree_of(config)
    with tree:
        return {
            join_path(path): [{"layer": layer, "value": said} for layer, said in tree.layers_of(path, value)]
            for path, value in _leaves_and_empty_groups(config, ())
        }


def _leaves_and_empty_groups(node: Config, path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in node.items():
        if isinstance(value, Config) and value:
            yield from _leaves_and_empty_groups(value, (*path, key))
        else:
            yield (*path, key), value


def _merge(tree: Tree, node: Config, path: Path, fields: Mapping[Any, Any]) -> None:
    for key, value in fields.items():
        present, group = node.get(key), group_of(value)
        if isinstance(present, Config) and group is not None:
            tree.note_group((*path, key))
            _merge(tree, present, (*path, key), group)
        else:
            node[key] = value


def _force(node: Config, path: Path, value: Any) -> None:
    *parents, last = path
    for key in parents:
        if not isinstance(node.get(key), Config):
            node[key] = {}
        node = node[key]
    node[last] = value
