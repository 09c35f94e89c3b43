"""The JSON Schema of a sweep file: what the parser takes fits it, what is wrong in shape does not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.early_stop_spec import RULES
from launch_sdk.specs.space import DISTRIBUTION_KEYS
from launch_sdk.specs.sweep_schema import sweep_schema
from launch_sdk.specs.sweep_spec import KEYS, parse_sweep
from tests.conftest import REPOSITORY
from tests.unit.specs.test_sweep_spec import ADVANCED, BASIC, BAYES, GOOD, WRONG

SCHEMA = sweep_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
FENCE = re.compile(r"^```yaml[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS_THE_PARSER = re.compile(  # what takes more than one value, or more than a schema knows
    r"same point|is no value of this parameter|no parameter of the sweep|names every parameter|goes with method"
    r"|is not less than max|flow/deployment"
    r"|give one of|not program and|no name of an image|goes with program only"
    r"|starts nothing|not a macro|bits|an integer of|NUL|surrogate"
    r"|must be a time|target: must be a number, not nan|is a scheduler of|n.parameters.a.min|do not sum"
    r"|for 2 values|needs a metric|leads out|is no priority"
)


def _sweeps_of_the_docs() -> list[Any]:
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    texts = [match["body"] for page in pages for match in FENCE.finditer(page.read_text())]
    texts += [path.read_text() for path in sorted((REPOSITORY / "examples").rglob("*sweep*.y*ml"))]
    values = [parse_document(text).value for text in texts]
    return [value for value in values if isinstance(value, dict) and {"method", "parameters"} <= value.keys()]


def _errors(value: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(value)]  # pyright: ignore[reportUnknownMemberType]  # its stubs lack a type


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(KEYS)


def test_every_sweep_of_the_docs_and_examples_fits() -> None:
    sweeps = _sweeps_of_the_docs()
    assert len(sweeps) >= 4
    assert [errors for sweep in sweeps if (errors := _errors(sweep))] == []


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({"method": "optuna", "optuna": {"optuna_source": "search.py"}}, True),
        ({"method": "optuna", "optuna": {"optuna_source": "search.py"}, "scheduler": {"job": "job-mine"}}, True),
        ({"method": "optuna", "optuna": {"sampler": {"type": "TPESampler"}}}, False),
        ({"method": "optuna", "scheduler": {"job": "job-mine"}}, False),
        ({"scheduler": {"job": "job-mine"}}, False),
        ({"method": "custom", "optuna": {"optuna_source": "search.py"}, "scheduler": {"job": "job-mine"}}, False),
    ],
)
def test_parameters_are_left_out_only_where_code_of_optunas_searches_with_a_scheduler_or_without(
    more: dict[str, Any], *, fits: bool
) -> None:
    sweep = {"program": "t.py", "metric": {"name": "loss"}, **more}
    assert (_errors(sweep) == []) is fits
    if fits:
        assert parse_sweep(Document(sweep)).method == "optuna"
    else:
        with pytest.raises(InvalidSpecError):
            parse_sweep(Document(sweep))


@pytest.mark.parametrize("text", [BASIC, ADVANCED])
def test_the_files_of_sweeps_on_launch_fit(text: str) -> None:
    assert _errors(parse_document(text).value) == []


@pytest.mark.parametrize(("change", "told"), [pair for pair in WRONG if not NEEDS_THE_PARSER.search(pair[1])])
def test_what_is_wrong_in_shape_does_not_fit(change: dict[Any, Any], told: str) -> None:
    assert _errors(GOOD | change), told


def test_most_of_what_the_parser_refuses_is_wrong_in_shape() -> None:
    assert sum(not NEEDS_THE_PARSER.search(told) for _, told in WRONG) > len(WRONG) / 2


@pytest.mark.parametrize("name", DISTRIBUTION_KEYS)
def test_each_distribution_fits_with_all_its_keys_and_not_with_another(name: str) -> None:
    values = {
        "value": 1,
        "values": [1, 2],
        "probabilities": [0.5, 0.5],
        "min": 1,
        "max": 9,
        "q": 2,
        "mu": 0,
        "sigma": 1,
    }
    required, optional = DISTRIBUTION_KEYS[name]
    given = {"distribution": name} | {key: (values | {"a": 1, "b": 2})[key] for key in (*required, *optional)}
    assert _errors(GOOD | {"parameters": {"x": given}}) == []
    parse_sweep(Document(GOOD | {"parameters": {"x": given}}))
    assert _errors(GOOD | {"parameters": {"x": given | {"step": 1}}})
    for key in required:
        assert _errors(GOOD | {"parameters": {"x": {k: v for k, v in given.items() if k != key}}})


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_of_early_stopping_is_known(rule: str) -> None:
    assert _errors(BAYES | {"early_terminate": {"type": rule, "nonsense": 1}})
    required = {"patience": 1, "worse_than": 2, "pruner": "MedianPruner", "source": "stop.py:decide"}
    given = {key: required[key] for key, option in RULES[rule].items() if option.is_required}
    assert _errors(BAYES | {"early_terminate": [{"type": rule, **given}]}) == []


_PARAMETERS = st.sampled_from(
    [
        {"lr": {"min": 0, "max": 1}},
        {"a": {"values": [1]}, "n": {"parameters": {"b": {"value": None}}}},
        {"files.c/t.yaml.lr": {"distribution": "normal"}},
        {"files": {"parameters": {"c.yaml": {"parameters": {"lr": {"values": [1]}}}}}},
        {"x": {"min": 1}},
        {"1": {"value": 1}},
        None,
    ]
)
_CONTAINERS: list[dict[str, Any]] = [
    {"resource": "docker", "resource_args": {"m": "1g"}, "overrides": {"dockerfile": "D"}},
    {"docker": {"docker_image": "a", "user_id": 0}},
    {"docker": {"image": "a"}, "base_image": None, "image_uri": "", "resource": ""},
    {"resource": "kubernetes"},
]
_KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "parameters": _PARAMETERS,
    "method": st.sampled_from(["grid", "random", "bayes", "tpe", "optuna", "custom", "x", None]),
    "optuna": st.sampled_from(
        [
            None,
            {},
            {"sampler": {"type": "TPESampler", "args": None}, "pruner": None},
            {"sampler": {"type": "TPE"}},
            {"optuna_source": "a/b.py"},
            {"optuna_source": "../b.py"},
            {"optuna_source": None, "pruner": {"type": "NopPruner"}},
        ]
    ),
    "metric": st.sampled_from([None, {"name": "l"}, {"name": "l", "impute": "best", "target": 1}, {"nam": "l"}]),
    "run_cap": st.sampled_from([1, 0, None, "1"]),
    "max_time": st.sampled_from([1, "1h", "1h30m", " 5 min ", "x", 0, None]),
    "max_failed": st.sampled_from([0, 1, 0.5, 1.5, -1, None]),
    "retries": st.sampled_from([0, 2, -1, None]),
    "shuffle": st.sampled_from([True, False, None, 1]),
    "initial": st.sampled_from([[], [{"lr": 0.5}], [3], None]),
    "scheduler": st.sampled_from(
        [
            {"num_workers": "4"},
            {"num_workers": 0},
            {"resource": "kubernetes"},
            {"job": "mine", "settings": {"a": [1]}, "timeout": "2m"},
            {"job": "e/p/mine:v1", "timeout": 0, "engine": "wandb"},
            {"engine": "optuna"},
            None,
        ]
    ),
    "cost": st.sampled_from([{"metric": "c", "max": 2}, {"metric": "c"}, None]),
    "launch": st.sampled_from(
        [{"queue": "q"}, {"priority": "high", "overrides": {"args": [1]}}, {"x": 1}, *_CONTAINERS]
    ),
    "early_terminate": st.sampled_from([{"type": "hyperband", "min_iter": 3.0}, {"type": "nan", "patience": None}, []]),
    "metric_sources": st.sampled_from([[{"file": "a.CSV", "step": None}], [{"stdout": r"(?P<l>.)"}], [{"file": "a"}]]),
    "image_uri": st.sampled_from(["a/b:1", "", None]),
    "program": st.sampled_from(["a.py", "", None]),
    "command": st.sampled_from([["python", 3], ["${program}"], [True], None]),
}


@given(st.fixed_dictionaries({}, optional=_KEYWORDS))
@example({"method": None, "scheduler": {"job": "mine"}})
@example({"method": "custom", "scheduler": {"job": "mine", "timeout": "2m"}, "optuna": None})
@settings(deadline=None, max_examples=500, derandomize=True)
def test_whatever_the_parser_takes_fits(changes: dict[str, Any]) -> None:
    value = GOOD | changes
    try:
        parse_sweep(Document(value))
    except InvalidSpecError:
        return
    assert _errors(value) == []
