"""The server with the test flows' project, and agents that never outlive their test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.integration.agent.lab import AGENT, FLOWS, Agent, Server, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = tmp_path_factory.mktemp("project")
    (project / "flows").mkdir()
    (project / "flows" / "__init__.py").touch()  # a package, as the product's own: a checkout's would hide it otherwise
    (project / "flows" / "mine.py").write_text(FLOWS)
    with httpx.Client(base_url=prefect_server, timeout=30) as http:
        yield Server(prefect_server, project, http)


@pytest.fixture
def agent(server: Server, tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    agents: list[Agent] = []

    def start(*queues: str, **options: Any) -> Agent:
        log = tmp_path / f"agent-{len(agents)}.log"
        env = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        env |= {"PREFECT_API_URL": server.url, "PREFECT_HOME": str(tmp_path / "home"), "DO_NOT_TRACK": "1"}
        env["PREFECT_WORKER_QUERY_SECONDS"] = str(options.pop("polls_every_s", 10))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", AGENT, json.dumps(options | {"queues": queues})],
                env=env,
                cwd=tmp_path,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        agents.append(Agent(process, log))
        until(lambda: "serves" in agents[-1].text or process.poll() is not None, "the agent serves")
        assert process.poll() is None, agents[-1].text
        return agents[-1]

    yield start
    for one in agents:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(20)
