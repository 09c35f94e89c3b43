"""When is the Gaussian process of `bayes` to give way to TPE? After how many runs, with how many categoricals?

    .venv/bin/python benchmarks/model_rule.py [--seeds 1] [--long 250] [--keep FILE]

* long sweeps: `bayes` makes the first 150 runs, as many results as the process takes; from there on it goes on, with
  the 75 best and the 75 latest results, or TPE takes over, or random search. Best value minus the minimum at the end.
* categoricals: 5, 10 and 20 of four choices each, 100 runs by `bayes`, TPE and random search. Each choice has a worth
  of its own and each pair of neighbours one together; 0 is the best that there is, for every parameter by itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from problems import HAS_BBOB, Problem, problem_of
from sides import space_of

from launch_sdk.sweeps.samplers import Observation, make_sampler

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST = 150
LONG = ["Hartmann-6", "Ackley-5", "Rosenbrock, 2 of 4 whole", *(["f15", "f21"] if HAS_BBOB else [])]
CATEGORICALS = (5, 10, 20)
CHOICES = 4


def categorical(count: int, seed: int) -> Problem:
    """Make a problem of categoricals whose lowest result, 0, is that of the choices "0"."""
    draw = np.random.default_rng(seed)
    alone, together = draw.random((count, CHOICES)), draw.random((count - 1, CHOICES, CHOICES))
    alone[:, 0], together[:, 0, 0] = 0.0, 0.0
    names = [f"c{axis:02d}" for axis in range(count)]
    shuffled = {name: [str(one) for one in draw.permutation(CHOICES)] for name in names}

    def function(values: Mapping[str, Any]) -> float:
        picked = [int(values[name]) for name in names]
        pairs = sum(together[axis, picked[axis], picked[axis + 1]] for axis in range(count - 1))
        return float(sum(alone[axis, one] for axis, one in enumerate(picked)) + 0.5 * pairs)

    return Problem({name: {"values": values} for name, values in shuffled.items()}, function, 0.0)


def search(problem: Problem, method: str, seed: int, runs: int, before: list[Observation]) -> list[Observation]:
    """Go on from some runs until there are so many."""
    space, sampler = space_of(problem.parameters), make_sampler(method, goal="minimize", seed=seed)
    observations = list(before)
    while len(observations) < runs:
        index = len(observations)
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        observations.append(Observation(index, parameters, problem.function(parameters), "finished"))
    return observations


def best(problem: Problem, observations: list[Observation]) -> float:
    return min(one.value for one in observations if one.value is not None) - problem.minimum


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--long", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="write every figure to this file, a line each")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    lines: list[dict[str, Any]] = []

    def tell(**line: Any) -> None:
        lines.append(line)
        if given.keep:
            given.keep.write_text("\n".join(json.dumps(one) for one in lines) + "\n", encoding="utf-8")

    for seed in range(given.seeds):
        for count in CATEGORICALS:
            problem = categorical(count, seed)
            for method in ("bayes", "tpe", "random"):
                found = search(problem, method, seed, 100, [])
                tell(
                    part=f"{count} categoricals", side=method, at_50=best(problem, found[:50]), end=best(problem, found)
                )
        for name in LONG:
            problem = problem_of(name, seed)
            first = search(problem, "bayes", seed, FIRST, [])
            for method in ("bayes", "tpe", "random"):
                found = search(problem, method, seed, given.long, first)
                tell(part=f"{name} from {FIRST} on", side=method, at_50=best(problem, first), end=best(problem, found))
    print(f"{given.seeds} seeds\n\n| | bayes | tpe | random | before |\n|---|---|---|---|---|")
    for part in dict.fromkeys(one["part"] for one in lines):
        here = [one for one in lines if one["part"] == part]
        ends = {
            side: statistics.median(one["end"] for one in here if one["side"] == side)
            for side in ("bayes", "tpe", "random")
        }
        before = statistics.median(one["at_50"] for one in here if one["side"] == "bayes")
        print(f"| {part} | {' | '.join(f'{value:.3g}' for value in ends.values())} | {before:.3g} |")


if __name__ == "__main__":
    main()
