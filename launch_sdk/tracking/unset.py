"""A key that a config does not have yet."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from launch_sdk.tracking.config import Config

_READERS = (
    "__bool__ __contains__ __eq__ __float__ __format__ __ge__ __gt__ __hash__ __index__ __int__ __iter__ __le__ __len__"
    " __lt__ __ne__ __str__ __call__ __add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__"
    " __floordiv__ __rfloordiv__ __mod__ __pow__ __rpow__ __neg__ __fspath__ __reduce_ex__"
)


class Unset:
    """What `config["train"]` is before `init()` if there is no `train`: writing below it makes the group.

    Raises:
        KeyError: it is read in any way.
    """

    __slots__ = ("_key", "_parent")
    _key: str
    _parent: Config | Unset

    def __init__(self, parent: Config | Unset, key: str) -> None:
        object.__setattr__(self, "_parent", parent)
        object.__setattr__(self, "_key", key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._made()[key] = value

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __getitem__(self, key: str) -> Unset:
        return Unset(self, key)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self._lacking()}, so '{name}' cannot be read", name=name, obj=self)

    def __repr__(self) -> str:
        return f"<{self._lacking()}>"

    def update(self, *values: Any, **more: Any) -> None:
        """Make the group and set keys in it; see `Config.update`."""
        self._made().update(*values, **more)

    def _made(self) -> Any:
        parent: Any = self._parent._made() if isinstance(self._parent, Unset) else self._parent  # noqa: SLF001  # its own kind
        if self._key not in parent:
            parent[self._key] = {}
        return parent[self._key]

    def _lacking(self) -> str:
        return f"the config has no '{self._key}' yet"


def _unreadable(self: Unset, *_: object) -> NoReturn:
    raise KeyError(repr(self)[1:-1])


for _name in _READERS.split():
    setattr(Unset, _name, _unreadable)
