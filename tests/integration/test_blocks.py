"""The run store as a block of the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import ValidationError

from blocks.run_store import RunStore
from tests.conftest import REPOSITORY, Home, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


@pytest.fixture
def registered(home: Home) -> Iterator[httpx.Client]:
    """The server with the block type as `prefect block register` leaves it; no document of it outlives the test."""
    done = home.run("prefect", "block", "register", "-m", "blocks", PREFECT_API_URL=home.api_url)
    assert done.returncode == 0, done.stdout + done.stderr
    with httpx.Client(base_url=home.api_url) as http:
        yield http
        found = http.get("/block_types/slug/launch-run-store/block_documents/name/default")
        if found.is_success:
            http.delete(f"/block_documents/{found.json()['id']}").raise_for_status()


def save_default(http: httpx.Client, path: Path) -> None:
    """Fill in the form of the Prefect UI."""
    kind = http.get("/block_types/slug/launch-run-store").raise_for_status().json()["id"]
    body = {"block_schemas": {"block_type_id": {"any_": [kind]}}}
    (schema,) = http.post("/block_schemas/filter", json=body).raise_for_status().json()
    assert schema["fields"]["required"] == ["path"]
    document = {"name": "default", "data": {"path": str(path)}, "block_type_id": kind, "block_schema_id": schema["id"]}
    http.post("/block_documents/", json=document).raise_for_status()


def test_the_block_gives_the_store_of_its_folder() -> None:
    assert RunStore(path="/data/launch").to_store().sources == Path("/data/launch/sources")
    assert RunStore(path="~/x").to_store().path == Path.home() / "x"


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(ValidationError, match="not absolute"):
        RunStore(path="store")


def test_runs_and_sweeps_use_the_default_document_of_the_server(
    home: Home, registered: httpx.Client, tmp_path: Path
) -> None:
    shared, code = tmp_path / "shared", tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text("import launch_sdk as launch\nlaunch.init(config={'x': 0}).log({'loss': 1})\n")
    save_default(registered, shared)
    assert home.run("launch", "queue", "create", "stores").returncode == 0
    agent = home.start("launch-agent", "--queues", "stores")
    try:
        document = {"program": "train.py", "method": "grid", "parameters": {"x": {"values": [1]}}}
        deployment = _deployment(registered, "run-sweep/stores")
        body = {"parameters": {"sweep": document, "source": str(code)}}
        run_id = (
            registered.post(f"/deployments/{deployment}/create_flow_run", json=body).raise_for_status().json()["id"]
        )

        def ended() -> str | None:
            state = registered.get(f"/flow_runs/{run_id}").raise_for_status().json()["state"]
            return state["type"] if state["type"] in {"COMPLETED", "FAILED", "CRASHED"} else None

        assert eventually(ended, "the sweep ended", 200) == "COMPLETED"
        packed = [path.name for path in (shared / "sources").glob("*.tar")]
        labels = registered.get(f"/flow_runs/{run_id}").raise_for_status().json()["labels"]
        assert packed == [labels["launch.source"].removeprefix("sha256:") + ".tar"]
        assert not (home.path / "store" / "sources" / packed[0]).exists()
        done = home.run("launch", str(code), "-E", "train.py", "-q", "stores", cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
    finally:
        agent.terminate()
        agent.communicate(timeout=60)


def _deployment(http: httpx.Client, name: str) -> str:
    return http.get(f"/deployments/name/{name}").raise_for_status().json()["id"]
