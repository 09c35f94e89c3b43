"""Runs in containers of this machine's engine, without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.containers.engine import Engine
from launch_sdk.containers.settled import Surroundings
from launch_sdk.runs.execute import Outcome, execute
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.queue_containers import QueueContainers
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.tracking import protocol
from tests.engines import containers_of, engine, shell_image


@dataclass
class Trial:
    """What a run has left."""

    outcome: Outcome
    run: RunDirectory
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Lab:
    """Makes runs of scripts, each with a home and a folder of its own."""

    folder: Path
    engine: Engine
    name: str
    count: int = 0
    on_lines: Callable[[list[str]], None] = field(default=lambda _: None)

    def spec(self, script: str | None, container: Mapping[str, Any] | None, **more: Any) -> RunSpec:
        source = self.folder / f"source-{self.count}"
        source.mkdir(exist_ok=True)
        program = "run.sh" if script is not None and script.startswith("#!") else "run.py"
        values: dict[str, Any] = {"source": str(source), "entry_point": [program], "container": container}
        if script is not None:
            (source / program).write_text(script)
            values |= {"entry_point": ["sh", program]} if program.endswith(".sh") else {}
        return RunSpec.from_dict(values | more)

    def run(
        self,
        script: str | None,
        container: Mapping[str, Any] | None = None,
        *,
        queue: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        engine: str | None = None,
        attempt: int = 1,
        **more: Any,
    ) -> Trial:
        """Run a script to its end; `queue` is what the owner of its queue says of containers."""
        if attempt == 1:
            self.count += 1
        return asyncio.run(
            self.running(script, container, queue=queue, env=env, engine=engine, attempt=attempt, **more)
        )

    async def running(
        self,
        script: str | None,
        container: Mapping[str, Any] | None = None,
        *,
        queue: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        engine: str | None = None,
        attempt: int = 1,
        **more: Any,
    ) -> Trial:
        settled = None if queue is None else QueueContainers.from_arguments(queue)
        around = Surroundings("q" if settled else None, settled, env or {}, {"run_id": "r"}, engine)
        run = RunDirectory.of(self.run_id)
        lines: list[str] = []

        def take(new: list[str]) -> None:
            lines.extend(new)
            self.on_lines(new)

        identity = {protocol.RUN_ID: self.run_id, protocol.ATTEMPT: str(attempt)}
        spec = self.spec(script, container, **more)
        outcome = await execute(spec, run, store=RunStore.local(), identity=identity, on_lines=take, around=around)
        return Trial(outcome, run, lines)

    @property
    def run_id(self) -> str:
        return f"containers-{self.name}-{self.count}"

    def left(self) -> list[str]:
        """Name the containers of its runs that are left."""
        return containers_of(self.engine.api, f"containers-{self.name}-")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    return Lab(tmp_path, engine(), f"{time.monotonic_ns() % 10**9}")


@pytest.fixture
def shell() -> str:
    return shell_image(engine().api)
