"""Queues over a server in memory; why a run waits, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.api import Api
from launch_sdk.client import Gateway, LaunchClient
from launch_sdk.errors import ConflictError, InvalidSpecError, NotFoundError
from launch_sdk.queue_views import AgentView, HeldRun, Waiting
from launch_sdk.specs.document import Document
from launch_sdk.specs.placement import Placement, Priority
from launch_sdk.specs.queue_config import QueueConfig
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.testing.fake_gateway import FakeGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKED = RunSpec("sha256:" + "0" * 64, ("train.py",))
THREADS = QueueConfig(env={"N": "{{n}}"}, variables={"n": {"type": "integer", "default": 1, "maximum": 4}})
RUN = HeldRun("1", "first")
TWO_GPUS = {"devices": {"gpu": 2, "cpu": 4}, "free": {"gpu": 1, "cpu": 4}}


@pytest.fixture
def server() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def client(server: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LaunchClient]:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    gateway: Gateway = server
    with LaunchClient(gateway) as opened:
        yield opened


def put(client: LaunchClient, queue: str, priority: Priority = Priority.MEDIUM, **variables: Any) -> str:
    return client.launch(PACKED, queue=queue, placement=Placement(priority, variables)).id


def test_the_urgent_come_first_and_of_one_priority_the_first_submitted(client: LaunchClient) -> None:
    client.create_queue("q")
    wanted = [Priority.LOW, Priority.MEDIUM, Priority.CRITICAL, Priority.HIGH, Priority.MEDIUM, Priority.CRITICAL]
    ids = [put(client, "q", one) for one in wanted]
    assert [item.run_id for item in client.queue("q").items()] == [ids[i] for i in (2, 5, 3, 1, 4, 0)]


def test_the_default_queue_is_made_on_first_use_and_stays(client: LaunchClient) -> None:
    run = client.launch(PACKED)
    with pytest.raises(ConflictError, match="cannot be deleted"):
        client.queue("default").delete()
    assert run.state is RunState.QUEUED


def test_an_unknown_queue_is_refused_with_the_known_ones(client: LaunchClient) -> None:
    client.create_queue("gpu")
    for attempt in (lambda: client.launch(PACKED, queue="gpuu"), lambda: client.queue("gpuu")):
        with pytest.raises(NotFoundError, match="'gpuu' does not exist; there are gpu"):
            attempt()


def test_deleting_a_queue_ends_what_waits_on_it_and_nothing_else(client: LaunchClient, server: FakeGateway) -> None:
    client.create_queue("q")
    waits, runs = put(client, "q"), put(client, "q")
    server.start_run(runs)
    assert client.queue("q").delete() == 1
    assert server.runs[waits].state is RunState.CANCELLED
    assert server.runs[runs].state is RunState.RUNNING


def test_one_item_that_waits_can_be_taken_off_and_one_that_runs_cannot(
    client: LaunchClient, server: FakeGateway
) -> None:
    client.create_queue("q")
    client.create_queue("other")
    waits, runs = put(client, "q"), put(client, "q")
    server.start_run(runs)
    with pytest.raises(NotFoundError, match="not on queue 'other'"):
        client.queue("other").delete_item(waits)
    assert client.queue("q").delete_item(waits) == waits
    with pytest.raises(ConflictError, match="waits no more, it is running"):
        client.queue("q").delete_item(runs)
    assert [item.run_id for item in client.queue("q").items()] == [runs]


def test_values_for_a_queue_are_checked_before_anything_is_submitted(
    client: LaunchClient, server: FakeGateway, tmp_path: Path
) -> None:
    client.create_queue("q", THREADS)
    with pytest.raises(InvalidSpecError, match=r"5 is greater than the maximum of 4"):
        put(client, "q", n="5")
    (tmp_path / "train.py").touch()
    sweep: dict[str, Any] = {"method": "grid", "program": "train.py", "parameters": {"x": {"values": [1]}}}
    launch = {"queue": "q", "priority": "high", "template_variables": {"n": "many"}}
    with pytest.raises(InvalidSpecError, match="Value for n must be of type integer"):
        client.submit_sweep(Document(sweep | {"launch": launch}, directory=tmp_path))
    assert not server.runs
    assert not server.sweeps
    with pytest.raises(InvalidSpecError, match=r"launch.priority: 'urgent' is no priority"):
        client.submit_sweep(Document(sweep | {"launch": {"priority": "urgent"}}, directory=tmp_path))


def test_a_private_queue_is_closed_to_others(client: LaunchClient) -> None:
    client.create_queue("theirs", QueueConfig(owner="ann"))
    with pytest.raises(InvalidSpecError, match="private to 'ann'"):
        put(client, "theirs")


def test_a_paused_queue_says_so(client: LaunchClient, server: FakeGateway) -> None:
    client.create_queue("q")
    server.attend("q")
    run = client.launch(PACKED, queue="q")
    client.queue("q").pause()
    assert run.waits == "Queue 'q' is paused. Go on: launch queue resume q"
    client.queue("q").resume()
    assert run.waits == "An agent is about to take it."


def test_queues_are_made_by_w_and_bs_calls_too(server: FakeGateway) -> None:
    variables = {"n": {"schema": {"type": "integer", "default": 1}, "description": "how many"}}
    config = {"resource_args": {"local-process": {"env": {"N": "{{n}}"}}}}
    gateway: Gateway = server
    with Api(gateway) as api:
        made = api.create_run_queue("q", "local-process", "team", "V0", config, variables)
        assert made.refresh().config.environment("q", {"n": "2"}) == {"N": "2"}
        api.upsert_run_queue("q", {"resource_args": {"env": {"A": "1"}}})
        assert api.upsert_run_queue("other", {}).name == "other"
        assert api.queue("q").refresh().config.env == {"A": "1"}
        with pytest.raises(InvalidSpecError, match="'kubernetes' is not supported"):
            api.create_run_queue("r", "kubernetes")


def agent(**changes: Any) -> AgentView:
    given: dict[str, Any] = {"is_online": True, "max_jobs": 1, "max_schedulers": 2, "host": "h", "pid": 1, **changes}
    return AgentView("a", ("q",), **given)


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        (Waiting("q", 0.0), "No agent polls queue 'q'. Start one: launch-agent --queues q"),
        (Waiting("q", 0.0, agents=[agent(is_online=False)]), "No agent polls queue 'q'"),
        (Waiting("q", 0.0, agents=[agent(runs=(RUN,))]), "Agent a is full (1 at once): first."),
        (Waiting("q", 0.0, agents=[agent(runs=(RUN,))], before=3), "first. Taken before it: 3."),
        (Waiting("q", 0.0, agents=[agent(runs=(RUN,)), agent()]), "An agent is about to take it."),
        (Waiting("q", 0.0, agents=[agent(runs=(RUN,))], is_sweep=True), "An agent is about to take it."),
        (Waiting("q", 0.0, agents=[agent(max_schedulers=0)], is_sweep=True), "Agent a is full (0 at once): nothing."),
        (Waiting("q", 0.0, agents=[agent(max_jobs=-1, runs=(RUN, RUN))]), "An agent is about to take it."),
        (Waiting("q", 0.0, agents=[agent(max_jobs=None)]), "An agent is about to take it."),
        (
            Waiting("q", 0.0, agents=[agent(**TWO_GPUS)], needs={"gpu": 2}, before=1),
            "Agent a has gpu=1 free, and it asks for gpu=2. Taken before it: 1.",
        ),
        (
            Waiting("q", 0.0, agents=[agent(**TWO_GPUS)], needs={"gpu": 3, "cpu": 1}),
            "Agent a has gpu=2, cpu=4 in all, and it asks for gpu=3, cpu=1.",
        ),
        (
            Waiting("q", 0.0, agents=[agent(**TWO_GPUS), agent(runs=(RUN,))], needs={"gpu": 2}),
            "and it asks for gpu=2; agent a is full (1 at once): first.",
        ),
        (Waiting("q", 0.0, agents=[agent(**TWO_GPUS)], needs={"gpu": 1}), "An agent is about to take it."),
        (Waiting("q", 0.0, agents=[agent()], needs={"gpu": 1}), "An agent is about to take it."),
        (Waiting("q", 0.0, agents=[agent(wanted="stop")]), "a takes nothing new, as it was asked to stop."),
        (Waiting("q", 0.0, agents=[agent()], limit=(2, ["x", "y"])), "concurrency limit of 2 in the Prefect UI: x, y."),
        (Waiting("q", 0.0, agents=[agent()], limit=(2, ["x"])), "An agent is about to take it."),
        (Waiting("q", 0.0, agents=[agent()], paused_priority="low"), "Priority low of queue 'q' is paused"),
        (Waiting("q", 0.0, is_paused=True), "Queue 'q' is paused."),
        (Waiting("q", 0.0, starts=7200.0), "It is to start at 1970-01-01 02:00:00 UTC, in 2 h."),
        (Waiting("q", 0.0, starts=90.0, state_name="AwaitingRetry"), "It is to be tried again at"),
        (
            Waiting("q", 0.0, starts=30.0, state_name="AwaitingConcurrencySlot"),
            "Its deployment has a concurrency limit",
        ),
        (Waiting(None, 0.0), "Its queue was deleted."),
    ],
)
def test_why_a_run_waits_is_said_in_words(waiting: Waiting, reason: str) -> None:
    assert reason in waiting.reason
