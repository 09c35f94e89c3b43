"""What does early stopping save, and what does it cost? A surrogate with learning curves, no server.

    .venv/bin/python benchmarks/early_stop.py                 10 seeds, 81 runs of 81 iterations, 8 at once
    .venv/bin/python benchmarks/early_stop.py --json          the same as one JSON document

Every rule sees the same runs: random points of a space of learning rate, capacity and regularisation, each with a curve
that falls by a power law to an end of its own. A high learning rate learns fast and capacity slows it down, so early
values mislead. One value per run and tick of the clock; a rule is asked after every tick, and the place of a run that
it ends is taken by the next one.

* work: iterations done, as a share of all runs to their end;
* lost: how much worse the best run's last value is than that of all runs to their end, in units of the spread between
  the best and the median run; 0 means that the best run was found;
* same: at how many of the seeds the very best run came through;
* ms: processor time of one decision about the whole sweep, at its end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from launch_sdk.specs.document import Document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.early_stop import Curve, EarlyStop, History, make_early_stop

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES: dict[str, Any] = {
    "all to the end": None,
    "hyperband, min_iter 3": {"type": "hyperband", "min_iter": 3},
    "hyperband, min_iter 3, not strict": {"type": "hyperband", "min_iter": 3, "strict": False},
    "hyperband, max_iter 81, s 3": {"type": "hyperband", "max_iter": 81, "s": 3},
    "asha, min_iter 3": {"type": "asha", "min_iter": 3},
    "asha, min_iter 3, promotion": {"type": "asha", "min_iter": 3, "form": "promotion"},
    "asha, min_iter 3, eta 2": {"type": "asha", "min_iter": 3, "eta": 2},
    "median, min_iter 3": {"type": "median", "min_iter": 3},
    "optuna SuccessiveHalving": {
        "type": "optuna",
        "pruner": "SuccessiveHalvingPruner",
        "args": {"min_resource": 3, "reduction_factor": 3},
    },
    "optuna Hyperband": {
        "type": "optuna",
        "pruner": "HyperbandPruner",
        "args": {"min_resource": 3, "max_resource": 81},
    },
    "optuna Median": {"type": "optuna", "pruner": "MedianPruner", "args": {"n_warmup_steps": 3}},
}


@dataclass(frozen=True)
class Result:
    work: int
    best: float
    found: int
    decision_ms: float


def learning_curves(seed: int, runs: int, length: int) -> np.ndarray:
    """Give the value of each run (row) at each iteration (column)."""
    draw = np.random.default_rng(seed)
    rate, capacity, decay = draw.random((3, runs))
    end = 0.1 + 0.8 * ((rate - 0.6) ** 2 + (capacity - 0.7) ** 2 + (decay - 0.3) ** 2)
    speed = 0.5 + 0.8 * rate - 0.3 * capacity
    iterations = np.arange(1, length + 1)
    noise = draw.normal(0.0, 0.01, (runs, length))
    return end[:, None] + (2.3 - end[:, None]) * iterations[None, :] ** -speed[:, None] + noise


def run_sweep(rule: EarlyStop | None, curves: np.ndarray, workers: int) -> Result:
    """Go through a sweep tick by tick."""
    histories: list[History] = []
    active: list[int] = []
    runs, length = curves.shape
    tick = 0
    while active or len(histories) < runs:
        while len(active) < workers and len(histories) < runs:
            active.append(len(histories))
            histories.append(History(f"r{len(histories)}", len(histories), Curve()))
        tick += 1
        for index in active:
            curve = histories[index].curve
            curve.add(curve.count, float(curves[index, curve.count]), float(tick))
        ended = {index: RunState.FINISHED for index in active if histories[index].curve.count == length}
        for run_id, _ in rule.decide(histories) if rule else ():
            ended.setdefault(int(run_id[1:]), RunState.STOPPED)
        for index, state in ended.items():
            histories[index] = replace(histories[index], state=state, ended=float(tick))
        active = [index for index in active if index not in ended]
    finished = [each for each in histories if each.state is RunState.FINISHED]
    best = min(finished, key=lambda each: each.values[-1])
    return Result(
        sum(each.curve.count for each in histories), best.values[-1], best.index, _decision_ms(rule, histories)
    )


def _decision_ms(rule: EarlyStop | None, histories: Sequence[History]) -> float:
    """Measure a decision about the last eight runs beside all others."""
    if rule is None:
        return 0.0
    last = [*histories[:-8], *(replace(each, state=RunState.RUNNING, ended=None) for each in histories[-8:])]
    before = time.process_time()
    for _ in range(3):
        list(rule.decide(last))
    return (time.process_time() - before) / 3 * 1000


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    rule = _rule(RULES[name])
    rows: list[tuple[float, float, bool, float]] = []
    for seed in range(options.seeds):
        curves = learning_curves(seed, options.runs, options.length)
        last = curves[:, -1]
        spread = float(np.median(last) - last.min())
        result = run_sweep(rule, curves, options.workers)
        share = result.work / curves.size
        rows.append(
            (share, (result.best - float(last.min())) / spread, result.found == last.argmin(), result.decision_ms)
        )
    work, lost, same, cost = zip(*rows, strict=True)
    return {
        "rule": name,
        "work": statistics.median(work),
        "lost": statistics.median(lost),
        "worst_lost": max(lost),
        "same": sum(same),
        "decision_ms": statistics.median(cost),
    }


def _rule(block: dict[str, Any] | None) -> EarlyStop | None:
    if block is None:
        return None
    sweep = {"program": "t.py", "method": "random", "metric": {"name": "loss"}, "parameters": {"x": {"value": 1}}}
    return make_early_stop(parse_sweep(Document({**sweep, "early_terminate": block})).early_stop, goal="minimize")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("seeds", 10), ("runs", 81), ("length", 81), ("workers", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [measure(name, options) for name in RULES]
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{options.runs} runs of {options.length} iterations, {options.workers} at once, {options.seeds} seeds")
    print(f"{'rule':36}{'work':>8}{'lost':>8}{'(worst)':>9}{'same':>8}{'ms':>8}")
    for row in rows:
        same = f"{row['same']}/{options.seeds}"
        numbers = f"{row['work']:8.1%}{row['lost']:8.3f}{row['worst_lost']:9.3f}{same:>8}{row['decision_ms']:8.1f}"
        print(f"{row['rule']:36}{numbers}")


if __name__ == "__main__":
    main()
