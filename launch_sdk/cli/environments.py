"""`launch environment list|delete|prune`: the virtual environments that runs of this machine have made."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.command import DONE, Parser, print_json, say
from launch_sdk.cli.tables import print_table
from launch_sdk.environments.cache import LIMIT, EnvironmentCache
from launch_sdk.runs.home import launch_home

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from launch_sdk.environments.cache import MadeEnvironment

EXAMPLES = """\
  launch environment list                    what each was made of, its size, when it was last used
  launch environment delete 3f2a             by the first digits of its name; the next run that wants it makes it again
  launch environment prune                   the least recently used ones, until all take less than the limit
  launch environment prune --limit-gb 0      all but those that a run is in"""
SHOWN_REQUIREMENTS = 4


def main(arguments: Sequence[str]) -> int:
    """Run `launch environment ACTION ...`."""
    parser = Parser("launch environment", "The virtual environments that runs of this machine have made.", EXAMPLES)
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = "List them, the last used ones first."
    commands.add_parser("list", help=listed, description=listed)
    deleted = "Delete one that no run is in."
    delete = commands.add_parser("delete", help=deleted, description=deleted)
    delete.add_argument("digest", metavar="DIGEST", help="its name, or the beginning of it")
    pruned = f"Delete the least recently used ones until all keep within the limit ({LIMIT})."
    prune = commands.add_parser("prune", help=pruned, description=pruned)
    prune.add_argument("--limit-gb", "--limit_gb", type=_gigabytes, metavar="N", help="in place of the limit")
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    options = parser.parse_args(arguments)
    ACTIONS[options.action](EnvironmentCache.below(launch_home()), options)
    return DONE


def _gigabytes(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _list(cache: EnvironmentCache, options: argparse.Namespace) -> None:
    made = cache.made()
    if options.json:
        print_json([_document(one) for one in made])
        return
    print_table(("environment", "made of", "python", "holds", "size", "last used"), [_row(one) for one in made])
    total = sum(one.size_bytes for one in made)
    say(f"{len(made)} take {total / 1e9:.2f} GB of {cache.limit_gb:g} GB, in {cache.folder}")


def _row(one: MadeEnvironment) -> tuple[str, ...]:
    more = len(one.requirements) - SHOWN_REQUIREMENTS
    holds = ", ".join(one.requirements[:SHOWN_REQUIREMENTS]) + (f" and {more} more" if more > 0 else "")
    used = datetime.fromtimestamp(one.last_used).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    size = f"{one.size_bytes / 1e6:.0f} MB"
    return one.digest[:12], one.made_of, one.python, holds, size, "now" if one.in_use else used


def _document(one: MadeEnvironment) -> dict[str, Any]:
    return {
        "digest": one.digest,
        "path": str(one.path),
        "made_of": one.made_of,
        "python": one.python,
        "requirements": list(one.requirements),
        "size_bytes": one.size_bytes,
        "created": one.created,
        "last_used": one.last_used,
        "in_use": one.in_use,
    }


def _delete(cache: EnvironmentCache, options: argparse.Namespace) -> None:
    gone = cache.delete(options.digest)
    if options.json:
        print_json(_document(gone))
    else:
        say(f"Deleted environment {gone.digest} of {gone.made_of}, {gone.size_bytes / 1e6:.0f} MB.")


def _prune(cache: EnvironmentCache, options: argparse.Namespace) -> None:
    limit_gb = cache.limit_gb if options.limit_gb is None else options.limit_gb
    before = {one.digest: one for one in cache.made()}
    gone = [before[digest] for digest in replace(cache, limit_gb=limit_gb).prune() if digest in before]
    if options.json:
        print_json([_document(one) for one in gone])
        return
    freed = sum(one.size_bytes for one in gone)
    say(f"Deleted {len(gone)} of {len(before)} environments, {freed / 1e6:.0f} MB. The limit is {limit_gb:g} GB.")


ACTIONS: dict[str, Callable[[EnvironmentCache, argparse.Namespace], None]] = {
    "list": _list,
    "delete": _delete,
    "prune": _prune,
}
