"""Every kind of space is searched by the Gaussian process itself: TPE never has to step in."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from launch_sdk.specs.document import Document, parse_document, read_document
from launch_sdk.specs.space import Space, parse_parameters
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.samplers import Observation, make_sampler
from launch_sdk.sweeps.samplers.random_search import uniform_of
from launch_sdk.sweeps.samplers.surrogate import Evidence, propose

if TYPE_CHECKING:
    from launch_sdk.sweeps.samplers import Goal, Sampler

DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "sweep.yaml"
FLOAT: dict[str, Any] = {"min": 0.0, "max": 0.99}
LOG: dict[str, Any] = {"distribution": "log_uniform_values", "min": 1e-6, "max": 1.0}
INT: dict[str, Any] = {"min": 8, "max": 128}
STEPS: dict[str, Any] = {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25}
NORMAL: dict[str, Any] = {"distribution": "normal", "mu": 3.0, "sigma": 2.0}
TWO: dict[str, Any] = {"values": [True, False]}
FOUR: dict[str, Any] = {"values": [16, 32, 64, 128]}
WEIGHTED: dict[str, Any] = {"values": ["adam", "sgd", None], "probabilities": [0.6, 0.3, 0.1]}
MANY: dict[str, Any] = {"values": [f"option {number}" for number in range(12)]}

KINDS: dict[str, dict[str, Any]] = {
    "one float": {"a": FLOAT},
    "one logarithmic float": {"a": LOG},
    "floats": {"a": FLOAT, "b": LOG, "c": NORMAL},
    "one large integer": {"a": {"min": 1, "max": 10_000}},
    "integers": {"a": INT, "b": INT},
    "steps": {"a": STEPS, "b": STEPS, "c": STEPS},
    "one categorical beside a float": {"a": FLOAT, "b": WEIGHTED},
    "a categorical before a float": {"a": TWO, "b": FLOAT},
    "categoricals only": {"a": TWO, "b": FOUR, "c": WEIGHTED, "d": TWO},
    "many options": {"a": MANY, "b": LOG},
    "a float, an integer and categoricals": {"a": FLOAT, "b": INT, "c": TWO, "d": FOUR},
    "everything, nested": {"a": LOG, "b": {"parameters": {"c": INT, "d": {"parameters": {"e": FOUR}}}}, "f": NORMAL},
    "everything": {
        "a": FLOAT, "b": LOG, "c": INT, "d": STEPS, "e": TWO, "f": FOUR, "g": WEIGHTED, "h": MANY, "i": {"value": 3},
    },
}  # fmt: skip


def space_of(parameters: dict[str, Any]) -> Space:
    space, faults = parse_parameters(Document({"parameters": parameters}))
    assert faults == []
    return space


def result(space: Space, parameters: dict[str, Any], index: int) -> float:
    flat = space.flatten(parameters)
    return sum((one.unit(flat[path]) - 0.3) ** 2 for path, one in space) + 0.1 * uniform_of("noise", index)


def search(sampler: Sampler, space: Space, runs: int, pending: int) -> list[Observation]:
    """Search with `pending` runs in flight; every seventh run fails."""
    observations: list[Observation] = []
    for index in range(runs):
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        assert space.contains(parameters)
        observations.append(Observation(index, parameters, None, "running"))
        ended = index - pending
        if ended >= 0:
            parameters = dict(observations[ended].parameters)
            failed = ended % 7 == 3
            value = None if failed else result(space, parameters, ended)
            observations[ended] = Observation(ended, parameters, value, "failed" if failed else "finished")
    return observations


@pytest.mark.parametrize(("kind", "pending"), [*((kind, 4) for kind in KINDS), ("floats", 0), ("everything", 1)])
def test_the_process_makes_30_suggestions_itself(kind: str, pending: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "launch_sdk.sweeps"):
        search(make_sampler("bayes", goal="minimize", seed=2), space_of(KINDS[kind]), 30, pending)
    assert caplog.messages == []


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_digits_example_is_searched_by_the_process(goal: Goal, caplog: pytest.LogCaptureFixture) -> None:
    space = parse_sweep(read_document(DIGITS)).space
    with caplog.at_level(logging.WARNING, "launch_sdk.sweeps"):
        search(make_sampler("bayes", goal=goal, seed=0), space, 24, pending=2)
    assert caplog.messages == []


def test_the_process_knows_which_choice_is_good_while_others_run() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.random(24), rng.integers(0, 4, 24)]).astype(np.float64)
    values = (points[:, 0] - 0.4) ** 2 + (points[:, 1] != 2)
    pending = np.array([[0.9, 0.0], [0.1, 3.0]])
    point = propose(Evidence(points, values, pending), (0, 4), seed=1)
    assert point[1] == 2
    assert math.isclose(point[0], 0.4, abs_tol=0.15)


def test_a_search_that_has_found_the_bound_tries_the_bound_itself_and_no_point_twice() -> None:
    text = "parameters: {x: {min: 0.0, max: 1.0}, nested: {parameters: {a: {values: [1, 2]}}}}"
    space, faults = parse_parameters(parse_document(text))
    assert not faults
    sampler = make_sampler("bayes", goal="minimize", seed=0)
    observations: list[Observation] = []
    for index in range(16):
        parameters = sampler.suggest(space, observations, index)
        assert parameters is not None
        assert parameters not in [one.parameters for one in observations]
        observations.append(Observation(index, parameters, parameters["x"], "finished"))
    smallest = min(one.parameters["x"] for one in observations)
    assert smallest == 0.0


@pytest.mark.parametrize("values", [[5, 0, 7], [False, 0, "", None, "0"]])
def test_values_that_python_holds_false_are_points_of_their_own(values: list[Any]) -> None:
    space = space_of({"a": {"values": values}})
    tried = search(make_sampler("bayes", goal="minimize", seed=1), space, len(values), pending=0)
    assert sorted(str([one.parameters["a"]]) for one in tried) == sorted(str([value]) for value in values)
    assert make_sampler("bayes", goal="minimize", seed=1).suggest(space, tried, len(values)) is None


def test_a_run_from_before_with_a_choice_that_is_none_now_is_left_out() -> None:
    space = space_of({"a": {"values": ["x", "y"]}, "b": FLOAT})
    known = [Observation(place - 6, {"a": "xyz"[place % 3], "b": place / 9}, 0.0, "finished") for place in range(6)]
    sampler = make_sampler("bayes", goal="minimize", seed=1)
    inside = [one for one in known if one.parameters["a"] != "z"]
    assert sampler.suggest(space, known, 0) == sampler.suggest(space, inside, 0)
