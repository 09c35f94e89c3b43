"""Who gave each value of a config, told for programs that do not tell it themselves: those with the W&B client."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from launch_sdk.tracking import protocol
from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.layers import ABSENT, INIT, SCRIPT, look_up
from launch_sdk.tracking.values import dumps, is_object, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from launch_sdk.runs.run_directory import RunDirectory


def tell_provenance(run: RunDirectory) -> None:
    """Write `provenance.json` at the end of a run, unless its program did, or recorded no config.

    What the overrides gave and the program has kept is theirs. Of the rest, the first record's values are the program's
    configuration at its start, and what differs was set later. What an override hides is not known.
    """
    if (run.path / protocol.PROVENANCE).exists():
        return
    first: dict[str, Any] | None = None
    config: dict[str, Any] = {}
    for record in protocol.read_records(run.records)[0]:
        protocol.config_update(config, record)
        if first is None and is_object(record.get("config")):
            first = plain(config)
    if first is None:
        return
    with contextlib.suppress(OSError, ValueError):  # the run directory is the program's too
        given = protocol.read_overrides(run.path)
        values = {join_path(path): _said(path, value, first, given) for path, value in _leaves(config)}
        document = {"version": protocol.VERSION, "values": values}
        protocol.write_atomically(run.path, protocol.PROVENANCE, dumps(document))


def _said(
    path: tuple[str, ...], value: Any, first: Mapping[str, Any], given: protocol.Overrides
) -> list[dict[str, Any]]:
    if _same(look_up(given.config, path), value):
        return [{"layer": given.layer, "value": value, protocol.HIDES: protocol.UNKNOWN}]
    at_start = look_up(first, path)
    said = [] if at_start is ABSENT else [{"layer": INIT, "value": at_start}]
    return said if _same(at_start, value) else [*said, {"layer": SCRIPT, "value": value}]


def _same(one: Any, other: Any) -> bool:
    return one is not ABSENT and dumps(plain(one)) == dumps(other)


def _leaves(config: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in config.items():
        if is_object(value) and value:
            yield from _leaves(value, (*at, key))
        else:
            yield (*at, key), value
