"""Results in other scales: order kept, any magnitude, and the better scale told by the likelihood."""

from __future__ import annotations

import math

import numpy as np
import pytest

from launch_sdk.sweeps.samplers.process import fit
from launch_sdk.sweeps.samplers.scales import scales


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0], [1e308, -1e308, 0.0], [1.0, 1.1, 1.2, 1.3, 5e5], [1e-300, 2e-300]])
def test_every_scale_keeps_the_order_and_takes_the_size(values: list[float]) -> None:
    given = np.array(values)
    for scaled in scales(given):
        assert list(np.argsort(scaled.targets)) == list(np.argsort(given))
        assert math.isclose(float(scaled.targets.std()), 1.0, rel_tol=1e-6)
        assert abs(float(scaled.targets.mean())) < 1e-9


def test_equal_results_become_zeros() -> None:
    assert [one.targets.tolist() for one in scales(np.full(5, 7.0))] == [[0.0] * 5]
    assert [one.targets.tolist() for one in scales(np.zeros(3))] == [[0.0] * 3]


def test_the_slope_is_that_of_the_targets() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0, 30.0])
    plain, logarithm = scales(values)
    above = values - 1.0
    by_hand = 1 / ((above + 3.0) * np.log1p(above / 3.0).std()) * values.std()  # relative to the plain scale
    assert math.isclose(logarithm.log_slope - plain.log_slope, float(np.log(by_hand).sum()), rel_tol=1e-9)


@pytest.mark.parametrize(("power", "likelier"), [(1, 0), (6, 1)])
def test_the_likelihood_prefers_the_scale_in_which_the_results_are_smooth(power: int, likelier: int) -> None:
    points = np.random.default_rng(0).random((30, 2))
    smooth = np.sin(4 * points[:, 0]) + points[:, 1]
    values = smooth if power == 1 else np.exp(power * smooth)
    losses = [fit(points, one.targets, (0, 0)).loss - one.log_slope for one in scales(values)]
    assert int(np.argmin(losses)) == likelier
