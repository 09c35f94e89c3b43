"""Grid search goes in W&B's order, costs nothing to begin with; random search draws each parameter by itself."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from scipy import stats as untyped_stats

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document
from launch_sdk.specs.space import Space, parse_parameters
from launch_sdk.sweeps.samplers import Observation, grid_faults, make_sampler
from launch_sdk.sweeps.samplers.random_search import uniform_of

if TYPE_CHECKING:
    from launch_sdk.sweeps.samplers import Status

stats: Any = untyped_stats


def space_of(parameters: dict[str, Any]) -> Space:
    space, faults = parse_parameters(Document({"parameters": parameters}))
    assert faults == []
    return space


def gone_through(parameters: dict[str, Any], before: list[Observation] | None = None) -> list[dict[str, Any]]:
    """Let a grid search run until it says that it is at its end."""
    space, sampler = space_of(parameters), make_sampler("grid", goal="minimize", seed=0)
    observations = list(before or [])
    found: list[dict[str, Any]] = []
    while (suggestion := sampler.suggest(space, observations, len(observations))) is not None:
        found.append(suggestion)
        observations.append(Observation(len(observations), suggestion, None, "running"))
    return found


def test_the_last_name_turns_fastest_and_values_keep_their_order() -> None:
    found = gone_through({"b": {"values": [1, 2]}, "a": {"values": ["y", "x"]}})
    assert [(one["a"], one["b"]) for one in found] == [("y", 1), ("y", 2), ("x", 1), ("x", 2)]


def test_nested_parameters_come_nested() -> None:
    found = gone_through(
        {"n": {"parameters": {"a": {"min": 1, "max": 2}, "b": {"value": "k"}}}, "z": {"values": [0, 1]}}
    )
    assert found[:2] == [{"n": {"a": 1, "b": "k"}, "z": 0}, {"n": {"a": 1, "b": "k"}, "z": 1}]
    assert len(found) == 4


def test_equal_values_are_used_once() -> None:
    found = gone_through({"a": {"values": [1, 1.0, True, "1", [1], [1.0]]}})
    assert [one["a"] for one in found] == [1, True, "1", [1]]


def test_the_order_is_that_of_wandbs_own_test_with_its_duplicate() -> None:
    parameters = {"letter": {"values": ["a", "b", "c", "a"]}, "number": {"values": [1, 2, 3]}}
    found = [f"{one['letter']}{one['number']}" for one in gone_through(parameters)]
    assert found == ["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3"]


def test_nan_is_one_value_and_the_order_of_keys_makes_no_other() -> None:
    values = [float("nan"), float("nan"), {"a": 1, "b": 2}, {"b": 2, "a": 1}, 3000000, 3000000.0]
    assert len(gone_through({"a": {"values": values}})) == 3


@pytest.mark.parametrize("method", ["grid", "random"])
def test_many_suggestions_at_once_are_those_of_one_after_the_other(method: str) -> None:
    space, sampler = (
        space_of({"a": {"values": [1, 2, 3]}, "b": {"min": 0, "max": 9}}),
        make_sampler(method, goal="minimize", seed=0),
    )
    at_once: list[Observation] = []
    one_by_one: list[Observation] = []
    for index in range(8):
        at_once.append(Observation(index, sampler.suggest(space, at_once, index) or {}, None, "running"))
        one_by_one.append(Observation(index, sampler.suggest(space, one_by_one, index) or {}, 1.0, "finished"))
    assert [one.parameters for one in at_once] == [one.parameters for one in one_by_one]


def test_integer_ranges_and_rounded_ranges_give_the_points_of_wandb() -> None:
    assert len(gone_through({"param1": {"min": 0, "max": 10}})) == 11
    assert len(gone_through({"param1": {"min": -52, "max": 10}})) == 63
    quarters = gone_through({"q": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}})
    assert [one["q"] for one in quarters] == [0.0, 0.25, 0.5, 0.75]


def test_constants_alone_are_one_run() -> None:
    assert gone_through({"a": {"value": 1}, "b": {"value": None}}) == [{"a": 1, "b": None}]


@pytest.mark.parametrize("status", ["running", "finished", "failed"])
def test_a_combination_of_any_run_is_skipped(status: Status) -> None:
    before = [Observation(7, {"a": 2.0, "added": 1}, None, status), Observation(8, {"a": 9}, None, status)]
    assert [one["a"] for one in gone_through({"a": {"values": [1, 2, 3]}}, before)] == [1, 3]


def test_a_mapping_to_which_the_run_added_keys_is_recognised() -> None:
    before = [Observation(0, {"a": {"lr": 1, "made": "by the run"}}, None, "finished")]
    assert gone_through({"a": {"values": [{"lr": 1}, {"lr": 2}]}}, before) == [{"a": {"lr": 2}}]


def test_a_thousand_million_million_combinations_begin_without_being_made() -> None:
    space = space_of({name: {"min": 1, "max": 1000} for name in "abcde"})
    tracemalloc.start()
    first = make_sampler("grid", goal="minimize", seed=0).suggest(space, [], 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert space.size() == 10**15
    assert first == dict.fromkeys("abcde", 1)
    assert peak < 1_000_000


def test_parameters_without_a_grid_are_named() -> None:
    space = space_of(
        {
            "lr": {"min": 0.0, "max": 1.0},
            "n": {"parameters": {"p": {"values": [1, 2], "probabilities": [0.5, 0.5]}, "ok": {"min": 1, "max": 2}}},
        }
    )
    assert [path for path, _ in grid_faults(space)] == [("lr",), ("n", "p")]
    with pytest.raises(InvalidSpecError, match=r"n\.p: categorical_w_probabilities has no grid"):
        make_sampler("grid", goal="minimize", seed=0).suggest(space, [], 0)


DRAWN = space_of({"lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0}, "n": {"min": 1, "max": 4}})


def drawn(space: Space, count: int, seed: int = 5) -> list[dict[str, Any]]:
    sampler = make_sampler("random", goal="minimize", seed=seed)
    return [sampler.suggest(space, [], index) or {} for index in range(count)]


def test_random_draws_follow_their_distribution() -> None:
    points = drawn(DRAWN, 2000)
    assert stats.kstest([one["lr"] for one in points], stats.loguniform(1e-4, 1.0).cdf).pvalue > 0.01
    counts = [sum(one["n"] == value for one in points) for value in (1, 2, 3, 4)]
    assert stats.chisquare(counts).pvalue > 0.01


def test_random_parameters_are_independent_of_each_other() -> None:
    points = drawn(DRAWN, 2000)
    assert abs(stats.spearmanr([one["lr"] for one in points], [one["n"] for one in points]).statistic) < 0.06


def test_adding_a_parameter_changes_no_other() -> None:
    more = Space((*space_of({"a": {"min": 0.0, "max": 1.0}}).dimensions, *DRAWN.dimensions))
    assert [one["lr"] for one in drawn(more, 5)] == [one["lr"] for one in drawn(DRAWN, 5)]


def test_random_search_draws_with_replacement_and_never_ends() -> None:
    space, sampler = space_of({"a": {"values": [1, 2]}}), make_sampler("random", goal="minimize", seed=0)
    observations: list[Observation] = []
    for index in range(20):
        observations.append(Observation(index, sampler.suggest(space, observations, index) or {}, 1.0, "finished"))
    drawn_values = [one.parameters["a"] for one in observations]
    assert 5 < drawn_values.count(1) < 15


def test_uniform_numbers_are_known_for_ever() -> None:
    assert uniform_of(5, 0, ("lr",)) == uniform_of(5, 0, ["lr"])
    assert 0 < min(uniform_of(one) for one in range(1000)) < 0.01
    assert 0.99 < max(uniform_of(one) for one in range(1000)) < 1


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="there are grid, random, bayes, tpe"):
        make_sampler("bayesian", goal="minimize", seed=0)


def shuffled(parameters: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    space, sampler = space_of(parameters), make_sampler("grid", goal="minimize", seed=seed, shuffle=True)
    found: list[dict[str, Any]] = []
    observations: list[Observation] = []
    while (suggestion := sampler.suggest(space, observations, len(observations))) is not None:
        found.append(suggestion)
        observations.append(Observation(len(observations), suggestion, None, "running"))
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 100])
def test_a_shuffled_grid_has_every_point_once_in_an_order_of_its_seed(size: int) -> None:
    parameters = {"a": {"min": 0, "max": size}, "b": {"values": ["x"]}}
    first, second, same = shuffled(parameters, 1), shuffled(parameters, 2), shuffled(parameters, 1)
    assert sorted(one["a"] for one in first) == list(range(size + 1))
    assert first == same
    if size > 4:
        assert first != second
        assert [one["a"] for one in first] != list(range(size + 1))


def test_a_shuffled_grid_of_a_billion_points_begins_at_once() -> None:
    space = space_of({name: {"min": 1, "max": 1000} for name in "abc"})
    sampler = make_sampler("grid", goal="minimize", seed=0, shuffle=True)
    first = [
        sampler.suggest(space, [], 0),
        sampler.suggest(space, [Observation(0, sampler.suggest(space, [], 0) or {}, None, "failed")], 1),
    ]
    assert first[0] != first[1]


def test_every_order_of_a_small_grid_is_about_as_likely() -> None:
    orders = {tuple(one["a"] for one in shuffled({"a": {"values": [1, 2, 3]}}, seed)) for seed in range(200)}
    assert len(orders) == 6
