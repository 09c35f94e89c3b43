"""A run's config: a dict that is also read and written by attribute, at any depth, at any time.

Overrides that a supervisor gave are merged over the script's values from the start and are locked, leaf by leaf:
a write to a locked leaf changes nothing and warns once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

from launch_sdk.tracking.values import fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Path: TypeAlias = tuple[str, ...]
    # (path, its new value or ABSENT): called after each change
    Listener: TypeAlias = Callable[[Path, Any], None]

ABSENT: Any = object()


class _Tree:
    """What all nodes of one config share: its locks, its listener, and which locks it has warned of."""

    __slots__ = ("listener", "locked", "silent", "warned")

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.locked: dict[Path, Any] = {}
        self.silent = False
        self.warned: set[Path] = set()

    def changed(self, path: Path, value: Any) -> None:
        if self.listener is not None:
            self.listener(path, value)

    def refuse(self, path: Path) -> None:
        if self.silent or path in self.warned:
            return
        self.warned.add(path)
        name = ".".join(path)
        message = f"config '{name}' was set by the launch to {self.locked[path]!r} and is locked; this write is ignored"
        warnings.warn(message, stacklevel=5)


class Config(dict[str, "Any"]):
    """A nested dict whose every level is also read and written by attribute.

    A mapping, dataclass instance or `argparse.Namespace` that is assigned becomes a nested `Config` (a copy); other
    values stay what they are. A key that is the name of a dict method (`items`) is read as `config["items"]`.

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
        object.__setattr__(self, "_path", ())
        object.__setattr__(self, "_tree", _Tree())
        self.update(values, **more)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(self) or "nothing yet"
            where = ".".join(("config", *self._path))
            raise AttributeError(f"{where} has no '{name}'; it has {known}", name=name, obj=self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"{'.'.join(('config', *self._path))} has no '{name}'", name=name, obj=self)
        del self[name]

    def __setitem__(self, key: str, value: Any) -> None:
        path = self._child(key)
        locks = self._locks_below(path)
        fields = fields_of(value)
        if path in self._tree.locked or (locks and fields is None):
            self._refuse_unless_equal(locks, value)
        elif fields is None:
            super().__setitem__(key, value)
            self._tree.changed(path, value)
        else:
            self._replace_node(key, fields)

    def __delitem__(self, key: str) -> None:
        path = self._child(key)
        locks = self._locks_below(path)
        if locks and key in self:
            self._tree.refuse(locks[0])
            return
        super().__delitem__(key)
        self._tree.changed(path, ABSENT)

    def update(self, values: Any = None, /, allow_val_change: bool | None = None, **more: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Set many keys.

        Args:
            values: a mapping, pairs, a dataclass instance, an `argparse.Namespace`, or any object with attributes.
            allow_val_change: accepted as W&B's is; a value may always be changed.
            **more: further keys.

        Raises:
            TypeError: `values` is none of these, or a key is no text.
        """
        del allow_val_change
        for key, value in {**as_fields(values), **more}.items():
            self[key] = value

    def setdefaults(self, values: Any) -> None:
        """Set only those keys, at any depth, that are not there yet.

        Args:
            values: as for `update`.
        """
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

    def pop(self, key: str, default: Any = ABSENT, /) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        value = self.get(key, default)
        if value is ABSENT:
            raise KeyError(key)
        if key in self:
            del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def __ior__(self, values: Any) -> Config:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.update(values)
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return a copy made of plain dicts."""
        return {key: value.as_dict() if isinstance(value, Config) else value for key, value in self.items()}

    def copy(self) -> dict[str, Any]:
        return self.as_dict()

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        # A pickled or deep-copied config is a plain dict: writes to a copy must not reach the run.
        return dict, (self.as_dict(),)

    def _child(self, key: str) -> Path:
        if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # scripts are not all typed
            raise TypeError(f"a config key must be text, not {key!r}")
        return (*self._path, key)

    def _locks_below(self, path: Path) -> list[Path]:
        return [lock for lock in self._tree.locked if lock[: len(path)] == path]

    def _refuse_unless_equal(self, locks: list[Path], value: Any) -> None:
        for lock in locks or ():
            if self._tree.locked[lock] is not value and repr(self._tree.locked[lock]) != repr(value):
                self._tree.refuse(lock)

    def _replace_node(self, key: str, fields: Mapping[Any, Any]) -> None:
        fields = dict(fields)  # a copy first: it may be the very node that is replaced
        node = self.get(key)
        if not isinstance(node, Config):
            node = _node(self._tree, (*self._path, key))
            super().__setitem__(key, node)
            self._tree.changed(node._path, {})
        for gone in [name for name in node if name not in fields and not node._locks_below((*node._path, name))]:
            del node[gone]
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
    if hasattr(values, "__dict__") and not isinstance(values, type):
        return dict(vars(values))
    try:
        return dict(values)
    except (TypeError, ValueError):
        kind = type(values).__name__
        raise TypeError(
            f"a config is made from a dict, a dataclass or an argparse.Namespace, not from {kind}"
        ) from None


def override(config: Config, values: Mapping[str, Any]) -> None:
    """Merge values over a config deeply, and lock their leaves.

    Args:
        config: the root of a config.
        values: nested values; an empty mapping changes nothing.
    """
    for path, value in _leaves(values, ()):
        _force(config, path, value)
        config._tree.locked[path] = value  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # one module, one concern


def listen(config: Config, listener: Listener | None) -> None:
    """Call `listener(path, value)` after each change from now on; the value of a removed path is `ABSENT`."""
    config._tree.listener = listener  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # one module, one concern


def update_defaults(config: Config, values: Any) -> None:
    """Update a config with the script's own values: locked leaves keep theirs, without a warning."""
    tree = config._tree  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # one module, one concern
    tree.silent = True
    try:
        config.update(values)
    finally:
        tree.silent = False


def _node(tree: _Tree, path: Path) -> Config:
    node = Config()
    object.__setattr__(node, "_path", path)
    object.__setattr__(node, "_tree", tree)
    return node


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
        found.extend(_leaves(value, here) if isinstance(value, Mapping) else [(here, value)])
    return found
