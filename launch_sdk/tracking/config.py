"""A run's config: a dict that is also read and written by attribute, at any depth, at any time.

Overrides that a supervisor gave are merged over the script's values from the start and are locked, leaf by leaf:
a write to a locked leaf changes nothing and warns once.
"""

from __future__ import annotations

from threading import RLock

from launch_sdk.tracking.notices import warn_caller
from launch_sdk.tracking.values import fields_of, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeAlias

    Path: TypeAlias = tuple[str, ...]
    Listener: TypeAlias = Callable[[dict[str, Any], list[list[str]]], None]

ABSENT: Any = object()


class _Tree:
    """What all nodes of one config share; used as a context it is one edit, told to the listener once, at its end."""

    __slots__ = ("changed", "depth", "listener", "lock", "locked", "removed", "silent", "warned")

    def __init__(self) -> None:
        self.lock = RLock()
        self.depth = 0
        self.changed: dict[str, Any] = {}
        self.removed: list[list[str]] = []
        self.listener: Listener | None = None
        self.locked: dict[Path, Any] = {}
        self.silent = False
        self.warned: set[Path] = set()

    def __enter__(self) -> None:
        self.lock.acquire()
        self.depth += 1

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
        *parents, last = path
        node = self.changed
        for key in parents:
            below = node.get(key)
            node[key] = node = below if is_object(below) else {}
        node[last] = value

    def note_removed(self, path: Path) -> None:
        self.removed.append(list(path))
        *parents, last = path
        node: Any = self.changed
        for key in parents:
            node = node.get(key) if is_object(node) else None
        if is_object(node):
            node.pop(last, None)

    def locks_at_or_below(self, path: Path) -> list[Path]:
        return [lock for lock in self.locked if lock[: len(path)] == path]

    def refuse(self, lock: Path, value: Any) -> None:
        if self.silent or lock in self.warned or repr(self.locked[lock]) == repr(value):
            return
        self.warned.add(lock)
        name = ".".join(lock)
        warn_caller(f"config '{name}' is locked: the launch set it to {self.locked[lock]!r}; the write is ignored")


class Config(dict[str, "Any"]):
    """A nested dict whose every level is also read and written by attribute.

    A mapping, dataclass instance or `argparse.Namespace` that is assigned becomes a nested `Config`, a copy; other
    values stay what they are. A key that is the name of a dict method, such as `items`, is read as `config["items"]`.
    Pickling and copying give plain dicts. A change inside a list is seen at the end of the run only.

    Raises:
        KeyError: an item that does not exist is read.
        AttributeError: an attribute that does not exist is read.
        TypeError: a key is no text.
    """

    __slots__ = ("_path", "_tree")
    _path: Path
    _tree: _Tree

    def __init__(self, values: Any = None, /, **more: Any) -> None:
        super().__init__()
        _place(self, _Tree(), ())
        self.update(values, **more)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise self._no_attribute(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise self._no_attribute(name) from None

    def __setitem__(self, key: str, value: Any) -> None:
        path, tree = self._child(key), self._tree
        fields = fields_of(value)
        with tree:
            locks = tree.locks_at_or_below(path)
            if path in tree.locked or (locks and fields is None):
                for lock in locks:
                    tree.refuse(lock, value)
            elif fields is None:
                _detach(self.get(key))
                super().__setitem__(key, value)
                tree.note_set(path, value)
            else:
                self._set_node(key, dict(fields))

    def __delitem__(self, key: str) -> None:
        path, tree = self._child(key), self._tree
        with tree:
            locks = tree.locks_at_or_below(path)
            if locks:
                tree.refuse(locks[0], ABSENT)
                return
            removed = self[key]
            super().__delitem__(key)
            _detach(removed)
            tree.note_removed(path)

    def update(self, values: Any = None, /, allow_val_change: bool | None = None, **more: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # wider than dict's
        """Set many keys; a nested mapping replaces what was under its key.

        Args:
            values: a mapping, pairs, a dataclass instance, an `argparse.Namespace`, or any object with attributes.
            allow_val_change: accepted because W&B's takes it; a value may always be changed.
            **more: further keys.

        Raises:
            TypeError: `values` is none of these, or a key is no text.
        """
        del allow_val_change
        with self._tree:
            for key, value in {**as_fields(values), **more}.items():
                self[key] = value

    def setdefaults(self, values: Any) -> None:
        """Set only those keys, at any depth, that are not there yet.

        Args:
            values: as for `update`.
        """
        with self._tree:
            for key, value in as_fields(values).items():
                present = self.get(key, ABSENT)
                if present is ABSENT:
                    self[key] = value
                elif isinstance(present, Config) and fields_of(value) is not None:
                    present.setdefaults(value)

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, default: Any = ABSENT, /) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # one signature for dict's three
        if key not in self and default is not ABSENT:
            return default
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        for key in reversed(self):
            return key, self.pop(key)
        raise KeyError("the config is empty")

    def clear(self) -> None:
        with self._tree:
            for key in list(self):
                del self[key]

    def __ior__(self, values: Any) -> Config:  # pyright: ignore[reportIncompatibleMethodOverride]  # noqa: PYI034  # wider than dict's; typing.Self costs 5 ms at import
        self.update(values)
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return a copy made of plain dicts."""
        return {key: value.as_dict() if isinstance(value, Config) else value for key, value in self.items()}

    def copy(self) -> dict[str, Any]:
        return self.as_dict()

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        # A write to a copy, perhaps in another process, must not reach the run.
        return dict, (self.as_dict(),)

    def _child(self, key: str) -> Path:
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # scripts are not all typed
            raise TypeError(f"a config key must be text, not {key!r}")
        return (*self._path, key)

    def _no_attribute(self, name: str) -> AttributeError:
        where = ".".join(("config", *self._path))
        known = ", ".join(self) or "nothing yet"
        return AttributeError(f"{where} has no '{name}'; it has {known}", name=name, obj=self)

    def _set_node(self, key: str, fields: dict[Any, Any]) -> None:
        node = self.get(key)
        if not isinstance(node, Config):
            node = Config()
            _place(node, self._tree, self._child(key))
            super().__setitem__(key, node)
            self._tree.note_set(node._path, {})
        for name in [name for name in node if name not in fields]:
            if not self._tree.locks_at_or_below((*node._path, name)):
                del node[name]
        node.update(fields)


def as_fields(values: Any) -> dict[Any, Any]:
    """Return the names and values of anything that a config is made from.

    Raises:
        TypeError: it is no mapping, pairs, dataclass instance, `argparse.Namespace` or object with attributes.
    """
    if values is None:
        return {}
    fields = fields_of(values)
    if fields is not None:
        return dict(fields)
    pairs: Any = values
    if hasattr(values, "__dict__") and not isinstance(values, type):
        return dict(vars(values))  # pyright: ignore[reportUnknownArgumentType]  # it was narrowed away from Any
    try:
        return dict(pairs)
    except (TypeError, ValueError):
        kind = type(values).__name__
        raise TypeError(f"a config comes from a dict, a dataclass or an argparse.Namespace, not from {kind}") from None


def override(config: Config, values: Mapping[str, Any]) -> None:
    """Merge values over a config deeply, and lock their leaves.

    Args:
        config: the root of a config.
        values: nested values; an empty mapping changes nothing.
    """
    tree = _tree_of(config)
    with tree:
        for path, value in _leaves(values, ()):
            for lock in tree.locks_at_or_below(path):  # an override given again may differ
                del tree.locked[lock]
            _force(config, path, value)
            tree.locked[path] = value


def update_defaults(config: Config, values: Any) -> None:
    """Update a config with the script's own values: locked leaves keep theirs, without a warning."""
    tree = _tree_of(config)
    with tree:
        tree.silent = True
        try:
            config.update(values)
        finally:
            tree.silent = False


def listen(config: Config, listener: Listener | None) -> None:
    """Call `listener(changed, removed)` after each edit from now on: nested new values, and paths that are gone."""
    _tree_of(config).listener = listener


def after_fork_in_child(config: Config) -> None:
    """Replace the lock, which another thread of the parent may have held in the middle of an edit."""
    tree = _tree_of(config)
    tree.lock, tree.depth = RLock(), 0


def _tree_of(config: Config) -> _Tree:
    return config._tree  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # the functions here are its other half


def _place(node: Config, tree: _Tree, path: Path) -> None:
    object.__setattr__(node, "_tree", tree)
    object.__setattr__(node, "_path", path)


def _detach(value: Any) -> None:
    """Cut a removed node off: whoever still holds it must not write to the run."""
    if isinstance(value, Config):
        _place(value, _Tree(), ())
        for inner in value.values():
            _detach(inner)


def _force(node: Config, path: Path, value: Any) -> None:
    *parents, last = path
    for key in parents:
        if not isinstance(node.get(key), Config):
            node[key] = {}
        node = node[key]
    node[last] = value


def _leaves(values: Mapping[str, Any], path: Path) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = []
    for key, value in values.items():
        here = (*path, key)
        found.extend(_leaves(value, here) if is_object(value) else [(here, value)])
    return found
