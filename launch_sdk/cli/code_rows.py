"""What a person sees of the code of a run: where it comes from, and what is not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_sdk.sources.origin import Origin, printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def code_rows(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give names and values of the rows of a table."""
    origin = Origin.from_dict(record)
    rows = [(f"code.{key}", printable(str(record[key]))) for key in ("source", "tree", "directory") if key in record]
    said = {"remote": origin.remote, "branch": origin.branch, "commit": _commit(origin), "history": origin.history}
    rows += [(f"code.{key}", printable(value)) for key, value in said.items() if value]
    rows += [("code.submodule", f"{printable(path)} at {commit}") for path, commit in origin.submodules.items()]
    rows += [("code.left out", f"{printable(name)} ({reason})") for name, reason in origin.left_out.items()]
    rows += [("code.left out", f"{printable(name)}/") for name in origin.folders_left_out]
    rows += [("code.link out", printable(name)) for name in origin.links_out]
    rows += [("code.changed since start", printable(name)) for name in origin.changed_since]
    return rows


def described(record: Mapping[str, Any]) -> str:
    """Say in a few words what code it is; empty if that is not known."""
    origin, tree = Origin.from_dict(record), str(record.get("tree", ""))[:12]
    if not tree:
        return str(record.get("source", ""))
    commit = f" of commit {origin.commit[:12]}{' with changes' if origin.changed else ''}" if origin.commit else ""
    return f"git tree {tree}{commit}" + (f" ({printable(origin.branch)})" if origin.branch else "")


def _commit(origin: Origin) -> str | None:
    if origin.commit is None:
        return None
    more = ["with changes" if origin.changed else "", "not on the remote" if origin.unpushed else ""]
    return ", ".join([origin.commit, *filter(None, more)])
