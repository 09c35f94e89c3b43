"""Every distribution is its inverse CDF, stays in its range, and goes back to the unit interval."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as untyped_stats

from launch_sdk.specs.distributions import Categorical, Constant, Distribution, IntUniform, canonical
from launch_sdk.specs.incomplete_beta import beta_cdf, beta_quantile
from launch_sdk.specs.real_distributions import Beta, LogNormal, LogUniform, Normal, Uniform

stats: Any = untyped_stats
unit = st.floats(0.0, 1.0)
STEPS = (1, 5, 0.1, 0.25, 1e-3, 7.5)


@st.composite
def continuous(draw: st.DrawFn, q: float | None = None) -> Distribution:
    """Draw a real distribution, rounded to `q` if it is given."""
    low, size = draw(st.floats(-1e6, 1e6)), draw(st.floats(10, 1e6))
    positive, shape = draw(st.floats(1e-6, 1e6)), st.floats(0.05, 50)
    choices: list[Distribution] = [
        Uniform(low, low + size, q),
        LogUniform(positive, positive + size, q, inverse=q is None and draw(st.booleans())),
        Normal(low, draw(st.floats(1e-3, 1e3)), q),
        LogNormal(draw(st.floats(-5, 5)), draw(st.floats(1e-3, 3)), q),
        Beta(draw(shape), draw(shape), q),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def rounded(draw: st.DrawFn) -> Distribution:
    return draw(continuous(draw(st.sampled_from(STEPS))))


@st.composite
def integers(draw: st.DrawFn) -> Distribution:
    low = draw(st.integers(-(10**6), 10**6))
    return IntUniform(low, low + draw(st.integers(1, 10**6)))


@st.composite
def categoricals(draw: st.DrawFn) -> Distribution:
    one = st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=2)
    return Categorical(tuple(draw(st.lists(one, min_size=1))))


@settings(deadline=None, derandomize=True)
@given(st.one_of(continuous(), rounded(), integers(), categoricals()), unit)
def test_every_draw_is_inside_its_distribution(distribution: Distribution, u: float) -> None:
    assert distribution.contains(distribution.quantile(u))


@settings(deadline=None, derandomize=True)
@given(st.one_of(continuous(), rounded(), integers()), unit, unit)
def test_a_larger_uniform_number_never_draws_a_smaller_value(distribution: Distribution, u: float, v: float) -> None:
    low, high = distribution.quantile(min(u, v)), distribution.quantile(max(u, v))
    assert low <= high or math.isclose(low, high)


@settings(deadline=None, derandomize=True)
@given(continuous(), st.floats(0.001, 0.999))
def test_the_unit_number_of_a_continuous_draw_is_the_one_that_drew_it(distribution: Distribution, u: float) -> None:
    value = distribution.quantile(u)
    assert math.isclose(distribution.quantile(distribution.unit(value)), value, rel_tol=1e-6, abs_tol=1e-9)


@settings(deadline=None, derandomize=True)
@given(st.one_of(rounded(), integers(), categoricals()), st.floats(0.001, 0.999))
def test_the_unit_number_of_a_discrete_draw_draws_it_again(distribution: Distribution, u: float) -> None:
    value = distribution.quantile(u)
    again = distribution.quantile(distribution.unit(value))
    assert canonical(again) == canonical(value)


@settings(deadline=None, derandomize=True)
@given(st.one_of(rounded(), integers(), categoricals()), unit)
def test_levels_number_the_values_of_a_discrete_distribution(distribution: Distribution, u: float) -> None:
    if distribution.levels is None:
        return
    value = distribution.quantile(u)
    level = distribution.level(value)
    assert 0 <= level < distribution.levels
    assert canonical(distribution.at_level(level)) == canonical(value)


@settings(deadline=None, derandomize=True)
@given(rounded(), unit)
def test_a_rounded_draw_is_a_multiple_of_q_of_the_type_of_q(distribution: Any, u: float) -> None:
    value = distribution.quantile(u)
    assert math.isclose(value / distribution.q, round(value / distribution.q), rel_tol=1e-9, abs_tol=1e-9)
    assert type(value) is type(distribution.q)


DRAWS = [(k + 0.5) / 4000 for k in range(4000)]
ORACLES: list[tuple[Distribution, Any]] = [
    (Uniform(-2.0, 6.0), stats.uniform(-2, 8)),
    (LogUniform(1e-4, 10.0), stats.loguniform(1e-4, 10)),
    (LogUniform(1e-4, 10.0, None, inverse=True), stats.loguniform(1e-4, 10)),
    (
        LogUniform(math.exp(-3), math.exp(-1), None, inverse=True, by_exponent=True),
        stats.loguniform(math.exp(-3), math.exp(-1)),
    ),
    (Normal(3.0, 2.0), stats.norm(3, 2)),
    (LogNormal(0.5, 0.75), stats.lognorm(0.75, scale=math.exp(0.5))),
    (Beta(2.0, 5.0), stats.beta(2, 5)),
    (Beta(0.5, 0.5), stats.beta(0.5, 0.5)),
]


@pytest.mark.parametrize(("distribution", "oracle"), ORACLES, ids=lambda one: getattr(one, "name", ""))
def test_the_quantiles_are_those_of_scipy(distribution: Distribution, oracle: Any) -> None:
    for u in DRAWS[::40]:
        assert math.isclose(distribution.quantile(u), oracle.ppf(u), rel_tol=1e-9)


def test_the_inverse_of_an_inv_log_uniform_value_has_a_uniform_logarithm() -> None:
    logs = [math.log(1 / LogUniform(0.01, 100.0, None, inverse=True).quantile(u)) for u in DRAWS]
    assert min(logs) >= math.log(1 / 100)
    assert max(logs) <= math.log(1 / 0.01)
    assert math.isclose(statistics.fmean(logs), 0.0, abs_tol=1e-6)
    assert math.isclose(statistics.pstdev(logs), 2 * math.log(100) / math.sqrt(12), rel_tol=1e-4)


def test_rounding_never_leaves_the_range() -> None:
    values = {LogUniform(1, 100, 5).quantile(u) for u in DRAWS}
    assert min(values) == 5  # W&B gives 0, which is below min
    assert max(values) == 100
    assert Uniform(0.3, 1.9, 1.0).quantile(0.0) == Uniform(0.3, 1.9, 1.0).quantile(1.0) == 1.0


def test_a_default_q_draws_floats_and_an_integer_q_integers() -> None:
    assert isinstance(Normal(q=1.0).quantile(0.9), float)
    assert isinstance(Normal(q=1).quantile(0.9), int)


def test_a_value_half_way_between_two_multiples_goes_to_the_even_one() -> None:
    assert [Uniform(0.0, 10.0, 2).quantile(u) for u in (0.1, 0.3, 0.5, 0.7, 0.9)] == [0, 4, 4, 8, 8]


def test_multiples_carry_no_noise_of_binary_fractions() -> None:
    drawn = [Uniform(0.0, 1.0, 0.1).quantile(u) for u in (0.1, 0.3, 0.6, 0.7)]
    assert drawn == [0.1, 0.3, 0.6, 0.7]


def test_the_ends_of_the_unit_interval_draw_the_ends_of_the_values() -> None:
    assert (IntUniform(3, 5).quantile(0.0), IntUniform(3, 5).quantile(1.0)) == (3, 5)
    assert (Categorical(("a", "b")).quantile(0.0), Categorical(("a", "b")).quantile(1.0)) == ("a", "b")
    assert math.isfinite(Normal().quantile(0.0))
    assert math.isfinite(LogNormal(700.0, 100.0).quantile(1.0))


def test_falsy_values_of_a_categorical_are_kept_apart() -> None:
    values: tuple[Any, ...] = (0, False, "", None, 0.5, "0", [], {})
    distribution = Categorical(values)
    assert distribution.options == values
    assert [distribution.level(value) for value in values] == list(range(8))
    assert [type(distribution.quantile(distribution.unit(value))) for value in values] == [type(one) for one in values]


def test_equal_values_of_a_categorical_count_once_and_their_chances_add_up() -> None:
    assert Categorical((3000000.0, 3000000, "a", "a")).options == (3000000.0, "a")
    assert Categorical((math.nan, math.nan, True, 1)).levels == 3
    weighted = Categorical(("a", "b", "a"), (0.25, 0.5, 0.25))
    assert sum(weighted.quantile(u) == "a" for u in DRAWS) == 2000


def test_probabilities_weigh_strings_and_a_chance_of_zero_is_none() -> None:
    weighted = Categorical(("adam", "sgd", "never"), (0.75, 0.25, 0.0))
    assert sum(weighted.quantile(u) == "adam" for u in DRAWS) == 3000
    assert weighted.options == ("adam", "sgd")
    assert not weighted.contains("never")


def test_a_mapping_is_recognised_with_keys_that_the_run_added() -> None:
    distribution = Categorical(({"a": 1, "b": {"c": 2}}, {"a": 2}))
    assert distribution.level({"b": {"c": 2, "d": 9}, "a": 1.0, "extra": 3}) == 0
    assert distribution.level({"a": 2}) == 1
    assert not distribution.contains({"b": {"c": 2}})


def test_a_value_of_another_kind_is_in_no_distribution() -> None:
    for distribution in (IntUniform(0, 5), Uniform(0, 5), Normal(), Beta(), LogUniform(1, 2), Constant(3)):
        for value in ("1", None, True, math.nan, math.inf, [1], 10**400):
            assert not distribution.contains(value)
            with pytest.raises(ValueError, match="is n"):
                distribution.unit(value)


def test_numbers_outside_the_range_or_between_the_multiples_are_refused() -> None:
    assert not IntUniform(1, 3).contains(1.5)
    assert IntUniform(1, 3).contains(2.0)
    assert not Uniform(0, 1, 0.25).contains(0.3)
    assert not LogUniform(0.1, 1.0).contains(0.09)
    assert not LogNormal().contains(-1.0)


def test_a_rounded_uniform_has_the_grid_that_wandb_gives() -> None:
    quarter = Uniform(0, 1, 0.25)
    assert [quarter.grid_value(one) for one in range(quarter.grid_size or 0)] == [0.0, 0.25, 0.5, 0.75]
    half = Uniform(0.5, 3.5, 1)
    assert [half.grid_value(one) for one in range(half.grid_size or 0)] == [0.5, 1.5, 2.5]
    assert [half.grid_position(value) for value in (0.5, 1.5, 2.5, 3.5, 1, "x")] == [0, 1, 2, None, None, None]
    with pytest.raises(IndexError):
        quarter.grid_value(4)


def test_only_enumerable_distributions_have_a_grid() -> None:
    assert IntUniform(-52, 10).grid_size == 63
    for one in (Uniform(0, 1), LogUniform(1, 9, 1), Normal(), Beta(), Categorical((1, 2), (0.5, 0.5))):
        assert one.grid_size is None
        assert one.grid_position(1) is None
        with pytest.raises(IndexError):
            one.grid_value(0)


def test_unbounded_distributions_have_no_levels() -> None:
    for one in (Normal(), Normal(q=1), LogNormal(q=2), Uniform(0, 1)):
        assert one.levels is None
        with pytest.raises(ValueError, match="no level"):
            one.level(one.quantile(0.5))
        with pytest.raises(IndexError):
            one.at_level(0)


def test_each_distribution_says_its_name_in_wandb() -> None:
    names = [one.name for one in (Uniform(0, 1), Uniform(0, 1, 1), LogUniform(1, 2, None, inverse=True), Beta(q=0.1))]
    assert names == ["uniform", "q_uniform", "inv_log_uniform_values", "q_beta"]
    assert [Constant(1).name, Categorical((1,)).name] == ["constant", "categorical"]
    assert Categorical((1,), (1.0,)).name == "categorical_w_probabilities"


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.floats(0.01, 300), st.floats(0.01, 300), st.floats(1e-6, 1 - 1e-6))
def test_the_beta_function_agrees_with_scipy(a: float, b: float, u: float) -> None:
    x = float(stats.beta.ppf(u, a, b))
    if 1e-250 < x < 1 - 1e-9:
        assert math.isclose(beta_quantile(u, a, b), x, rel_tol=1e-6)
        assert math.isclose(beta_cdf(x, a, b), float(stats.beta.cdf(x, a, b)), rel_tol=1e-9, abs_tol=1e-12)
