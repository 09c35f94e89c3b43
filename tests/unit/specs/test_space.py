"""W&B's `parameters` section: what it means, and every fault at once with its path and line."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

import pytest

from launch_sdk.errors import Fault
from launch_sdk.specs.distributions import Categorical, Constant, Distribution, IntUniform
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.real_distributions import Beta, LogNormal, LogUniform, Normal, Uniform
from launch_sdk.specs.space import Space, parse_parameters


def space_of(**parameters: Any) -> Space:
    space, faults = parse_parameters(Document({"parameters": parameters}))
    assert faults == []
    return space


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"value": 3}, Constant(3)),
        ({"value": None}, Constant(None)),
        ({"values": [1, "a"]}, Categorical((1, "a"))),
        ({"values": [1, 2], "probabilities": [0.5, 0.5]}, Categorical((1, 2), (0.5, 0.5))),
        ({"min": 1, "max": 3}, IntUniform(1, 3)),
        ({"min": 1.0, "max": 3.0}, Uniform(1.0, 3.0)),
        ({"min": 1, "max": 3.5}, Uniform(1, 3.5)),
        ({"distribution": "uniform", "min": 1, "max": 3}, Uniform(1, 3)),
        ({"distribution": "int_uniform", "min": 1.0, "max": 3}, IntUniform(1, 3)),
        ({"distribution": "q_uniform", "min": 0, "max": 10}, Uniform(0, 10, 1.0)),
        ({"distribution": "log_uniform_values", "min": 0.1, "max": 1}, LogUniform(0.1, 1)),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 9, "q": 2}, LogUniform(1, 9, 2)),
        ({"distribution": "inv_log_uniform_values", "min": 1, "max": 9}, LogUniform(1, 9, None, inverse=True)),
        (
            {"distribution": "log_uniform", "min": -2, "max": 0},
            LogUniform(math.exp(-2), 1.0, None, by_exponent=True),
        ),
        (
            {"distribution": "q_log_uniform", "min": 0, "max": 3, "q": 2},
            LogUniform(1.0, math.exp(3), 2, by_exponent=True),
        ),
        (
            {"distribution": "inv_log_uniform", "min": 1, "max": 3},
            LogUniform(math.exp(-3), math.exp(-1), None, inverse=True, by_exponent=True),
        ),
        ({"distribution": "normal"}, Normal(0.0, 1.0)),
        ({"distribution": "q_normal", "mu": 2, "sigma": 0}, Normal(2, 0, 1.0)),
        ({"distribution": "log_normal", "mu": -1}, LogNormal(-1, 1.0)),
        ({"distribution": "q_log_normal", "q": 5}, LogNormal(0.0, 1.0, 5)),
        ({"distribution": "beta", "a": 2}, Beta(2, 1.0)),
        ({"distribution": "q_beta", "b": 3, "q": 0.1}, Beta(1.0, 3, 0.1)),
        ({"distribution": "constant", "value": [1]}, Constant([1])),
        ({"distribution": "categorical", "values": [False, 0]}, Categorical((False, 0))),
    ],
)
def test_each_form_means_its_distribution_with_its_defaults(given: Any, expected: Distribution) -> None:
    (dimension,) = space_of(a=given).dimensions
    assert dimension == (("a",), expected)
    assert dimension[1].name == expected.name


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3, "a: write `value: 3`"),
        ([1, 2], "a: write `values: [1, 2]`"),
        ({}, "it says nothing about its values"),
        ({"values": []}, "a.values: values is empty"),
        ({"values": "adam"}, "'adam' is not a list"),
        ({"min": 1}, "max is missing"),
        ({"max": 1}, "min is missing"),
        ({"min": 1, "max": 1}, "a.min: min 1 is not less than max 1"),
        ({"min": 2.5, "max": 1}, "min 2.5 is not less than max 1"),
        ({"min": "1", "max": 2}, "min '1' is not a finite number"),
        ({"min": True, "max": 2}, "min True is not a finite number"),
        ({"min": 0.0, "max": float("inf")}, "max inf is not a finite number"),
        ({"value": 1, "values": [1]}, "a.values: 'values' is no key of constant"),
        ({"valeus": [1]}, "'valeus' is no key of a parameter; did you mean 'values'?"),
        ({"min": 0, "max": 1, "foo": 1}, "there are distribution, min, max"),
        ({"distribution": "unifrm", "min": 0, "max": 1}, "'unifrm' is no distribution; did you mean 'uniform'?"),
        ({"distribution": ["x"]}, "['x'] is no distribution"),
        ({"distribution": "uniform", "min": 0}, "max is missing: uniform needs min and max"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "min 0.5 is not an integer"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "a.q: q 0 is not above 0"),
        ({"distribution": "q_uniform", "min": 0.2, "max": 0.8}, "no multiple of q 1.0 lies between"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "min 0 is not above 0"),
        ({"distribution": "normal", "sigma": -1}, "sigma -1 is negative"),
        ({"distribution": "beta", "a": 0}, "a 0 is not above 0"),
        ({"distribution": "log_uniform", "min": 1, "max": 0}, "min 1 is not less than max 0"),
        ({"distribution": "log_uniform", "min": 0, "max": 800}, "max 800 is an exponent of e: at most 709"),
        ({"distribution": "log_uniform", "min": 0, "max": 1e-300}, "too near each other"),
        ({"distribution": "q_log_uniform", "min": -3, "max": -2}, "no multiple of q 1.0 lies between 0.0497871"),
        ({"values": [1, 2], "probabilities": [1]}, "1 probabilities for 2 values"),
        ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "sum to 1.1, not to 1"),
        ({"values": [1, 2], "probabilities": [-0.5, 1.5]}, "is not a list of numbers of at least 0"),
        ({"parameters": {}}, "a.parameters: empty"),
        ({"parameters": {"b": {"value": 1}}, "value": 2}, "a.value: 'value' is no key of"),
    ],
)
def test_a_fault_says_what_would_be_right(given: Any, says: str) -> None:
    assert says in "\n".join(faults_of(given))


def faults_of(given: Any) -> list[str]:
    _, faults = parse_parameters(Document({"parameters": {"a": given}}))
    return [str(fault) for fault in faults]


def test_all_faults_are_told_at_once_each_with_its_line() -> None:
    document = parse_document(
        "method: random\n"
        "parameters:\n"
        "  lr: {min: 2, max: 1}\n"
        "  net:\n"
        "    parameters:\n"
        "      depth:\n"
        "        min: 9\n"
        "        max: 3\n"
        "      width: {values: [8, 16]}\n"
        "  1st: {value: 1}\n"
        "  day: {values: [2020-01-01]}\n"
    )
    space, faults = parse_parameters(document)
    assert [path for path, _ in space] == [("net", "width")]
    assert [(fault.line, fault.path) for fault in faults] == [
        (3, "parameters.lr.min"),
        (7, "parameters.net.parameters.depth.min"),
        (10, "parameters.1st"),
        (11, "parameters.day.values[0]"),
    ]
    assert "date" in faults[-1].message


@pytest.mark.parametrize("given", [None, {}, [1], "x"])
def test_a_section_that_is_no_mapping_is_one_fault(given: Any) -> None:
    space, faults = parse_parameters(Document({"parameters": given} if given is not None else {}))
    assert space.dimensions == ()
    assert [fault.path for fault in faults] == ["parameters"]


def test_the_section_may_lie_deeper_in_the_document() -> None:
    space, faults = parse_parameters(Document({"sweep": {"p": {"x": {"min": 2, "max": 1}}}}), ("sweep", "p"))
    assert space.dimensions == ()
    assert faults == [Fault("sweep.p.x.min", "min 2 is not less than max 1")]


def test_names_are_sorted_at_each_level_and_may_repeat_at_another() -> None:
    space = space_of(
        b={"parameters": {"z": {"value": 1}, "a": {"parameters": {"b": {"value": 2}}}}}, a={"value": 3}, c={"value": 4}
    )
    assert [path for path, _ in space] == [("a",), ("b", "a", "b"), ("b", "z"), ("c",)]


def test_nesting_is_the_inverse_of_flattening() -> None:
    space = space_of(lr={"value": 1}, net={"parameters": {"depth": {"value": 2}, "drop": {"value": {"p": 3}}}})
    nested = {"lr": 1, "net": {"depth": 2, "drop": {"p": 3}}}
    assert space.flatten(nested) == {("lr",): 1, ("net", "depth"): 2, ("net", "drop"): {"p": 3}}
    assert space.nest(space.flatten(nested)) == nested


def test_flattening_leaves_out_what_is_missing_or_unknown() -> None:
    space = space_of(lr={"value": 1}, net={"parameters": {"depth": {"value": 2}}})
    assert space.flatten(MappingProxyType({"lr": 5, "net": 3, "other": 1})) == {("lr",): 5}


def test_nested_values_are_copies() -> None:
    space = space_of(a={"value": {"deep": [1]}})
    space.nest({("a",): space.dimensions[0][1].quantile(0.5)})["a"]["deep"].append(2)
    assert space.dimensions[0][1] == Constant({"deep": [1]})


def test_a_point_is_contained_when_every_value_is() -> None:
    space = space_of(a={"min": 1, "max": 3}, n={"parameters": {"b": {"values": ["x"]}}})
    assert space.contains({"a": 2, "n": {"b": "x"}, "extra": 1})
    for wrong in ({"a": 4, "n": {"b": "x"}}, {"a": 2}, {"a": 2, "n": {"b": "y"}}, {"a": True, "n": {"b": "x"}}):
        assert not space.contains(wrong)


def test_the_size_is_that_of_the_grid() -> None:
    assert space_of(a={"min": 0, "max": 10}).size() == 11
    assert space_of(a={"values": [1, 2, 2]}, b={"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}).size() == 8
    assert space_of(a={"min": 0, "max": 10}, b={"distribution": "normal"}).size() is None


def test_a_space_is_discrete_when_its_points_can_be_counted() -> None:
    quarters = {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}
    assert (space_of(b=quarters).levels, space_of(b=quarters).is_discrete) == (5, True)
    assert not space_of(a={"values": [1]}, b={"distribution": "q_normal"}).is_discrete
    assert [path for path, _ in space_of(a={"values": [1, 1.0]}, b=quarters).searched] == [("b",)]


@pytest.mark.parametrize("name", ["a-b", "a.b", "_a", "A9", "é"])
def test_names_of_wandbs_are_legal(name: str) -> None:
    _, faults = parse_parameters(Document({"parameters": {name: {"value": 1}}}))
    assert bool(faults) == (name == "é")
