"""The `early_terminate` block: what is taken, and what is said of each mistake, with its path and line."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import parse_document
from launch_sdk.specs.early_stop_spec import EarlyStopSpec
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep

SWEEP = """
program: train.py
method: random
metric: {name: loss, goal: minimize}
parameters: {x: {min: 0.0, max: 1.0}}
"""


def _parse(block: str, sweep: str = SWEEP) -> SweepSpec:
    return parse_sweep(parse_document(sweep + block, name="sweep.yaml"))


def _faults(block: str, sweep: str = SWEEP) -> list[str]:
    with pytest.raises(InvalidSpecError) as caught:
        _parse(block, sweep)
    return [str(fault) for fault in caught.value.faults]


def test_a_sweep_without_the_block_ends_no_run_early() -> None:
    assert _parse("").early_stop == ()
    assert _parse("early_terminate:").early_stop == ()


@pytest.mark.parametrize(
    ("block", "options"),
    [
        ("{type: hyperband, min_iter: 3}", {"min_iter": 3, "eta": 3, "strict": True}),
        ("{type: hyperband, max_iter: 27, s: 2}", {"max_iter": 27, "s": 2, "eta": 3, "strict": True}),
        ("{type: hyperband, s: 2, eta: 1.5, max_iter: 12, strict: false}", {"eta": 1.5, "strict": False}),
        ("{type: hyperband, min_iter: 3.0, eta: 2}", {"min_iter": 3}),
        ("{type: asha}", {"min_iter": 1, "max_iter": None, "eta": 3, "form": "stopping"}),
        ("{type: median}", {"min_iter": 1, "min_runs": 5}),
        ("{type: plateau, patience: 4}", {"patience": 4, "min_delta": 0.0, "min_iter": 1}),
        ("{type: threshold, worse_than: -2}", {"worse_than": -2, "min_iter": 1}),
        ("{type: nan}", {"patience": 1}),
        ("{type: optuna, pruner: MedianPruner, args: {n_warmup_steps: 3}}", {"pruner": "MedianPruner"}),
        ("{type: python, source: rules/stop.py:decide}", {"source": "rules/stop.py:decide"}),
    ],
)
def test_a_rule_is_taken_with_its_defaults(block: str, options: dict[str, Any]) -> None:
    (spec,) = _parse(f"early_terminate: {block}").early_stop
    assert {key: spec[key] for key in options} == options
    assert spec.type in block


def test_a_list_gives_several_rules() -> None:
    specs = _parse("early_terminate: [{type: nan}, {type: median, min_runs: 2}]").early_stop
    assert specs == (EarlyStopSpec("nan", {"patience": 1}), EarlyStopSpec("median", {"min_iter": 1, "min_runs": 2}))


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("hyperband", "early_terminate: must be a mapping or a list of mappings, not str 'hyperband'"),
        ("[hyperband]", "early_terminate[0]: must be a mapping, as in {type: hyperband, min_iter: 3}, not 'hyperband'"),
        ("{}", "early_terminate: give one of hyperband, asha, median, plateau, threshold, nan, optuna, python"),
        ("{type: hyperbnd}", "early_terminate.type: 'hyperbnd' is no rule; did you mean hyperband?"),
        ("{type: 3}", "early_terminate.type: 3 is no rule; known are hyperband, asha"),
        ("{type: hyperband}", "early_terminate: hyperband needs min_iter, or max_iter with s"),
        ("{type: hyperband, s: 3}", "early_terminate: hyperband needs min_iter, or max_iter with s"),
        ("{type: hyperband, max_iter: 27}", "early_terminate.max_iter: needs s beside it"),
        ("{type: hyperband, max_iter: 2, s: 3}", "early_terminate.max_iter: gives no band: max_iter / eta is 0.667"),
        ("{type: hyperband, min_iter: 0}", "early_terminate.min_iter: must be a whole number of at least 1, not 0"),
        ("{type: hyperband, min_iter: 3, eta: 1}", "early_terminate.eta: must be a number above 1, not 1"),
        ("{type: hyperband, min_iter: 3, strict: 1}", "early_terminate.strict: must be true or false, not 1"),
        ("{type: hyperband, min_iter: 1.5}", "early_terminate.min_iter: must be a whole number"),
        ("{type: hyperband, min_iter: .nan}", "early_terminate.min_iter: must be a whole number"),
        (
            "{type: hyperband, min_iters: 3}",
            "early_terminate.min_iters: unknown key of hyperband; did you mean min_iter?",
        ),
        ("{type: asha, min_iter: 3, max_iter: 3}", "early_terminate.max_iter: must be above min_iter, 3, not 3"),
        ("{type: asha, form: pausing}", "early_terminate.form: must be stopping or promotion, not 'pausing'"),
        ("{type: asha, form: [1]}", "early_terminate.form: must be stopping or promotion, not [1]"),
        ("{type: plateau}", "early_terminate.patience: is missing; give a whole number of at least 1"),
        ("{type: plateau, patience: 3, min_delta: -1}", "early_terminate.min_delta: must be a number of at least 0"),
        ("{type: threshold, worse_than: high}", "early_terminate.worse_than: must be a number, not 'high'"),
        ("{type: optuna}", "early_terminate.pruner: is missing; give text"),
        ("{type: optuna, pruner: MedianPrunr}", "'MedianPrunr' is no pruner of Optuna's; did you mean MedianPruner?"),
        ("{type: optuna, pruner: MedianPruner, args: {warmup: 3}}", "early_terminate.args: MedianPruner does not take"),
        (
            "{type: optuna, pruner: PercentilePruner, args: {percentile: 200}}",
            "early_terminate.args: PercentilePruner does not take them: Percentile must be",
        ),
        ("{type: python, source: decide}", "early_terminate.source: must be FILE.py:FUNCTION, as in stop.py:decide"),
    ],
)
def test_each_mistake_is_said_with_its_path_and_line(block: str, fault: str) -> None:
    (found,) = _faults(f"early_terminate: {block}")
    assert fault in found
    assert found.startswith("line 6: ")


def test_all_mistakes_are_said_at_once_each_on_its_line() -> None:
    block = "early_terminate:\n- type: hyperband\n  min_iter: 0\n  etta: 2\n- type: nan\n  patience: x\n"
    assert [fault.split(": must")[0].split(": unknown")[0] for fault in _faults(block)] == [
        "line 8: early_terminate[0].min_iter",
        "line 9: early_terminate[0].etta",
        "line 11: early_terminate[1].patience",
    ]


def test_a_rule_needs_a_metric() -> None:
    faults = _faults("early_terminate: {type: nan}", SWEEP.replace("metric:", "name: my sweep #"))
    assert faults == ["line 6: early_terminate: needs a metric to look at; add metric: {name: loss, goal: minimize}"]


def test_a_function_needs_a_program_that_it_comes_with() -> None:
    sweep = SWEEP.replace("program: train.py", "job: train/default")
    (fault,) = _faults("early_terminate: {type: python, source: stop.py:decide}", sweep)
    assert "a function comes with the sweep's program" in fault
