"""The formulas of the process: against differences, against draws, and against what must be true of any process."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.sweeps.samplers.improvement import Improvement, log_belief, log_improvement
from launch_sdk.sweeps.samplers.process import Kernel, fit, negative_log_posterior, squared_differences
from launch_sdk.sweeps.samplers.quasi_newton import Box, minimise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CHOICES = (0, 0, 3)
NONE = np.empty((0, 3))


def sample(runs: int = 15) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.random((runs, 2)), rng.integers(0, 3, runs)]).astype(np.float64)
    values = np.sin(5 * points[:, 0]) + points[:, 1] + (points[:, 2] == 1)
    return points, (values - values.mean()) / values.std()


def slope(function: Callable[[Array], float], at: Array) -> Array:
    steps = 1e-6 * np.eye(len(at))
    return np.array([(function(at + step) - function(at - step)) / 2e-6 for step in steps])


@pytest.mark.parametrize("logarithms", [[0.5, 0.2, 0.1, 0.3, -3.0], [3.0, -2.0, 1.0, -1.0, -8.0]])
def test_the_gradient_of_the_fit_is_that_of_its_value(logarithms: list[float]) -> None:
    points, targets = sample()
    squares, at = squared_differences(points, CHOICES), np.array(logarithms)
    gradient = negative_log_posterior(at, squares, targets)[1]
    assert np.allclose(gradient, slope(lambda one: negative_log_posterior(one, squares, targets)[0], at), rtol=1e-4)


@pytest.mark.parametrize("pending", [NONE, np.array([[0.1, 0.2, 1.0], [0.3, 0.3, 0.0]])])
def test_the_gradient_of_the_improvement_is_that_of_its_value(pending: Array) -> None:
    points, targets = sample()
    improvement = Improvement(Kernel(CHOICES, np.array([2.0, 1.0, 0.5]), 1.0, 1e-3), points, targets, pending)
    at = np.array([0.3, 0.4, 1.0])
    value, gradient = improvement.loss(at)
    differences = slope(lambda ordered: improvement.loss(np.append(ordered, 1.0))[0], at[:2])
    assert np.allclose(gradient[:2], differences, rtol=1e-4)
    assert np.allclose(-improvement.values(at[np.newaxis]), value)


def test_the_improvement_is_the_mean_of_what_draws_improve() -> None:
    normal = np.random.default_rng(0).standard_normal(400_000)
    for gain in (-2.0, -0.5, 0.0, 1.0, 4.0):
        drawn = np.maximum(gain + normal, 0.0).mean()
        assert math.isclose(math.exp(log_improvement(np.array([gain]))[0][0]), drawn, rel_tol=0.02)


@given(st.floats(-1e6, 30))
@settings(deadline=None, derandomize=True)
def test_the_logarithm_of_the_improvement_is_finite_and_rises(gain: float) -> None:
    (value, above), (rate, _) = log_improvement(np.array([gain, gain + 1e-3 * max(1.0, abs(gain))]))
    assert math.isfinite(value)
    assert above > value
    assert rate > 0


def test_without_noise_the_process_passes_through_the_results() -> None:
    points, targets = sample()
    kernel = fit(points, targets, CHOICES).kernel
    assert kernel.noise < 1e-6
    assert np.allclose(Improvement(kernel, points, targets, NONE).expected, targets, atol=1e-3)


def test_noise_is_recognised_and_smoothed_away() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((60, 2))
    truth = np.sin(4 * points[:, 0]) + points[:, 1]
    truth = (truth - truth.mean()) / truth.std()
    noisy = truth + 0.3 * rng.standard_normal(60)
    kernel = fit(points, noisy, (0, 0)).kernel
    assert 0.2**2 < kernel.noise < 0.4**2
    expected = Improvement(kernel, points, noisy, np.empty((0, 2))).expected
    assert np.std(expected - truth) < 0.6 * np.std(noisy - truth)


def test_an_axis_that_does_not_matter_gets_a_small_weight() -> None:
    points = np.random.default_rng(2).random((40, 2))
    values = np.sin(6 * points[:, 0])
    important, idle = fit(points, (values - values.mean()) / values.std(), (0, 0)).kernel.weights
    assert important > 10 * idle


def test_little_is_left_to_gain_where_a_run_is_under_way() -> None:
    points, targets = sample()
    kernel, at = fit(points, targets, CHOICES).kernel, np.array([[0.9, 0.05, 2.0]])
    alone = Improvement(kernel, points, targets, NONE).values(at)
    beside = Improvement(kernel, points, targets, at).values(at)
    assert beside[0] < alone[0] - 1


def test_a_run_under_way_changes_nothing_far_from_it() -> None:
    points, targets = sample()
    kernel, far = Kernel(CHOICES, np.full(3, 1e4), 1.0, 1e-3), np.array([[0.2, 0.9, 1.0]])
    alone = Improvement(kernel, points, targets, NONE).values(far)
    beside = Improvement(kernel, points, targets, np.array([[0.9, 0.05, 2.0]])).values(far)
    assert np.allclose(beside, alone)


def test_the_minimum_is_believed_to_be_in_the_middle_rather_than_at_an_end_but_may_be_there() -> None:
    logs, slopes = log_belief(np.array([0.0, 0.1, 0.5, 0.9, 1.0]))
    assert logs[0] < logs[1] < logs[2]
    assert np.allclose(logs, logs[::-1])
    assert np.allclose(slopes[[0, 2, 4]], 0.0)
    assert logs[2] - logs[0] < 2


def test_the_belief_loses_weight_as_results_come_in() -> None:
    kernel, ends = Kernel((0, 0), np.full(2, 1e4), 1.0, 1e-3), np.array([[0.5, 0.5], [0.0, 0.0]])
    apart = [
        np.diff(Improvement(kernel, np.full((runs, 2), 0.25), np.zeros(runs), np.empty((0, 2))).values(ends))
        for runs in (6, 60)
    ]
    assert np.isclose(apart[0], 10 * apart[1])


def _rosenbrock(point: Array) -> tuple[float, Array]:
    a, b = point
    by_a = -400 * a * (b - a**2) - 2 * (1 - a)
    return float(100 * (b - a**2) ** 2 + (1 - a) ** 2), np.array([by_a, 200 * (b - a**2)])


def test_a_narrow_valley_is_followed_to_its_end() -> None:
    found, value = minimise(_rosenbrock, np.array([-1.2, 1.0]), Box(np.full(2, -2.0), np.full(2, 2.0)), 200)
    assert np.allclose(found, 1.0, atol=1e-3)
    assert value < 1e-6


def test_a_minimum_on_the_edge_of_the_box_is_found() -> None:
    found, _ = minimise(_rosenbrock, np.array([-1.2, 1.0]), Box(np.full(2, -2.0), np.array([0.5, 2.0])), 200)
    assert np.allclose(found, [0.5, 0.25], atol=1e-3)


@pytest.mark.parametrize("apart", [0.0, 1e-12, 1e-7, 1e-4])
def test_near_equal_points_and_runs_in_flight_do_not_break_the_arithmetic(apart: float) -> None:
    rng = np.random.default_rng(0)
    points = np.repeat(rng.random((12, 2)), 5, axis=0) + apart * rng.standard_normal((60, 2))
    values = np.sin(3 * points[:, 0]) + points[:, 1]
    targets = (values - values.mean()) / values.std()
    pending = np.repeat(points[:8], 4, axis=0) + apart * rng.standard_normal((32, 2))
    kernel = fit(points, targets, (0, 0)).kernel
    improvement = Improvement(kernel, points, targets, pending)
    assert np.isfinite(improvement.values(rng.random((50, 2)))).all()
    assert np.isfinite(improvement.values(pending)).all()
