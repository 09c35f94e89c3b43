"""A run's summary: one value per key, the last one logged or the one that the script put there since."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping

from launch_sdk.tracking.values import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Summary(Mapping[str, "Any"]):
    """What remains of a run: the last value of each metric. The last write of a key wins, logged or set.

    Values are those that a reader of the run sees: a numpy scalar is a float here.

    Raises:
        KeyError: an item that does not exist is read.
        AttributeError: an attribute that does not exist is read.
    """

    __slots__ = ("_values", "_written")
    _values: dict[str, Any]
    _written: Callable[[dict[str, Any]], None]

    def __init__(self, values: dict[str, Any], written: Callable[[dict[str, Any]], None]) -> None:
        """Make a view.

        Args:
            values: the live values; `log()` changes them.
            written: called with the keys that the script sets here.
        """
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "_written", written)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Summary({self._values!r})"

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"the summary has no '{name}'", name=name, obj=self) from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Set many keys in one record."""
        written = plain({**(values or {}), **more})
        self._values.update(written)
        self._written(written)

    def items(self) -> ItemsView[str, Any]:
        return dict(self._values).items()
