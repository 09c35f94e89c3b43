"""Versions and aliases of jobs on a real server: kept, named, deleted, and none lost when many are made at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from launch_sdk.client import LaunchClient
from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.specs.run_spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launch_sdk.specs.job_history import SavedJob
    from tests.conftest import Home

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

INPUTS: dict[str, Any] = {
    "config": {"type": "object", "properties": {"lr": {"type": "number", "default": 0.1}}},
    "files": {},
}
AT_ONCE = 8


def content(digit: int, **more: Any) -> RunSpec:
    return RunSpec(f"sha256:{digit:064d}", ("train.py",), **more)


@pytest.fixture
def client(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[LaunchClient]:
    monkeypatch.setenv("LAUNCH_HOME", str(home.path))
    monkeypatch.setenv("PREFECT_API_URL", home.api_url)
    with LaunchClient() as opened:
        before = {job.name for job in opened.jobs()}
        yield opened
        for job in opened.jobs():  # other tests of the session name the jobs that there are
            if job.name not in before:
                opened.delete_job(job.name)


@pytest.fixture
def http(home: Home) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=home.api_url) as opened:
        yield opened


def deployments(http: httpx.Client, name: str) -> list[Any]:
    question = {"flows": {"name": {"any_": [name]}}}
    return http.post("/deployments/filter", json=question).raise_for_status().json()


def save_at_once(wanted: list[dict[str, Any]]) -> list[SavedJob]:
    """Save from as many threads, each with a client and connections of its own."""

    def save(one: dict[str, Any]) -> SavedJob:
        with LaunchClient() as own:
            return own.save_job(**one)

    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(save, wanted))


def test_every_version_stays_and_is_found_by_its_number_and_its_aliases(
    client: LaunchClient, http: httpx.Client
) -> None:
    first = client.save_job(content(1, inputs=INPUTS), name="kept", aliases=["mine", "Best_1"])
    assert (first.is_new, first.before, first.moved) == (True, None, {"mine": None, "Best_1": None})
    again = client.save_job(content(1, inputs=INPUTS), name="kept")
    assert (again.is_new, again.job.version, again.job.aliases) == (False, "v0", ("latest", "Best_1", "mine"))
    second = client.save_job(content(2, inputs=INPUTS), name="kept", aliases=["mine"])
    assert (second.is_new, second.moved) == (True, {"mine": 0})
    assert second.aliases_told() == ["Alias 'mine' is now v1; it was v0."]
    found = {alias: client.job(f"kept:{alias}").number for alias in ("v0", "v1", "latest", "mine", "Best_1")}
    assert found == {"v0": 0, "v1": 1, "latest": 1, "mine": 1, "Best_1": 0}
    assert client.job("kept").spec.source == content(2).source
    assert client.job("kept:v0").spec == replace(content(1, inputs=INPUTS), job="kept")
    [shown] = deployments(http, "kept")
    assert (shown["name"], shown["version"]) == ("default", "v1")
    assert "| v0 | Best_1 |" in shown["description"]
    listed = http.post("/block_documents/filter", json={"block_documents": {"is_anonymous": {"eq_": False}}}).json()
    assert not [one for one in listed if one["block_type_name"] == "Launch Job Version"]


def test_of_many_contents_saved_at_once_each_gets_a_number_of_its_own(client: LaunchClient, http: httpx.Client) -> None:
    for first in (0, AT_ONCE):
        saved = save_at_once([{"spec": content(first + i), "name": "crowd"} for i in range(AT_ONCE)])
        assert sorted(one.job.number for one in saved) == list(range(first, first + AT_ONCE))
        assert all(one.is_new for one in saved)
        for i, one in enumerate(saved):
            assert client.job(one.job.reference).spec.source == content(first + i).source
        [deployment] = deployments(http, "crowd")
        assert deployment["version"] == f"v{first + AT_ONCE - 1}"
        assert deployment["parameters"]["source"] == client.job("crowd").spec.source


def test_one_content_saved_at_once_is_one_version_with_every_alias(client: LaunchClient, http: httpx.Client) -> None:
    saved = save_at_once([{"spec": content(1), "name": "same", "aliases": [f"by-{i}"]} for i in range(AT_ONCE)])
    assert {one.job.version for one in saved} == {"v0"}
    assert sum(one.is_new for one in saved) == 1
    assert set(client.job("same").own_aliases) == {f"by-{i}" for i in range(AT_ONCE)}
    assert len(deployments(http, "same")) == 1


def test_an_alias_given_at_once_to_many_versions_stands_for_one_of_them(client: LaunchClient) -> None:
    save_at_once([{"spec": content(i), "name": "fought", "aliases": ["mine"]} for i in range(AT_ONCE)])
    holders = [one for one in client.job_history("fought").versions if "mine" in one.own_aliases]
    assert len(holders) == 1
    assert client.job("fought:mine").number == holders[0].number


def test_of_two_first_creations_on_different_queues_one_is_refused(client: LaunchClient, http: httpx.Client) -> None:
    client.create_queue("beside")

    def save(queue: str) -> str:
        with LaunchClient() as own:
            try:
                return own.save_job(content(1), name="torn", queue=queue).job.queue
            except ConflictError as refused:
                return str(refused)

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(save, ["default", "beside"]))
    queue = client.job("torn").queue
    assert queue in told
    assert any(f"Job 'torn' is on queue {queue!r}" in one for one in told)
    assert len(deployments(http, "torn")) == 1
    client.delete_job("torn")
    http.delete("/work_pools/beside").raise_for_status()


def test_an_older_version_starts_with_its_own_content_and_inputs_under_the_jobs_deployment(
    client: LaunchClient, http: httpx.Client
) -> None:
    client.save_job(content(1, args=("--old",), inputs=INPUTS), name="older")
    other = {"config": {"type": "object", "properties": {"steps": {"type": "integer"}}}, "files": {}}
    client.save_job(content(2, inputs=other), name="older", aliases=["new"])
    runs = {
        "v0": client.launch_own_job("older:v0", config={"lr": 0.5}),
        "v1": client.launch_own_job("older:new", config={"steps": 3}),
    }
    [deployment] = deployments(http, "older")
    for version, run in runs.items():
        shown = http.get(f"/flow_runs/{run.id}").raise_for_status().json()
        assert shown["deployment_id"] == deployment["id"]
        assert shown["labels"]["launch.version"] == version
        assert run.refresh().to_json()["job_version"] == version
        run.cancel()
    view = runs["v0"].refresh()
    assert view.spec is not None
    assert (view.job, view.spec.source, view.spec.args) == ("older", content(1).source, ("--old",))
    assert view.spec.inputs == INPUTS


def test_the_form_of_the_newest_version_is_the_servers_and_is_enforced(
    client: LaunchClient, http: httpx.Client
) -> None:
    client.save_job(content(1, inputs=INPUTS), name="formed-by-api")
    [deployment] = deployments(http, "formed-by-api")
    start = f"/deployments/{deployment['id']}/create_flow_run"
    started = http.post(start, json={"parameters": {"config": {"lr": 0.3}}}).raise_for_status().json()
    assert started["deployment_version"] == "v0"
    run = client.run(started["id"])
    assert run.refresh().version == "v0"
    run.cancel()
    assert http.post(start, json={"parameters": {"config": {"lr": "high"}}}).status_code == httpx.codes.CONFLICT


def test_a_deleted_version_is_gone_with_its_aliases_and_its_number_is_not_given_again(
    client: LaunchClient, http: httpx.Client
) -> None:
    for i in range(3):
        client.save_job(content(i), name="thinned", aliases=[f"a{i}"])
    assert client.delete_job("thinned:v2").own_aliases == ("a2",)
    [deployment] = deployments(http, "thinned")
    assert (client.job("thinned").version, deployment["version"]) == ("v1", "v1")
    for alias in ("v2", "a2"):
        with pytest.raises(NotFoundError, match="there are 'latest', 'a0', 'a1', 'v1', 'v0'"):
            client.job(f"thinned:{alias}")
    assert client.save_job(content(3), name="thinned").job.version == "v3"
    client.delete_job("thinned:a0")
    assert client.job("thinned:v0").own_aliases == ()
    with pytest.raises(ConflictError, match="Name the version: launch job delete thinned:v3"):
        client.delete_job("thinned:latest")
    for version in ("v0", "v1"):
        client.delete_job(f"thinned:{version}")
    with pytest.raises(ConflictError, match="'v3' is the only version"):
        client.delete_job("thinned:v3")
    client.delete_job("thinned")
    assert not deployments(http, "thinned")
    assert client.save_job(content(4), name="thinned").job.reference == "thinned:v0"


def test_a_job_made_before_versions_were_kept_is_its_present_version_and_that_stays(
    client: LaunchClient, http: httpx.Client
) -> None:
    client.save_job(content(1, inputs=INPUTS), name="grown")
    client.save_job(content(2, inputs=INPUTS), name="grown")
    kept = {"block_documents": {"is_anonymous": {"eq_": True}}}
    for document in http.post("/block_documents/filter", json=kept).json():
        if document["data"]["job"] == "grown":  # as an earlier installation has left it
            http.delete(f"/block_documents/{document['id']}").raise_for_status()
    assert [one.version for one in client.job_history("grown").versions] == ["v1"]
    assert client.job("grown:v1").spec.source == content(2).source
    assert client.save_job(content(3, inputs=INPUTS), name="grown").job.version == "v2"
    assert client.job("grown:v1").spec.source == content(2).source


def test_a_job_whose_deployment_somebody_deleted_is_gone_until_it_is_made_again(
    client: LaunchClient, http: httpx.Client
) -> None:
    client.save_job(content(1), name="orphan")
    [deployment] = deployments(http, "orphan")
    http.delete(f"/deployments/{deployment['id']}").raise_for_status()
    with pytest.raises(NotFoundError, match="Job 'orphan' does not exist"):
        client.job("orphan")
    assert client.save_job(content(2), name="orphan").job.version == "v1"
    assert client.job("orphan:v0").spec.source == content(1).source
    http.delete(f"/deployments/{deployments(http, 'orphan')[0]['id']}").raise_for_status()
    client.delete_job("orphan")
    assert client.save_job(content(3), name="orphan").job.version == "v0"


def test_code_whose_inputs_are_known_makes_no_version_without_them(client: LaunchClient) -> None:
    client.save_job(content(1), name="learned")
    client.save_job(content(1, inputs=INPUTS), name="learned")
    again = client.save_job(content(1), name="learned")
    assert (again.is_new, again.job.version, again.job.spec.inputs) == (False, "v1", INPUTS)
