"""Jobs and edits through the Python API, over a server in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.api import Api, launch
from launch_sdk.client import LaunchClient
from launch_sdk.errors import ConflictError, InvalidSpecError, NotFoundError
from launch_sdk.specs.document import Document
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.testing.fake_gateway import FakeGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKED = RunSpec("sha256:" + "0" * 64, ("train.py",))
RECORDED = {"trainer": {"lr": 0.1, "steps": 3}, "seed": 1}


@pytest.fixture
def server() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def client(server: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LaunchClient]:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    with LaunchClient(server) as opened:
        yield opened


@pytest.fixture
def finished(client: LaunchClient, server: FakeGateway) -> str:
    run = client.launch(PACKED)
    server.finish_run(run.id, summary={"loss": 1.0}, config=RECORDED)
    return run.id


def test_a_job_made_of_a_run_takes_what_the_run_recorded(client: LaunchClient, finished: str) -> None:
    job = client.create_job_from_run(finished, name="digits")
    assert (job.name, job.version, job.aliases, job.queue) == ("digits", "v0", ("latest",), "default")
    assert job.inputs is not None
    run = client.launch_own_job("digits:latest", config={"trainer": {"lr": 0.5}}, name="n").refresh()
    assert (run.job, run.config, run.name) == ("digits", {"trainer": {"lr": 0.5}}, "n")
    assert run.spec is not None
    assert run.spec.source == PACKED.source
    with pytest.raises(InvalidSpecError) as refused:
        client.launch_own_job("digits", config={"trainer": {"lr": "x", "step": 1}, "sed": 2})
    assert {fault.path for fault in refused.value.faults} == {"config.trainer.lr", "config.trainer.step", "config.sed"}
    assert len(client.runs()) == 2


def test_declared_inputs_are_what_the_job_takes(client: LaunchClient, server: FakeGateway) -> None:
    run = client.launch(PACKED)
    declared = {"config": {"include": [["trainer"]], "exclude": [["trainer", "steps"]], "schema": None}, "files": {}}
    server.finish_run(run.id, config=RECORDED, inputs=declared)
    client.create_job_from_run(run.id, name="digits")
    with pytest.raises(InvalidSpecError, match=r"config\.seed: is no input"):
        client.launch_own_job("digits", config={"seed": 2})


def test_the_same_content_is_the_same_version_and_other_content_the_next(client: LaunchClient) -> None:
    assert [client.create_job(PACKED, name="digits").version for _ in range(2)] == ["v0", "v0"]
    other = RunSpec(PACKED.source, ("other.py",))
    assert client.create_job(other, name="digits").version == "v1"
    assert client.job("digits:v1").spec.entry_point == ("other.py",)
    assert client.job("digits:v0").spec.entry_point == ("train.py",)
    with pytest.raises(NotFoundError, match=r"'digits' has no 'v2'; there are 'latest', 'v1', 'v0'"):
        client.job("digits:v2")
    assert [job.name for job in client.jobs()] == ["digits"]


def test_a_job_of_code_takes_anything_until_it_has_run(client: LaunchClient, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text("print(1)")
    job = client.create_job(RunSpec(str(code), ("train.py",), project="demo"))
    assert (job.name, job.inputs) == ("demo-train", None)
    assert job.spec.source.startswith("sha256:")
    client.launch_own_job("demo-train", config={"anything": 1}, files={"a.yaml": {"b": 1}})


def test_a_run_that_failed_or_is_a_flows_own_makes_no_job(client: LaunchClient, server: FakeGateway) -> None:
    failed = client.launch(PACKED)
    server.finish_run(failed.id, RunState.FAILED)
    with pytest.raises(ConflictError, match=r"is failed\. A job is made of a run that has finished"):
        client.create_job_from_run(failed.id)
    server.add_job("flow/demo")
    foreign = client.launch_job("flow/demo", {})
    server.finish_run(foreign.id)
    with pytest.raises(ConflictError, match="A deployment is a job already"):
        client.create_job_from_run(foreign.id)


def test_a_job_is_not_named_like_somebodys_flow_and_stays_on_its_queue(
    client: LaunchClient, server: FakeGateway
) -> None:
    server.add_job("flow/demo")
    with pytest.raises(ConflictError, match="'flow' is the name of a flow"):
        client.create_job(PACKED, name="flow")
    client.create_queue("gpu")
    client.create_job(PACKED, name="digits", queue="gpu")
    with pytest.raises(ConflictError, match="'digits' is on queue 'gpu'"):
        client.create_job(PACKED, name="digits", queue="default")
    assert client.create_job(PACKED, name="digits").queue == "gpu"


def test_on_another_queue_a_job_runs_with_its_own_spec(client: LaunchClient) -> None:
    client.create_queue("gpu")
    client.create_job(PACKED, name="digits")
    view = client.launch_own_job("digits", queue="gpu").refresh()
    assert (view.queue, view.job) == ("gpu", "digits")


def test_a_deleted_job_is_not_found_and_its_runs_stay(client: LaunchClient) -> None:
    client.create_job(PACKED, name="digits")
    run = client.launch_own_job("digits")
    client.delete_job("digits")
    with pytest.raises(NotFoundError, match="'digits' does not exist; there are none yet"):
        client.job("digits")
    assert run.refresh().job == "digits"


def _sweep(**parameters: Any) -> Document:
    return Document({"method": "grid", "job": "digits", "parameters": parameters})


def test_a_sweep_of_a_job_is_checked_whole_before_it_starts(client: LaunchClient, finished: str) -> None:
    client.create_job_from_run(finished, name="digits")
    with pytest.raises(InvalidSpecError) as refused:
        client.submit_sweep(_sweep(sed={"value": 1}, seed={"values": [1, 2.5]}))
    assert [fault.path for fault in refused.value.faults] == ["parameters.sed", "parameters.seed"]
    assert client.sweeps() == []
    sweep = client.submit_sweep(_sweep(seed={"values": [1, 2]}))
    assert sweep.refresh().queue == "default"


def test_a_dotted_name_of_a_nested_input_is_refused_with_the_way_to_write_it(
    client: LaunchClient, finished: str
) -> None:
    client.create_job_from_run(finished, name="digits")
    with pytest.raises(InvalidSpecError, match=re.escape("a nested value is trainer: {parameters: {lr: ...}}")):
        client.submit_sweep(_sweep(**{"trainer.lr": {"values": [0.1]}}))


def test_config_and_summary_are_changed_after_the_end_and_stay_so(
    client: LaunchClient, server: FakeGateway, finished: str
) -> None:
    run = client.run(finished)
    assert run.config == RECORDED
    run.config["bar"] = 32
    run.config["trainer"]["lr"] = 0.7
    del run.config["seed"]
    run.summary["x"] = 1
    assert client.run(finished).config == RECORDED
    run.update()
    again = LaunchClient(server).run(finished)
    assert again.config == {"trainer": {"lr": 0.7, "steps": 3}, "bar": 32}
    assert again.summary == {"loss": 1.0, "x": 1}
    again.config["seed"] = 5
    again.update()
    assert run.config["seed"] == 5
    assert run.config["bar"] == 32


def test_unsaved_changes_stay_while_the_run_goes_on(client: LaunchClient, server: FakeGateway) -> None:
    run = client.launch(PACKED)
    run.summary["note"] = "mine"
    run.update()
    run.config["tag"] = "a"
    server.finish_run(run.id, summary={"loss": 2.0, "note": "its own"}, config={"lr": 1})
    assert run.config == {"lr": 1, "tag": "a"}
    assert run.summary == {"loss": 2.0, "note": "mine"}
    assert client.run(run.id).config == {"lr": 1}


def test_wandbs_paths_of_runs_are_understood(server: FakeGateway, finished: str) -> None:
    with Api(server) as api:
        assert api.run(f"me/project/{finished}").id == api.run(finished).id == finished


def test_metric_sources_belong_to_the_job() -> None:
    with pytest.raises(InvalidSpecError, match="metric_sources: a job has its own"):
        launch(job="digits", metric_sources=[{"file": "m.csv"}])


@pytest.mark.parametrize("target", [{"job": "digits"}, {"job": "flow/digits"}, {"uri": "."}])
def test_values_that_are_no_mappings_and_a_file_named_twice_are_refused(target: dict[str, Any]) -> None:
    odd: Any = [1]
    with pytest.raises(InvalidSpecError, match="config: must be a mapping, not list"):
        launch(config=odd, **target)
    with pytest.raises(InvalidSpecError, match=r"files\.\./c\.yaml: is the same file as 'c\.yaml'"):
        launch(files={"c.yaml": {"lr": 1}, "./c.yaml": {"lr": 2}}, **target)


def test_a_job_in_hand_refuses_them_too(client: LaunchClient, finished: str) -> None:
    client.create_job_from_run(finished, name="digits")
    odd: Any = [1]
    with pytest.raises(InvalidSpecError, match="config: must be a mapping, not list"):
        client.launch_own_job("digits", config=odd)
    with pytest.raises(InvalidSpecError, match="config: must be a mapping, not list"):
        client.launch(RunSpec(PACKED.source, config=odd))
