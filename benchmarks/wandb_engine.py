"""W&B's own search, in its own environment: parameters and runs in, a suggestion out, a line of JSON each.

Run by `regret.py` with the Python of an environment that has the package `sweeps`; it needs nothing else.
"""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
import sweeps


def suggest(question: dict) -> dict:
    config = {
        "method": question["method"],
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": question["parameters"],
    }
    runs = [
        sweeps.SweepRun(
            name=str(index),
            config={name: {"value": value} for name, value in values.items()},
            summary_metrics={} if loss is None else {"loss": loss},
            history=[] if loss is None else [{"loss": loss}],
            state="running" if loss is None else "finished",
        )
        for index, (values, loss) in enumerate(question["runs"])
    ]
    run = sweeps.next_run(config, runs)
    return {name: one["value"] for name, one in run.config.items()}


def plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def main() -> None:
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        question = json.loads(line)
        if "seed" in question:
            np.random.seed(question["seed"])  # noqa: NPY002  # it draws from NumPy's own state
        print(json.dumps({name: plain(value) for name, value in suggest(question).items()}), flush=True)


if __name__ == "__main__":
    main()
