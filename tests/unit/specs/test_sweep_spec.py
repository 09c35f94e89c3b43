"""Sweep files: W&B's vectors, and every fault at once, each where it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document, parse_document
from launch_sdk.specs.sweep_spec import Metric, SweepSpec, parse_sweep

GOOD: dict[str, Any] = {"method": "random", "program": "train.py", "parameters": {"lr": {"min": 0.0, "max": 1.0}}}
BAYES: dict[str, Any] = GOOD | {"method": "bayes", "metric": {"name": "loss"}}


def _parse(**changes: Any) -> SweepSpec:
    return parse_sweep(Document({**GOOD, **changes}))


def _faults(value: Any) -> list[str]:
    document = parse_document(value, name="sweep.yaml") if isinstance(value, str) else Document(value)
    with pytest.raises(InvalidSpecError) as caught:
        parse_sweep(document)
    assert caught.value.faults
    return [str(fault) for fault in caught.value.faults]


def test_a_small_sweep_gets_the_defaults() -> None:
    spec = _parse()
    assert (spec.num_workers, spec.seed, spec.run_cap, spec.metric, spec.queue) == (8, 0, None, None, None)
    assert spec.command is None
    assert spec.run_limit is None


def test_the_programs_of_a_sweep_may_have_an_environment_of_their_own() -> None:
    assert _parse().environment == "current"
    assert _parse(environment="auto").environment == "auto"
    assert _faults({**GOOD, "environment": "moon"})[0].startswith("environment: 'moon' is unknown; known are current")
    of_job = {**GOOD, "job": "digits", "environment": "auto"}
    del of_job["program"]
    assert _faults(of_job) == ["environment: goes with program only; a job or an image has its own"]


def test_a_whole_file_is_read() -> None:
    spec = parse_sweep(
        parse_document(
            """
            program: train.py
            method: bayes
            name: demo
            metric: {name: val.loss, goal: maximize, target: 0.9}
            run_cap: 20
            seed: 7
            command: ["${interpreter}", "-O", "${program}", "${args}", 3]
            scheduler: {num_workers: "4"}
            launch: {queue: gpu}
            parameters:
              lr: {distribution: log_uniform_values, min: 1e-4, max: 0.1}
            """
        )
    )
    assert (spec.method, spec.metric) == ("bayes", Metric("val.loss", "maximize", 0.9))
    assert (spec.run_cap, spec.seed, spec.num_workers, spec.queue, spec.name) == (20, 7, 4, "gpu", "demo")
    assert spec.command == ("${interpreter}", "-O", "${program}", "${args}", "3")
    assert spec.space.dimensions[0][0] == ("lr",)


def test_every_fault_of_a_file_is_told_at_once_with_its_line() -> None:
    text = """\
methd: grid
program: train.py
job: flow/deployment
metric:
  name: loss
  goal: minimise
run_cap: 0
scheduler:
  num_worker: 3
launch: gpu
parameters:
  lr: 0.1
  depth:
    min: 3
    max: 1
"""
    assert _faults(text) == [
        "line 1: methd: unknown key; did you mean method?",
        "line 1: method is missing; choose one of grid, random, bayes, tpe, optuna, custom",
        f"line 3: job: give one of {TARGETS}, not program and job",
        "line 6: metric.goal: must be minimize or maximize, not 'minimise'",
        "line 7: run_cap: must be at least 1, not 0",
        "line 9: scheduler.num_worker: unknown key; did you mean num_workers?",
        "line 10: launch: must be a mapping, not str 'gpu'",
        *[fault for fault in _faults(text) if "parameters." in fault],
    ]
    assert {fault.split(": ")[0] for fault in _faults(text) if "parameters." in fault} == {"line 12", "line 14"}


TARGETS = "program (a script beside this file), job (a name or flow/deployment) or image_uri (an image)"
WRONG: list[tuple[dict[Any, Any], str]] = [
    ({"method": "foo"}, "'foo' is not a method; known are"),
    ({"method": "random_"}, "did you mean random?"),
    ({"method": None}, "method is missing"),
    ({"method": ["grid"]}, "method: must be text, not a list"),
    ({"nonsense": 1}, "nonsense: unknown key; known are"),
    ({"metrics": [{"name": "a"}, {"name": "b"}]}, "metrics: is a key of W&B's that is not supported"),
    ({"parameters": None}, "parameters is missing"),
    ({"parameters": {}}, "parameters: empty"),
    ({"parameters": []}, "parameters: must be a mapping, not a list"),
    ({"parameters": {"1a": {"value": 1}}}, "'1a' is no parameter name"),
    ({"parameters": {"a": {"values": []}}}, "parameters.a"),
    ({"parameters": {"a": {"min": 1}}}, "max is missing"),
    ({"parameters": {"a": {"value": 1, "values": [1]}}}, "parameters.a"),
    ({"parameters": {"a": {"min": 1, "max": 1}}}, "is not less than max 1"),
    ({"parameters": {"n": {"parameters": {"a": {"min": 2, "max": 1}}}}}, "parameters.n.parameters.a.min"),
    ({"parameters": {"a": {"min": 1, "max": 10**400}}}, "parameters.a.max: is an integer of 1329 bits"),
    ({"parameters": {"a": {"values": ["x\0"]}}}, "parameters.a.values[0]: holds a NUL"),
    ({"parameters": {"a": {"values": ["\ud800"]}}}, "half a surrogate pair"),
    ({"metric": "loss"}, "metric: must be a mapping, not str 'loss'"),
    ({"metric": {}}, "metric: name is missing"),
    ({"metric": {"name": 3}}, "metric.name: must be text, not int 3"),
    ({"metric": {"name": "a", "goal": "minimise"}}, "metric.goal: must be minimize or maximize"),
    ({"metric": {"name": "a", "target": True}}, "metric.target: must be a number, not True"),
    ({"metric": {"name": "a", "target": float("nan")}}, "metric.target: must be a number, not nan"),
    ({"metric": {"name": "a", "target": "x"}}, "metric.target: must be a number, not str 'x'"),
    ({"run_cap": -1}, "run_cap: must be at least 1"),
    ({"run_cap": 0}, "run_cap: must be at least 1"),
    ({"run_cap": "1"}, "run_cap: must be a whole number, not str '1'"),
    ({"run_cap": 5.1}, "run_cap: must be a whole number, not float 5.1"),
    ({"run_cap": -0.3}, "run_cap: must be a whole number"),
    ({"run_cap": True}, "run_cap: must be a whole number, not bool True"),
    ({"seed": "x"}, "seed: must be a whole number"),
    ({"seed": 16**6000}, "seed: is an integer of"),
    ({"scheduler": {"num_workers": 0}}, "scheduler.num_workers: must be a whole number of at least 1"),
    ({"scheduler": {"num_workers": "²"}}, "scheduler.num_workers: must be a whole number of at least 1"),
    ({"scheduler": {"num_workers": None}}, "scheduler.num_workers: must be a whole number of at least 1"),
    ({"scheduler": {"num_workers": True}}, "scheduler.num_workers: must be a whole number of at least 1"),
    ({"program": None}, "nothing to run"),
    ({"program": ""}, "nothing to run"),
    ({"program": "../train.py"}, "program: '../train.py' leads out of the folder"),
    ({"program": ["a"]}, "program: must be text"),
    ({"job": "a/b"}, "job: give one of program"),
    ({"image_uri": "img"}, "image_uri: give one of program"),
    ({"image_uri": "img", "job": "a"}, "not program and job and image_uri"),
    ({"program": "", "image_uri": "-v"}, "image_uri: '-v' is no name of an image"),
    ({"program": "", "image_uri": "img", "environment": "auto"}, "environment: goes with program only"),
    (
        {"program": None, "job": "a/b/c/d"},
        "'a/b/c/d' must be the name of a job, or a deployment as flow/deployment",
    ),
    ({"command": "python x"}, "command: must be a list, not str"),
    ({"command": []}, "command: starts nothing"),
    ({"command": ["${env}", "${args}"]}, "command: starts nothing"),
    ({"command": ["python", True]}, "command[1]: must be a word, not bool True"),
    ({"command": ["python", {"a": 1}]}, "command[1]: must be a word, not a dict"),
    ({"command": ["python", "${args_jsn}"]}, "'${args_jsn}' is not a macro"),
    ({1: 2}, "[1]: unknown key"),
    ({"metric": {"name": "a", "impute": "mean"}}, "metric.impute: must be worst, best, latest, not 'mean'"),
    ({"metric": {"name": "a", "impute_while_running": True}}, "must be worst, best, latest or false, not True"),
    ({"controller": {"type": "remote"}}, "controller.type: must be cloud or local, not 'remote'"),
    ({"kind": "job"}, "kind: must be sweep, as this is a sweep file, not 'job'"),
    ({"apiVersion": 3}, "apiVersion: must be text, not int 3"),
    ({"launch": {"priority": 9}}, "launch.priority: 9 is no priority; there are critical, high, medium, low (0 to 3)"),
    ({"controller": {"typ": "local"}}, "controller.typ: unknown key; did you mean type?"),
    ({"method": "custom"}, "method: goes with scheduler.job"),
    ({"launch": {"overrides": {"config": {}}}}, "launch.overrides.config: unknown key; did you mean run_config?"),
    ({"launch": {"overrides": {"args": "x"}}}, "launch.overrides.args: must be a list"),
    ({"shuffle": "yes"}, "shuffle: must be true or false, not str 'yes'"),
    ({"shuffle": True}, "shuffle: goes with method: grid"),
    ({"max_time": "soon"}, "max_time: must be a time, as in 90 (seconds), 30m, 2h or 1d12h, not 'soon'"),
    ({"max_time": 0}, "max_time: must be a time"),
    ({"max_time": True}, "max_time: must be a time"),
    ({"max_time": float("inf")}, "max_time: must be a time"),
    ({"max_run_time": "-5m"}, "max_run_time: must be a time"),
    ({"max_run_time": ["5m"]}, "max_run_time: must be a time"),
    ({"max_failed": -1}, "max_failed: must be a whole number of at least 0, or a fraction between 0 and 1, not -1"),
    ({"max_failed": 1.5}, "max_failed: must be a whole number"),
    ({"max_failed": True}, "max_failed: must be a whole number"),
    ({"retries": -1}, "retries: must be at least 0, not -1"),
    ({"retries": 0.5}, "retries: must be a whole number"),
    ({"initial": {"lr": 1}}, "initial: must be a list"),
    ({"initial": [3]}, "initial[0]: must be a mapping of parameters to values, not 3"),
    ({"initial": [{"lr": 2}]}, "initial[0].lr: 2 is no value of this parameter, which is uniform from 0.0 to 1.0"),
    ({"initial": [{"lrr": 1}]}, "initial[0].lrr: is no parameter of the sweep; did you mean lr?"),
    ({"initial": [{"lr": 0.5}, {"lr": 0.5}]}, "initial[1]: is the same point as initial[0]"),
    (
        {"method": "grid", "parameters": {"a": {"values": [1]}, "b": {"values": [1, 2]}}, "initial": [{"a": 1}]},
        "initial[0]: a point of a grid names every parameter; b is missing",
    ),
]


@pytest.mark.parametrize(("change", "expected"), WRONG)
def test_a_wrong_value_is_one_fault_that_names_it(change: dict[Any, Any], expected: str) -> None:
    faults = _faults(GOOD | change)
    assert any(expected in fault for fault in faults), faults


@pytest.mark.parametrize("run_cap", [1, 300])
def test_run_caps_of_one_and_more_are_right(run_cap: int) -> None:
    assert _parse(run_cap=run_cap).run_limit == run_cap


@pytest.mark.parametrize("method", ["bayes", "tpe"])
def test_a_search_that_learns_needs_a_metric(method: str) -> None:
    assert any(f"method {method} needs a metric" in fault for fault in _faults(GOOD | {"method": method}))


def test_a_grid_needs_parameters_with_a_grid() -> None:
    assert any("parameters.lr: uniform has no grid" in fault for fault in _faults(GOOD | {"method": "grid"}))


def test_the_size_of_a_grid_limits_its_runs() -> None:
    parameters = {"a": {"values": [1, 2, 3]}, "b": {"min": 0, "max": 10}}
    assert _parse(method="grid", parameters=parameters).run_limit == 33
    assert _parse(method="grid", parameters=parameters, run_cap=5).run_limit == 5


def test_text_that_looks_like_a_constant_stays_text_in_a_space() -> None:
    text = "method: grid\nprogram: a.py\nparameters: {norm: {values: [none, standard, 'yes', 1e-4]}}"
    space = parse_sweep(parse_document(text)).space
    assert [space.dimensions[0][1].grid_value(i) for i in range(4)] == ["none", "standard", "yes", 1e-4]


@pytest.mark.parametrize("value", [None, [], "text", 3, True, {}])
def test_what_is_no_sweep_is_refused(value: Any) -> None:
    assert _faults(value)


def test_many_unknown_keys_are_counted_not_listed() -> None:
    faults = _faults(GOOD | {f"key{i}": i for i in range(5000)})
    assert len(faults) == 51
    assert faults[-1] == "4950 more keys are unknown"


def test_a_value_inside_itself_is_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["parameters"] = cycle
    assert "inside itself" in _faults(GOOD | {"parameters": cycle})[0]


@pytest.mark.parametrize(
    ("goal", "target", "value", "reached"),
    [
        ("minimize", 0.5, 0.5, True),
        ("minimize", 0.5, 0.4, True),
        ("minimize", 0.5, 0.6, False),
        ("maximize", 0.5, 0.6, True),
        ("maximize", 0.5, 0.4, False),
        ("maximize", None, 1e9, False),
    ],
)
def test_a_target_is_reached_at_its_value_or_beyond(
    goal: Any, target: float | None, value: float, reached: bool
) -> None:
    assert Metric("m", goal, target).reaches_target(value) is reached


_SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(5000, 5002).map(lambda digits: 10**digits)
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
    | st.sampled_from(["grid", "bayes", "a.py", "f/d", "${args}", "minimize", "uniform", "q_beta", "²", "-1"])
)
_KEYS = st.sampled_from(
    [
        *("method", "metric", "parameters", "program", "job", "run_cap", "seed", "command", "scheduler", "launch"),
        *("name", "goal", "target", "num_workers", "queue", "min", "max", "value", "values", "distribution", "q"),
        *("probabilities", "mu", "sigma", "a", "b"),
    ]
)
_ANY: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_KEYS | _SCALARS, inner, max_size=5)
        | st.sets(_SCALARS, max_size=2)
    ),
    max_leaves=15,
)


@given(_ANY | st.dictionaries(_KEYS, _ANY, min_size=3).map(lambda more: {**BAYES, **more}))
@settings(deadline=None, max_examples=150, derandomize=True)
def test_no_value_raises_anything_but_an_invalid_spec(value: Any) -> None:
    try:
        spec = parse_sweep(Document(value))
    except InvalidSpecError as error:
        assert error.faults  # noqa: PT017  # either outcome is right; a refusal must say why
    else:
        assert spec.num_workers >= 1
        assert spec.space.dimensions
        assert spec.run_limit is None or spec.run_limit >= 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(90, 90.0), (0.5, 0.5), ("30m", 1800.0), ("2h", 7200.0), ("1d12h", 129600.0), ("1 h 30 min", 5400.0), ("5s", 5.0)],
)
def test_times_are_seconds_or_have_units(given: float | str, seconds: float) -> None:
    assert _parse(max_time=given).limits.max_time_s == seconds


def test_limits_and_initial_points_are_read() -> None:
    parameters = {"lr": {"min": 0.0, "max": 1.0}, "m": {"parameters": {"d": {"values": [1, 2]}, "c": {"value": 9}}}}
    spec = _parse(parameters=parameters, initial=[{"m": {"d": 2}}], max_failed=0.25, retries=2, max_run_time="5m")
    assert spec.initial == ({"m": {"d": 2, "c": 9}},)
    assert (spec.limits.max_failed, spec.limits.retries, spec.limits.max_run_time_s) == (0.25, 2, 300.0)


def test_a_fault_of_an_initial_point_has_its_line() -> None:
    text = "method: random\nprogram: a.py\nparameters: {a: {values: [1]}}\ninitial:\n  - a: 1\n  - a: 7\n"
    assert _faults(text) == ["line 6: initial[1].a: 7 is no value of this parameter, which is one of 1"]


BASIC = """
job: 'wandb/jobs/Hello World 2:latest'
description: sweep examples using launch jobs
method: bayes
metric:
  goal: minimize
  name: loss_metric
parameters:
  learning_rate:
    max: 0.02
    min: 0
    distribution: uniform
  epochs:
    max: 20
    min: 0
    distribution: int_uniform
scheduler:
   num_workers: 1
   docker_image: base/image
   resource: kubernetes
   resource_args:
      env:
         - WANDB_API_KEY
launch:
   registry: my-registry
"""
ADVANCED = """
description: Launch sweep config using a scheduler job
scheduler:
  job: 'wandb/jobs/Wandb Sweep Scheduler:latest'
  num_workers: 8
job: 'wandb/jobs/Hello World 2:latest'
method: grid
parameters:
  param1:
    min: 0
    max: 10
"""


def test_the_files_of_sweeps_on_launch_are_read_and_what_changes_nothing_is_said() -> None:
    basic, advanced = parse_sweep(parse_document(BASIC)), parse_sweep(parse_document(ADVANCED))
    assert (basic.own_job, basic.num_workers) == ("Hello-World-2:latest", 1)
    assert (advanced.own_job, advanced.num_workers, advanced.run_limit) == ("Hello-World-2:latest", 8, 11)
    assert [note.split(":")[0] for note in basic.notes] == [
        "scheduler.docker_image, scheduler.resource change nothing here",
        "launch.registry changes nothing here",
    ]
    assert advanced.notes == ()
    (note,) = _parse(program=None, job="flow/digits", command=["python", "x.py", "${args}"]).notes
    assert note.startswith("command changes nothing here")


def test_an_image_may_be_what_a_sweep_runs_and_its_command_says_what_is_started_in_it() -> None:
    for command, entry_point in (
        (None, ()),
        (["${program}", "${args}"], ()),
        (["${args}"], ()),
        (["${env}", "${interpreter}", "/train.py", "${args}"], ("python", "/train.py")),
        (["${interpreter}", "${program}", "${args}"], ()),
        (["./train", "--fast", "--lr=${lr}"], ("./train", "--fast")),
    ):
        spec = _parse(program=None, image_uri="me/trainer:1", command=command)
        assert spec.image is not None
        assert (spec.image.job, spec.image.entry_point) == ("job-me-trainer", entry_point)
    assert _parse(image_uri="", job="").image is None


def test_what_launch_overrides_gives_every_run_is_read() -> None:
    spec = _parse(launch={"overrides": {"run_config": {"epochs": 3}, "args": ["--x", 1]}})
    assert (spec.overrides, spec.args) == ({"epochs": 3}, ("--x", "1"))


def test_what_describes_a_file_of_wandbs_is_taken_and_the_rest_of_its_launch_block_counts() -> None:
    words = {"apiVersion": "v1", "kind": "sweep", "entity": "me", "project": "digits", "description": "d", "name": "n"}
    spec = _parse(**words, controller={"type": "cloud"}, scheduler={"num_workers": "4"}, launch={"priority": 1})
    assert (spec.project, spec.name, spec.num_workers, spec.placement.priority.value) == ("digits", "n", 4, 1)
    assert spec.notes == ()


@pytest.mark.parametrize("given", [False, "false", None])
def test_running_runs_are_not_imputed_by_default(given: object) -> None:
    metric = _parse(metric={"name": "a", "impute_while_running": given, "impute": "latest"}).metric
    assert metric is not None
    assert (metric.impute, metric.impute_while_running, metric.needs_values) == ("latest", None, False)


def test_deprecated_exponents_are_taken_and_what_they_come_to_is_said() -> None:
    spec = _parse(parameters={"a": {"parameters": {"lr": {"distribution": "log_uniform", "min": -7, "max": 0}}}})
    (note,) = spec.notes
    assert note.startswith("a.lr: min and max of log_uniform are exponents of e, so that values go from 0.000911882 to")
    assert note.endswith("write log_uniform_values.")
    assert spec.space.dimensions[0][1].name == "log_uniform"
