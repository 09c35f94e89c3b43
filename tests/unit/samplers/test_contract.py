"""Our own samplers keep the law that is published for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from launch_sdk.sweeps.samplers import make_sampler
from launch_sdk.testing.sampler_contract import SamplerContract

if TYPE_CHECKING:
    from launch_sdk.sweeps.samplers import Goal, Sampler


class TestGrid(SamplerContract):
    takes_continuous: ClassVar[bool] = False

    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        return make_sampler("grid", goal=goal, seed=seed)


class TestRandom(SamplerContract):
    exhausts: ClassVar[bool] = False

    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        return make_sampler("random", goal=goal, seed=seed)


class TestTpe(SamplerContract):
    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        return make_sampler("tpe", goal=goal, seed=seed)


class TestBayes(SamplerContract):
    def make_sampler(self, *, goal: Goal, seed: int) -> Sampler:
        return make_sampler("bayes", goal=goal, seed=seed)
