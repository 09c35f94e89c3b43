"""What a run and its queue say together of a container; the run may be somebody's who wants more than he may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from launch_sdk.containers.settled import SettledContainer, Surroundings, settle
from launch_sdk.containers.taking_over import TakenRecords
from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.container import ContainerSpec, image_fault
from launch_sdk.specs.container_arguments import argument_faults
from launch_sdk.specs.queue_containers import QueueContainers


def settled(
    queue: dict[str, Any], run: dict[str, Any] | None = None, **macros: str
) -> tuple[SettledContainer, list[str]]:
    told: list[str] = []
    around = Surroundings("boxes", QueueContainers.from_arguments(queue), macros=macros)
    return settle(ContainerSpec.from_dict(run or {}), around, told.extend, {}), told


SCRATCH = {"volumes": ["/data/${run_name}:/s:ro"], "image": "base"}


@pytest.mark.parametrize(
    "name", ["../outside", "../x:/y", "a:/y", "a/b", "..", ".", "", "/", "a:rw", "a\0b", "a\nb", "x" * 300, "ü/.."]
)
def test_the_name_of_a_run_cannot_lead_out_of_a_volume_of_its_queue(name: str) -> None:
    with pytest.raises(InvalidSpecError, match="must be one name there"):
        settled(SCRATCH, run_name=name)


def test_the_name_of_a_run_may_stand_in_a_volume() -> None:
    assert settled(SCRATCH, run_name="brave fox-1.2")[0].own.volumes == ("/data/brave fox-1.2:/s:ro",)


def test_a_project_without_a_name_does_not_mount_the_folder_of_all() -> None:
    with pytest.raises(InvalidSpecError, match="project_name"):
        settled({"volumes": ["/data/${project_name}:/s"], "image": "base"}, project_name="")


def test_what_a_name_makes_of_an_argument_is_checked_again() -> None:
    assert settled({"image": "base", "workdir": "/w/${run_name}"}, run_name="a")[0].args == {"workdir": "/w/a"}
    with pytest.raises(InvalidSpecError, match="workdir"):
        settled({"image": "base", "workdir": "/w/${run_name}"}, run_name="../../etc")


@pytest.mark.parametrize(
    ("queue", "wanted", "user_id"),
    [
        ({"user_id": 2000}, 1234, 2000),
        ({"volumes": ["/data:/data:ro"]}, 42, 1000),
        ({"devices": ["/dev/fuse"]}, 42, 1000),
        ({"user_id": 0}, 42, 42),
        ({"user_id": 0}, None, 0),
        ({}, 42, 42),
    ],
)
def test_the_queue_says_who_a_program_is_where_that_counts(
    queue: dict[str, Any], wanted: int | None, user_id: int
) -> None:
    found, told = settled({"image": "base", **queue}, {"user_id": wanted})
    assert found.user_id == user_id
    assert bool(told) == (wanted not in {None, user_id})


def test_root_is_still_refused_where_the_queue_decides() -> None:
    with pytest.raises(InvalidSpecError, match="root is for queues"):
        settled({"image": "base", "user_id": 2000}, {"user_id": 0})


def test_what_bears_on_a_limit_of_the_queue_is_the_queues() -> None:
    run = {"args": {"memory-swap": "-1", "cpu-quota": 50_000, "shm-size": "64m"}}
    found, told = settled({"image": "base", "memory": "300m", "cpus": 2}, run)
    assert found.args == {"memory": "300m", "cpus": 2, "shm-size": "64m"}
    assert told == ["launch: queue 'boxes' decides: memory-swap is its owner's too, cpu-quota is its owner's too"]


def test_arguments_that_say_the_same_are_refused_together() -> None:
    assert [fault.path for fault in argument_faults({"cpus": 2, "cpu-quota": 50_000})] == ["cpus"]
    assert [fault.path for fault in argument_faults({"memory": "1k"})] == ["memory"]


@pytest.mark.parametrize("name", ["UPPER/x", "UPPER", "Upper:1", "registry.example.com/UPPER"])
def test_capitals_are_for_the_host_of_a_registry_and_for_tags(name: str) -> None:
    assert image_fault(name)


@pytest.mark.parametrize("name", ["upper:TAG", "Registry.Example.com/x", "HOST:5000/x:TAG", "localhost/x"])
def test_hosts_and_tags_may_have_capitals(name: str) -> None:
    assert image_fault(name) is None


def test_a_file_of_holes_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_bytes(b'{"log": {"a": 1}, "step": 0}\n')
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.truncate(1 << 40)
    taken = TakenRecords(tmp_path, tmp_path / "taken")
    taken.look()
    taken.look(at_end=True)
    assert (tmp_path / "taken").read_bytes() == b'{"log": {"a": 1}, "step": 0}\n'
