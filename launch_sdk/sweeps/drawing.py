"""A process that draws: `python -m launch_sdk.sweeps.drawing`, one chart a line in, its pictures a line out, as JSON.

Why a process: drawing costs a third to half a second of CPU and matplotlib's import another third, which would hold up
the sweep's own loop, and 60 MB that its process would keep. It runs at low priority, beside the programs.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from launch_sdk.sweeps.chart import Chart, ChartRun
from launch_sdk.sweeps.pictures import Picture, draw

if TYPE_CHECKING:
    from types import TracebackType

NICENESS = 10
STOP_TIMEOUT_S = 5.0
# Drawn before anybody asks, for the imports and the fonts.
WARM_UP = Chart("warm-up", "minimize", [ChartRun(index, float(index), {"a": index}, is_over=True) for index in (0, 1)])


class DrawingProcess:
    """Draws charts in a process of its own. Start it early: it imports what it needs while nobody waits.

    It ends with `close`, or when the process that started it is gone.
    """

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process unless it runs; returns at once."""
        if self.process is not None and self.process.poll() is None:
            return
        self.close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "launch_sdk.sweeps.drawing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def draw(self, chart: Chart) -> list[Picture]:
        """Draw one chart; waits until it is done. For one thread at a time.

        Raises:
            RuntimeError: the process has ended, or the chart could not be drawn.
        """
        self.start()
        process = self.process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("The drawing process was closed.")
        try:
            process.stdin.write(json.dumps(chart.to_json()) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except (OSError, ValueError) as error:
            raise RuntimeError(f"The drawing process has ended: {error}") from error
        if not answer:
            raise RuntimeError(f"The drawing process has ended with exit code {process.wait(STOP_TIMEOUT_S)}.")
        document = json.loads(answer)
        if "error" in document:
            raise RuntimeError(f"The pictures could not be drawn: {document['error']}")
        return [Picture(**picture) for picture in document["pictures"]]

    def close(self) -> None:
        """End the process; may be called more than once."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()  # it keeps nothing
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        process.wait(STOP_TIMEOUT_S)


def main() -> None:
    """Draw what comes in until there is no more."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    draw(WARM_UP)
    for line in sys.stdin:
        try:
            answer = {"pictures": [asdict(picture) for picture in draw(Chart.from_json(json.loads(line)))]}
        except Exception as error:  # noqa: BLE001  # whatever it is, the sweep goes on and says so
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    main()
