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
Task = tuple[str, str, int, int]  # side, problem, seed, runs in flight
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


def _task(task: Task) -> tuple[list[float], float]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    return search(*task)


def measure(tasks: Sequence[Task], jobs: int, kept: Path | None) -> list[dict[str, Any]]:
    """Run every task that is not in the file yet; one record each, of which a line is added to it at once."""
    records = [json.loads(line) for line in kept.read_text().splitlines()] if kept and kept.exists() else []
    done = {(one["side"], one["problem"], one["seed"], one["pending"]) for one in records}
    waiting = [task for task in tasks if task not in done]
    with ProcessPoolExecutor(jobs) as pool:
        for (side, name, seed, pending), (values, seconds) in zip(waiting, pool.map(_task, waiting), strict=True):
            minimum = problem_of(name, seed).minimum
            regret = {str(runs): max(min(values[:runs]) - minimum, 0.0) for runs in (HALFWAY, RUNS)}
            one = {"side": side, "problem": name, "seed": seed, "pending": pending}
            records.append(one | {"regret": regret, "seconds": seconds})
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(records[-1]) + "\n")
    return [one for one in records if (one["side"], one["problem"], one["seed"], one["pending"]) in set(tasks)]


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
    parser.add_argument("--keep", type=Path, help="a file of a line a search: what is in it is not done again")
    given = parser.parse_args()
    names = given.problems or SUITES[given.suite]
    if not names:
        parser.error("BBOB comes with the package coco-experiment: uv pip install coco-experiment")
    sides = given.sides or available()
    if "wandb" in sides:
        wandb_python()
    tasks = [(side, name, seed, given.pending) for seed in range(given.seeds) for name in names for side in sides]
    records = measure(tasks, given.jobs, given.keep)
    print(f"{given.seeds} seeds, {given.pending} in flight\n")
    for runs in (HALFWAY, RUNS):
        print(table(records, runs, sides, names) + "\n")
    seconds = {side: statistics.mean(one["seconds"] for one in records if one["side"] == side) for side in sides}
    print("mean ms a suggestion: " + ", ".join(f"{side} {1000 * value:.0f}" for side, value in seconds.items()))


if __name__ == "__main__":
    main()
