"""`launch sweep dashboard`: Optuna's, on a copy, for this machine alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest

from launch_sdk.cli.dashboard import dashboard_server
from launch_sdk.client import LaunchClient
from launch_sdk.errors import ConflictError
from launch_sdk.specs.document import Document
from launch_sdk.testing.fake_gateway import FakeGateway
from launch_sdk.views import SweepView


@pytest.fixture
def view() -> SweepView:
    gateway = FakeGateway(jobs={"flow/job": "default"})
    document = {
        "job": "flow/job",
        "method": "grid",
        "name": "demo",
        "metric": {"name": "loss"},
        "parameters": {"x": {"values": [1, 2, 3]}},
    }
    with LaunchClient(gateway) as client:
        sweep = client.submit_sweep(Document(document))
        for _ in range(3):
            gateway.advance_sweep(sweep.id, lambda parameters: {"loss": parameters["x"]})
        return sweep.refresh()


@pytest.fixture
def address(view: SweepView) -> Iterator[str]:
    server = dashboard_server(view)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://{server.server_address[0]}:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_dashboard_shows_the_runs_of_a_sweep(address: str, view: SweepView) -> None:
    assert address.startswith("http://127.0.0.1:")
    (study,) = httpx.get(f"{address}/api/studies").raise_for_status().json()["study_summaries"]
    assert study["study_name"] == view.name
    details = httpx.get(f"{address}/api/studies/{study['study_id']}?after=0").raise_for_status().json()
    assert [trial["values"] for trial in details["trials"]] == [[1], [2], [3]]
    assert httpx.get(f"{address}/dashboard/").status_code == 200


def test_a_page_elsewhere_cannot_ask_it_through_a_name_of_its_own(address: str) -> None:
    refused = httpx.get(f"{address}/api/studies", headers={"Host": "evil.example"})
    assert refused.status_code == 403


def test_without_optunas_dashboard_it_is_said_what_to_install(view: SweepView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna_dashboard", None)
    with pytest.raises(ConflictError, match=r'pip install "launch-sdk\[dashboard\]"'):
        dashboard_server(view)
