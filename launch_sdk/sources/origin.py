"""Where packed code comes from and what is not in it: kept with the code, so that every run of it can say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class Origin:
    """Where packed code comes from. Outside git only `left_out` and `changed_since` are known.

    Attributes:
        remote: address of the git remote, without credentials.
        branch: None if HEAD was detached.
        commit: what HEAD was; None before the first.
        changed: the work tree was not that commit's tree.
        unpushed: the remote lacked the commit.
        submodules: commit of each repository inside the work tree.
        left_out: why each file that was seen is not in it.
        folders_left_out: untracked environments, caches and earlier runs, which are not in it either.
        links_out: links that lead out of it.
        changed_since: files that were written after the program had started, which are in it as they were then.
        history: SHA-256 of the bundle that keeps the commits which the remote lacked.
        history_left_out: why they are not kept, if they should be.
        file_count: files and links in it.
        byte_count: bytes in them.
    """

    remote: str | None = None
    branch: str | None = None
    commit: str | None = None
    changed: bool | None = None
    unpushed: bool | None = None
    submodules: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    folders_left_out: tuple[str, ...] = ()
    links_out: tuple[str, ...] = ()
    changed_since: tuple[str, ...] = ()
    history: str | None = None
    history_left_out: str = ""
    file_count: int | None = None
    byte_count: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form, without what is not known or empty; `from_dict` reads it."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        kept = {name: value for name, value in values.items() if value not in (None, "", (), {})}
        return {name: list(cast("tuple[str, ...]", v)) if isinstance(v, tuple) else v for name, v in kept.items()}

    @classmethod
    def from_dict(cls, values: object) -> Origin:
        """Read the plain form; what is not of it counts as not known."""
        given: Mapping[str, Any] = cast("Mapping[str, Any]", values) if isinstance(values, Mapping) else {}
        found: dict[str, Any] = {}
        for each in fields(cls):
            value: Any = given.get(each.name)
            if isinstance(value, _KINDS[each.name]):
                found[each.name] = tuple(map(str, cast("list[object]", value))) if isinstance(value, list) else value
        return cls(**found)

    def notices(self) -> list[str]:
        """Say what its user has to know: what a run of it will not have."""
        names = list(self.left_out.items())
        said = [f"left out: {printable(name)} ({reason})" for name, reason in names[:MAX_NAMED]]
        if len(names) > MAX_NAMED:
            said.append(f"left out: {len(names) - MAX_NAMED} more files; the record of the run lists them")
        if self.links_out:
            said.append(f"links out of the repository, whose targets do not travel: {_listed(self.links_out)}")
        if self.changed_since:
            said.append(f"changed after the program had started, and taken as changed: {_listed(self.changed_since)}")
        if self.history_left_out:
            said.append(f"unpushed commits are not kept, the files are: {self.history_left_out}")
        return said


_KINDS: dict[str, type] = {
    **dict.fromkeys(("remote", "branch", "commit", "history", "history_left_out"), str),
    **dict.fromkeys(("changed", "unpushed"), bool),
    **dict.fromkeys(("submodules", "left_out"), Mapping),
    **dict.fromkeys(("folders_left_out", "links_out", "changed_since"), list),
    **dict.fromkeys(("file_count", "byte_count"), int),
}


def printable(name: str) -> str:
    """Give a path as a terminal may show it: what is not printable is escaped."""
    return name if name.isprintable() else ascii(name)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(map(printable, names[:MAX_NAMED])) + more
