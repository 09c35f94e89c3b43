"""Is a Bayesian sweep of the digits example worth it? The best of 24 real trainings, beside random search and defaults.

    .venv/bin/python benchmarks/digits.py [--methods bayes random] [--seeds 5] [--jobs 2] [--json FILE]

The space is `examples/digits/sweep.yaml`, the training `examples/digits/train.py`; the metric of a run is its last
epoch's, as a sweep takes it. Two runs are in flight at every suggestion but the first, and the older ends first: the
figures do not depend on how fast the machine is.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.specs.document import read_document
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.samplers import Observation, make_sampler
from launch_sdk.tracking.protocol import merge

if TYPE_CHECKING:
    from types import ModuleType

    from launch_sdk.specs.sweep_spec import SweepSpec

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "digits"
METHODS = ("bayes", "tpe", "random")
IN_FLIGHT = 2


@cache
def example() -> ModuleType:
    """Import the example's script, once in each process."""
    spec = importlib.util.spec_from_file_location("digits_train", EXAMPLE / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sweep_spec() -> SweepSpec:
    return parse_sweep(read_document(EXAMPLE / "sweep.yaml"))


def train(changes: dict[str, Any], metric: str) -> float | None:
    """Train once; None if the training fails, as a run with a diverging one does."""
    module = example()
    config = copy.deepcopy(module.CONFIG)
    merge(config, changes)
    try:
        *_, last = module.train(config)
    except ValueError:  # scikit-learn refuses weights that are no longer finite
        return None
    return float(last[metric])


def search(task: tuple[str, int, int]) -> list[float | None]:
    """Give the metric of each run of one sweep, in order; the arguments are method, seed and number of runs."""
    method, seed, runs = task
    spec = sweep_spec()
    assert spec.metric is not None
    sampler = make_sampler(method, goal=spec.metric.goal, seed=seed)
    observations: list[Observation] = []
    results: list[float | None] = []
    while len(results) < runs:
        while len(observations) < min(len(results) + IN_FLIGHT, runs):
            parameters = sampler.suggest(spec.space, observations, len(observations))
            assert parameters is not None
            observations.append(Observation(len(observations), parameters, None, "running"))
        oldest = observations[len(results)]
        value = train(dict(oldest.parameters), spec.metric.name)
        results.append(value)
        status = "failed" if value is None else "finished"
        observations[oldest.index] = Observation(oldest.index, oldest.parameters, value, status)
    return results


def best(results: list[float | None], runs: int, goal: str) -> float:
    """Give the best of the first `runs` results."""
    values = [value for value in results[:runs] if value is not None]
    return max(values) if goal == "maximize" else min(values)


def table(found: dict[str, list[list[float | None]]], runs: int, goal: str, default: float | None) -> str:
    """Write the best metric of each method after a half and all of the runs: the median and range over the seeds."""
    lines = [f"| best so far | after {runs // 2} runs | after {runs} runs | range over seeds |", "|---" * 4 + "|"]
    for method, sweeps in found.items():
        half, full = ([best(one, n, goal) for one in sweeps] for n in (runs // 2, runs))
        medians = f"{statistics.median(half):.4f} | {statistics.median(full):.4f}"
        lines.append(f"| {method} | {medians} | {min(full):.4f} to {max(full):.4f} |")
    return "\n".join([*lines, f"| the script's defaults, one run | {default:.4f} | {default:.4f} | |"])


def main() -> None:
    spec = sweep_spec()
    assert spec.metric is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["bayes", "random"], choices=METHODS)
    parser.add_argument("--runs", type=int, default=24, help="runs of each sweep")
    parser.add_argument("--seeds", type=int, default=5, help="sweeps of each method")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result to this file")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes below
    tasks = [(method, seed, given.runs) for method in given.methods for seed in range(given.seeds)]
    with ProcessPoolExecutor(given.jobs) as pool:
        default = pool.submit(train, {}, spec.metric.name).result()
        results = list(pool.map(search, tasks))
    found = {
        method: [values for (name, *_), values in zip(tasks, results, strict=True) if name == method]
        for method in given.methods
    }
    print(f"{spec.metric.name}, {given.seeds} seeds, {IN_FLIGHT} in flight\n")
    print(table(found, given.runs, spec.metric.goal, default))
    if given.json:
        given.json.write_text(json.dumps({"default": default, "results": found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
