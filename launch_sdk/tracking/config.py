"""A run's config: a dict that is also read and written by attribute, at any depth, at any time.

What a sweep or a launch gave is merged over the script's values from the start and is locked, leaf by leaf: a write to
a locked leaf changes nothing and warns once. `launch_sdk.tracking.config_root` is how a run fills and follows a config.
"""

from __future__ import annotations

from launch_sdk.tracking.layers import ABSENT, SCRIPT, Tree, stripped
from launch_sdk.tracking.protocol import merge
from launch_sdk.tracking.values import MAX_DEPTH, fields_of, listed, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from launch_sdk.tracking.explanation import Explanation
    from launch_sdk.tracking.layers import Path

_OUTERMOST = 2  # edits that are open when a key is assigned, or updated or merged from outside


class Config(dict[str, "Any"]):
    """A nested dict whose every level is also read and written by attribute.

    A mapping, dataclass instance, model or `argparse.Namespace` that is assigned becomes a nested `Config`, a copy;
    other values stay what they are, and so does a mapping with a key that is no text. Dashes around a key of the first
    level are no part of it: `--lr` is `lr`. A key that is the name of a dict method, such as `items`, is read as
    `config["items"]`. Pickling and copying give plain dicts. A change inside a list is recorded by `persist()` and at
    the end of the run.

    Raises:
        KeyError: an item that does not exist is read.
        AttributeError: an attribute that does not exist is read.
        TypeError: a key is no text.
        ValueError: a group of values is in itself, or nested more than 100 deep.
    """

    __slots__ = ("_path", "_tree")
    _path: Path
    _tree: Tree

    def __init__(self, values: Any = None, /, **more: Any) -> None:
        super().__init__()
        place(self, Tree(), ())
        self.update(values, **more)

    def __getattr__(self, name: str) -> Any:
        value = self.get(name, ABSENT)
        if value is ABSENT:
            raise AttributeError(self._lacking(name), name=name, obj=self)
        return value

    def __missing__(self, key: str) -> Any:
        stripped = self._child(key)[-1]
        if stripped in self:
            return self[stripped]
        if self._tree.staged:
            from launch_sdk.tracking.unset import Unset  # `config["train"]["epochs"] = 4` before there is a run

            return Unset(self, stripped)
        raise KeyError(self._lacking(key))

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(self._lacking(name), name=name, obj=self)
        del self[name]

    def __setitem__(self, key: str, value: Any) -> None:
        path, tree = self._child(key), self._tree
        value = listed(value)
        fields = group_of(value)
        with tree:
            if tree.unchanging and tree.layer == SCRIPT and tree.depth == 1:
                self._refuse_changes({path[-1]: value})
            if fields is not None and tree.depth <= _OUTERMOST:
                refuse_endless(path, value)
            locks = tree.locks_at_or_below(path)
            if path in tree.locked:
                given = tree.locked[path].value
                if tree.fit_lock(path, value) is not given:
                    super().__setitem__(path[-1], plain(tree.locked[path].value))
                tree.refuse(path, value)
                tree.note_said(path, value)
            elif fields is not None:
                self._set_node(path, dict(fields))
            elif locks:
                tree.note_refused(path, value)
                for lock in locks:
                    tree.refuse(lock, value)
            else:
                self._set_leaf(path, value)

    def __delitem__(self, key: str) -> None:
        path, tree = self._child(key), self._tree
        with tree:
            if path[-1] not in self:
                raise KeyError(self._lacking(key))
            locks = tree.locks_at_or_below(path)
            if locks:
                tree.refuse(locks[0], ABSENT)
                return
            removed = self[path[-1]]
            super().__delitem__(path[-1])
            detach(removed)
            tree.note_removed(path)

    def update(self, values: Any = None, /, allow_val_change: bool | None = None, **more: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  # wider than dict's
        """Set many keys; a nested mapping replaces what was under its key.

        Args:
            values: a mapping, pairs, a dataclass instance, a pydantic or attrs model, an OmegaConf or Hydra config, an
                `argparse.Namespace`, flags of absl or TensorFlow, the name of a config file, or any object with
                attributes.
            allow_val_change: False refuses all of it if a key has another value already; None leaves it to
                `init(allow_val_change=)`, by default values may be changed.
            **more: further keys.

        Raises:
            ConfigFileError: `values` names a file that cannot be read.
            ConfigChangedError: a value would change, and that was not allowed.
            TypeError: `values` is none of these, or a key is no text.
        """
        fields = {**as_fields(values), **more}
        with self._tree:
            if allow_val_change is False or (allow_val_change is None and self._tree.unchanging):
                self._refuse_changes(fields)
            for key, value in fields.items():
                self[key] = value

    def setdefaults(self, values: Any) -> None:
        """Set only those keys, at any depth, that are not there yet.

        Args:
            values: as for `update`.
        """
        with self._tree:
            for key, value in as_fields(values).items():
                present = self.get(self._child(key)[-1], ABSENT)
                if present is ABSENT:
                    self[key] = value
                elif isinstance(present, Config) and group_of(value) is not None:
                    present.setdefaults(value)

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        name = self._child(key)[-1]
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, key: str, default: Any = ABSENT, /) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # one signature for dict's three
        name = self._child(key)[-1]
        if name not in self and default is not ABSENT:
            return default
        value = self.get(name)
        del self[name]
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

    def persist(self) -> None:
        """Record all values now, also those that changed inside a list; without a run there is nothing to do."""
        with self._tree as tree:
            values: Any = self.as_dict()
            for key in reversed(self._path):
                values = {key: values}
            merge(tree.changed, values)

    def explain(self, key: str) -> Explanation:
        r"""Say where a value comes from: the layer that gave it, and what it hides of the layers below.

        Args:
            key: dotted, as in `model.layers`; a dot in a key is written `\.`. It may name a group of values.

        Raises:
            KeyError: the config has no such key.
        """
        from launch_sdk.tracking.explanation import explain

        return explain(self, self._tree, self._path, key)

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
        return (*self._path, key) if self._path else (stripped(key),)

    def _lacking(self, key: str) -> str:
        where = ".".join(("config", *self._path))
        return f"{where} has no '{key}'; it has {', '.join(self) or 'nothing yet'}"

    def _set_leaf(self, path: Path, value: Any) -> None:
        detach(self.get(path[-1]))
        self._put(path, value, value)

    def _set_node(self, path: Path, fields: dict[Any, Any]) -> None:
        node, tree = self.get(path[-1]), self._tree
        if not isinstance(node, Config):
            node = Config()
            place(node, tree, path)
            self._put(path, node, {})
        tree.note_group(path)
        for name in [name for name in node if name not in fields]:
            if not tree.locks_at_or_below((*path, name)):
                del node[name]
        node.update(fields)

    def _put(self, path: Path, value: Any, noted: Any) -> None:
        if isinstance(self.get(path[-1]), dict) and isinstance(
            noted, dict
        ):  # whoever follows the changes would merge the two
            self._tree.removed.append(list(path))
        super().__setitem__(path[-1], value)
        self._tree.note_set(path, noted)

    def _refuse_changes(self, fields: Mapping[Any, Any]) -> None:
        from launch_sdk.tracking.changes import refuse_changes

        refuse_changes(self, fields, self._path, self._tree.locked)


def as_fields(values: Any) -> dict[Any, Any]:
    """Return the names and values of anything that a config is made from.

    Raises:
        ConfigFileError: it names a file that cannot be read.
        TypeError: a config cannot come from it.
    """
    if values is None:
        return {}
    if isinstance(values, dict):
        return dict(values)  # pyright: ignore[reportUnknownArgumentType]  # whatever its keys are
    from launch_sdk.tracking.config_sources import fields_from  # what is less common than a dict

    return fields_from(values)


def refuse_endless(path: Path, value: Any, around: tuple[int, ...] = ()) -> None:
    """Refuse a group of values that is in itself, before any of it is taken.

    Raises:
        ValueError: it is, or is nested too deeply.
    """
    fields = group_of(value)
    if fields is None:
        return
    if id(value) in around:
        raise ValueError(f"config '{'.'.join(path)}' is nested in itself")
    if len(path) > MAX_DEPTH:
        raise ValueError(f"config '{'.'.join(path[:3])}...' is nested more than {MAX_DEPTH} deep")
    for key, inner in fields.items():
        refuse_endless((*path, key), inner, (*around, id(value)))


def place(node: Config, tree: Tree, path: Path) -> None:
    """Make a node part of a tree."""
    object.__setattr__(node, "_tree", tree)
    object.__setattr__(node, "_path", path)


def detach(value: Any) -> None:
    """Cut a removed node off: whoever still holds it must not write to the run."""
    if isinstance(value, Config):
        place(value, Tree(), ())
        for inner in value.values():
            detach(inner)


def tree_of(config: Config) -> Tree:
    """Return what the nodes of a config share."""
    return config._tree  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # for its other half, config_root


def group_of(value: Any) -> Mapping[str, Any] | None:
    """Return the names and values of what becomes a node; None for a leaf."""
    fields = fields_of(value)
    return fields if fields is not None and all(isinstance(key, str) for key in fields) else None
