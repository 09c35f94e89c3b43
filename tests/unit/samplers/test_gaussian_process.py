"""The Gaussian process: what it is told, what it does with bad news, and that it finds the optimum."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pytest

from launch_sdk.specs.document import Document
from launch_sdk.specs.space import Space, parse_parameters
from launch_sdk.sweeps.samplers import Observation, make_sampler
from launch_sdk.sweeps.samplers.design import design_point
from launch_sdk.sweeps.samplers.gaussian_process import GaussianProcessSampler, startup_runs
from launch_sdk.sweeps.samplers.surrogate import MOST_POINTS, Evidence, propose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from launch_sdk.sweeps.samplers import Goal


def space_of(**parameters: Any) -> Space:
    space, faults = parse_parameters(Document({"parameters": parameters}))
    assert faults == []
    return space


SQUARE = space_of(x={"min": -5.0, "max": 5.0}, lr={"distribution": "log_uniform_values", "min": 1e-6, "max": 1.0})


def score(parameters: dict[str, Any]) -> float:
    return (parameters["x"] - 1.5) ** 2 + (math.log10(parameters["lr"]) + 2) ** 2


def search(
    space: Space,
    function: Callable[[dict[str, Any]], float],
    runs: int,
    *,
    goal: Goal = "minimize",
    failing: Callable[[int], bool] = lambda _: False,
) -> list[Observation]:
    sampler = make_sampler("bayes", goal=goal, seed=1)
    observations: list[Observation] = []
    for index in range(runs):
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        value = None if failing(index) else function(parameters)
        observations.append(Observation(index, parameters, value, "failed" if failing(index) else "finished"))
    return observations


def best(observations: list[Observation], goal: Goal = "minimize") -> float:
    values = [one.value for one in observations if one.value is not None]
    return min(values) if goal == "minimize" else max(values)


def test_it_finds_the_minimum_of_a_bowl_in_20_runs() -> None:
    assert best(search(SQUARE, score, 20)) < 1e-3


def test_it_finds_a_minimum_in_a_corner_though_it_does_not_begin_there() -> None:
    space = space_of(**{f"x{axis}": {"min": 0.0, "max": 1.0} for axis in range(4)})
    assert best(search(space, lambda one: sum(one.values()), 20)) < 1e-6


def test_it_finds_the_maximum_as_well() -> None:
    found = best(search(SQUARE, lambda parameters: -score(parameters), 20, goal="maximize"), "maximize")
    assert found > -1e-3


def test_failed_runs_do_not_stop_it() -> None:
    assert best(search(SQUARE, score, 30, failing=lambda index: index % 3 == 1)) < 1e-2


def test_it_works_at_any_scale_of_the_metric() -> None:
    assert best(search(SQUARE, lambda parameters: 1e-200 * score(parameters), 20)) < 1e-202
    assert best(search(SQUARE, lambda parameters: 1e200 * score(parameters), 20)) < 1e198


def test_it_finds_the_right_choice_among_strings_mappings_and_falsy_values() -> None:
    choices = ["", 0, False, {"layers": 2}, None]
    space = space_of(kind={"values": choices}, x={"min": 0.0, "max": 1.0})
    found = search(space, lambda one: (one["x"] - 0.25) ** 2 + (one["kind"] is not False), 25)
    winner = min(found, key=lambda one: one.value if one.value is not None else math.inf)
    assert winner.parameters["kind"] is False
    assert abs(winner.parameters["x"] - 0.25) < 0.05


def test_a_discrete_space_is_searched_in_a_better_order_than_chance() -> None:
    space = space_of(a={"min": 0, "max": 9}, b={"min": 0, "max": 9})
    found = search(space, lambda one: (one["a"] - 7) ** 2 + (one["b"] - 2) ** 2, 25)
    assert best(found) == 0


def test_the_first_runs_are_spread_evenly() -> None:
    points = np.array([design_point(2, number, seed=3) for number in range(16)])
    quarters = {(int(x * 2), int(y * 2)) for x, y in points}
    assert len(quarters) == 4
    assert all(len({int(value * 8) for value in points[:, axis]}) >= 7 for axis in range(2))


def test_the_first_fit_comes_early_enough_for_a_sweep_of_20_runs() -> None:
    assert [startup_runs(dimensions) for dimensions in (1, 4, 6, 12)] == [5, 5, 7, 13]


def test_more_runs_than_a_fit_takes_are_no_hindrance() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((MOST_POINTS + 30, 2))
    values = ((points - 0.4) ** 2).sum(axis=1)
    point = propose(Evidence(points, values, np.empty((0, 2))), (0, 0), seed=1)
    assert np.all((point >= 0) & (point <= 1))
    assert np.abs(point - 0.4).max() < 0.1


def test_ten_thousand_failed_runs_are_no_hindrance() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((30, 2))
    values = ((points - 0.4) ** 2).sum(axis=1)
    point = propose(Evidence(points, values, rng.random((10_000, 2))), (0, 0), seed=1)
    assert np.all((point >= 0) & (point <= 1))


def test_a_run_in_flight_is_not_suggested_again() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((20, 2))
    values = ((points - 0.4) ** 2).sum(axis=1)
    wanted = propose(Evidence(points, values, np.empty((0, 2))), (0, 0), seed=1)
    another = propose(Evidence(points, values, wanted[np.newaxis]), (0, 0), seed=1)
    assert np.abs(another - wanted).max() > 1e-4


def _breaks(evidence: Evidence, choices: Sequence[int], seed: int) -> NDArray[np.float64]:
    """Give the process results that are no numbers."""
    return propose(Evidence(evidence.points, np.full_like(evidence.values, math.nan), evidence.pending), choices, seed)


def test_when_the_arithmetic_breaks_tpe_suggests_and_one_warning_says_so(caplog: pytest.LogCaptureFixture) -> None:
    study = optuna.create_study(sampler=GaussianProcessSampler(seed=0, surrogate=_breaks))
    space = {f"x{axis}": optuna.distributions.FloatDistribution(0.0, 1.0) for axis in range(2)}
    for _ in range(startup_runs(2)):
        study.tell(study.ask(dict(space)), 1.0)
    with caplog.at_level(logging.WARNING, "launch_sdk.sweeps"):
        trial = study.ask(dict(space))
    assert all(0.0 <= value <= 1.0 for value in trial.params.values())
    assert [record.name for record in caplog.records] == ["launch_sdk.sweeps"]
    assert "TPE suggests it instead" in caplog.text


def _interrupted(*_: object) -> NDArray[np.float64]:
    raise KeyboardInterrupt


def test_an_interrupt_is_never_swallowed() -> None:
    study = optuna.create_study(sampler=GaussianProcessSampler(seed=0, surrogate=_interrupted))
    space: dict[str, optuna.distributions.BaseDistribution] = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    for _ in range(startup_runs(1)):
        study.tell(study.ask(space), 1.0)
    with pytest.raises(KeyboardInterrupt):
        study.ask(space)


def test_with_eight_in_flight_some_points_roam_and_most_stay_near_the_best_result() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((30, 4))
    values = ((points - 0.4) ** 2).sum(axis=1) + rng.normal(0, 0.05, 30)
    evidence = Evidence(points, values, rng.random((7, 4)))
    found = np.array([propose(evidence, (0,) * 4, seed) for seed in range(24)])
    centre = points[np.argsort(values)[:5]]
    near = np.abs(found[:, np.newaxis] - centre).max(axis=2).min(axis=1) <= 2.5 / 30 + 1e-9
    assert 12 <= near.sum() <= 24
    assert len({tuple(one) for one in found}) > 12


def test_integers_and_choices_are_searched_with_many_in_flight_until_none_is_left() -> None:
    space = space_of(n={"min": 1, "max": 6}, kind={"values": ["a", "b", "c"]})
    sampler = make_sampler("bayes", goal="minimize", seed=3)
    observations: list[Observation] = []
    for index in range(18):
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        observations.append(Observation(index, parameters, None, "running"))
        if index >= 8:
            done = observations[index - 8].parameters
            observations[index - 8] = Observation(index - 8, done, float(done["n"]), "finished")
    assert len({(one.parameters["n"], one.parameters["kind"]) for one in observations}) == 18
    assert sampler.suggest(space, observations, 18) is None
