"""YAML files that keep their comments, order, quotes and anchors when values in them change.

No object is ever made from a tag. New values are written so that readers of YAML 1.1 and of 1.2 read the same.
"""

from __future__ import annotations

import io
import re
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import yaml

from launch_sdk.runs.file_formats import UnreadableError, require_mapping
from launch_sdk.runs.file_merge import key_in, lay_over
from launch_sdk.specs.deletions import is_deletion
from launch_sdk.tracking.values import MAX_ITEMS, is_array, is_object, written_out

if TYPE_CHECKING:
    from collections.abc import Mapping

_NESTED = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)(-[ ])?", re.MULTILINE)
_EXPONENT = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+")
_UNFOLDED = 1_000_000
_FLOAT = "tag:yaml.org,2002:float"


def patched_yaml(text: str, given: Mapping[str, Any]) -> str:
    """Lay values over a YAML text.

    Raises:
        UnreadableError: it is not one YAML document, or its top level is no mapping.
    """
    from ruamel.yaml.error import YAMLError

    round_trip = _round_trip(text)
    try:
        values: Any = round_trip.load(text)
    except (YAMLError, ValueError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"is not YAML: {' '.join(str(error).split())}") from None
    comments = text if values is None else ""
    if written_out(values) > MAX_ITEMS:
        raise UnreadableError(f"holds more than {MAX_ITEMS} values, its aliases written out")
    values = _new({}, None) if values is None else values
    require_mapping(values)
    _loosen(values, given, _first_places(values))
    lay_over(values, given, _new)
    stream = io.StringIO()
    round_trip.dump(values, stream)
    patched = stream.getvalue() if values else "{}\n"
    if comments:
        return f"{comments.rstrip()}\n{patched}"
    return patched if text.endswith("\n") or not text else patched.removesuffix("\n")


def _round_trip(text: str) -> Any:
    from ruamel.yaml import YAML

    form: Any = YAML(typ="rt", pure=True)
    form.Constructor, form.Representer = _constructor(), _representer()
    form.preserve_quotes = True
    form.width = _UNFOLDED
    mapping, offset = _indents(text)
    form.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    return form


@cache
def _constructor() -> Any:
    from ruamel.yaml.constructor import RoundTripConstructor
    from ruamel.yaml.scalarfloat import ScalarFloat

    class Constructor(RoundTripConstructor):
        """Remembers how a number was written: ruamel.yaml would write some large ones with another last digit."""

    def construct_float(self: Any, node: Any) -> Any:
        value: Any = cast("Any", RoundTripConstructor).construct_yaml_float(self, node)
        if isinstance(value, ScalarFloat):
            vars(value)["written"] = node.value
        return value

    Constructor.add_constructor(_FLOAT, construct_float)  # pyright: ignore[reportUnknownMemberType]
    return Constructor


@cache
def _representer() -> Any:
    from ruamel.yaml.representer import RoundTripRepresenter
    from ruamel.yaml.scalarfloat import ScalarFloat

    class Representer(RoundTripRepresenter):
        """Writes a number as it was written, and a new 1e-05 as 1.0e-05: YAML 1.1 takes the short form for text."""

    def represent_float(self: Any, value: float) -> Any:
        text = repr(value)
        special = {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}.get(text)
        if special is None and "e" in text and "." not in text:
            text = text.replace("e", ".0e")
        return self.represent_scalar(_FLOAT, special or text)

    def represent_written(self: Any, value: Any) -> Any:
        return self.represent_scalar(_FLOAT, value.written, anchor=value.yaml_anchor(any=True))

    def represent_without_point(self: Any, value: _WithoutPoint) -> Any:
        return self.represent_scalar(_FLOAT, value.written)

    Representer.add_representer(_WithoutPoint, represent_without_point)  # pyright: ignore[reportUnknownMemberType]
    Representer.add_representer(float, represent_float)  # pyright: ignore[reportUnknownMemberType]
    Representer.add_representer(ScalarFloat, represent_written)  # pyright: ignore[reportUnknownMemberType]
    return Representer


def _indents(text: str) -> tuple[int, int]:
    """Return how far the file indents the keys of a group, and the dash of a list."""
    steps = [(len(m[2]) - len(m[1]), m[3]) for m in _NESTED.finditer(text)]
    mapping = next((step for step, dash in steps if not dash and step > 0), 2)
    return mapping, next((step for step, dash in steps if dash and step >= 0), 0)


def _first_places(values: Any) -> dict[int, tuple[Any, ...]]:
    """Say where each mapping of a document stands first: there its anchor is, all other places are aliases."""
    places: dict[int, tuple[Any, ...]] = {}
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), values)]
    while waiting:
        at, node = waiting.pop()
        if id(node) in places or not (is_object(node) or is_array(node)):
            continue
        places[id(node)] = at
        items = _own_items(node) if is_object(node) else list(enumerate(node))
        waiting.extend(((*at, key), item) for key, item in reversed(items))
    return places


def _loosen(node: Any, given: Mapping[str, Any], places: dict[int, tuple[Any, ...]], at: tuple[Any, ...] = ()) -> None:
    """Give each place that will be written to a mapping of its own: a change at an alias must not change the anchor."""
    for name, value in given.items():
        key = key_in(node, name)
        if is_deletion(value):
            getattr(node, "_ref", []).clear()  # ruamel.yaml would tell those that merge this one, and fails at it
            if any(key in merged for merged in _merged_into(node)):
                _unmerge(node)
        present = node.get(key)
        if not is_object(value) or not value or is_deletion(value) or not is_object(present):
            continue
        if key not in dict(_own_items(node)) or places.get(id(present), (*at, key)) != (*at, key):
            node[key] = _own_copy(present)
        _loosen(node[key], value, places, (*at, key))


def _own_items(node: Any) -> list[tuple[Any, Any]]:
    """Return the items that stand in a mapping itself, without those that it merges."""
    own: Any = getattr(node, "_ok", None)
    return [(key, value) for key, value in node.items() if own is None or key in own]


def _merged_into(node: Any) -> list[Any]:
    return list(getattr(node, "_yaml_merge", ()))


def _unmerge(node: Any) -> None:
    """Write out what a mapping merges."""
    own = dict(_own_items(node))
    items = [(key, value if key in own else _own_copy(value)) for key, value in node.items()]
    delattr(node, "_yaml_merge")
    for key, value in items:
        node[key] = value


def _own_copy(value: Any) -> Any:
    """Copy values without their anchors: the same anchor twice would lead later aliases astray."""
    if is_object(value):
        return _new({key: _own_copy(item) for key, item in value.items()}, None)
    if is_array(value):
        return _new([_own_copy(item) for item in value], value)
    anchored = getattr(value, "anchor", None) is not None and value.yaml_anchor() is not None
    base = next((kind for kind in (bool, int, float, str) if isinstance(value, kind)), None)
    return base(value) if anchored and base else value


def _new(value: Any, present: Any) -> Any:
    """Make what ruamel.yaml writes of a plain value: lists in the style of what they replace, ambiguous text quoted."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if is_object(value):
        made: Any = CommentedMap()
        for key, item in value.items():
            made[_new(key, None)] = _new(item, None)
        return made
    if is_array(value):
        items: Any = CommentedSeq([_new(item, None) for item in value])
        if present is None or not isinstance(present, CommentedSeq) or present.fa.flow_style():  # pyright: ignore[reportUnknownMemberType]
            items.fa.set_flow_style()
        return items
    if _is_text_in_yaml_1_1(present) and (number := _number(value)) is not None:
        return _WithoutPoint(number)
    return DoubleQuotedScalarString(value) if isinstance(value, str) and _is_ambiguous(value) else value


class _WithoutPoint(float):
    """A number in the form `15e-6`, in place of one of this form: for YAML 1.1 it is a text, for others a number."""

    @property
    def written(self) -> str:
        if not isfinite(self):
            return {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[repr(float(self))]
        sign, digits, exponent = Decimal(repr(float(self))).normalize().as_tuple()
        return f"{'-' if sign else ''}{''.join(map(str, digits))}e{exponent}"


def _is_text_in_yaml_1_1(present: Any) -> bool:
    """Say whether what stands in a file is a number that PyYAML takes for a text, as in `lr: 3e-4`."""
    written: Any = getattr(present, "written", None)
    return isinstance(written, str) and isinstance(yaml.safe_load(written), str)


def _number(value: Any) -> float | None:
    """Return a number, also one that is given as the text that PyYAML takes it for."""
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or _EXPONENT.fullmatch(str(value))):
        return None
    return float(value)


def _is_ambiguous(text: str) -> bool:
    """Say whether YAML 1.1, which most training code reads, would not take this for the same text."""
    try:
        return yaml.safe_load(text) != text
    except (yaml.YAMLError, ValueError, OverflowError):  # such as a day that no month has
        return True
