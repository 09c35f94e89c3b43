"""The two limits of an agent."""

from __future__ import annotations

import asyncio
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.agent.slots import UNLIMITED, Lane, Slots

RUNS = st.integers(0, 7).map(lambda number: UUID(int=number))
STEPS = st.lists(st.one_of(st.tuples(RUNS, st.sampled_from(Lane)), RUNS), max_size=60)


@settings(deadline=None, derandomize=True)
@given(steps=STEPS, max_jobs=st.integers(0, 3), max_schedulers=st.integers(0, 3))
def test_no_lane_ever_holds_more_than_its_limit_and_a_free_place_is_never_refused(
    steps: list[tuple[UUID, Lane] | UUID], max_jobs: int, max_schedulers: int
) -> None:
    limits = {Lane.JOBS: max_jobs, Lane.SCHEDULERS: max_schedulers}
    slots = Slots(max_jobs=max_jobs, max_schedulers=max_schedulers)
    held: dict[UUID, Lane] = {}
    for step in steps:
        if isinstance(step, UUID):
            slots.give_back(step)
            held.pop(step, None)
            continue
        run, lane = step
        has_place = run not in held and list(held.values()).count(lane) < limits[lane]
        assert slots.take(run, lane) == has_place
        if has_place:
            held[run] = lane
        assert slots.held == len(held)


def test_without_a_limit_there_is_always_a_place() -> None:
    slots = Slots(max_jobs=UNLIMITED)
    assert all(slots.take(UUID(int=number), Lane.JOBS) for number in range(1000))


def test_after_closing_no_place_is_given_but_those_held_are_kept() -> None:
    slots = Slots()
    slots.take(UUID(int=1), Lane.JOBS)
    slots.close()
    assert not slots.take(UUID(int=2), Lane.SCHEDULERS)
    assert slots.held == 1


def test_a_place_that_is_given_back_is_offered_in_turns_to_one_after_the_other() -> None:
    slots = Slots(max_jobs=1)
    waiting = {"long": [2, 3, 4], "short": [5]}
    taken: list[int] = []

    def line(name: str, answers_in_s: float) -> None:
        async def look() -> None:
            found = waiting[name][:1]
            await asyncio.sleep(answers_in_s)
            if found and slots.take(UUID(int=found[0]), Lane.JOBS):
                taken.append(waiting[name].pop(0))
                slots.served(look)

        slots.on_free(look)

    async def serve() -> None:
        slots.take(UUID(int=1), Lane.JOBS)
        for _ in range(4):
            run = UUID(int=taken[-1] if taken else 1)
            slots.give_back(run)
            slots.give_back(run)  # counts for nothing
            await asyncio.sleep(0.1)

    line("long", 0.001)
    line("short", 0.02)  # the server is slower to answer
    asyncio.run(serve())
    assert taken == [2, 5, 3, 4]


def test_only_the_schedulers_queue_holds_schedulers() -> None:
    assert [Lane.of_queue(name) for name in ("default", "schedulers", "urgent")] == [
        Lane.JOBS,
        Lane.SCHEDULERS,
        Lane.JOBS,
    ]
