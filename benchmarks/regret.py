"""How close do the samplers come to the optimum? Regret beside Optuna's own samplers and W&B's engine, in one run.

    .venv/bin/python benchmarks/regret.py                     the four smooth functions, one run at a time
    .venv/bin/python benchmarks/regret.py --pending 8         eight workers: seven runs are always unfinished
    .venv/bin/python benchmarks/regret.py --suite bbob        the 24 functions of BBOB in 5-D, an instance a seed
    .venv/bin/python benchmarks/regret.py --suite mixed       whole numbers, steps, choices, a logarithmic range

Regret is the best value found minus the known minimum; the tables show the median over the seeds, and each side's ratio
to Optuna's TPESampler (below 1 is better). `ahead` counts the functions on which `bayes` has the lower median.

A side whose packages are missing is left out: `uv pip install cmaes scipy` for CMA-ES, `torch` and `scipy` for Optuna's
GPSampler, `coco-experiment` for BBOB. W&B's engine gets an environment of its own, made here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from problems import BBOB, HAS_BBOB, MIXED, SMOOTH, problem_of
from sides import SIDES, available, make_side, wandb_python

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNS = 50
HALFWAY = 25
BASELINE = "optuna-tpe"
SUITES = {"smooth": [*SMOOTH], "mixed": [*MIXED], "bbob": [*BBOB] if HAS_BBOB else []}


def search(side_name: str, name: str, seed: int, pending: int) -> tuple[list[float], float]:
    """Give the value of each finished run in order, and seconds per suggestion, with `pending` runs in flight.

    The oldest finishes first.
    """
    problem = problem_of(name, seed)
    side = make_side(side_name, problem, seed)
    results: list[float] = []
    values: list[float] = []
    start, spent = 0.0, 0.0
    while len(values) < RUNS:
        while len(results) < len(values) + pending:
            start = time.perf_counter()
            point = side.suggest()
            spent += time.perf_counter() - start
            results.append(problem.function(point))
        values.append(results[len(values)])
        side.tell(len(values) - 1, values[-1])
    return values, spent / len(results)


def _task(task: tuple[str, str, int, int]) -> tuple[list[float], float]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    return search(*task)


def measure(sides: Sequence[str], names: Sequence[str], seeds: int, pending: int, jobs: int) -> list[dict[str, Any]]:
    """Run every side on every problem with every seed; one record each."""
    tasks = [(side, name, seed, pending) for name in names for seed in range(seeds) for side in sides]
    with ProcessPoolExecutor(jobs) as pool:
        results = list(pool.map(_task, tasks))
    records: list[dict[str, Any]] = []
    for (side, name, seed, _), (values, seconds) in zip(tasks, results, strict=True):
        minimum = problem_of(name, seed).minimum
        regret = {str(runs): max(min(values[:runs]) - minimum, 0.0) for runs in (HALFWAY, RUNS)}
        records.append(
            {"side": side, "problem": name, "seed": seed, "pending": pending, "regret": regret, "seconds": seconds}
        )
    return records


def medians(records: list[dict[str, Any]], runs: int) -> dict[tuple[str, str], float]:
    """Give the median regret after `runs` runs by side and problem."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in records:
        found.setdefault((one["side"], one["problem"]), []).append(one["regret"][str(runs)])
    return {key: statistics.median(values) for key, values in found.items()}


def table(records: list[dict[str, Any]], runs: int, sides: Sequence[str], names: Sequence[str]) -> str:
    """Write the median regrets after `runs` runs as a markdown table, a problem a line."""
    lines = [f"| regret after {runs} | {' | '.join(sides)} |", "|---" * (len(sides) + 1) + "|"]
    found = medians(records, runs)
    for name in names:
        cells = [_cell(found[side, name], found.get((BASELINE, name))) for side in sides]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, *_ahead(found, sides, names)])


def _ahead(found: dict[tuple[str, str], float], sides: Sequence[str], names: Sequence[str]) -> list[str]:
    """Count on how many problems `bayes` is ahead of each side, and on how many each is last."""
    if "bayes" not in sides:
        return []
    ahead = [
        "" if side == "bayes" else f"{sum(found['bayes', name] < found[side, name] for name in names)} of {len(names)}"
        for side in sides
    ]
    last = [max(sides, key=lambda side: found[side, name]) for name in names]
    return [
        f"| bayes is ahead | {' | '.join(ahead)} |",
        f"| is last | {' | '.join(str(last.count(side)) for side in sides)} |",
    ]


def _cell(regret: float, baseline: float | None) -> str:
    return f"{regret:.2g} ({regret / baseline:.2g}x)" if baseline else f"{regret:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=[*SUITES], default="smooth")
    parser.add_argument("--pending", type=int, default=1, help="runs in flight")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--sides", nargs="+", choices=SIDES, help="default: all that are installed")
    parser.add_argument("--problems", nargs="+", help="default: those of the suite")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    given = parser.parse_args()
    names = given.problems or SUITES[given.suite]
    if not names:
        parser.error("BBOB comes with the package coco-experiment: uv pip install coco-experiment")
    sides = given.sides or available()
    if "wandb" in sides:
        wandb_python()
    records = measure(sides, names, given.seeds, given.pending, given.jobs)
    print(f"{given.seeds} seeds, {given.pending} in flight\n")
    for runs in (HALFWAY, RUNS):
        print(table(records, runs, sides, names) + "\n")
    seconds = {side: statistics.mean(one["seconds"] for one in records if one["side"] == side) for side in sides}
    print("mean ms a suggestion: " + ", ".join(f"{side} {1000 * value:.0f}" for side, value in seconds.items()))
    if given.json:
        given.json.write_text(json.dumps(records, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
