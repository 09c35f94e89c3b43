"""What a run leaves on the server at its end, and who is said to have given each value of its config."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from launch_sdk._prefect import names
from launch_sdk._prefect.run_ending import MAX_LABEL, write_end
from launch_sdk.cli.groups import given_by, with_provenance
from launch_sdk.runs.run_directory import RunDirectory
from launch_sdk.specs.run_state import RunState
from launch_sdk.tracking.protocol import write_code
from launch_sdk.tracking.values import loads
from launch_sdk.views import RunView

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient

RUN_ID = "0" * 8 + "-0000-0000-0000-" + "0" * 12
GIVEN_BY: dict[str, Any] = {
    "lr": [{"layer": "init", "value": 0.1}, {"layer": "script", "value": 0.2}, {"layer": "launch", "value": 0.5}],
    "key": [{"layer": "init", "value": "hush"}],
}
PROVENANCE = {"version": 1, "values": GIVEN_BY}
SCHEMA = {"type": "object", "properties": {"key": {"type": "string", "format": "secret"}}}
INPUTS: dict[str, Any] = {"config": {"include": [], "exclude": [], "schema": SCHEMA}, "files": {}}


class Labels:
    """Keeps what is written, as the one call of Prefect's client that is made would."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    async def update_flow_run_labels(self, flow_run_id: UUID, labels: dict[str, Any]) -> None:
        assert str(flow_run_id) == RUN_ID
        self.written.append(labels)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path))
    run = RunDirectory.of(RUN_ID)
    run.path.mkdir(parents=True)
    records: list[dict[str, Any]] = [{"config": {"lr": 0.5, "key": "hush"}}, {"inputs": INPUTS}]
    run.records.write_text("".join(json.dumps({"time": 1.0, **record}) + "\n" for record in records))
    (run.path / "provenance.json").write_text(json.dumps(PROVENANCE))
    write_code(run.path, {"source": "sha256:0", "left_out": {".env": "looks like a secret"}})
    return run


LOCK = {
    "python": "3.11.7",
    "prefix": "/venv",
    "packages": [{"name": "six", "version": "1"}],
    "from": "requirements.txt",
}


def test_what_a_run_ran_with_is_kept_but_for_the_runs_of_a_sweep(run: RunDirectory) -> None:
    (run.path / "environment.json").write_text(json.dumps(LOCK))
    written, _ = _labels_of(run, {})
    assert written[names.LOCK] == {key: value for key, value in LOCK.items() if key != "prefix"}
    labels = Labels()
    asyncio.run(write_end(cast("PrefectClient", labels), RUN_ID, run, {}, is_of_sweep=True))
    assert names.LOCK not in labels.written[0]


def _labels_of(run: RunDirectory, summary: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    labels = Labels()
    left_out = asyncio.run(write_end(cast("PrefectClient", labels), RUN_ID, run, summary))
    assert len(labels.written) == 1
    return {name: loads(text) for name, text in labels.written[0].items()}, left_out


def test_config_inputs_provenance_and_summary_are_written_in_one_call_without_secrets(run: RunDirectory) -> None:
    labels, left_out = _labels_of(run, {"loss": float("nan")})
    assert left_out == []
    assert str(labels[names.SUMMARY]["loss"]) == "nan"
    assert labels[names.CONFIG] == {"lr": 0.5}
    assert labels[names.INPUTS] == INPUTS
    assert labels[names.CODE] == {"source": "sha256:0", "left_out": {".env": "looks like a secret"}}
    assert labels[names.PROVENANCE] == {"lr": GIVEN_BY["lr"]}
    assert "hush" not in json.dumps(labels[names.PROVENANCE])


def test_a_broken_schema_still_says_what_is_secret(run: RunDirectory) -> None:
    schema = {**SCHEMA, "type": "objekt"}
    record = {"time": 2.0, "inputs": {**INPUTS, "config": {**INPUTS["config"], "schema": schema}}}
    run.records.write_text(run.records.read_text() + json.dumps(record) + "\n")
    assert _labels_of(run, {})[0][names.CONFIG] == {"lr": 0.5}


def test_what_is_too_large_is_left_out_and_named_but_never_the_summary(run: RunDirectory) -> None:
    record = {"time": 2.0, "config": {"text": "x" * MAX_LABEL}}
    run.records.write_text(json.dumps(record) + "\n")
    labels, left_out = _labels_of(run, {"text": "y" * MAX_LABEL})
    assert left_out == [names.CONFIG]
    assert len(labels[names.SUMMARY]["text"]) == MAX_LABEL


def _view(provenance: Any = None) -> RunView:
    nothing: dict[str, Any] = {}
    return RunView(
        run_id=RUN_ID,
        name="n",
        state=RunState.FINISHED,
        job=None,
        queue=None,
        parameters=nothing,
        summary=nothing,
        created=None,
        started=None,
        ended=None,
        error=None,
        url=None,
        provenance=provenance,
    )


def test_who_gave_a_value_is_read_from_the_server_else_from_the_directory(run: RunDirectory) -> None:
    assert run.path.exists()
    of_server = {"lr": [{"layer": "init", "value": 1}]}
    assert with_provenance(_view(of_server)).provenance == of_server
    here = with_provenance(_view())
    assert here.to_json()["provenance"] == GIVEN_BY
    assert here.provenance is not None
    assert given_by(here.provenance["lr"]) == "launch, over 0.2 of script, 0.1 of init"
    assert (given_by(here.provenance["key"]), given_by(None)) == ("init", "")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"values": 3}', '{"values": {"a": 3}}'])
def test_a_document_that_is_none_says_nothing(run: RunDirectory, text: str) -> None:
    (run.path / "provenance.json").write_text(text)
    assert run.provenance() == {}
