"""The Python API over a server in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.client import Gateway, LaunchClient
from launch_sdk.errors import BackendUnavailableError, ConflictError, InvalidSpecError, NotFoundError
from launch_sdk.scheduling.scheduler import Scheduler
from launch_sdk.specs.document import Document
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.testing.fake_gateway import FakeGateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PACKED = RunSpec("sha256:" + "0" * 64, ("train.py",), config={"lr": 0.1}, name="first")


@pytest.fixture
def server() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def client(server: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LaunchClient]:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    gateway: Gateway = server
    with LaunchClient(gateway) as opened:
        yield opened


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    directory.mkdir()
    (directory / "train.py").write_text("print(1)")
    return directory


def _sweep(code: Path, **more: Any) -> Document:
    value = {"method": "grid", "program": "train.py", "metric": {"name": "loss"}}
    return Document(value | {"parameters": {"x": {"values": [3, 1, 2]}}} | more, directory=code)


def _loss(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"loss": float(parameters["x"])}


def test_what_is_left_out_of_code_is_told_and_is_known_before_the_run_starts(server: FakeGateway, code: Path) -> None:
    (code / ".env").write_text("x")
    told: list[str] = []
    gateway: Gateway = server
    with LaunchClient(gateway, tell=told.append) as client:
        run = client.launch(RunSpec(str(code), ("train.py",)))
        client.create_job(RunSpec(str(code), ("train.py",)), name="job")
        client.submit_sweep(_sweep(code))
        known = client.code_of(run.refresh())
    assert told == ["left out: .env (looks like a secret; take it with !.env in .launchignore)"] * 3
    assert list((known or {})["left_out"]) == [".env"]


def test_left_out_files_are_written_to_standard_error_where_nobody_listens(
    client: LaunchClient, code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (code / ".env").write_text("x")
    client.launch(RunSpec(str(code), ("train.py",)))
    assert "left out: .env" in capsys.readouterr().err


def test_a_run_is_found_by_a_name_that_no_other_has(client: LaunchClient) -> None:
    run = client.launch(PACKED)
    assert client.run("first").id == run.id
    client.launch(PACKED)
    with pytest.raises(NotFoundError, match="first"):
        client.run("first")


def test_a_run_goes_from_its_queue_to_its_end(client: LaunchClient, server: FakeGateway) -> None:
    run = client.launch(PACKED)
    assert (run.state, run.name, run.config) == (RunState.QUEUED, "first", {"lr": 0.1})
    server.start_run(run.id)
    assert run.state is RunState.RUNNING
    server.finish_run(run.id, summary={"loss": 0.5}, lines=["a", "b"])
    view = run.wait()
    assert (view.state, run.summary) == (RunState.FINISHED, {"loss": 0.5})
    assert run.logs() == ["a", "b"]
    assert [line.message for line in run.log_lines(since=1.0)] == ["b"]


def test_a_local_directory_is_packed_before_it_is_submitted(
    client: LaunchClient, server: FakeGateway, code: Path, tmp_path: Path
) -> None:
    run = client.launch(RunSpec(str(code), ("train.py",)))
    source = server.runs[run.id].parameters["source"]
    assert source.startswith("sha256:")
    assert (tmp_path / "home/store/sources" / f"{source.removeprefix('sha256:')}.tar").is_file()


def test_waiting_gives_up_after_its_time(client: LaunchClient) -> None:
    with pytest.raises(TimeoutError, match="is still queued after 0 s"):
        client.launch(PACKED).wait(timeout_s=0)


def test_a_queued_run_is_cancelled_at_once_and_a_running_one_is_asked(
    client: LaunchClient, server: FakeGateway
) -> None:
    queued, running = client.launch(PACKED), client.launch(PACKED)
    server.start_run(running.id)
    queued.cancel()
    running.cancel()
    assert (queued.state, running.state) == (RunState.CANCELLED, RunState.STOPPING)
    server.finish_run(running.id, RunState.CANCELLED)
    running.cancel()
    assert running.state is RunState.CANCELLED


def test_the_latest_runs_come_first(client: LaunchClient) -> None:
    ids = [client.launch(PACKED).id for _ in range(3)]
    assert [view.run_id for view in client.runs(limit=2)] == ids[:0:-1]


def test_a_job_runs_on_its_own_queue(client: LaunchClient, server: FakeGateway) -> None:
    server.add_job("flow/demo", "gpu")
    view = client.launch_job("flow/demo", {"x": 1}, name="n").refresh()
    assert (view.job, view.queue, view.config, view.name) == ("flow/demo", "gpu", {"x": 1}, "n")


UNKNOWN_NAMES: list[Callable[[LaunchClient], object]] = [
    lambda client: client.run("nope"),
    lambda client: client.sweep("nope"),
    lambda client: client.resume_sweep("nope"),
    lambda client: client.launch_job("nope/nope", {}),
    lambda client: client.launch(PACKED, queue="nope"),
    lambda client: client.ensure_queue("nope"),
    lambda client: client.queue_has_agent("nope"),
]


@pytest.mark.parametrize("call", UNKNOWN_NAMES)
def test_an_unknown_name_is_refused_with_those_that_exist(
    call: Callable[[LaunchClient], object], client: LaunchClient, server: FakeGateway
) -> None:
    server.add_job("flow/demo", "gpu")
    run, before = client.launch(PACKED), len(client.runs())
    with pytest.raises(NotFoundError, match=r"nope' does not exist; there are .*(gpu|flow/demo|run-|none yet)"):
        call(client)
    assert len(client.runs()) == before
    assert "nope" not in client.queues()
    assert run.state is RunState.QUEUED


def test_queues_are_made_once_and_tell_whether_an_agent_polls_them(client: LaunchClient, server: FakeGateway) -> None:
    client.create_queue("gpu")
    with pytest.raises(ConflictError, match="'gpu' exists already"):
        client.create_queue("gpu")
    assert not client.queue_has_agent("gpu")
    server.attend("gpu")
    assert client.queue_has_agent("gpu")
    client.ensure_queue("default")
    assert client.queues() == ["gpu", "default"]


def test_a_server_that_does_not_answer_is_an_error_of_ours(client: LaunchClient, server: FakeGateway) -> None:
    server.is_up = False
    with pytest.raises(BackendUnavailableError):
        client.runs()


def test_a_sweep_is_driven_to_its_end_and_knows_its_best(client: LaunchClient, server: FakeGateway, code: Path) -> None:
    sweep = client.submit_sweep(_sweep(code, scheduler={"num_workers": 2}))
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        assert sum(run.is_active for run in sweep.runs) <= 2
    view = sweep.wait()
    assert (view.state, view.message) == (RunState.FINISHED, "all 3 points of the space have been tried")
    assert [run.parameters["x"] for run in sweep.runs] == [3, 1, 2]
    best = sweep.best
    assert best is not None
    assert best.index == 1
    document = json.loads(json.dumps(view.to_json(), allow_nan=False))
    assert document["best"] == {"index": 1, "run_id": best.run_id, "parameters": {"x": 1}, "metric": 1.0}
    assert [row["state"] for row in document["runs"]] == ["finished"] * 3


def test_a_sweep_whose_runs_fail_has_failed(client: LaunchClient, server: FakeGateway, code: Path) -> None:
    sweep = client.submit_sweep(_sweep(code))
    while not server.advance_sweep(sweep.id, lambda parameters: {"loss": parameters["no"]}).state.is_terminal:
        pass
    assert sweep.refresh().state is RunState.FAILED


def test_a_stopped_sweep_is_resumed_and_repeats_what_was_cut_short(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    sweep = client.submit_sweep(_sweep(code, scheduler={"num_workers": 1}))
    server.advance_sweep(sweep.id, _loss)
    server.advance_sweep(sweep.id, _loss)
    with pytest.raises(ConflictError, match="is running already"):
        client.resume_sweep(sweep.id)
    sweep.cancel()
    assert sweep.refresh().state is RunState.CANCELLED
    client.resume_sweep(sweep.id)
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    assert [(run.index, run.attempt, run.parameters["x"]) for run in sweep.runs] == [(0, 0, 3), (1, 1, 1), (2, 0, 2)]
    with pytest.raises(ConflictError, match="there is nothing to resume"):
        client.resume_sweep(sweep.id)


def test_a_program_that_is_not_there_is_a_fault_of_the_file(client: LaunchClient, code: Path) -> None:
    with pytest.raises(InvalidSpecError, match=r"nope\.py does not exist in .*; there are train\.py"):
        client.submit_sweep(_sweep(code, program="nope.py"))
    assert client.sweeps() == []


def test_what_is_not_finite_is_still_json(client: LaunchClient, server: FakeGateway) -> None:
    run = client.launch(PACKED)
    server.finish_run(run.id, RunState.FAILED, summary={"loss": float("nan")}, error="it broke")
    document = json.loads(json.dumps(run.refresh().to_json(), allow_nan=False))
    assert document["summary"] == {"loss": {"$number": "nan"}}
    assert (document["state"], document["error"], document["duration_s"]) == ("failed", "it broke", 1.0)


def test_a_paused_sweep_starts_nothing_until_it_is_resumed(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    sweep = client.submit_sweep(_sweep(code, scheduler={"num_workers": 1}))
    server.advance_sweep(sweep.id, _loss)
    sweep.pause()
    assert sweep.refresh().state is RunState.PAUSED
    server.advance_sweep(sweep.id, _loss)
    assert [run.state for run in server.advance_sweep(sweep.id, _loss).runs] == [RunState.FINISHED]
    sweep.resume()
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    assert (sweep.refresh().state, len(sweep.runs)) == (RunState.FINISHED, 3)
    with pytest.raises(ConflictError, match="only one that goes on can be paused"):
        sweep.pause()


def test_a_stopped_sweep_lets_its_runs_end_and_can_be_resumed(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    sweep = client.submit_sweep(_sweep(code, scheduler={"num_workers": 1}))
    server.advance_sweep(sweep.id, _loss)
    sweep.stop()
    assert (sweep.refresh().state, sweep.runs[0].state) == (RunState.STOPPING, RunState.RUNNING)
    view = server.advance_sweep(sweep.id, _loss)
    assert (view.state, view.message) == (RunState.STOPPED, "stopped by its user after 1 runs")
    assert [run.state for run in view.runs] == [RunState.FINISHED]
    sweep.resume()
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    assert (sweep.refresh().state, len(sweep.runs)) == (RunState.FINISHED, 3)


def test_failed_runs_start_again_though_the_sweep_is_over(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    sweep = client.submit_sweep(_sweep(code))

    def fails_at_first(parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {"loss": 1.0} if parameters["x"] != 2 else {"loss": parameters["no"]}

    while not server.advance_sweep(sweep.id, fails_at_first).state.is_terminal:
        pass
    assert [run.state.value for run in sweep.runs] == ["finished", "finished", "failed"]
    assert sweep.rerun_failed() == 1
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    assert [(run.attempt, run.parameters["x"], run.state.value) for run in sweep.runs] == [
        (0, 3, "finished"),
        (0, 1, "finished"),
        (1, 2, "finished"),
    ]
    with pytest.raises(ConflictError, match=r"No run of sweep .* has failed"):
        sweep.rerun_failed()


def test_a_sweep_is_deleted_once_it_is_over(client: LaunchClient, server: FakeGateway, code: Path) -> None:
    sweep = client.submit_sweep(_sweep(code))
    server.advance_sweep(sweep.id, _loss)
    with pytest.raises(ConflictError, match=f"launch sweep cancel {sweep.id}"):
        sweep.delete()
    sweep.cancel()
    sweep.delete()
    with pytest.raises(NotFoundError):
        client.sweep(sweep.id)


def test_a_new_file_changes_workers_limits_and_queue_of_a_resumed_sweep(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    client.create_queue("gpu")
    sweep = client.submit_sweep(_sweep(code, scheduler={"num_workers": 1}, run_cap=1))
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    new = {"scheduler": {"num_workers": 5}, "run_cap": 3, "launch": {"queue": "gpu"}, "method": "random", "seed": 9}
    assert client.ignored_keys(sweep.id, Document(new)) == ("method", "seed")
    client.resume_sweep(sweep.id, Document(new))
    view = sweep.refresh()
    assert (view.spec.num_workers, view.spec.run_cap, view.spec.method, view.spec.seed) == (5, 3, "grid", 0)
    assert view.queue == "gpu"
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    assert [run.parameters["x"] for run in sweep.runs] == [3, 1, 2]
    with pytest.raises(ConflictError, match="there is nothing to resume"):
        client.resume_sweep(sweep.id, Document({"run_cap": 3}))


def test_a_sweep_that_goes_on_is_not_changed(client: LaunchClient, code: Path) -> None:
    sweep = client.submit_sweep(_sweep(code))
    with pytest.raises(ConflictError, match="can be changed once it has ended"):
        client.resume_sweep(sweep.id, Document({"run_cap": 1}))


def test_prior_runs_are_told_to_the_sampler_and_are_none_of_the_sweep(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    first, second = client.launch(PACKED), client.launch(PACKED)
    server.finish_run(first.id, summary={"loss": 1.0}, config={"x": 1, "other": 5})
    with pytest.raises(ConflictError, match=f"must have ended; {second.id}"):
        client.submit_sweep(_sweep(code), prior_runs=[first.id, second.id])
    sweep = client.submit_sweep(_sweep(code), prior_runs=[first.id, first.id])
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    assert [run.parameters["x"] for run in sweep.runs] == [3, 2]  # a grid tries nothing twice
    with pytest.raises(NotFoundError):
        client.submit_sweep(_sweep(code), prior_runs=["nope"])


class Halving(Scheduler):
    """Tries half of what it tried before; keeps where it is."""

    def _load_state(self) -> None:
        self.x = self.saved_state["x"] if self.saved_state else self.settings["start"]

    def _save_state(self) -> Any:
        return {"x": self.x}

    def _get_next_sweep_run(self, worker_id: int) -> dict[str, Any] | None:
        del worker_id
        if self.num_active_runs or len(self.runs) == self.settings["length"]:
            return None
        self.x /= 2
        return {"x": self.x}


def test_a_sweep_of_a_scheduler_of_ones_own_is_driven_by_its_class_and_resumed_with_its_state(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    settings = {"start": 8.0, "length": 2}
    more = {"method": "custom", "parameters": {"x": {"min": 0.0, "max": 9.0}}}
    scheduler = {"job": "me/demo/job-Halving:latest", "num_workers": 2, "settings": settings}
    with pytest.raises(NotFoundError, match="job-Halving"):
        client.submit_sweep(_sweep(code, **more, scheduler=scheduler))
    server.add_scheduler(Halving)
    sweep = client.submit_sweep(_sweep(code, **more, scheduler=scheduler))
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        assert sum(run.is_active for run in sweep.runs) <= 1
    assert sweep.refresh().message == "its scheduler had no more after 2 runs"
    client.resume_sweep(sweep.id, Document({"scheduler": {"settings": settings | {"length": 3}}}))
    server.advance_sweep(sweep.id, _loss)
    sweep.cancel()
    client.resume_sweep(sweep.id)
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    assert [run.parameters["x"] for run in sweep.runs] == [4.0, 2.0, 1.0]


def test_a_scheduler_job_of_which_no_class_is_known_is_told(
    client: LaunchClient, server: FakeGateway, code: Path
) -> None:
    client.create_job(RunSpec(str(code), ("train.py",)), name="mine")
    sweep = client.submit_sweep(_sweep(code, scheduler={"job": "mine"}))
    with pytest.raises(NotFoundError, match=r"server\.add_scheduler\(CLASS, 'mine'\)"):
        server.advance_sweep(sweep.id, _loss)


def test_the_runs_of_a_sweep_are_a_data_frame(client: LaunchClient, server: FakeGateway, code: Path) -> None:
    sweep = client.submit_sweep(_sweep(code))
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    frame = sweep.to_pandas()
    assert list(frame["parameters.x"]) == [3, 1, 2]
    assert list(frame["metric"]) == list(frame["summary.loss"]) == [3.0, 1.0, 2.0]


def test_a_sweep_over_an_image_is_one_of_the_job_that_is_made_of_it(client: LaunchClient, server: FakeGateway) -> None:
    value = {"method": "grid", "image_uri": "me/trainer:1", "parameters": {"x": {"values": [1]}}, "run_cap": 1}
    command = ["python", "/train.py", "${args}"]
    sources = [{"stdout": r"(?P<loss>\d+)"}]
    sweep = client.submit_sweep(Document({**value, "command": command, "metric_sources": sources}))
    job = client.job("job-me-trainer")
    assert (job.spec.source, job.spec.entry_point) == ("image:me/trainer:1", ("python", "/train.py"))
    assert job.spec.metric_sources == tuple(sources)
    assert sweep.refresh().document["job"] == "job-me-trainer:v0"
    assert client.submit_sweep(Document(value)).refresh().document["job"] == "job-me-trainer:v1"
    while not server.advance_sweep(sweep.id, _loss).state.is_terminal:
        pass
    client.resume_sweep(sweep.id, Document({**value, "run_cap": 2}))


def test_a_job_that_does_not_exist_starts_no_sweep(client: LaunchClient, server: FakeGateway) -> None:
    for job in ("nobodys", "nobodys:v3", "nobody/deployment"):
        document = {"method": "grid", "job": job, "parameters": {"x": {"values": [1]}}}
        with pytest.raises(NotFoundError, match="nobod"):
            client.submit_sweep(Document(document))
    assert server.sweeps == {}
