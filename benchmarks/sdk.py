"""What the SDK costs a training script: import time and time per `log()`, beside `wandb`.

Each figure is the median over fresh processes; the programs take turns, so that a busy machine burdens them alike.

    python benchmarks/sdk.py [--rounds 10] [--calls 20000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT_ROOT = Path(__file__).resolve().parents[1]
IMPORTS = {
    "python -c pass": "pass",
    "import launch_sdk, first use": "import launch_sdk; launch_sdk.init",
    "import wandb": "import wandb; wandb.init",
}
# Each script prints the seconds that one call takes; the first calls, which load code, are left out.
_LOOP = """
import time
for n in range(1000): log({{"loss": n * 0.1234567, "acc": 1 / (n + 1)}})
began = time.perf_counter()
for n in range({calls}): log({{"loss": n * 0.1234567, "acc": 1 / (n + 1)}})
took = (time.perf_counter() - began) / {calls}
print(took)
"""
LOGS = {
    "launch_sdk log()": "import launch_sdk; log = launch_sdk.init().log" + _LOOP,
    "wandb log(), offline": "import wandb; run = wandb.init(project='benchmark'); log = run.log" + _LOOP,
}
INIT = "import time; began = time.perf_counter(); {code}; print(time.perf_counter() - began)"
INITS = {
    "launch_sdk init()": INIT.format(code="import launch_sdk; launch_sdk.init()"),
    "wandb init(), offline": INIT.format(code="import wandb; wandb.init(project='benchmark')"),
}


class Figure(NamedTuple):
    """One line of the table: the seconds of each round."""

    name: str
    seconds: list[float]

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


def main() -> None:
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        logs = {name: code.format(calls=options.calls) for name, code in LOGS.items()}
        tables = {
            "import (whole process)": measure(IMPORTS, lambda code: time_process(code, place), options.rounds),
            "import and init()": measure(INITS, lambda code: ask_process(code, place), options.rounds),
            "one call of log()": measure(logs, lambda code: ask_process(code, place), options.rounds),
        }
    for title, figures in tables.items():
        print_table(title, figures)
    imports = tables["import (whole process)"]
    print(f"\nimport launch_sdk adds {(imports[1].median_s - imports[0].median_s) * 1e3:.1f} ms to python -c pass")
    if options.json:
        document = {title: {f.name: f.seconds for f in figures} for title, figures in tables.items()}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="processes per figure (default: 10)")
    parser.add_argument("--calls", type=int, default=20_000, help="calls of log() per process (default: 20000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the seconds of each round to FILE")
    return parser.parse_args()


def measure(programs: dict[str, str], measured: Callable[[str], float], rounds: int) -> list[Figure]:
    """Measure each program once per round, in turns, after one round that only warms the file cache."""
    figures = [Figure(name, []) for name in programs]
    for code in programs.values():
        measured(code)
    for _ in range(rounds):
        for figure, code in zip(figures, programs.values(), strict=True):
            figure.seconds.append(measured(code))
    return figures


def time_process(code: str, place: Path) -> float:
    """Return the seconds from start to end of a process."""
    began = time.perf_counter()
    ask(code, place)
    return time.perf_counter() - began


def ask_process(code: str, place: Path) -> float:
    """Return the number that a process prints last."""
    return float(ask(code, place).splitlines()[-1])


def ask(code: str, place: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "PYTHONPATH": str(PROJECT_ROOT),
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
    }
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True, text=True)
    return result.stdout


def print_table(title: str, figures: list[Figure]) -> None:
    """Print medians, and how many times the smallest of our own figures each one is."""
    print(f"\n{title:<30} {'median':>12} {'min':>12} {'max':>12} {'ratio':>8}")
    for figure in figures:
        columns = [f"{value * 1e6:>9,.1f} us" for value in (figure.median_s, min(figure.seconds), max(figure.seconds))]
        print(f"{figure.name:<30} {' '.join(columns)} {figure.median_s / figures[0].median_s:>7.1f}x")


if __name__ == "__main__":
    main()
