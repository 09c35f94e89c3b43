"""`method: optuna`: the study is made anew each time, and says the same in another process."""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document
from launch_sdk.specs.optuna_spec import OptunaSpec, Part
from launch_sdk.specs.space import Space, parse_parameters
from launch_sdk.sweeps.samplers import Observation
from launch_sdk.sweeps.samplers.optuna_search import OptunaSampler
from launch_sdk.testing.sampler_contract import CONTINUOUS, DISCRETE, SamplerContract, space_of

if TYPE_CHECKING:
    from launch_sdk.sweeps.samplers import Goal, Sampler

FLOATS: dict[str, Any] = {name: {"min": -5.0, "max": 5.0} for name in "abc"}
PARTS: dict[str, dict[str, Any]] = {
    "TPESampler": {},
    "RandomSampler": {"seed": 3},
    "CmaEsSampler": {"popsize": 4, "warn_independent_sampling": False},
    "NSGAIISampler": {"population_size": 4},
    "QMCSampler": {"warn_independent_sampling": False},
    "PartialFixedSampler": {"fixed_params": {}, "base_sampler": "TPESampler"},
}
NEEDS = {"CmaEsSampler": "cmaes", "QMCSampler": "scipy"}


def sampler_of(name: str, args: dict[str, Any] | None = None, goal: Goal = "minimize", seed: int = 3) -> OptunaSampler:
    if not importlib.util.find_spec(NEEDS.get(name, "optuna")):
        pytest.skip(f"{NEEDS[name]} is not installed")
    return OptunaSampler(OptunaSpec(Part(name, PARTS.get(name, {}) if args is None else args)), goal, seed)


class TestTpe(SamplerContract):
    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        return sampler_of("TPESampler", goal=goal, seed=seed)


class TestCmaEs(SamplerContract):
    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        return sampler_of("CmaEsSampler", goal=goal, seed=seed)


class TestGenetic(SamplerContract):
    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        return sampler_of("NSGAIISampler", goal=goal, seed=seed)


def sphere(parameters: dict[str, Any]) -> float:
    return sum((value - 1.0) ** 2 for value in parameters.values())


def search(sampler: Sampler, space: Space, runs: int, pending: int = 0) -> list[Observation]:
    observations: list[Observation] = []
    for index in range(runs):
        parameters = sampler.suggest(space, observations, index)
        if parameters is None:
            break
        observations.append(Observation(index, parameters, None, "running"))
        ended = index - pending
        if ended >= 0:
            value = sphere(dict(observations[ended].parameters))
            observations[ended] = Observation(ended, observations[ended].parameters, value, "finished")
    return observations


@pytest.mark.parametrize("pending", [0, 3])
@pytest.mark.parametrize("name", [*PARTS])
def test_a_parent_that_begins_anew_before_each_run_suggests_the_same(name: str, pending: int) -> None:
    space = space_of(FLOATS)
    lasting, observations = sampler_of(name), search(sampler_of(name), space, 14, pending)
    for index in range(14):
        known = [
            one if one.index < index - pending else Observation(one.index, one.parameters, None, "running")
            for one in observations[:index]
        ]
        assert lasting.suggest(space, known, index) == observations[index].parameters
        assert sampler_of(name).suggest(space, known[::-1], index) == observations[index].parameters


@pytest.mark.parametrize("name", [*PARTS])
def test_no_two_runs_draw_the_same_although_the_sampler_has_a_seed_of_its_own(name: str) -> None:
    points = [tuple(one.parameters.values()) for one in search(sampler_of(name), space_of(FLOATS), 12)]
    assert len(set(points)) == len(points)


def test_a_replayed_evolution_is_the_one_that_optuna_runs_itself() -> None:
    """One at a time the notes in the replayed study are those of a study that Optuna has kept."""
    pytest.importorskip("cmaes")
    space = space_of(FLOATS)
    observations = search(sampler_of("CmaEsSampler"), space, 30)
    trials = sampler_of("CmaEsSampler").study_of(space, observations).get_trials()
    generations = [trial.system_attrs.get("cma:generation") for trial in trials]
    assert generations[1:] == [place // 4 for place in range(29)]
    assert min(one.value or 0.0 for one in observations[20:]) < min(one.value or 0.0 for one in observations[:8])


def test_evolution_goes_on_with_runs_in_flight_and_runs_that_fail() -> None:
    pytest.importorskip("cmaes")
    space, sampler = space_of(FLOATS), sampler_of("CmaEsSampler")
    observations: list[Observation] = []
    for index in range(60):
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        observations.append(Observation(index, parameters, None, "running"))
        if (ended := index - 4) >= 0:
            status, value = ("failed", None) if ended % 5 == 1 else ("finished", sphere(observations[ended].parameters))  # pyright: ignore[reportArgumentType]  # a dict it is
            observations[ended] = Observation(ended, observations[ended].parameters, value, status)
    values = [one.value for one in observations if one.value is not None]
    assert min(values[-20:]) < 0.2 * min(values[:8])


def test_a_goal_to_maximize_is_searched_upwards() -> None:
    space, sampler = space_of({"x": {"min": 0.0, "max": 1.0}}), sampler_of("TPESampler", goal="maximize")
    observations: list[Observation] = []
    for index in range(40):
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        observations.append(Observation(index, parameters, parameters["x"], "finished"))
    late = [one.parameters["x"] for one in observations[-10:]]
    assert sum(late) / 10 > 0.8


@pytest.mark.parametrize("name", ["GridSampler", "BruteForceSampler"])
@pytest.mark.parametrize("pending", [0, 2])
def test_an_exhaustive_search_tries_every_point_once_and_ends(name: str, pending: int) -> None:
    space = space_of(DISCRETE)
    observations = search(sampler_of(name, {}), space_of({"n": {"min": 1, "max": 4}, "k": {"values": [1, 2, 7]}}), 99)
    assert sorted((one.parameters["n"], one.parameters["k"]) for one in observations) == [
        (n, k) for n in (1, 2, 3, 4) for k in (1, 2, 7)
    ]
    sampler = sampler_of(name, {})
    done: list[Observation] = []
    while (parameters := sampler.suggest(space, done, len(done))) is not None:
        done.append(Observation(len(done), parameters, None, "running"))
        if len(done) > pending:
            ended = len(done) - 1 - pending
            done[ended] = Observation(ended, done[ended].parameters, 1.0, "finished")
    assert len(done) == (space.size() if name == "GridSampler" else space.levels)


def test_a_grid_of_ones_own_is_gone_through_and_no_further() -> None:
    parameters = {"a": {"min": 0.0, "max": 1.0}, "b": {"min": 0, "max": 9}}
    sampler = sampler_of("GridSampler", {"search_space": {"a": [0.25, 0.5], "b": [1, 2, 3]}})
    observations = search(sampler, space_of(parameters), 20)
    assert sorted(tuple(one.parameters.values()) for one in observations) == [
        (a, b) for a in (0.25, 0.5) for b in (1, 2, 3)
    ]


def test_arguments_speak_of_the_parameters_as_the_file_does() -> None:
    parameters: dict[str, Any] = {
        "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1.0},
        "net": {"parameters": {"act": {"values": ["relu", "tanh"]}, "depth": {"min": 1, "max": 4}}},
        "q": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1},
    }
    fixed = {"lr": 0.01, "net.act": "tanh", "net.depth": 3, "q": 0.3}
    sampler = sampler_of("PartialFixedSampler", {"fixed_params": fixed, "base_sampler": "RandomSampler"})
    suggested = sampler.suggest(space_of(parameters), [], 0)
    assert suggested == {"lr": pytest.approx(0.01), "net": {"act": "tanh", "depth": 3}, "q": 0.3}


@pytest.mark.parametrize("name", ["TPESampler", "RandomSampler"])
def test_choices_of_every_kind_and_normal_and_beta_come_back_as_they_were_written(name: str) -> None:
    space, sampler = space_of({**CONTINUOUS, **DISCRETE}), sampler_of(name)
    for one in search_any(sampler, space, 25):
        assert space.contains(one.parameters)
        assert space.nest(space.flatten(one.parameters)) == one.parameters


def search_any(sampler: Sampler, space: Space, runs: int) -> list[Observation]:
    observations: list[Observation] = []
    for index in range(runs):
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        observations.append(Observation(index, parameters, float(index % 5), "finished"))
    return observations


def test_a_sampler_that_cannot_is_told_in_words() -> None:
    sampler = sampler_of("BruteForceSampler", {})
    with pytest.raises(
        InvalidSpecError, match=r"optuna.sampler: BruteForceSampler failed on run 0: ValueError: .*step"
    ):
        sampler.suggest(space_of(FLOATS), [], 0)


def test_results_that_are_not_finite_are_failed_trials() -> None:
    space, sampler = space_of(FLOATS), sampler_of("TPESampler")
    points = [one.parameters for one in search(sampler, space, 4)]
    values = [math.nan, math.inf, None, 1.0]
    told = [
        Observation(index, point, value, "finished")
        for index, (point, value) in enumerate(zip(points, values, strict=True))
    ]
    assert sampler.suggest(space, told, 4) is not None
    study = sampler.study_of(space, told)
    assert [trial.state.name for trial in study.get_trials()] == ["FAIL", "FAIL", "FAIL", "COMPLETE"]


def test_runs_in_flight_are_running_trials() -> None:
    space, sampler = space_of(FLOATS), sampler_of("NSGAIISampler")
    told = [Observation(index, {"a": 0.0, "b": 0.5, "c": float(index)}, None, "running") for index in range(3)]
    study = sampler.study_of(space, told)
    assert [trial.state for trial in study.get_trials()] == [optuna.trial.TrialState.RUNNING] * 3
    assert [trial.params["c"] for trial in study.get_trials()] == [0.0, 1.0, 2.0]


def test_a_document_of_wandbs_is_searched(  # its space as it stands, all distributions
) -> None:
    parameters = {
        name: {"distribution": name, "min": 1, "max": 3}
        for name in (
            "log_uniform",
            "inv_log_uniform",
            "q_log_uniform",
            "q_log_uniform_values",
            "inv_log_uniform_values",
        )
    }
    space, faults = parse_parameters(Document({"parameters": parameters}))
    assert not faults
    assert len(search_any(sampler_of("TPESampler"), space, 15)) == 15
