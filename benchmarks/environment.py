"""From a submitted source to the first line of its program, in an environment of its own, beside `venv` and `pip`.

Both sides install the same twelve packages from the same index, with their own download caches warm; each round has
a new LAUNCH_HOME: "cold" makes an environment, "warm" finds it, and "one more" is the same with one package more.

    python benchmarks/environment.py [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from launch_sdk.runs.execute import execute
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.run_spec import RunSpec

PACKAGES = (
    *("six", "idna", "attrs", "packaging", "click", "certifi"),
    *("urllib3", "jinja2", "rich", "pygments", "tqdm", "pyyaml"),
)
ONE_MORE = "toolz"
PROGRAM = "import time; print(time.time(), flush=True); import rich, yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="launch-bench-") as name:
        one_round(Path(name) / "unmeasured")  # fills the caches of both installers
        rounds = [one_round(Path(name) / str(number)) for number in range(options.rounds)]
    figures = {key: [one[key] for one in rounds] for key in rounds[0]}
    for ours, theirs in (("cold", "venv + pip"), ("one more", "venv + pip, one more"), ("warm", "venv there")):
        mine, other = statistics.median(figures[ours]), statistics.median(figures[theirs])
        print(f"{ours:10} {mine:7.3f} s   {theirs:22} {other:7.3f} s   ratio {other / mine:.1f}")
    print(f"current    {statistics.median(figures['current']):7.3f} s")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def one_round(folder: Path) -> dict[str, float]:
    source = folder / "source"
    source.mkdir(parents=True)
    os.environ["LAUNCH_HOME"] = str(folder / "home")
    (source / "main.py").write_text(PROGRAM)
    found: dict[str, float] = {}
    require(source, PACKAGES)
    found["current"] = launched(source, "current")
    found["cold"] = launched(source, "auto")
    found["warm"] = launched(source, "auto")
    found["venv + pip"] = by_hand(source, folder / "venv")
    found["venv there"] = started(source, folder / "venv")
    require(source, (*PACKAGES, ONE_MORE))
    found["one more"] = launched(source, "auto")
    found["venv + pip, one more"] = by_hand(source, folder / "venv2")
    return found


def require(source: Path, packages: tuple[str, ...]) -> None:
    (source / "requirements.txt").write_text("".join(f"{name}\n" for name in packages))


def launched(source: Path, environment: str) -> float:
    """Return the seconds from a spec to the first line that its program prints."""
    run, lines = RunDirectory.of(environment), list[str]()
    began = time.time()
    spec = RunSpec(str(source), environment=environment)
    outcome = asyncio.run(execute(spec, run, store=RunStore.local(), identity={}, on_lines=lines.extend))
    assert outcome.succeeded, outcome.error
    return float(next(line for line in lines if not line.startswith("launch:"))) - began


def by_hand(source: Path, place: Path) -> float:
    """Return the seconds that a new virtual environment and pip take to the first line of the program."""
    began = time.time()
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    words = [place / "bin" / "python", "-m", "pip", "install", "-q", "-r", source / "requirements.txt"]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    return time.time() - began + started(source, place)


def started(source: Path, place: Path) -> float:
    began = time.time()
    done = subprocess.run(
        [place / "bin" / "python", source / "main.py"], check=True, capture_output=True, text=True
    ).stdout
    return float(done) - began


if __name__ == "__main__":
    main()
