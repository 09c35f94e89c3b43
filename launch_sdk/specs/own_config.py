"""The config that a program has by itself: what a run recorded, without what was laid over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.tracking.key_paths import join_path
from launch_sdk.tracking.protocol import HIDES, LAUNCH_LAYER, SWEEP_LAYER, UNKNOWN
from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Provenance = Mapping[str, Sequence[Mapping[str, Any]]]
    Keys = tuple[str, ...]

GIVEN = frozenset({LAUNCH_LAYER, SWEEP_LAYER})


def own_config(recorded: Mapping[str, Any], provenance: Provenance | None) -> dict[str, Any]:
    """Give the config that a run would have recorded if nobody had launched it with values.

    A value that only a launch or a sweep gave is left out; one that they replaced is what it was before. Where that is
    not known, it is the one recorded.

    Args:
        recorded: the config of the run, nested.
        provenance: who gave each value, lowest first, by dotted path; None if that is not known.
    """
    return _own(recorded, provenance or {}, ())


def _own(values: Mapping[str, Any], provenance: Provenance, at: Keys) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        path = (*at, key)
        if is_object(value) and value:
            if below := _own(value, provenance, path):
                kept[key] = below
            continue
        said = provenance.get(join_path(path)) or ()
        own = [one for one in said if one.get("layer") not in GIVEN]
        if not said or said[-1].get("layer") not in GIVEN or said[-1].get(HIDES) == UNKNOWN:
            kept[key] = value
        elif own:
            kept[key] = own[-1].get("value")
    return kept


def without_unknown_defaults(schema: Mapping[str, Any], provenance: Provenance | None) -> dict[str, Any]:
    """Leave out of an inferred schema each default that a launch gave where the program may have another."""
    unknown = {path: said[-1].get("value") for path, said in (provenance or {}).items() if _is_unknown(said)}
    return _without(schema, unknown, ()) if unknown else dict(schema)


def _is_unknown(said: Sequence[Mapping[str, Any]]) -> bool:
    return bool(said) and said[-1].get("layer") in GIVEN and said[-1].get(HIDES) == UNKNOWN


def _without(schema: Mapping[str, Any], unknown: Mapping[str, Any], at: Keys) -> dict[str, Any]:
    made = dict(schema)
    path = join_path(at)
    if at and path in unknown and "default" in made and made["default"] == unknown[path]:
        del made["default"]
    if is_object(made.get("properties")):
        made["properties"] = dict(_properties(made["properties"], unknown, at))
    return made


def _properties(named: Mapping[str, Any], unknown: Mapping[str, Any], at: Keys) -> Iterator[tuple[str, Any]]:
    for name, below in named.items():
        yield name, _without(below, unknown, (*at, name)) if is_object(below) else below
