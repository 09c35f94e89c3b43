"""The `scheduler` block: W&B Launch's, and what is W&B's other block of that name."""

from __future__ import annotations

from typing import Any

import pytest

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document
from launch_sdk.specs.sweep_change import change_sweep
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep

BASE = {"job": "wandb/jobs/Hello World 2:latest", "parameters": {"a": {"min": 0, "max": 10}}}


def _parse(**more: Any) -> SweepSpec:
    return parse_sweep(Document(BASE | more))


def _faults(**more: Any) -> list[str]:
    with pytest.raises(InvalidSpecError) as caught:
        _parse(**more)
    return [str(fault) for fault in caught.value.faults]


def test_a_scheduler_of_ones_own_is_named_as_wandb_names_it() -> None:
    spec = _parse(scheduler={"job": "<entity>/<project>/job-CustomWandbScheduler:latest", "num_workers": "3"})
    assert (spec.scheduler.job, spec.method, spec.num_workers) == ("job-CustomWandbScheduler:latest", "custom", 3)
    assert spec.scheduler.timeout_s == 600
    assert spec.notes == ()


def test_a_method_beside_it_is_what_it_can_ask_for_which_is_said() -> None:
    spec = _parse(scheduler={"job": "mine", "settings": {"a": 1}, "timeout": "2m"}, method="grid")
    assert (spec.method, spec.scheduler.settings, spec.scheduler.timeout_s) == ("grid", {"a": 1}, 120.0)
    assert spec.notes == ("scheduler.job chooses the runs; method grid is what its suggest() gives.",)


def test_a_scheduler_is_told_every_value_of_the_metric() -> None:
    metric = {"name": "loss"}
    assert _parse(method="random", metric=metric, scheduler={"job": "mine"}).needs_values
    assert not _parse(method="random", metric=metric, scheduler={"num_workers": 2}).needs_values
    assert not _parse(method="random", scheduler={"job": "mine"}).needs_values


def test_any_sampler_of_optunas_can_be_what_a_scheduler_asks_for() -> None:
    optuna = {"sampler": {"type": "RandomSampler"}, "pruner": {"type": "MedianPruner"}}
    spec = _parse(method="optuna", optuna=optuna, metric={"name": "loss"}, scheduler={"job": "mine"})
    assert (spec.method, spec.scheduler.job, [rule.type for rule in spec.early_stop]) == ("optuna", "mine", ["optuna"])
    assert spec.notes == ("scheduler.job chooses the runs; method optuna is what its suggest() gives.",)
    told = ["optuna: goes with method: optuna; write that, or leave this out"]
    assert _faults(optuna=optuna, metric={"name": "loss"}, scheduler={"job": "mine"}) == told


def test_wandbs_public_scheduler_job_is_the_sweeps_own_method() -> None:
    spec = _parse(scheduler={"job": "wandb/jobs/Wandb Sweep Scheduler:latest", "num_workers": 8}, method="grid")
    assert (spec.scheduler.job, spec.run_limit, spec.num_workers, spec.notes) == (None, 11, 8, ())
    assert _faults(scheduler={"job": "wandb/jobs/Wandb Sweep Scheduler:latest"})[0].startswith("method is missing")


def test_a_job_whose_name_has_spaces_is_the_one_that_could_be_made_of_it() -> None:
    assert _parse(method="grid").own_job == "Hello-World-2:latest"


def test_a_scheduler_gets_the_variables_that_are_named_and_none_of_the_servers() -> None:
    spec = _parse(scheduler={"job": "mine", "resource_args": {"env": ["WANDB_API_KEY", "DEPTH=3"]}})
    assert spec.scheduler.environment == {"WANDB_API_KEY": None, "DEPTH": "3"}
    assert _parse(scheduler={"job": "mine", "resource_args": {"env": {"A": 1, "B": None}}}).scheduler.environment == {
        "A": "1",
        "B": None,
    }
    given = {"env": ["PREFECT_API_KEY", "LAUNCH_HOME=x", "no name"]}
    assert len(_faults(scheduler={"job": "mine", "resource_args": given})) == 3


def test_where_a_scheduler_cannot_run_is_said() -> None:
    scheduler: dict[str, Any] = {
        "job": "mine",
        "resource": "kubernetes",
        "docker_image": "x/y",
        "resource_args": {"kubernetes": {}},
    }
    (note,) = _parse(scheduler=scheduler).notes
    assert note.startswith("scheduler.resource, scheduler.docker_image, scheduler.resource_args change nothing here")
    assert _parse(scheduler={"job": "mine", "resource": "local-process"}).notes == ()


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ({"engine": "optuna"}, "scheduler.engine: 'optuna' is an engine of W&B's newer sweep schema"),
        ({"engine": "wandb", "optimizer": {}}, "scheduler.optimizer: belongs to the scheduler block of W&B's newer"),
        ({"source": "x.py"}, "scheduler.source: belongs to the scheduler block of W&B's newer"),
        ({"search_space": {}}, "scheduler.search_space: belongs to"),
        ({"timeout": -1, "job": "mine"}, "scheduler.timeout: must be a time"),
        ({"job": "e/p/"}, "scheduler.job: 'e/p/' names no job"),
        ({"num_workers": 0}, "scheduler.num_workers: must be a whole number of at least 1, not 0"),
        ({"num_worker": 2}, "scheduler.num_worker: unknown key; did you mean num_workers?"),
    ],
)
def test_what_is_wrong_in_the_block_is_told(scheduler: dict[str, Any], said: str) -> None:
    faults = _faults(scheduler=scheduler, **({} if "job" in scheduler else {"method": "grid"}))
    assert any(said in fault for fault in faults), faults


def test_the_engine_that_is_wandbs_own_changes_nothing_which_is_said() -> None:
    spec = _parse(method="grid", scheduler={"engine": "wandb", "num_workers": 2})
    assert spec.num_workers == 2
    assert spec.notes[0].startswith("scheduler.engine changes nothing here")


def test_method_custom_needs_a_scheduler() -> None:
    assert _faults(method="custom") == ["method: goes with scheduler.job, which names the job that chooses the runs"]


BEFORE = {**BASE, "job": "Hello-World-2:v3", "scheduler": {"job": "mine:v1", "num_workers": 2, "settings": {"a": 1}}}


def test_a_resumed_sweep_keeps_the_versions_of_its_jobs() -> None:
    new = {"job": "wandb/jobs/Hello World 2:latest", "scheduler": {"job": "e/p/mine:latest", "num_workers": 5}}
    change = change_sweep(BEFORE, Document(new))
    assert change.document["job"] == "Hello-World-2:v3"
    assert change.document["scheduler"] == {"job": "mine:v1", "num_workers": 5, "settings": {"a": 1}}
    assert change.is_change


@pytest.mark.parametrize(
    ("before", "new", "path"),
    [
        (BEFORE, {"scheduler": {"job": "other"}}, "scheduler.job"),
        (BEFORE, {"scheduler": {"job": "mine:v2"}}, "scheduler.job"),
        (BEFORE, {"job": "Hello-World-2:v4"}, "job"),
        (BEFORE, {"job": "flow/deployment"}, "job"),
        (BASE | {"method": "grid"}, {"scheduler": {"job": "mine"}}, "scheduler.job"),
    ],
)
def test_a_resumed_sweep_takes_no_other_job_and_no_other_scheduler(
    before: dict[str, Any], new: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        change_sweep(before, Document(new))
    assert path in [fault.path for fault in caught.value.faults]
    assert "keeps its" in str(caught.value)


def test_cost_caps_are_read_and_their_faults_told_at_once() -> None:
    limits = _parse(method="grid", cost={"metric": "dollars", "max": 12}).limits
    assert (limits.cost_metric, limits.max_cost) == ("dollars", 12.0)
    assert _parse(method="grid").limits.cost_metric is None
    faults = _faults(method="grid", cost={"metric": "", "max": 0, "most": 3})
    assert [fault.partition(":")[0] for fault in faults] == ["cost.most", "cost.metric", "cost.max"]
    assert change_sweep(BASE | {"method": "grid"}, Document({"cost": {"metric": "m", "max": 1}})).is_change
