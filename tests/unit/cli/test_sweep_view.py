"""What the terminal shows of sweeps."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.cli.sweep_view import print_result, print_sweep
from launch_sdk.cli.sweeps import ACTIONS
from launch_sdk.client import LaunchClient
from launch_sdk.specs.document import Document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.runs import SweepRun
from launch_sdk.testing.fake_gateway import FakeGateway
from launch_sdk.views import SweepView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DOCUMENT = {
    "program": "train.py",
    "method": "random",
    "run_cap": 10,
    "metric": {"name": "loss"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}},
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LaunchClient]:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    with LaunchClient(FakeGateway()) as opened:
        yield opened


def view(state: RunState) -> SweepView:
    done = SweepRun(0, 0, "a", "run 0", RunState.FINISHED, {"lr": 0.5}, {"loss": 1.0}, started=0.0, ended=60.0)
    going = SweepRun(1, 0, "b", "run 1", RunState.RUNNING, {"lr": 0.1}, started=0.0)
    return SweepView("s", "s", state, parse_sweep(Document(DOCUMENT)), [done, going], {}, None, "http://ui", "default")


def test_a_running_sweep_says_what_runs_and_how_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    print_sweep(view(RunState.RUNNING))
    out = capsys.readouterr().out
    assert "1 running" in out
    assert "left" in out


@pytest.mark.parametrize("state", [RunState.LOST, RunState.CANCELLED, RunState.FAILED])
def test_a_sweep_that_is_over_says_neither(state: RunState, capsys: pytest.CaptureFixture[str]) -> None:
    print_sweep(view(state))
    print_result(view(state))
    for told in capsys.readouterr():
        assert "1/10 done, 1 not ended, 0 failed, best loss 1 (run 0)\n" in told


def _loss(parameters: Mapping[str, Any]) -> dict[str, Any]:
    del parameters
    return {"loss": 0.25}


def test_the_list_of_sweeps_shows_the_best_value_of_each(
    client: LaunchClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_text("")
    sweep = client.submit_sweep(Document({**DOCUMENT, "run_cap": 1}, directory=tmp_path))
    lists = ACTIONS["list"][1]
    lists(client, Namespace(limit=5, json=False))
    assert "loss" not in capsys.readouterr().out
    gateway = client._session.gateway  # pyright: ignore[reportPrivateUsage]  # the server is the test's own
    assert isinstance(gateway, FakeGateway)
    while not gateway.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    lists(client, Namespace(limit=5, json=False))
    assert "loss 0.25" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_the_runs_of_a_sweep_are_written_in_each_format(
    client: LaunchClient, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is optional")
    (tmp_path / "train.py").write_text("")
    sweep = client.submit_sweep(Document({**DOCUMENT, "run_cap": 2}, directory=tmp_path))
    gateway = client._session.gateway  # pyright: ignore[reportPrivateUsage]  # the server is the test's own
    assert isinstance(gateway, FakeGateway)
    while not gateway.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    path = tmp_path / f"runs.{kind}"
    ACTIONS["export"][1](client, Namespace(id=sweep.id, format=kind, output=str(path)))
    assert f"Wrote 2 runs to {path}." in capsys.readouterr().err
    frame = getattr(pandas, f"read_{kind}")(path)
    assert list(frame["index"]) == [0, 1]
    assert list(frame["metric"]) == [0.25, 0.25]
