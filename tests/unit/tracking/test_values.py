"""Every value gets a defined JSON form, and comes back if it can."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import pathlib
from argparse import Namespace
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_sdk.tracking.values import MAX_ITEMS, MAX_TEXT, decode, dumps, encode, loads, written_out

_TEXT = st.text()  # Hypothesis leaves surrogates out: they have their own test below
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT | st.binary()
_KEYS = _TEXT | st.sampled_from(["$number", "$$number", "$bytes", "$", "$$", "$other"])
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner), max_leaves=20)


def _only_portable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _only_portable(item) for key, item in value.items())  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return all(_only_portable(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, float) and math.isfinite(value)


@given(_VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert decode(encode(value)) == value
    assert loads(dumps(value)) == value


@given(_VALUES)
def test_the_encoded_form_is_portable_json_of_one_ascii_line(value: Any) -> None:
    assert _only_portable(encode(value))
    line = dumps(value)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == encode(value)


@given(st.text(alphabet=st.characters(categories=["Cs", "Lu", "So"])))
def test_half_surrogate_pairs_become_text_that_utf_8_can_hold(text: str) -> None:
    encoded = encode(text)
    assert isinstance(encoded, str)
    assert encoded == text.encode(errors="backslashreplace").decode()
    assert decode(encode({text: text})) == {encoded: encoded}


def test_not_a_number_comes_back() -> None:
    assert dumps(math.nan) == '{"$number":"nan"}'
    assert math.isnan(loads(dumps(math.nan)))


@pytest.mark.parametrize("value", [math.inf, -math.inf, 2**63, -(2**63) - 1, 10**40])
def test_numbers_that_json_readers_lose_come_back(value: float) -> None:
    assert _only_portable(encode(value))
    assert loads(dumps(value)) == value


def test_an_integer_too_long_for_decimal_digits_comes_back() -> None:
    # Python prints and reads 4300 decimal digits at most; pytest could not even name a parameter like this.
    assert loads(dumps(-(10**6000))) == -(10**6000)
    assert loads(dumps(10**4299)) == 10**4299


def test_a_negative_zero_stays_negative() -> None:
    assert math.copysign(1, loads(dumps(-0.0))) == -1


class _Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class _Level(enum.IntEnum):
    HIGH = 3


class _Real(float):
    pass


@dataclasses.dataclass
class _Optimizer:
    name: str
    betas: tuple[float, float]


class _Hostile:
    def __repr__(self) -> str:
        raise ValueError("no")


_COMMON: list[tuple[Any, Any]] = [
    ((1, (2, 3)), [1, [2, 3]]),
    (range(3), [0, 1, 2]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    (pathlib.PurePosixPath("a/b"), "a/b"),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    (datetime(2026, 1, 2, tzinfo=UTC).date(), "2026-01-02"),
    (timedelta(minutes=2), 120.0),
    (Decimal("0.5"), 0.5),
    (_Colour.RED, "red"),
    (_Colour.PAIR, "PAIR"),
    (_Level.HIGH, 3),
    (_Real(0.5), 0.5),
    (_Optimizer("adam", (0.9, 0.99)), {"name": "adam", "betas": [0.9, 0.99]}),
    (Namespace(lr=0.1), {"lr": 0.1}),
    (OrderedDict(a=1), {"a": 1}),
    ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
    (b"\x00\xff", {"$bytes": "AP8="}),
    (1 + 2j, "(1+2j)"),
    (int, "<class 'int'>"),
    (_Hostile(), "<_Hostile>"),
    (np.float32(0.5), 0.5),
    (np.int64(7), 7),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.float64("nan"), {"$number": "nan"}),
    (np.longdouble(0.25), 0.25),
    (np.array(3), 3),
    (np.array([0.5]), 0.5),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([]), []),
    (np.datetime64("2026-01-02"), "2026-01-02"),
]


@pytest.mark.parametrize(("value", "expected"), _COMMON)
def test_common_objects_have_a_defined_form(value: Any, expected: Any) -> None:
    assert encode(value) == expected
    assert type(encode(value)) is type(expected)


class _Tensor0d:
    """The face of a tensor without dimensions: a `shape`, and `item()`."""

    shape = ()

    def item(self) -> float:
        return 0.75


def test_a_tensor_without_dimensions_is_its_number() -> None:
    assert encode({"loss": _Tensor0d()}) == {"loss": 0.75}


def test_a_large_array_is_described_rather_than_written_out() -> None:
    text = encode(np.zeros(MAX_ITEMS + 1))
    assert isinstance(text, str)
    assert len(text) <= MAX_TEXT


def test_a_long_repr_is_cut() -> None:
    class _Long:
        def __repr__(self) -> str:
            return "x" * 10_000

    text = encode(_Long())
    assert isinstance(text, str)
    assert len(text) == MAX_TEXT
    assert text.endswith("...")


def test_a_value_that_contains_itself_is_described_where_it_does() -> None:
    twice: list[Any] = []
    twice += [twice, twice]
    assert encode(twice) == ["[[...], [...]]", "[[...], [...]]"]
    child: dict[str, Any] = {}
    parent = {"children": [child, child]}
    child["parent"] = parent
    assert loads(dumps(parent)) == {"children": [{"parent": repr(parent)}] * 2}


def test_a_value_that_stands_in_several_places_is_written_in_each() -> None:
    shared = {"a": 1}
    assert encode([shared, shared]) == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize("text", ['{"$number":"one"}', '{"$bytes":"!"}', '{"$number":3}', '{"$other":"x"}'])
def test_a_malformed_tag_is_read_as_the_dict_that_it_is(text: str) -> None:
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000])
def test_text_that_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


def test_what_stands_in_several_places_is_counted_in_each_and_what_stands_in_itself_once() -> None:
    shared = [1, 2]
    assert written_out({"a": shared, "b": [shared, shared]}) == 1 + 3 + 1 + 3 + 3
    within: list[Any] = [0]
    within.append(within)
    assert written_out(within) == 2
