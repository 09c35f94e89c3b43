r"""How any Python value becomes JSON that every reader accepts, and comes back.

| Python | JSON |
|---|---|
| None, bool, str, finite float, int of 64 bits | itself |
| nan, inf, -inf, an int beyond 64 bits | `{"$number": "nan" / "inf" / "-inf" / its digits}` |
| bytes, bytearray | `{"$bytes": base64}` |
| a dict key that begins with `$` | the key with one more `$` in front |
| list, tuple, range | array; a set too, in the order of its members' JSON text |
| mapping, dataclass instance, model of pydantic or attrs | object; keys that are no text are written with `str()` |
| numpy or torch scalar, or array of one element | the number |
| array of at most `MAX_ITEMS` elements | nested arrays |
| Enum | its value if that is plain, else its name |
| Path | its text |
| datetime, date, time | ISO 8601 text |
| timedelta | its seconds |
| anything else with `__float__` (Decimal, Fraction) | the number |
| anything else, a larger array, a value below `MAX_DEPTH` or in itself | its `repr`, at most `MAX_TEXT` characters |

Half a surrogate pair, which UTF-8 cannot hold, becomes the six characters of its escape, `\udc80`.
"""

from __future__ import annotations

import sys
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from json import JSONDecoder, JSONEncoder
from math import isfinite, isnan, prod
from os import PathLike, fspath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeGuard

    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_ITEMS = 100_000
MAX_DEPTH = 100
MAX_TEXT = 1_000
_LARGEST = 2**63 - 1
_SMALLEST = -(2**63)
# Python refuses to print or read more decimal digits than this, because the time grows with their square.
_MAX_DIGITS_BITS = 4300 * 3
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}

to_text = JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_from_text = JSONDecoder().decode


def written_out(value: Any) -> int:
    """Count the values in nested dicts and lists as if each that stands in several places were written out in each.

    A few lines of YAML with aliases can stand for more values than fit into memory; this takes no longer than the file.
    """
    return _written_out(value, {})


def _written_out(value: Any, known: dict[int, int]) -> int:
    if id(value) not in known:
        known[id(value)] = 0  # what stands in itself is counted once
        inner: Any = value.values() if is_object(value) else value if is_array(value) else ()
        known[id(value)] = 1 + sum(_written_out(item, known) for item in inner)
    return known[id(value)]


def encode(value: Any) -> Json:
    """Turn any value into plain JSON values with finite floats and 64-bit integers only; never raises.

    Args:
        value: anything. It is not changed, and nothing of the result is shared with it.
    """
    return _encode(value, ())


def decode(value: Json) -> Any:
    """Undo `encode`: tagged numbers and bytes come back, escaped keys lose their escape.

    Args:
        value: what `encode` returned, or any JSON; a malformed tag is returned as the dict that it is.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if isinstance(inner, str) and key in _TAGS:
            try:
                return _TAGS[key](inner)
            except ValueError:
                return {key: inner}
    return {key[1:] if key.startswith("$$") else key: decode(item) for key, item in value.items()}


def dumps(value: Any) -> str:
    """Write a value as one line of ASCII JSON; never raises."""
    return to_text(_encode(value, ()))


def loads(text: str) -> Any:
    """Read what `dumps` wrote.

    Raises:
        ValueError: the text is not JSON, or is nested more deeply than Python can follow.
    """
    try:
        return decode(_from_text(text))
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply") from None


def plain(value: Any) -> Any:
    """Return the value as a reader of the run will see it: `decode(encode(value))`."""
    return decode(_encode(value, ()))


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Say whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Say whether a decoded JSON value is an array."""
    return isinstance(value, list)


def fields_of(value: Any) -> Mapping[Any, Any] | None:
    """Return the names and values of whatever has them; None for others.

    They are mappings, dataclass instances, an `argparse.Namespace`, models of pydantic (1 and 2) and attrs, and what
    OmegaConf and Hydra call a DictConfig, with its interpolations resolved.
    """
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]  # whatever its keys are
    kind: type = type(value)  # pyright: ignore[reportUnknownVariableType]
    if is_of_a_library(kind):
        return _objects().fields_of_object(value)
    if isinstance(value, Mapping):
        return value  # pyright: ignore[reportUnknownVariableType]  # whatever its keys are
    fields = getattr(value, "__dataclass_fields__", None)
    if isinstance(fields, dict) and not isinstance(value, type):
        return {str(name): getattr(value, str(name), None) for name in fields}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    argparse = sys.modules.get("argparse")  # a Namespace cannot exist before its module does
    if argparse is not None and isinstance(value, argparse.Namespace):
        return vars(value)
    return None


def is_of_a_library(kind: type) -> bool:
    """Say whether values of this type are for `launch_sdk.tracking.objects`; asked often, so it imports nothing."""
    return (
        hasattr(kind, "model_dump")  # pydantic 2
        or hasattr(kind, "__attrs_attrs__")
        or (hasattr(kind, "__fields__") and hasattr(kind, "dict"))  # pydantic 1
        or kind.__module__.startswith("omegaconf.")
    )


def listed(value: Any) -> Any:
    """Return a list of OmegaConf as a list, and anything else as it is."""
    return _objects().plain_container(value) if type(value).__module__.startswith("omegaconf.") else value


def _objects() -> Any:
    from launch_sdk.tracking import objects  # most scripts have no such object

    return objects


def _encode(value: Any, around: tuple[int, ...]) -> Json:  # noqa: PLR0911  # a flat dispatch, the common kinds first
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind is float:
        return value if isfinite(value) else _float(value)
    if kind is str:
        return value if value.isascii() else _text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if _SMALLEST <= value <= _LARGEST else _large_integer(value)
    if len(around) >= MAX_DEPTH or id(value) in around:
        return _described(value)
    inner = (*around, id(value))
    try:
        if kind is dict:  # not left to the general case because every log() comes here
            return {_key(key): _encode(item, inner) for key, item in dict(value).items()}
        return _encode_object(value, inner)
    except Exception:  # noqa: BLE001  # a foreign object's own method failed; that must not end the training
        return _described(value)


def _encode_object(value: Any, around: tuple[int, ...]) -> Json:  # noqa: PLR0911  # as above
    fields = fields_of(value)
    if fields is not None:
        return {_key(key): _encode(item, around) for key, item in dict(fields).items()}
    if isinstance(value, (list, tuple, range)):
        return _items(value, around)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, AbstractSet):
        return sorted(_items(value, around), key=to_text)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, Enum):
        member: Any = value.value
        return _encode(member, around) if isinstance(member, (bool, int, float, str)) else value.name
    for base, convert in _PLAIN_BASES:
        if isinstance(value, base):
            return _encode(convert(value), around)
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": b2a_base64(value, newline=False).decode()}
    return _encode_foreign(value, around)


def _encode_foreign(value: Any, around: tuple[int, ...]) -> Json:
    """Encode what is known by its methods only, so that numpy, torch and the like need not be imported."""
    if isinstance(value, type):
        return _described(value)
    items = listed(value)
    if items is not value:
        return _encode(items, around)
    shape = getattr(value, "shape", None)
    count = prod(int(length) for length in shape) if isinstance(shape, Sequence) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if count is not None and count != 1:
        return _encode(value.tolist(), around) if count <= MAX_ITEMS else _described(value)
    for method, convert in _FOREIGN:
        if hasattr(value, method):
            inner = convert(value)
            return _encode(inner if type(inner) is not type(value) else float(inner), around)
    return _described(value)


def _items(values: Iterable[Any], around: tuple[int, ...]) -> list[Json]:
    return [_encode(item, around) for item in values]


def _key(key: Any) -> str:
    if type(key) is str and key.isascii() and key[:1] != "$":
        return key
    text = _text(key if isinstance(key, str) else str(key))
    return f"${text}" if text.startswith("$") else text


def _text(text: str) -> str:
    plain_text = str.__str__(text)
    try:
        plain_text.encode()
    except UnicodeEncodeError:
        return plain_text.encode(errors="backslashreplace").decode()
    return plain_text


def _float(value: float) -> Json:
    return {"$number": "nan" if isnan(value) else "inf" if value > 0 else "-inf"}


def _large_integer(value: int) -> Json:
    return {"$number": str(value) if value.bit_length() <= _MAX_DIGITS_BITS else hex(value)}


def _number(text: str) -> int | float:
    if text in _FLOATS:
        return _FLOATS[text]
    return int(text, 16) if "0x" in text else int(text)


def _bytes(text: str) -> bytes:
    return a2b_base64(text, strict_mode=True)


def _described(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # a foreign __repr__ may raise anything
        text = f"<{type(value).__name__}>"
    return _text(text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}...")


_TAGS: dict[str, Callable[[str], Any]] = {"$number": _number, "$bytes": _bytes}
_PLAIN_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (PathLike, fspath),
)
_FOREIGN: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("item", lambda value: value.item()),
    ("isoformat", lambda value: value.isoformat()),
    ("total_seconds", lambda value: value.total_seconds()),
    ("__index__", lambda value: value.__index__()),
    ("__float__", float),
)
