"""The law of samplers as tests: subclass `SamplerContract` in a test module and say how your sampler is made.

Example:
    class TestMySampler(SamplerContract):
        def make_sampler(self, *, goal, seed):
            return MySampler(goal, seed)
"""
# ruff: noqa: S101  # these are tests, only published ones

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from launch_sdk.specs.document import Document
from launch_sdk.specs.space import Space, parse_parameters
from launch_sdk.sweeps.samplers import Goal, Observation, Sampler, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DISCRETE: dict[str, Any] = {
    "depth": {"min": 1, "max": 3},
    "model": {
        "parameters": {
            "kind": {"values": ["small", 0, False, "", None, {"layers": [1, 2]}]},
            "drop": {"distribution": "q_uniform", "min": 0, "max": 0.3, "q": 0.1},
        }
    },
    "task": {"value": "demo"},
}
CONTINUOUS: dict[str, Any] = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
    "momentum": {"min": 0.0, "max": 1.0},
    "noise": {"parameters": {"scale": {"distribution": "normal"}, "keep": {"distribution": "beta", "a": 2, "b": 5}}},
    "batch": {"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 5},
    "optimizer": {"values": ["adam", "sgd"], "probabilities": [0.75, 0.25]},
    "seed": {"value": 7},
}
_IN_ANOTHER_PROCESS = """
import json, pickle, sys
sampler, space, observations, index = pickle.load(sys.stdin.buffer)
print(json.dumps(sampler.suggest(space, observations, index), sort_keys=True))
"""
_RUNS = 12


def space_of(parameters: dict[str, Any]) -> Space:
    """Read a `parameters` section that is known to be right."""
    space, faults = parse_parameters(Document({"parameters": parameters}))
    assert not faults, faults
    return space


class SamplerContract(ABC):
    """Checks a sampler against the law in `launch_sdk.sweeps.samplers.Sampler`.

    Attributes:
        takes_continuous: whether the sampler can search spaces with infinitely many points; a grid search cannot.
        exhausts: whether it repeats no point of a discrete space and says None at the end; random search does not.
    """

    takes_continuous: ClassVar[bool] = True
    exhausts: ClassVar[bool] = True

    @abstractmethod
    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        """Make a fresh sampler; it can be pickled."""

    def spaces(self) -> list[Space]:
        """Give the spaces to search; override it to add your own."""
        return [space_of(DISCRETE), *([space_of(CONTINUOUS)] if self.takes_continuous else [])]

    def test_every_suggestion_is_a_plain_value_inside_the_space(self) -> None:
        for space in self.spaces():
            for goal in ("minimize", "maximize"):
                for observation in self._search(space, goal, _RUNS):
                    assert space.contains(observation.parameters), observation.parameters
                    assert space.nest(space.flatten(observation.parameters)) == observation.parameters
                    assert json.loads(json.dumps(observation.parameters)) == observation.parameters

    def test_the_same_question_has_the_same_answer(self) -> None:
        for space in self.spaces():
            observations = self._search(space, "minimize", _RUNS)
            answers = [self._make().suggest(space, observations, _RUNS) for _ in range(2)]
            asked_before = self._make()
            for index in range(3):
                asked_before.suggest(space, observations[:index], index)
            assert answers[0] == answers[1] == asked_before.suggest(space, observations, _RUNS)

    def test_the_answer_is_the_same_in_another_process(self) -> None:
        for space in self.spaces():
            observations = self._search(space, "minimize", _RUNS)
            question = pickle.dumps((self._make(), space, observations, _RUNS))
            done = subprocess.run(
                [sys.executable, "-c", _IN_ANOTHER_PROCESS],
                input=question,
                capture_output=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": "4242"},
            )
            assert json.loads(done.stdout) == self._make().suggest(space, observations, _RUNS)

    def test_arguments_are_never_changed(self) -> None:
        for space in self.spaces():
            observations = self._search(space, "minimize", _RUNS)
            before = copy.deepcopy((space.dimensions, observations))
            suggestion = self._make().suggest(space, observations, _RUNS)
            _scribble_over(suggestion)
            assert (space.dimensions, observations) == before

    def test_an_answer_changed_by_the_caller_changes_no_later_answer(self) -> None:
        for space in self.spaces():
            first = self._make().suggest(space, [], 0)
            kept = copy.deepcopy(first)
            _scribble_over(first)
            assert self._make().suggest(space, [], 0) == kept

    def test_runs_without_a_usable_result_are_no_error(self) -> None:
        results: list[tuple[float | None, Status]] = [
            (math.nan, "finished"),
            (math.inf, "finished"),
            (-math.inf, "finished"),
            (None, "finished"),
            (None, "failed"),
            (3.0, "failed"),
            (None, "running"),
            (1e308, "finished"),
            (-1e308, "finished"),
            (5.0, "finished"),
            (5.0, "finished"),
        ]
        for space in self.spaces():
            points = [one.parameters for one in self._search(space, "minimize", len(results))]
            pairs = zip(points, results, strict=True)
            observations = [Observation(index, point, *result) for index, (point, result) in enumerate(pairs)]
            for end in range(1, len(observations) + 1):
                self._check_answer(space, observations[:end], end)

    def test_equal_results_are_no_error(self) -> None:
        for space in self.spaces():
            points = [one.parameters for one in self._search(space, "minimize", _RUNS)]
            observations = [Observation(index, point, 1.0, "finished") for index, point in enumerate(points)]
            self._check_answer(space, observations, _RUNS)

    def test_runs_outside_the_space_are_no_error(self) -> None:
        strangers = [
            Observation(0, {}, 1.0, "finished"),
            Observation(1, {"lr": "high", "depth": 99, "model": 3}, 2.0, "finished"),
            Observation(2, {"something": {"else": [1]}}, None, "running"),
        ]
        for space in self.spaces():
            self._check_answer(space, strangers, 3)

    def test_runs_in_flight_get_different_points(self) -> None:
        for space in self.spaces():
            done = self._search(space, "minimize", _RUNS)
            running = self._search(space, "minimize", _RUNS + 6, done, status="running")[_RUNS:]
            points = [json.dumps(one.parameters, sort_keys=True) for one in running]
            assert len(points) == 6  # noqa: PLR2004  # as many as were asked for above
            if self.exhausts or not space.is_discrete:
                assert len(set(points)) == len(points)

    def test_a_discrete_space_is_gone_through_once_and_then_ends(self) -> None:
        if not self.exhausts:
            return
        space = space_of({"a": {"values": [0, False, 3]}, "b": {"min": 1, "max": 4}, "c": {"value": [1]}})
        observations = self._search(space, "minimize", 100)
        assert len({json.dumps(one.parameters) for one in observations}) == len(observations) == 12  # noqa: PLR2004  # 3 x 4

    def test_a_space_of_constants_is_one_point(self) -> None:
        space = space_of({"a": {"value": 1}, "b": {"parameters": {"c": {"value": {"d": None}}}}})
        observations = self._search(space, "maximize", 3)
        assert observations[0].parameters == {"a": 1, "b": {"c": {"d": None}}}
        assert len(observations) == (1 if self.exhausts else 3)

    def test_another_seed_gives_another_search_of_a_continuous_space(self) -> None:
        if self.takes_continuous:
            space = space_of(CONTINUOUS)
            first, second = (self.make_sampler(goal="minimize", seed=seed).suggest(space, [], 0) for seed in (1, 2))
            assert first != second

    def _make(self) -> Sampler:
        return self.make_sampler(goal="minimize", seed=3)

    def _check_answer(self, space: Space, observations: Sequence[Observation], index: int) -> None:
        suggestion = self._make().suggest(space, observations, index)
        assert suggestion is not None
        assert space.contains(suggestion)

    def _search(
        self, space: Space, goal: Goal, runs: int, before: Iterable[Observation] = (), *, status: Status = "finished"
    ) -> list[Observation]:
        """Search until `runs` observations are there, or the space is exhausted."""
        sampler = self.make_sampler(goal=goal, seed=3)
        observations = list(before)
        while len(observations) < runs:
            suggestion = sampler.suggest(space, observations, len(observations))
            if suggestion is None:
                break
            value = None if status == "running" else _score(space, suggestion)
            observations.append(Observation(len(observations), suggestion, value, status))
        return observations


def _score(space: Space, parameters: dict[str, Any]) -> float:
    """Give a smooth result whose best point is inside the space."""
    flat = space.flatten(parameters)
    return sum((distribution.unit(flat[path]) - 0.3) ** 2 for path, distribution in space)


def _scribble_over(value: Any) -> None:
    """Change every mapping and list inside a suggestion, as a careless caller may."""
    if isinstance(value, dict):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]  # whatever is in there
            _scribble_over(item)
        value["scribble"] = 1
    elif isinstance(value, list):
        value.append("scribble")  # pyright: ignore[reportUnknownMemberType]  # the same
