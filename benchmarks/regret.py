"""How close do the samplers come to the optimum? Regret on four test functions, beside Optuna's own samplers.

    .venv/bin/python benchmarks/regret.py                     one run at a time
    .venv/bin/python benchmarks/regret.py --pending 8         eight workers: seven runs are always unfinished

Regret is the best value found minus the known minimum; the tables show the median over the seeds, and each sampler's
ratio to Optuna's TPESampler (below 1 is better). The last table gives processor milliseconds per suggestion in 6-D.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from launch_sdk.specs.real_distributions import Uniform
from launch_sdk.specs.space import Space
from launch_sdk.sweeps.samplers import Observation, make_sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUNS = 50
HALFWAY = 25
OURS = ("bayes", "tpe", "random")
OPTUNAS = ("optuna-tpe", "optuna-random")
BASELINE = "optuna-tpe"

Point = list[float]


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


@dataclass(frozen=True)
class Problem:
    """A function to minimise: its formula, its box and its minimum, from https://www.sfu.ca/~ssurjano/optimization.html."""

    function: Callable[[Point], float]
    box: tuple[tuple[float, float], ...]
    minimum: float


PROBLEMS = {
    "Branin": Problem(branin, ((-5.0, 10.0), (0.0, 15.0)), 0.397887357729739),
    "Hartmann-6": Problem(hartmann6, ((0.0, 1.0),) * 6, -3.32236801141551),
    "Ackley-5": Problem(ackley, ((-32.768, 32.768),) * 5, 0.0),
    "Rosenbrock-4": Problem(rosenbrock, ((-5.0, 10.0),) * 4, 0.0),
}


def search(method: str, problem: Problem, seed: int, pending: int) -> list[float]:
    """Give the value of each finished run in order, with `pending` runs in flight, the oldest finishing first."""
    return (_search_optuna if method in OPTUNAS else _search_ours)(method, problem, seed, pending)


def _search_ours(method: str, problem: Problem, seed: int, pending: int) -> list[float]:
    space = Space(tuple(((f"x{axis}",), Uniform(*limits)) for axis, limits in enumerate(problem.box)))
    sampler = make_sampler(method, goal="minimize", seed=seed)
    observations: list[Observation] = []
    values: list[float] = []
    while len(values) < RUNS:
        while len(observations) < len(values) + pending:
            parameters = sampler.suggest(space, observations, len(observations))
            assert parameters is not None
            observations.append(Observation(len(observations), parameters, None, "running"))
        oldest = observations[len(values)]
        values.append(problem.function(list(oldest.parameters.values())))
        observations[oldest.index] = Observation(oldest.index, oldest.parameters, values[-1], "finished")
    return values


def _search_optuna(method: str, problem: Problem, seed: int, pending: int) -> list[float]:
    samplers = optuna.samplers
    sampler = samplers.TPESampler(seed=seed) if method == "optuna-tpe" else samplers.RandomSampler(seed=seed)
    study = optuna.create_study(sampler=sampler)
    box: dict[str, optuna.distributions.BaseDistribution] = {
        f"x{axis}": optuna.distributions.FloatDistribution(*limits) for axis, limits in enumerate(problem.box)
    }
    trials: list[optuna.Trial] = []
    values: list[float] = []
    while len(values) < RUNS:
        trials.extend(study.ask(box) for _ in range(len(values) + pending - len(trials)))
        oldest = trials[len(values)]
        values.append(problem.function([oldest.params[name] for name in box]))
        study.tell(oldest, values[-1])
    return values


def milliseconds(method: str, runs: int) -> float:
    """Time one suggestion in 6-D after `runs` finished runs: the median of five, of processor time.

    On an idle machine that is the time on the clock too, since a suggestion uses one core.
    """
    space = Space(tuple(((f"x{axis}",), Uniform(0.0, 1.0)) for axis in range(6)))
    draws, sampler = make_sampler("random", goal="minimize", seed=0), make_sampler(method, goal="minimize", seed=0)
    observations: list[Observation] = []
    for index in range(runs):
        parameters = draws.suggest(space, [], index) or {}
        observations.append(Observation(index, parameters, hartmann6(list(parameters.values())), "finished"))
    sampler.suggest(space, observations, runs)  # the first one imports
    times: list[float] = []
    for index in range(runs, runs + 5):
        start = time.process_time()
        sampler.suggest(space, observations, index)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def _task(task: tuple[str, str, int, int]) -> list[float]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    method, name, seed, pending = task
    return search(method, PROBLEMS[name], seed, pending)


def measure(methods: Sequence[str], names: Sequence[str], seeds: int, pending: int, jobs: int) -> list[dict[str, Any]]:
    """Run every method on every problem with every seed; one record each."""
    tasks = [(method, name, seed, pending) for method in methods for name in names for seed in range(seeds)]
    with ProcessPoolExecutor(jobs) as pool:
        results = list(pool.map(_task, tasks))
    records: list[dict[str, Any]] = []
    for (method, name, seed, _), values in zip(tasks, results, strict=True):
        regret = {str(runs): min(values[:runs]) - PROBLEMS[name].minimum for runs in (HALFWAY, RUNS)}
        records.append({"method": method, "problem": name, "seed": seed, "pending": pending, "regret": regret})
    return records


def table(records: list[dict[str, Any]], runs: int, methods: Sequence[str], names: Sequence[str]) -> str:
    """Write the median regrets after `runs` runs as a markdown table."""
    lines = [f"| regret after {runs} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    medians = {
        (method, name): statistics.median(
            one["regret"][str(runs)] for one in records if (one["method"], one["problem"]) == (method, name)
        )
        for method in methods
        for name in names
    }
    for method in methods:
        cells = [_cell(medians[method, name], medians.get((BASELINE, name))) for name in names]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(regret: float, baseline: float | None) -> str:
    return f"{regret:.3g} ({regret / baseline:.2g}x)" if baseline else f"{regret:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pending", type=int, default=1, help="runs in flight")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--methods", nargs="+", default=[*OURS, *OPTUNAS], choices=[*OURS, *OPTUNAS])
    parser.add_argument("--problems", nargs="+", default=[*PROBLEMS], choices=[*PROBLEMS])
    parser.add_argument("--no-times", action="store_true", help="leave out the milliseconds per suggestion")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    given = parser.parse_args()
    records = measure(given.methods, given.problems, given.seeds, given.pending, given.jobs)
    print(f"{given.seeds} seeds, {given.pending} in flight\n")
    for runs in (HALFWAY, RUNS):
        print(table(records, runs, given.methods, given.problems) + "\n")
    times: dict[str, dict[str, float]] = {}
    if not given.no_times:
        times = {one: {str(n): milliseconds(one, n) for n in (50, 200)} for one in given.methods if one in OURS}
        print("| processor ms per suggestion, 6-D | at 50 runs | at 200 runs |\n|---|---|---|")
        for method, at in times.items():
            print(f"| {method} | {at['50']:.1f} | {at['200']:.1f} |")
    if given.json:
        given.json.write_text(json.dumps({"records": records, "ms_per_suggestion": times}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
