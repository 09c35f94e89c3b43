"""The `optuna` block: samplers and pruners by name, every fault at once, before anything is submitted."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs import optuna_parts
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.early_stop_spec import EarlyStopSpec
from launch_sdk.specs.optuna_parts import check_packages, make_part
from launch_sdk.specs.optuna_spec import OptunaSpec, Part
from launch_sdk.specs.sweep_schema import sweep_schema
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep

GOOD: dict[str, Any] = {
    "method": "optuna",
    "program": "train.py",
    "metric": {"name": "loss"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}, "n": {"min": 1, "max": 3}},
}
VALIDATOR = Draft202012Validator(sweep_schema())


def _parse(**changes: Any) -> SweepSpec:
    value = GOOD | changes
    spec = parse_sweep(Document({key: one for key, one in value.items() if one is not ...}))
    assert VALIDATOR.is_valid({key: one for key, one in value.items() if one is not ...})  # pyright: ignore[reportUnknownMemberType]  # its stubs lack a type
    return spec


def _faults(**changes: Any) -> list[str]:
    with pytest.raises(InvalidSpecError) as caught:
        _parse(**changes)
    return [str(fault) for fault in caught.value.faults]


def test_without_a_block_the_default_sampler_searches() -> None:
    assert _parse().optuna == OptunaSpec()
    assert _parse(method="random", metric=...).optuna is None


def test_a_sampler_and_a_pruner_are_named_as_wandb_names_them() -> None:
    args = {"n_startup_trials": 2, "n_min_trials": 1, "percentile": 25.0}
    block = {
        "sampler": {"type": "CmaEsSampler", "args": {"popsize": 8}},
        "pruner": {"type": "PercentilePruner", "args": args},
    }
    spec = _parse(optuna=block, early_terminate={"type": "nan"})
    assert spec.optuna == OptunaSpec(Part("CmaEsSampler", {"popsize": 8}), Part("PercentilePruner", args))
    assert [rule.type for rule in spec.early_stop] == ["nan", "optuna"]
    assert spec.early_stop[1] == EarlyStopSpec("optuna", {"pruner": "PercentilePruner", "args": args})
    assert spec.needs_values


@pytest.mark.parametrize(
    "sampler",
    [
        {"type": "TPESampler", "args": {"multivariate": True, "n_startup_trials": 5, "seed": None}},
        {"type": "RandomSampler"},
        {"type": "CmaEsSampler", "args": {"independent_sampler": {"type": "RandomSampler", "args": {"seed": 1}}}},
        {"type": "GPSampler", "args": {"deterministic_objective": True}},
        {"type": "GridSampler"},
        {"type": "QMCSampler", "args": {"qmc_type": "halton", "scramble": True}},
        {"type": "BruteForceSampler", "args": None},
        {"type": "NSGAIISampler", "args": {"crossover": {"type": "BLXAlphaCrossover", "args": {"alpha": 0.4}}}},
        {"type": "NSGAIIISampler", "args": {"population_size": 10}},
        {"type": "PartialFixedSampler", "args": {"fixed_params": {"n": 2}, "base_sampler": "TPESampler"}},
    ],
    ids=lambda sampler: sampler["type"],
)
def test_every_sampler_of_optunas_is_taken(sampler: dict[str, Any]) -> None:
    parameters = {"n": {"min": 1, "max": 3}}
    assert _parse(optuna={"sampler": sampler}, parameters=parameters).optuna is not None


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"method": "bayes", "optuna": {}}, ["optuna: goes with method: optuna; write that, or leave this out"]),
    ({"metric": ...}, ["method optuna needs a metric; add metric: {name: loss, goal: minimize}"]),
    ({"optuna": {"smapler": {}}}, ["optuna.smapler: unknown key; did you mean sampler?"]),
    ({"optuna": {"sampler": "TPESampler"}}, ["optuna.sampler: must be a mapping, not str 'TPESampler'"]),
    ({"optuna": {"sampler": {}}}, ["optuna.sampler: type is missing; give the name of a sampler of Optuna's"]),
    (
        {"optuna": {"sampler": {"type": "TPE_Sampler"}, "pruner": {"type": "MedianPrune"}}},
        [
            "optuna.sampler.type: 'TPE_Sampler' is no sampler of Optuna's; did you mean TPESampler?",
            "optuna.pruner.type: 'MedianPrune' is no pruner of Optuna's; did you mean MedianPruner?",
        ],
    ),
    (
        {"optuna": {"sampler": {"type": "CmaEsSampler", "args": {"popsiz": 8, "sigma0": "x", "lr_adapt": 1}}}},
        [
            "optuna.sampler.args.popsiz: is no argument of CmaEsSampler; did you mean popsize?",
            "optuna.sampler.args.sigma0: must be a number or null, not 'x'",
            "optuna.sampler.args.lr_adapt: must be true or false, not 1",
        ],
    ),
    (
        {"optuna": {"sampler": {"type": "TPESampler", "args": {"gamma": "lambda n: 3"}}}},
        ["optuna.sampler.args.gamma: is a function; make the sampler in the optuna_source instead: def sampler(): ..."],
    ),
    (
        {"optuna": {"sampler": {"type": "NSGAIISampler", "args": {"population_size": 1}}}},
        ["optuna.sampler.args: NSGAIISampler does not take them: `population_size` must be greater than or equal to"],
    ),
    (
        {"optuna": {"sampler": {"type": "PartialFixedSampler", "args": {"base_sampler": {"type": "TPE"}}}}},
        [
            "optuna.sampler.args.base_sampler.type: 'TPE' is no sampler of Optuna's; did you mean TPESampler?",
            "optuna.sampler.args: PartialFixedSampler needs fixed_params",
        ],
    ),
    ({"optuna": {"sampler": {"type": "GridSampler"}}}, ["parameters.lr: uniform has no grid: give value"]),
    (
        {"optuna": {"sampler": {"type": "GridSampler"}}, "parameters": {"n": {"min": 1, "max": 10**9}}},
        ["optuna.sampler: GridSampler makes all 1000000000 points at once; write method: grid"],
    ),
    (
        {"parameters": {"a.b": {"min": 0, "max": 9}, "a": {"parameters": {"b": {"min": 0, "max": 9}}}}},
        ["parameters: two parameters are called 'a.b', once nested and once as one key; rename one"],
    ),
    ({"parameters": ...}, ["parameters is missing; name at least one"]),
    (
        {"optuna": {"optuna_source": "s.py"}, "program": ..., "job": "flow/deployment"},
        ["optuna.optuna_source: comes with the code of a program or a job of ours"],
    ),
]


@pytest.mark.parametrize(("change", "told"), WRONG)
def test_what_is_wrong_is_told_where_it_is_all_at_once(change: dict[str, Any], told: list[str]) -> None:
    found = _faults(**change)
    assert len(found) == len(told), found
    for one in told:
        assert any(fault.startswith(one) for fault in found), found


@pytest.mark.parametrize(
    "source",
    ["/etc/x.py", "../x.py", "a/../../x.py", "x.txt", "x.py/..", "C:\\x.py", "a\\b.py", "", ".py", "a/.py", "x.py\n"],
)
def test_a_source_is_a_python_file_below_the_program_s_folder(source: str) -> None:
    assert any(
        "optuna.optuna_source: must be a Python file" in one for one in _faults(optuna={"optuna_source": source})
    )


def test_code_can_say_what_to_search_in_place_of_parameters() -> None:
    spec = _parse(parameters=..., optuna={"optuna_source": "tuning/search.py"})
    assert spec.optuna is not None
    assert (spec.optuna.source, spec.space.dimensions) == ("tuning/search.py", ())
    assert spec.searched == "what tuning/search.py says"
    assert spec.has_functions


def test_a_fault_in_an_argument_has_its_line() -> None:
    text = """\
method: optuna
program: a.py
metric: {name: loss}
parameters: {x: {min: 0.0, max: 1.0}}
optuna:
  sampler:
    type: TPESampler
    args:
      n_ei_candidates: many
"""
    with pytest.raises(InvalidSpecError) as caught:
        parse_sweep(parse_document(text))
    assert [fault.line for fault in caught.value.faults] == [9]


def test_a_package_that_a_sampler_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_parts, "NEEDS", {"RandomSampler": (("no_such_module", "no-such-package"),)})
    with pytest.raises(InvalidSpecError, match=r"needs no-such-package, which .* pip install no-such-package"):
        check_packages("sampler", "PartialFixedSampler", {"fixed_params": {}, "base_sampler": "RandomSampler"})
    check_packages("sampler", "TPESampler", {})


def test_a_seed_reaches_a_sampler_and_those_inside_it_unless_they_have_one() -> None:
    outer = make_part("sampler", "CmaEsSampler", {"independent_sampler": {"type": "RandomSampler"}}, 5)
    again = make_part("sampler", "RandomSampler", {}, 5)
    assert outer._independent_sampler._rng.rng.rand() == again._rng.rng.rand()
