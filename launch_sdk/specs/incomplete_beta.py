"""The beta distribution's CDF and its inverse, with the standard library only.

The CDF is the regularised incomplete beta function by its continued fraction, DLMF 8.17.22
(https://dlmf.nist.gov/8.17#E22), evaluated from the front by the modified Lentz method.
"""

from __future__ import annotations

import math

_FLOOR = 1e-300  # stands in for a zero denominator, as Lentz's method wants
_ENOUGH = 1e-15
_MOST_TERMS = 10_000
_MOST_HALVINGS = 1_100  # from 1 down to the smallest float


def beta_cdf(x: float, a: float, b: float) -> float:
    """Give the probability that a beta(a, b) number is at most `x`; a and b are above 0."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side of the mean
        return 1 - beta_cdf(1 - x, b, a)
    log_front = a * math.log(x) + b * math.log1p(-x) - math.log(a)
    log_front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate 1 / (1 + d1 / (1 + d2 / (1 + ...))) of DLMF 8.17.22."""
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    c, value = 1.0, d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            change = c * d
            value *= change
        if abs(change - 1) < _ENOUGH:
            break
    return value


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _FLOOR else _FLOOR


def beta_quantile(u: float, a: float, b: float) -> float:
    """Give the x whose CDF is `u`, by bisection down to neighbouring floats."""
    low, high = 0.0, 1.0
    for _ in range(_MOST_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if beta_cdf(middle, a, b) < u:
            low = middle
        else:
            high = middle
    return (low + high) / 2
