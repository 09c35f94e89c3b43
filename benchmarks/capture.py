"""How long it takes to capture a work tree and to lay it out again, and what that puts into the store.

    python benchmarks/capture.py [--files 300 5000] [--rounds 15] [--json FILE]

Each repository is made in a temporary folder: Python files of 4 KB in folders of ten, all committed. "First" is the
first capture ever, "unchanged" and "one file changed" are later ones. Beside them: what git itself takes for the same
with an index of its own (`git add --all`, `git write-tree`), and a tar file of the folder.

"init()" is what it costs a script that somebody starts by hand, with the capture and without (`LAUNCH_DISABLE_CODE`),
in turns; "captured after" is the time from the beginning of `init()` until `code.json` is whole, by the clock of the
process that captures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from launch_sdk.sources.directory import pack_directory, unpack
from launch_sdk.sources.git_capture import capture
from launch_sdk.sources.git_pack import pack_work_tree
from launch_sdk.sources.git_replay import replay
from launch_sdk.sources.packed import GitSource

PROJECT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {
    **os.environ,
    **{f"GIT_{who}_{what}": "b@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[300, 5000], help="sizes of repositories")
    parser.add_argument("--rounds", type=int, default=15, help="rounds per figure (default: 15)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    document: dict[str, dict[str, float]] = {}
    for count in options.files:
        with tempfile.TemporaryDirectory() as folder:
            figures = Bench(Path(folder), count, options.rounds).measure()
        document[str(count)] = figures
        print(f"\n{count} files")
        for name, value in figures.items():
            print(f"  {name:<46} {value:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")


SCRIPT = """
import time, launch_sdk
launch_sdk.init
began = time.perf_counter()
run = launch_sdk.init()
print((time.perf_counter() - began) * 1e3, run.dir)
"""


class Bench:
    def __init__(self, base: Path, count: int, rounds: int) -> None:
        self.base, self.rounds = base, rounds
        self.root, self.captures, self.store = base / "work", base / "captures", base / "store"
        self._make(count)

    def measure(self) -> dict[str, float]:
        figures = {
            "first capture, ms": once(lambda: capture(self.root, self.captures)),
            "unchanged, ms": self._median(lambda: None, lambda: capture(self.root, self.captures)),
            "one file changed, ms": self._median(self._change, lambda: capture(self.root, self.captures)),
            "git add --all, git write-tree, unchanged, ms": self._median(lambda: None, self._git_alone),
            "first pack into the store, ms": once(self._pack),
            "pack, unchanged, ms": self._median(lambda: None, self._pack),
        }
        first = figures["store after the first pack, KB"] = self._stored()
        figures["capture and pack, one file changed, ms"] = self._median(self._change, self._pack)
        figures["store per changed file, KB"] = (self._stored() - first) / self.rounds
        source = GitSource.parse(self._pack())
        figures["lay out, ms"] = self._median(self._clear, lambda: replay(source, self.store, self.base / "out"))
        packed = pack_directory(self.root, self.base / "tar").source
        figures["tar file of the folder, ms"] = self._median(
            lambda: None, lambda: pack_directory(self.root, self.base / "tar")
        )
        figures["tar file laid out, ms"] = self._median(
            self._clear, lambda: unpack(packed, self.base / "tar", self.base / "out")
        )
        figures |= self._by_hand()
        figures["tar file, KB"] = max(path.stat().st_size for path in (self.base / "tar").iterdir()) / 1e3
        return figures

    def _by_hand(self) -> dict[str, float]:
        """Start a script as somebody at a terminal does."""
        (self.root / "train.py").write_text(SCRIPT)
        self._git("add", "train.py")
        self._git("commit", "-qm", "a script")
        time.sleep(1.1)
        self._init({})
        without, having, after = zip(*(self._round() for _ in range(self.rounds)), strict=True)
        return {
            "init() without capture, ms": statistics.median(without),
            "init() with capture, ms": statistics.median(having),
            "captured after, unchanged, ms": statistics.median(after),
        }

    def _round(self) -> tuple[float, float, float]:
        without, _ = self._init({"LAUNCH_DISABLE_CODE": "true"})
        having, after = self._init({})
        return without, having, after

    def _init(self, variables: dict[str, str]) -> tuple[float, float]:
        """Give what `init()` took, and after how long the code was captured, in ms."""
        environment = ENVIRONMENT | {"LAUNCH_HOME": str(self.base / "home"), "PYTHONPATH": str(PROJECT)} | variables
        command = [sys.executable, "train.py"]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=True)
        took, run_dir = done.stdout.split()
        deadline = time.monotonic() + 60
        while not variables and time.monotonic() < deadline:
            about = json.loads((Path(run_dir) / "code.json").read_text())["capture"]
            if about["state"] != "started":
                return float(took), (about["ended"] - about["started"]) * 1e3
            time.sleep(0.01)
        return float(took), 0.0

    def _git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.root, env=ENVIRONMENT, check=True)

    def _make(self, count: int) -> None:
        for number in range(count):
            path = self.root / f"package_{number // 100}" / f"part_{number // 10 % 10}" / f"module_{number}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(f"def f_{line}(x): return x * {number} + {line}" for line in range(110)))
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
            subprocess.run(["git", *words], cwd=self.root, env=ENVIRONMENT, check=True)
        tip = subprocess.run(["git", "rev-parse", "HEAD"], cwd=self.root, capture_output=True, check=True, text=True)
        for words in (
            ["remote", "add", "origin", "https://example.org/a.git"],
            ["update-ref", "refs/remotes/origin/main", tip.stdout.strip()],
        ):
            subprocess.run(["git", *words], cwd=self.root, check=True)
        time.sleep(1.1)  # files that were just written are hashed again

    def _median(self, before: Callable[[], object], measured: Callable[[], object]) -> float:
        figures: list[float] = []
        for _ in range(self.rounds):
            before()
            figures.append(once(measured))
        return statistics.median(figures)

    def _change(self) -> None:
        with (self.root / "package_0/part_0/module_0.py").open("a") as file:
            file.write("\n#")

    def _clear(self) -> None:
        shutil.rmtree(self.base / "out", ignore_errors=True)

    def _pack(self) -> str:
        return pack_work_tree(self.root, self.captures, self.store).source

    def _git_alone(self) -> None:
        environment = ENVIRONMENT | {"GIT_INDEX_FILE": str(self.base / "index")}
        for words in (["add", "--all"], ["write-tree"]):
            subprocess.run(["git", *words], cwd=self.root, env=environment, check=True, stdout=subprocess.DEVNULL)

    def _stored(self) -> float:
        return sum(path.stat().st_size for path in self.store.iterdir()) / 1e3


def once(measured: Callable[[], object]) -> float:
    started = time.perf_counter()
    measured()
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
