"""A random order of the numbers below any size that is never written down: each place is worked out by itself."""

from __future__ import annotations

from functools import lru_cache

from launch_sdk.sweeps.samplers.random_search import seed_of

_ROUNDS = 4
_REMEMBERED = 2**16


@lru_cache(maxsize=_REMEMBERED)
def permuted(place: int, size: int, seed: int) -> int:
    """Give the number at a place of the order.

    A Feistel network of four rounds permutes the numbers of an even count of bits (Luby and Rackoff, 1988); a result
    that is too large is permuted again until it is not (cycle walking: Black and Rogaway, 2002). As the count of bits
    is the smallest one, that takes less than four turns on average.

    Args:
        place: from 0, below `size`.
        size: how many numbers there are.
        seed: of the order.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    number = _network(place, half, seed)
    while number >= size:
        number = _network(number, half, seed)
    return number


def _network(number: int, half: int, seed: int) -> int:
    mask = (1 << half) - 1
    left, right = number >> half, number & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (seed_of(seed, turn, right) & mask)
    return left << half | right
