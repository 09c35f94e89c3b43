"""How long an image of a run's code takes: a cold one, one whose source has changed, and one that is there.

Needs a Docker engine and `launch-base:bookworm` (scripts/engine up PIDFILE). The packages come from the index.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from launch_sdk.containers.build import BuildRequest, JobImage, job_image
from launch_sdk.containers.engine import connect
from launch_sdk.containers.images import Images
from launch_sdk.runs.store import RunStore

BASE = "launch-base:bookworm"
REPEATS = 3


def main() -> None:
    engine = connect()
    made: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        store = RunStore(top / "store")
        code = top / "code"
        code.mkdir()

        def build(text: str, packages: str) -> tuple[float, JobImage]:
            """Change the code, and have its image; the time is that from the code's copy to the image."""
            (code / "train.py").write_text(text)
            (code / "requirements.txt").write_text(packages)
            pack = store.put_directory(code)
            work = top / f"work-{time.monotonic_ns()}"
            request = BuildRequest(pack.source, work, store.lay_out(pack.source, work), ("train.py",), base_image=BASE)
            began = time.perf_counter()
            image = asyncio.run(job_image(Images(engine.api, top / "locks", lambda _: None), request))
            made.append(image.reference)
            return time.perf_counter() - began, image

        times: dict[str, list[float]] = {"cold": [], "source changed": [], "unchanged": []}
        for _ in range(REPEATS):
            stamp = time.monotonic_ns()
            packages = f"colorama==0.4.6\nsix==1.17.0 ; '{stamp}' != ''\n"  # the stamp makes it another environment
            for kind, text in (("cold", "1"), ("source changed", "2"), ("unchanged", "2")):
                took, image = build(f"print({text}, {stamp})\n", packages)
                assert image.was_built is (kind != "unchanged")
                times[kind].append(took)
    for kind, values in times.items():
        shown = ", ".join(f"{value:.3f}" for value in values)
        print(f"{kind:15} median {statistics.median(values):.3f} s   ({shown})")
    for reference in dict.fromkeys(made):
        engine.api.remove_image(reference, force=True)


if __name__ == "__main__":
    main()
