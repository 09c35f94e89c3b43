"""Our Gaussian process passes the tests that Optuna publishes for samplers.

Left out: MultiObjectiveSamplerTestCase, since a sweep has one metric; SingleOnlySamplerTestCase checks that the sampler
refuses several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from launch_sdk.sweeps.samplers.gaussian_process import GaussianProcessSampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.samplers import BaseSampler


class TestGaussianProcess(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: GaussianProcessSampler(seed=0)
