"""Runs from before a sweep, as its sampler is told of them."""

from __future__ import annotations

from launch_sdk.specs.document import Document
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.prior import PriorRun, observations, prior_notices, prior_run, prior_text, read_prior

SPEC = parse_sweep(
    Document(
        {
            "method": "random",
            "program": "t.py",
            "metric": {"name": "val.loss"},
            "parameters": {"model": {"parameters": {"depth": {"min": 1, "max": 5}}}, "act": {"values": ["a", "b"]}},
        }
    )
)


def test_only_the_sweeps_parameters_and_its_metric_are_taken() -> None:
    config = {"model": {"depth": 3, "width": 8}, "act": "a", "seed": 1}
    run = prior_run(SPEC, "r1", config, {"val": {"loss": 0.5}})
    assert run == PriorRun("r1", {"model": {"depth": 3}, "act": "a"}, 0.5)
    assert prior_notices(SPEC, [run]) == []
    assert read_prior(prior_text([run])) == [run]


def test_they_come_before_the_sweeps_own_runs() -> None:
    seen = observations([PriorRun("a", {}, 1.0), PriorRun("b", {}, None)])
    assert [(one.index, one.status) for one in seen] == [(-2, "finished"), (-1, "failed")]


def test_what_tells_the_sampler_nothing_is_said() -> None:
    runs = [
        prior_run(SPEC, "r1", {"model": {"depth": 9}}, {"val": {"loss": 0.5}}),
        prior_run(SPEC, "r2", {"model": {"depth": 1}, "act": "b"}, {"loss": 1}),
    ]
    assert prior_notices(SPEC, runs) == [
        "Prior run r1 does not count: act, model.depth is not in the sweep's space.",
        "Prior run r2 has not logged 'val.loss'; it counts as one that failed.",
    ]
