"""Changes that a person makes to a run's config and summary after the fact: collected here, written in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self

from launch_sdk.tracking.values import dumps


@dataclass(frozen=True)
class Changes:
    """Top-level keys with new values, and those that are gone."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    removed: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        return not self.values and not self.removed

    def over(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Lay the changes over other values."""
        kept = {key: value for key, value in values.items() if key not in self.removed}
        return deepcopy({**kept, **self.values})

    def then(self, later: Changes) -> Changes:
        """Give one set of changes for these and later ones."""
        gone = (self.removed - set(later.values)) | later.removed
        return Changes({**{k: v for k, v in self.values.items() if k not in later.removed}, **later.values}, gone)

    def to_dict(self) -> dict[str, Any]:
        return {"values": dict(self.values), "removed": sorted(self.removed)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Changes:
        return cls(document.get("values") or {}, frozenset(document.get("removed") or ()))


@dataclass(frozen=True)
class Edits:
    """Changes of a run's config and of its summary; they beat what the run itself records."""

    config: Changes = field(default_factory=Changes)
    summary: Changes = field(default_factory=Changes)

    @property
    def is_empty(self) -> bool:
        return self.config.is_empty and self.summary.is_empty

    def then(self, later: Edits) -> Edits:
        return Edits(self.config.then(later.config), self.summary.then(later.summary))

    def to_dict(self) -> dict[str, Any]:
        return {"config": self.config.to_dict(), "summary": self.summary.to_dict()}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Edits:
        return cls(*(Changes.from_dict(document.get(part) or {}) for part in ("config", "summary")))


class EditableValues(MutableMapping[str, Any]):
    """Nested values as the server has them, with changes that are not written yet."""

    __slots__ = ("_known", "_values")  # so that setting an attribute, which changes nothing, is refused

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self._values: dict[str, Any] = {}

    def load(self, values: Mapping[str, Any]) -> Self:
        """Take the server's present values; changes that are not written yet are laid over them again."""
        unsaved = self.changes()
        self._known = deepcopy(dict(values))
        self._values = unsaved.over(values)
        return self

    def changes(self) -> Changes:
        """Return what differs from the server's values, at any depth, by top-level key."""
        changed = {
            key: value
            for key, value in self._values.items()
            if key not in self._known or dumps(value) != dumps(self._known[key])
        }
        return Changes(deepcopy(changed), frozenset(self._known) - frozenset(self._values))

    def saved(self) -> None:
        """Note that the server has the present values."""
        self._known = deepcopy(self._values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)
