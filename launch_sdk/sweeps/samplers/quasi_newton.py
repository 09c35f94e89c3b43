"""Minimise a smooth function in a box: limited-memory BFGS with projection (Nocedal and Wright, 2006, ch. 7 and 16)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Objective = Callable[[Array], tuple[float, Array]]

_MEMORY = 8
_HALVINGS = 12
_SHRINK = 0.3
_SUFFICIENT = 1e-4  # of the decrease that the slope promises: Armijo's rule
_FIRST_STEP = 0.1  # of the longest side of the box
_FLAT = 1e-7  # no component of the gradient is larger
_SETTLED = 1e-9  # relative decrease of the value in a step


@dataclass(frozen=True)
class Box:
    """The points between two corners, each of shape (dimensions,)."""

    low: Array
    high: Array

    def free(self, point: Array, gradient: Array) -> NDArray[np.bool_]:
        """Say along which axes a point can go downhill without leaving the box."""
        return ~(((point <= self.low) & (gradient > 0)) | ((point >= self.high) & (gradient < 0)))


def minimise(objective: Objective, start: Array, box: Box, steps: int) -> tuple[Array, float]:
    """Find a local minimum; give it and its value.

    Args:
        objective: gives the value, which may be infinite away from the start, and the gradient of shape (dimensions,).
        start: inside the box, of shape (dimensions,).
        box: where to search.
        steps: at most so many.
    """
    point, (value, gradient) = start, objective(start)
    pairs: deque[tuple[Array, Array]] = deque(maxlen=_MEMORY)
    longest = _FIRST_STEP * float(np.max(box.high - box.low))
    for _ in range(steps):
        free = box.free(point, gradient)
        slope = np.where(free, gradient, 0.0)
        steepest = float(np.abs(slope).max(initial=0.0))
        if steepest < _FLAT:
            break
        direction = np.where(free, -_inverse_hessian(slope, pairs), 0.0) if pairs else -slope
        if not pairs or direction @ slope >= 0:
            pairs.clear()
            direction = -slope * min(1.0, longest / steepest)
        found = _line_search(objective, (point, value, slope), direction, box)
        if found is None:
            break
        after, value_after, gradient_after = found
        _remember(pairs, after - point, gradient_after - gradient)
        settled = value - value_after < _SETTLED * max(1.0, abs(value))
        point, value, gradient = after, value_after, gradient_after
        if settled:
            break
    return point, value


def _line_search(
    objective: Objective, here: tuple[Array, float, Array], direction: Array, box: Box
) -> tuple[Array, float, Array] | None:
    """Shorten the step until the value falls enough; None if it never does. The triples: point, value, gradient."""
    point, value, slope = here
    length = 1.0
    for _ in range(_HALVINGS):
        after = np.clip(point + length * direction, box.low, box.high)
        value_after, gradient_after = objective(after)
        if value_after <= value + _SUFFICIENT * float(slope @ (after - point)):
            return after, value_after, gradient_after
        length *= _SHRINK
    return None


def _inverse_hessian(slope: Array, pairs: Iterable[tuple[Array, Array]]) -> Array:
    """Multiply by the approximate inverse of the Hessian: the two-loop recursion."""
    known = list(pairs)
    result, weights = slope.copy(), list[float]()
    for step, change in reversed(known):
        weights.append(float(step @ result) / float(step @ change))
        result = result - weights[-1] * change
    step, change = known[-1]
    result = result * (float(step @ change) / float(change @ change))
    for (step, change), weight in zip(known, reversed(weights), strict=True):
        result = result + step * (weight - float(change @ result) / float(step @ change))
    return result


def _remember(pairs: deque[tuple[Array, Array]], step: Array, change: Array) -> None:
    """Keep a step and what it changed in the gradient, if the curvature along it is positive."""
    curvature = float(step @ change)
    if curvature > 1e-12 * float(np.linalg.norm(step) * np.linalg.norm(change)):
        pairs.append((step, change))
