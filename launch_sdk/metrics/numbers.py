"""Values as programs print them."""

from __future__ import annotations

import re
from typing import Final

_WHOLE = re.compile(r"[+-]?[0-9]+")
_AROUND: Final = " \t\r,;:()[]{}<>%'\"="
MAX_DIGITS: Final = 300


def parse_number(text: str) -> float | int | None:
    """Read a number with what prose puts around it (`0.5,` `(12%)`); None if it is none."""
    word = text.strip(_AROUND)
    if not word or len(word) > MAX_DIGITS:
        return None
    if _WHOLE.fullmatch(word):
        return int(word)
    try:
        return float(word)
    except ValueError:
        return None


def as_step(value: object) -> int | None:
    """Read a step: a whole number from 0 on, also one written as 3.0; None if it is none."""
    number = parse_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if not 0 <= number < 2**63 or number != int(number):
        return None
    return int(number)
