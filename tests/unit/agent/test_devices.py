"""Which run has which GPUs and cores."""

from __future__ import annotations

import os
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.agent.devices import CUDA, Devices, Share, devices_of
from launch_sdk.agent.slots import Lane, Slots
from launch_sdk.errors import InvalidSpecError

ONE, TWO = UUID(int=1), UUID(int=2)
STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=40)


@settings(deadline=None, derandomize=True)
@given(steps=STEPS)
def test_no_device_is_ever_of_two_runs_and_none_is_lost(steps: list[tuple[int, int, int, bool]]) -> None:
    devices, held = Devices(["a", "b", "c"], [0, 1, 2]), set[UUID]()
    for number, gpus, cpus, gives_back in steps:
        run = UUID(int=number)
        if gives_back:
            devices.give_back(run)
            held.discard(run)
        elif run not in held and devices.take(run, {"gpu": gpus, "cpu": cpus}):
            held.add(run)
            share = devices.share_of(run)
            assert (len(share.gpus or ()), len(share.cpus)) == (gpus, cpus)
        given_out = [name for run in held for name in devices.share_of(run).gpus or ()]
        assert len(given_out) == len(set(given_out))
    for run in held:
        devices.give_back(run)
    assert devices.take(ONE, {"gpu": 3, "cpu": 3})


def test_whatever_was_given_back_first_a_run_has_its_devices_in_their_order() -> None:
    devices = Devices(["7", "3", "5"], [0, 1, 2])
    for run in (ONE, TWO):
        devices.take(run, {"gpu": 1, "cpu": 1})
    for run in (TWO, ONE):
        devices.give_back(run)
    devices.take(ONE, {"gpu": 3, "cpu": 3})
    assert devices.share_of(ONE) == Share(("7", "3", "5"), (0, 1, 2))


def test_a_place_is_refused_whose_devices_are_not_free_and_given_back_with_them() -> None:
    slots = Slots(devices=Devices(["0"]))
    assert slots.take(ONE, Lane.JOBS, needs={"gpu": 1})
    assert not slots.take(TWO, Lane.JOBS, needs={"gpu": 1})
    assert slots.take(TWO, Lane.JOBS)
    slots.give_back(ONE)
    assert slots.take(ONE, Lane.JOBS, needs={"gpu": 1})


def test_the_machine_gives_what_the_agent_sees_and_slots_hide_the_rest() -> None:
    seen = devices_of(None, {CUDA: "4,GPU-x"})
    assert seen.total == {"gpu": 2, "cpu": len(os.sched_getaffinity(0))}
    assert seen.share_of(ONE).environment == {}
    some = devices_of({"gpu": 1, "cpu": 1}, {CUDA: "4,GPU-x"})
    assert some.take(ONE, {"gpu": 1, "cpu": 1})
    assert some.share_of(ONE).environment == {CUDA: "4", "OMP_NUM_THREADS": "1"}
    assert some.share_of(TWO).environment == {CUDA: ""}
    assert not some.could_hold({"gpu": 2})


def test_slots_beyond_the_machine_are_refused() -> None:
    with pytest.raises(InvalidSpecError) as error:
        devices_of({"gpu": 3, "cpu": 4000}, {CUDA: "0"})
    assert [fault.path for fault in error.value.faults] == ["gpu", "cpu"]
