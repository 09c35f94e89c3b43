"""Which container a run wants: by options, launch configs, the API, jobs and queues; all in one form."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.containers.settled import Surroundings, settle
from launch_sdk.environments.wandb import HOOK
from launch_sdk.errors import InvalidSpecError, NotFoundError
from launch_sdk.specs.container import ContainerSpec, merged_containers
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.job import Job, suggested_name
from launch_sdk.specs.launch_config import LaunchConfig
from launch_sdk.specs.launch_config_file import parse_launch_config
from launch_sdk.specs.queue_config import CHOSEN, QueueConfig, parse_queue_config
from launch_sdk.specs.queue_containers import QueueContainers
from launch_sdk.specs.run_spec import RunSpec


def said(text: str) -> LaunchConfig:
    return parse_launch_config(parse_document(text))


def test_a_launch_config_says_an_image_a_user_and_resource_arguments_as_wandb_does() -> None:
    config = said(
        "{uri: ., docker: {docker_image: 'python:3.12', user_id: 7}, overrides: {dockerfile: ''},"
        " resource: local-container, resource_args: {local-container: {--shm_size: 1g, e: [A=1], cpu: 2}}}"
    )
    assert config.spec_of("x").container == {
        "image": "python:3.12",
        "user_id": 7,
        "args": {"shm-size": "1g", "env": ["A=1"], "cpus": 2},
    }
    assert said("{image_uri: a/b}").wanted_container() == {"image": "a/b"}
    assert said("{overrides: {dockerfile: docker/D}}").wanted_container() == {"dockerfile": "docker/D"}
    bare = said("{resource_args: {gpu: 1, memory: 2g}}")
    assert (bare.resources, bare.wanted_container()) == ({"gpu": 1}, {"args": {"memory": "2g"}})
    assert said("{resource: container}").wanted_container() == {}
    assert said("{resource: process}").wanted_container() is None


def test_options_are_laid_over_a_file_and_an_image_replaces_where_the_file_gets_one() -> None:
    file = said("{uri: ., base_image: a, resource_args: {container: {memory: 1g, cpus: 1}}}")
    over = LaunchConfig(container={"image": "b", "args": {"memory": "2g"}}).over(file)
    assert over.wanted_container() == {"image": "b", "args": {"memory": "2g", "cpus": 1}}
    assert merged_containers(None, None) is None
    assert merged_containers({}, None) == {}


def test_a_process_in_an_image_is_a_contradiction() -> None:
    config = LaunchConfig(uri="x", resource="process", container={"image": "a"})
    with pytest.raises(InvalidSpecError, match="Cannot specify docker image with local-process resource runner"):
        config.spec_of("x")
    with pytest.raises(InvalidSpecError, match=r"image_uri: there is docker.docker_image too"):
        said("{image_uri: a, docker: {docker_image: b}}")


def test_an_image_is_a_source_of_its_own_and_may_start_by_itself() -> None:
    spec = RunSpec.from_dict({"source": "image:team/train:2"})
    assert (spec.entry_point, spec.container) == ((), {"image": "team/train:2"})
    assert RunSpec.from_dict(json.loads(json.dumps(spec.to_parameters()))) == spec
    assert suggested_name(spec) == "job-team-train"
    for wrong in ({"source": "image:A B"}, {"source": "image:a", "container": {"image": "b"}}):
        with pytest.raises(InvalidSpecError):
            RunSpec.from_dict(wrong)
    with pytest.raises(InvalidSpecError, match="entry_point: must name the program"):
        RunSpec.from_dict({"source": "x", "entry_point": []})


def test_a_run_of_a_job_keeps_the_jobs_container_under_what_is_given() -> None:
    spec = RunSpec.from_dict({"source": "sha256:0", "container": {"base_image": "a", "args": {"cpus": 1}}})
    job = Job("j", "q", spec)
    assert job.spec_with({}, {}).container == spec.container
    assert job.spec_with({}, {}, container={"image": "b"}).container == {"image": "b", "args": {"cpus": 1}}


QUEUE = """
resource: docker
resource_args:
  image: python:3.12
  -m: "{{memory}}"
  cpus: "{{cores}}"
  env: [TOKEN, "SCRATCH=/scratch/${run_id}"]
  volumes: ["/data/${queue_name}:/data:ro"]
template_variables:
  memory: {type: string, default: 1g}
  cores: {type: number, minimum: 0.5, default: 1}
"""


def test_a_queue_says_what_its_containers_get_and_submitters_fill_what_it_leaves_open() -> None:
    config = parse_queue_config(parse_document(QUEUE), "me")
    assert config.env == {"TOKEN": None, "SCRATCH": "/scratch/${run_id}"}
    assert QueueConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    shown = {key: value for key, value in config.to_json().items() if key != "owner"}
    assert parse_queue_config(Document(shown), "me") == config
    chosen = json.loads(config.environment("q", {"memory": "2g"})[CHOSEN])
    containers = config.containers(chosen)
    assert containers is not None
    assert (containers.image, containers.args) == ("python:3.12", {"memory": "2g", "cpus": 1})
    with pytest.raises(InvalidSpecError, match=r"resource_args\.-m: must be a size"):
        config.environment("q", {"memory": "much"})
    settled = settle(ContainerSpec(), Surroundings("q", containers, {}, {"queue_name": "q"}), lambda _: None)
    assert settled.own.volumes == ("/data/q:/data:ro",)
    assert QueueConfig.from_dict(QueueConfig(container={}).to_dict()).container == {}


def test_every_fault_of_a_queues_containers_is_told_at_once_with_its_line() -> None:
    text = (
        "resource: container\nresource_args:\n  volumes: [relative]\n  privilged: true\n  memory: lots\n"
        "  workdir: '{{where}}'\n  network: ${HOME}\n"
    )
    with pytest.raises(InvalidSpecError) as caught:
        parse_queue_config(parse_document(text), "me")
    told = [str(fault) for fault in caught.value.faults]
    for line, words in (
        (3, "'relative' is no volume"),
        (4, "has no meaning here"),
        (5, "must be a size"),
        (6, "where"),
    ):
        assert [one for one in told if one.startswith(f"line {line}: ") and words in one], (line, told)
    assert [one for one in told if "${HOME} is no macro" in one]


def test_variables_are_asked_for_by_name_and_missing_ones_are_named() -> None:
    lines: list[str] = []
    wanted = ContainerSpec(image="a", args={"env": ["HAS", "B=2"]})
    here = settle(wanted, Surroundings(), lines.extend, {"HAS": "1", "OTHER": "x"})
    assert (here.env, lines) == ({"HAS": "1", "B": "2"}, [])
    with pytest.raises(NotFoundError, match="asks for HAS, and the agent has no such variable"):
        settle(wanted, Surroundings(), lines.extend, {})
    queue = Surroundings("q", QueueContainers(user_id=5), {"B": "queue's"})
    on_queue = settle(wanted, queue, lines.extend, {"HAS": "1"})
    assert (on_queue.env, on_queue.user_id) == ({"B": "queue's"}, 5)
    assert "HAS is not given to the program" in lines[0]


@pytest.mark.parametrize("path", sorted(HOOK.glob("sitecustomize.py")), ids=lambda path: path.name)
def test_what_every_python_of_an_image_imports_is_read_by_old_ones_too(path: Path) -> None:
    tree: Any = ast.parse(path.read_text(), feature_version=(3, 4))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
