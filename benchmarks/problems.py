"""Functions to minimise whose minimum is known: smooth ones, the 24 of BBOB in 5-D, and mixed ones."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Point = list[float]


@dataclass(frozen=True)
class Problem:
    """A function to minimise.

    Attributes:
        parameters: the `parameters` section of a sweep file.
        function: from the values, by name, to the result.
        minimum: its lowest result.
    """

    parameters: Mapping[str, Any]
    function: Callable[[Mapping[str, Any]], float]
    minimum: float


def branin(x: Point) -> float:
    a, b = x
    curve = b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6
    return curve**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


_HARTMANN_SCALES = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_HARTMANN_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(x: Point) -> float:
    weights = np.array([1.0, 1.2, 3.0, 3.2])
    return float(-weights @ np.exp(-np.sum(_HARTMANN_SCALES * (np.array(x) - _HARTMANN_CENTRES) ** 2, axis=1)))


def ackley(x: Point) -> float:
    distance = math.sqrt(sum(one**2 for one in x) / len(x))
    waves = sum(math.cos(2 * math.pi * one) for one in x) / len(x)
    return 20 + math.e - 20 * math.exp(-0.2 * distance) - math.exp(waves)


def rosenbrock(x: Point) -> float:
    return sum(100 * (after - one**2) ** 2 + (1 - one) ** 2 for one, after in itertools.pairwise(x))


_CHOICES = {"relu": (0.0, -3.0), "tanh": (0.5, -2.0), "gelu": (0.2, -4.0), "sigmoid": (1.5, -1.0)}


def network(values: Mapping[str, Any]) -> float:
    """A smooth stand-in for a training: each activation has a floor and a learning rate of its own."""
    floor, exponent = _CHOICES[values["activation"]]
    rate = (math.log10(values["lr"]) - exponent) ** 2
    size = (values["layers"] - 3) ** 2 / 10
    return floor + rate + size + 4 * (values["dropout"] - 0.2) ** 2 * (1 + size)


def _of_numbers(function: Callable[[Point], float]) -> Callable[[Mapping[str, Any]], float]:
    return lambda values: function([float(values[name]) for name in sorted(values)])


def _box(limits: tuple[tuple[float, float], ...]) -> dict[str, Any]:
    return {f"x{axis}": {"distribution": "uniform", "min": low, "max": high} for axis, (low, high) in enumerate(limits)}


def _partly_whole(reals: int, wholes: int, low: float, high: float) -> dict[str, Any]:
    whole = {"distribution": "int_uniform", "min": math.ceil(low), "max": math.floor(high)}
    return {**_box(((low, high),) * reals), **{f"x{reals + axis}": whole for axis in range(wholes)}}


# The smooth ones and their minima: https://www.sfu.ca/~ssurjano/optimization.html
SMOOTH = {
    "Branin": Problem(_box(((-5.0, 10.0), (0.0, 15.0))), _of_numbers(branin), 0.397887357729739),
    "Hartmann-6": Problem(_box(((0.0, 1.0),) * 6), _of_numbers(hartmann6), -3.32236801141551),
    "Ackley-5": Problem(_box(((-32.768, 32.768),) * 5), _of_numbers(ackley), 0.0),
    "Rosenbrock-4": Problem(_box(((-5.0, 10.0),) * 4), _of_numbers(rosenbrock), 0.0),
}
MIXED = {
    "Ackley, 3 of 5 whole": Problem(_partly_whole(2, 3, -10.0, 10.0), _of_numbers(ackley), 0.0),
    "Rosenbrock, 2 of 4 whole": Problem(_partly_whole(2, 2, -5.0, 10.0), _of_numbers(rosenbrock), 0.0),
    "network": Problem(
        {
            "activation": {"values": [*_CHOICES]},
            "dropout": {"distribution": "q_uniform", "min": 0.0, "max": 0.5, "q": 0.1},
            "layers": {"min": 1, "max": 8},
            "lr": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1.0},
        },
        network,
        0.0,
    ),
}
BBOB = {f"f{number}": number for number in range(1, 25)}
HAS_BBOB = importlib.util.find_spec("cocoex") is not None


def problem_of(name: str, seed: int) -> Problem:
    """Give a problem by name; of a BBOB function, the instance that goes with a seed."""
    if name in BBOB:
        return _bbob(BBOB[name], seed + 1)
    return SMOOTH[name] if name in SMOOTH else MIXED[name]


def _bbob(function: int, instance: int) -> Problem:
    """Hansen et al., "Real-parameter black-box optimization benchmarking 2009", in 5-D, from COCO's own code."""
    import cocoex

    suite = cocoex.Suite("bbob", f"instances: {instance}", f"dimensions: 5 function_indices: {function}")
    problem = suite.get_problem_by_function_dimension_instance(function, 5, instance)
    keep = [suite, problem]  # a problem dies with its suite
    limits = tuple(zip(map(float, problem.lower_bounds), map(float, problem.upper_bounds), strict=True))
    return Problem(_box(limits), _of_numbers(lambda x: float(keep[1](x))), _bbob_minimum(problem))


def _bbob_minimum(problem: Any) -> float:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        problem._best_parameter("print")  # noqa: SLF001  # COCO writes the point into this folder, and has no other way
        return float(problem(np.loadtxt("._bbob_problem_best_parameter.txt")))
