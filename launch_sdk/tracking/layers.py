"""What all nodes of one config share: who listens, which layer said what, and which leaves are locked.

A layer is somebody who gives config values. Lowest to highest: `config-defaults.yaml`, each config file, `init`,
`script`, `sweep`, `launch`. The config itself holds what is on top; here is what each layer said, so that a value can
be explained. What a sweep or a launch says is locked.
"""

from __future__ import annotations

from threading import RLock

from launch_sdk.tracking.notices import warn_caller
from launch_sdk.tracking.protocol import LAUNCH_LAYER, SWEEP_LAYER, merge
from launch_sdk.tracking.values import dumps, is_array, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, TypeAlias

    Path: TypeAlias = tuple[str, ...]
    Listener: TypeAlias = Callable[[dict[str, Any], list[list[str]]], None]

ABSENT: Any = object()
INIT = "init"
SCRIPT = "script"
LOCKING = (SWEEP_LAYER, LAUNCH_LAYER)
FIXED = (INIT, SCRIPT, *LOCKING)


class Lock:
    """A leaf that keeps its value.

    Attributes:
        layer: who gave the value: `sweep` or `launch`.
        value: the value; nothing else refers to it.
    """

    __slots__ = ("layer", "value")

    def __init__(self, layer: str, value: Any) -> None:
        self.layer = layer
        self.value = value


class Tree:
    """What the nodes of one config share; used as a context it is one edit, told to the listener once, at its end.

    Attributes:
        layer: who is writing now; None for nobody: what was said is known already.
        locked: the locked leaves.
        staged: whether the config still waits for its run.
        unchanging: whether the script may only add keys, because it said so to `init`.
    """

    __slots__ = (
        "changed",
        "depth",
        "layer",
        "listener",
        "lock",
        "locked",
        "removed",
        "said",
        "staged",
        "unchanging",
        "warned",
    )

    def __init__(self) -> None:
        self.lock = RLock()
        self.depth = 0
        self.changed: dict[str, Any] = {}
        self.removed: list[list[str]] = []
        self.listener: Listener | None = None
        self.layer: str | None = SCRIPT
        self.said: dict[str, dict[str, Any]] = {}
        self.locked: dict[Path, Lock] = {}
        self.staged = False
        self.unchanging = False
        self.warned: set[Path] = set()

    def __enter__(self) -> Tree:  # noqa: PYI034  # typing.Self costs 5 ms at import
        self.lock.acquire()
        self.depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.depth -= 1
            if self.depth == 0 and (self.changed or self.removed):
                changed, removed = self.changed, self.removed
                self.changed, self.removed = {}, []
                if self.listener is not None:
                    self.listener(changed, removed)
        finally:
            self.lock.release()

    def note_set(self, path: Path, value: Any) -> None:
        """A leaf has this value now; for a new node the value is an empty dict."""
        put(self.changed, path, value)
        self.note_said(path, value)

    def note_removed(self, path: Path) -> None:
        self.removed.append(list(path))
        cut(self.changed, path)
        if self.layer is not None:
            cut(self.said.get(self.layer, {}), path)

    def note_said(self, path: Path, value: Any) -> None:
        """The layer that writes now said so, whether or not a lock hides it."""
        if self.layer is None:
            return
        if self.layer == INIT:  # it comes after what the script assigned before it
            cut(self.said.get(SCRIPT, {}), path)
        put(self.said.setdefault(self.layer, {}), path, value)

    def note_group(self, path: Path) -> None:
        """The layer that writes now said that there is a group of keys here."""
        if self.layer is not None and not is_object(look_up(self.said.get(self.layer, {}), path)):
            self.note_said(path, {})

    def note_refused(self, path: Path, value: Any) -> None:
        """The layer that writes now would have a leaf where locks have made a group of keys."""
        if self.layer is not None and not is_object(look_up(self.said.get(self.layer, {}), path)):
            self.note_said(path, value)

    def layers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give what each layer said, lowest first."""
        names = [name for name in self.said if name not in FIXED]
        for name in (*names, *FIXED):
            if name in self.said:
                yield name, self.said[name]

    def layers_of(self, path: Path, value: Any) -> list[tuple[str, Any]]:
        """Give who said what about a leaf, lowest first; the last one gave the leaf its present `value`."""
        found = [(name, look_up(said, path)) for name, said in self.layers()]
        known = [(name, said) for name, said in found if said is not ABSENT]
        name = known[-1][0] if known else SCRIPT
        return [*known[:-1], (name, value)]

    def locks_at_or_below(self, path: Path) -> list[Path]:
        return [lock for lock in self.locked if lock[: len(path)] == path]

    def overrides(self) -> dict[Path, Lock]:
        """Give the locks of what the locking layers said."""
        merged: dict[str, Any] = {}
        for layer in LOCKING:
            merge(merged, self.said.get(layer, {}))
        return {path: Lock(self._locking(path), value) for path, value in leaves_of(merged)}

    def own(self, path: Path) -> Any:
        """Return what the script and its config files last said of a path, whether or not a lock hides it."""
        said = [look_up(values, path) for layer, values in self.layers() if layer not in LOCKING]
        return next((value for value in reversed(said) if value is not ABSENT), ABSENT)

    def fit_lock(self, path: Path, own: Any) -> Any:
        """Make a locked 8.0 the integer 8 where the script has an integer of its own; return the locked value."""
        lock = self.locked[path]
        value = as_whole(lock.value, own)
        if dumps(value) != dumps(lock.value):
            lock.value = value
            put(self.said.setdefault(lock.layer, {}), path, value)
            put(self.changed, path, value)
        return lock.value

    def refuse(self, path: Path, value: Any) -> None:
        """Warn the script, once for each leaf, that it wrote another value to a locked one."""
        lock = self.locked[path]
        if self.layer == SCRIPT and path not in self.warned and dumps(lock.value) != dumps(value):
            self.warned.add(path)
            name = ".".join(path)
            warn_caller(f"config '{name}' is locked: the {lock.layer} set it to {lock.value!r}; the write is ignored")

    def _locking(self, path: Path) -> str:
        launched = look_up(self.said.get(LAUNCH_LAYER, {}), path) is not ABSENT
        return LAUNCH_LAYER if launched else SWEEP_LAYER


def as_whole(value: Any, own: Any) -> Any:
    """Return an integer for a whole number that stands in the place of one; in lists too."""
    if type(own) is int and type(value) is float and value.is_integer():
        return int(value)
    if is_array(value) and is_array(own) and own and all(type(item) is int for item in own):
        return [as_whole(item, own[0]) for item in value]
    return value


def stripped(key: Any) -> Any:
    """Return a key of the first level as it is kept: `--lr` is `lr`."""
    return key.strip("-") or key if isinstance(key, str) else key


def put(into: dict[str, Any], path: Path, value: Any) -> None:
    """Set a nested value, in place; what is in the way of its parents is replaced."""
    *parents, last = path
    node = into
    for key in parents:
        below = node.get(key)
        node[key] = node = below if is_object(below) else {}
    node[last] = value


def cut(node: Any, path: Path) -> None:
    """Remove a nested value, in place, if it is there."""
    *parents, last = path
    for key in parents:
        node = node.get(key) if is_object(node) else None
    if is_object(node):
        node.pop(last, None)


def look_up(node: Any, path: Path) -> Any:
    """Return the nested value, or `ABSENT`."""
    for key in path:
        if not is_object(node) or key not in node:
            return ABSENT
        node = node[key]
    return node


def leaves_of(values: Mapping[str, Any], path: Path = ()) -> list[tuple[Path, Any]]:
    """List the leaves of nested values; an empty group has none."""
    found: list[tuple[Path, Any]] = []
    for key, value in values.items():
        here = (*path, key)
        found.extend(leaves_of(value, here) if is_object(value) else [(here, value)])
    return found
