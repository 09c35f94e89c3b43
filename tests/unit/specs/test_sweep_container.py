"""What a sweep file says of the containers of its runs: what a launch config may say, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.job_making import check_sweep
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.job import Job
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.sweep_change import change_sweep
from launch_sdk.specs.sweep_container import SweepContainer
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from tests.unit.specs.test_sweep_spec import BASIC, GOOD

OF_JOB: dict[str, Any] = {"method": "random", "job": "digits", "parameters": GOOD["parameters"]}
PLACEHOLDERS = (  # as W&B's documentation has them
    BASIC.replace("base/image", "<base image for the scheduler>")
    .replace("kubernetes", "<ie. kubernetes, local-container...>")
    .replace("my-registry", "<registry for image pulling>")
)


def _parse(**changes: Any) -> SweepSpec:
    return parse_sweep(Document({**GOOD, **changes}))


def _faults(text: str) -> list[str]:
    head = "program: train.py\nmethod: random\nparameters: {lr: {min: 0.0, max: 1.0}}\n"
    with pytest.raises(InvalidSpecError) as caught:
        parse_sweep(parse_document(head + text, name="sweep.yaml"))
    return [str(fault) for fault in caught.value.faults]


def test_its_launch_block_says_what_a_launch_config_says() -> None:
    launch = {
        "docker": {"docker_image": "python:3.12", "user_id": 7},
        "resource": "local-container",
        "resource_args": {"local-container": {"-m": "100m", "env": ["A=1"]}},
    }
    spec = _parse(launch=launch)
    assert spec.container.wanted == {
        "image": "python:3.12",
        "user_id": 7,
        "args": {"memory": "100m", "env": ["A=1"]},
    }
    assert spec.notes == ()
    assert _parse(launch={"image_uri": "a"}).container.wanted == {"image": "a"}
    assert _parse(launch={"base_image": "a"}).container.wanted == {"base_image": "a"}
    assert _parse(launch={"overrides": {"dockerfile": "docker/D"}}).container.wanted == {"dockerfile": "docker/D"}
    built = {"dockerfile": "D", "build_context": "docker"}
    assert _parse(launch={"overrides": built}).container.wanted == built
    assert _parse(launch={"overrides": {"build_context": "."}}).container.wanted == {"build_context": "."}
    assert _parse(launch={"resource": "container"}).container.wanted == {}
    assert _parse(launch={"resource": "process"}).container == SweepContainer()
    counts = _parse(launch={"resource_args": {"gpu": 1, "memory": "2g"}}).container
    assert (counts.resources, counts.wanted) == ({"gpu": 1}, {"args": {"memory": "2g"}})


def test_what_no_submitter_may_say_is_refused_with_its_line() -> None:
    text = "launch:\n  resource_args:\n    privileged: true\n    volumes: ['/etc:/x']\n    memory: lots\n"
    first, second, third = _faults(text)
    assert first.startswith("line 6: launch.resource_args.privileged: is nothing that a submitter may set")
    assert second.startswith("line 7: launch.resource_args.volumes: is nothing that a submitter may set")
    assert third.startswith("line 8: launch.resource_args.memory: must be a size")
    (of_runs,) = _faults("scheduler:\n  resource_args: {devices: [/dev/sda]}\n")
    assert of_runs.startswith("line 5: scheduler.resource_args.devices: is nothing that a submitter may set")
    several = _faults(
        "launch:\n  resource: kubernetes\n  image_uri: '-v'\n  docker: {image: x}\n"
        "  overrides: {dockerfile: ../D, build_context: /}\n  resource_args: {name: '$(x)', command: sh}\n"
    )
    assert {fault.split(": ")[1] for fault in several} == {
        "launch.resource",
        "launch.image_uri",
        "launch.docker.image",
        "launch.overrides.dockerfile",
        "launch.overrides.build_context",
        "launch.resource_args.name",
    }
    (told,) = _faults("launch: {resource_args: {command: sh}}")
    assert "this sweep names a program" in told
    (told,) = _faults("launch: {resource: process, image_uri: a}")
    assert told.startswith("line 4: launch.resource: Cannot specify docker image")
    with pytest.raises(InvalidSpecError, match=r"launch\.image_uri: goes with a program or a job"):
        parse_sweep(Document({**OF_JOB, "job": "flow/deployment", "launch": {"image_uri": "a"}}))


def test_resource_arguments_beside_no_scheduler_job_are_passed_to_runs() -> None:
    spec = _parse(scheduler={"resource_args": {"memory": "1g", "cpus": 2, "env": ["KEY", "A=1"]}})
    assert spec.container == SweepContainer({"args": {"memory": "1g", "cpus": 2, "env": ["A=1"]}}, {}, ("KEY",))
    over = _parse(
        scheduler={"resource_args": {"memory": "1g", "gpu": 1}}, launch={"resource_args": {"memory": "2g", "gpu": 2}}
    )
    assert over.container == SweepContainer({"args": {"memory": "2g"}}, {"gpu": 2})
    assert _parse(scheduler={"job": "mine", "resource_args": {"env": ["KEY"]}}).container == SweepContainer()


@pytest.mark.parametrize("text", [BASIC, PLACEHOLDERS])
def test_the_agents_variables_that_runs_ask_for_make_no_container_of_a_process(text: str) -> None:
    wants = parse_sweep(parse_document(text)).container
    assert wants == SweepContainer(None, {}, ("WANDB_API_KEY",))
    asked = {"args": {"env": ["WANDB_API_KEY"]}}
    assert wants.over(None, is_contained=False) is None
    assert wants.over(None, is_contained=True) == asked
    assert wants.over({"image": "a"}, is_contained=False) == {"image": "a", **asked}
    both = SweepContainer({"args": {"env": ["A=1"], "memory": "1g"}}, {}, ("KEY",))
    assert both.over(None, is_contained=False) == {"args": {"env": ["KEY", "A=1"], "memory": "1g"}}


def test_a_sweep_lays_its_container_over_that_of_its_job_and_says_where_they_disagree() -> None:
    job = Job("digits", "default", RunSpec("image:a/b:1", ("train",), container={"image": "a/b:1"}))
    document = Document({**OF_JOB, "launch": {"resource_args": {"memory": "1g"}}})
    spec = parse_sweep(document)
    check_sweep(job, spec, document)
    laid = job.spec_with({}, {}, container=spec.container.over(job.spec.container, is_contained=False))
    assert laid.container == {"image": "a/b:1", "args": {"memory": "1g"}}
    other = Document({**OF_JOB, "launch": {"image_uri": "x"}}, "sweep.yaml")
    with pytest.raises(InvalidSpecError, match="the source is the image 'a/b:1'; name no other"):
        check_sweep(job, parse_sweep(other), other)


def test_a_resumed_sweep_may_change_the_containers_of_its_runs() -> None:
    before = {**GOOD, "launch": {"queue": "boxes", "resource_args": {"memory": "1g"}}}
    change = change_sweep(before, Document({"launch": {"resource_args": {"memory": "2g"}}}))
    assert change.document["launch"] == {"queue": "boxes", "resource_args": {"memory": "2g"}}
    with pytest.raises(InvalidSpecError, match=r"launch\.resource_args\.privileged"):
        change_sweep(before, Document({"launch": {"resource_args": {"privileged": True}}}))
