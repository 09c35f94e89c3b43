"""The law of `plan`: a machine that starts, ends, kills and restarts, and the ways in which a sweep ends early."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from launch_sdk.specs.document import Document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.space import Space
from launch_sdk.specs.sweep_spec import Metric, SweepSpec, parse_sweep
from launch_sdk.sweeps.curve import Curve
from launch_sdk.sweeps.early_stop import make_early_stop
from launch_sdk.sweeps.planning import MAX_ATTEMPTS, SETTLE_S, Finish, Launch, Stop, Wish, plan, settle
from launch_sdk.sweeps.runs import SweepRun, best_run, latest_attempts, metric_value
from launch_sdk.sweeps.samplers import Observation, make_sampler

GRID = {"a": {"values": [1, 2, 3]}, "b": {"values": ["x", "y"]}}
ENDS = [RunState.FINISHED, RunState.FAILED, RunState.CANCELLED, RunState.LOST]


def _spec(method: str = "random", workers: int = 2, **more: Any) -> SweepSpec:
    document = {"method": method, "program": "t.py", "parameters": GRID, "scheduler": {"num_workers": workers}}
    return parse_sweep(Document(document | more))


def _run(index: int, state: RunState, **more: Any) -> SweepRun:
    return SweepRun(index, more.pop("attempt", 0), f"r{index}", f"run {index}", state, {"a": 1, "b": "x"}, **more)


def _plan(
    spec: SweepSpec, runs: list[SweepRun], wish: Wish | None = None, now: float | None = None
) -> list[Launch | Stop | Finish]:
    early_stop = make_early_stop(spec.early_stop, goal="minimize")
    return plan(spec, runs, make_sampler(spec.method, goal="minimize", seed=spec.seed), early_stop, wish=wish, now=now)


class SweepMachine(RuleBasedStateMachine):
    """A server that holds runs, and a planner that is killed at any moment and begins again from them alone."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, SweepRun] = {}
        self.clock = 0.0
        self.finish: Finish | None = None
        self.wish: Wish | None = None

    @initialize(
        method=st.sampled_from(["grid", "random"]),
        workers=st.integers(1, 4),
        cap=st.integers(1, 8),
        goal=st.none() | st.just(-1.0),
        retries=st.integers(0, 2),
    )
    def begin(self, method: str, workers: int, cap: int, goal: float | None, retries: int) -> None:
        more: dict[str, Any] = {"run_cap": cap} if method == "random" or cap < 6 else {}
        more |= {"retries": retries}
        early = {"type": "hyperband", "min_iter": 1}
        self.spec = _spec(method, workers, metric={"name": "loss", "target": goal}, early_terminate=early, **more)
        self.whole_grid = method == "grid" and "run_cap" not in more

    def _act(self, carried_out: int | None = None) -> None:
        """Plan twice, the second time with the runs in another order, and carry out the first so many actions."""
        seen = list(self.runs.values())
        actions = _plan(self.spec, seen, self.wish)
        assert _plan(self.spec, seen[::-1], self.wish) == actions
        assert self.wish is None or not any(isinstance(action, Launch) for action in actions)
        assert not any(isinstance(action, Finish) for action in actions) or len(actions) == 1
        for action in actions[:carried_out]:
            if isinstance(action, Launch):
                self._launch(action)
            elif isinstance(action, Stop):
                run = self.runs[action.run_id]
                assert run.is_active
                if action.reason.startswith("band"):
                    assert run.state is RunState.RUNNING
                    self.runs[run.run_id] = replace(run, state=RunState.STOPPING, stop_reason=action.reason)
                else:
                    self._end(run, RunState.STOPPED, stop_reason=action.reason)
            else:
                self.finish = action

    def _launch(self, action: Launch) -> None:
        key = f"{action.index}/{action.attempt}"
        assert key not in self.runs, "an idempotency key is used once"
        earlier = [run for run in self.runs.values() if run.index == action.index]
        wanted = earlier and max(earlier, key=lambda run: run.attempt).again
        assert all(run.was_cut_short or run.state is RunState.FAILED for run in earlier)
        asked_for = sum(run.again for run in earlier)
        assert sum(run.state is RunState.FAILED for run in earlier) <= self.spec.limits.retries + asked_for
        assert not earlier or wanted or not max(earlier, key=lambda run: run.attempt).acknowledged
        assert all(run.parameters == action.parameters for run in earlier)
        self.runs[key] = SweepRun(action.index, action.attempt, key, key, RunState.QUEUED, action.parameters)

    def _end(self, run: SweepRun, state: RunState, **more: Any) -> None:
        self.clock += 1.0
        self.runs[run.run_id] = replace(run, state=state, ended=self.clock, **more)

    def _acknowledge(self) -> None:
        """Do as the flow does once a cancelled run has been over for a while."""
        _, given_up = settle(list(self.runs.values()), 0.0, self.clock + SETTLE_S)
        self.runs |= {run.run_id: run for run in given_up}

    @property
    def active(self) -> list[SweepRun]:
        return [run for run in self.runs.values() if run.is_active]

    @rule()
    def look(self) -> None:
        if self.finish is None:
            self._acknowledge()
            self._act()

    @rule(carried_out=st.integers(0, 3))
    def restart_and_die_again(self, carried_out: int) -> None:
        if self.finish is None:
            self._act(carried_out)

    @precondition(lambda self: self.active)
    @rule(data=st.data(), state=st.sampled_from(ENDS), loss=st.sampled_from([None, 1.0, float("nan"), -2.0]))
    def end_a_run(self, data: st.DataObject, state: RunState, loss: float | None) -> None:
        run = data.draw(st.sampled_from(self.active))
        self._end(run, state, summary={} if loss is None else {"loss": loss}, error="it broke")

    @precondition(lambda self: self.active)
    @rule(data=st.data(), loss=st.sampled_from([1.0, float("nan"), -2.0, 3.0]))
    def a_run_logs(self, data: st.DataObject, loss: float) -> None:
        run = data.draw(st.sampled_from(self.active))
        curve = Curve.of_values([*run.curve.values, loss])
        state = RunState.STOPPING if run.state is RunState.STOPPING else RunState.RUNNING
        self.runs[run.run_id] = replace(run, state=state, curve=curve)

    @rule()
    def what_was_asked_to_end_ends(self) -> None:
        for run in self.active:
            if run.state is RunState.STOPPING:
                self._end(run, RunState.STOPPED, summary={"loss": run.curve.values[-1]})

    @rule(wish=st.sampled_from(["pause", "stop", None]))
    def its_user_wants_something_else(self, wish: Wish | None) -> None:
        self.wish = wish
        if self.finish and self.finish.outcome == "stopped":
            self.finish = None  # it was resumed

    @rule()
    def its_user_has_what_failed_started_again(self) -> None:
        for run in latest_attempts(self.runs.values()):
            if run.state in {RunState.FAILED, RunState.LOST}:
                self.runs[run.run_id] = replace(run, again=True)
                self.finish = None

    @precondition(lambda self: self.active)
    @rule()
    def the_agent_dies(self) -> None:
        for run in self.active:
            self._end(run, RunState.LOST)

    @invariant()
    def no_more_runs_than_workers(self) -> None:
        if self.runs:
            assert len(self.active) <= self.spec.num_workers

    @invariant()
    def no_index_beyond_the_cap(self) -> None:
        assert all(run.index < (self.spec.run_limit or 0) for run in self.runs.values())

    def teardown(self) -> None:
        """However it was left, the sweep ends once its runs do and nobody holds it back."""
        if not hasattr(self, "spec"):
            return
        if self.wish or (self.finish and self.finish.outcome == "stopped"):
            self.wish = self.finish = None
        for _ in range(40):
            if self.finish:
                break
            self.look()
            for run in self.active:
                self._end(run, RunState.FINISHED, summary={"loss": 1.0})
        assert self.finish
        assert not self.active
        runs = list(self.runs.values())
        assert _plan(self.spec, runs) == [self.finish]
        reached = "target" in self.finish.reason
        if self.whole_grid and self.finish.outcome == "finished" and not reached:
            points = [json.dumps(run.parameters, sort_keys=True) for run in latest_attempts(runs)]
            assert len(points) == len(set(points)) == 6


TestSweepMachine = SweepMachine.TestCase
TestSweepMachine.settings = settings(max_examples=60, stateful_step_count=20, deadline=None, derandomize=True)


def test_a_sweep_fills_its_workers_and_then_waits() -> None:
    spec = _spec(run_cap=5)
    launches = _plan(spec, [])
    assert [action.index for action in launches if isinstance(action, Launch)] == [0, 1]
    assert _plan(spec, [_run(0, RunState.QUEUED), _run(1, RunState.RUNNING)]) == []


def test_a_missing_index_is_started_first() -> None:
    actions = _plan(_spec(run_cap=5), [_run(0, RunState.FINISHED), _run(2, RunState.RUNNING)])
    assert [action.index for action in actions if isinstance(action, Launch)] == [1]


def test_a_run_that_was_cut_short_is_started_again_with_its_parameters() -> None:
    actions = _plan(_spec(run_cap=5, workers=1), [_run(0, RunState.LOST)])
    assert actions == [Launch(0, {"a": 1, "b": "x"}, 1)]


def test_a_run_that_its_user_cancelled_is_not_started_again() -> None:
    actions = _plan(_spec(run_cap=5, workers=1), [_run(0, RunState.CANCELLED, acknowledged=True)])
    assert [action.index for action in actions if isinstance(action, Launch)] == [1]


def test_a_run_whose_process_is_lost_again_and_again_is_given_up() -> None:
    spec = _spec(run_cap=1, workers=1)
    last = _run(0, RunState.LOST, attempt=MAX_ATTEMPTS - 2)
    assert [type(action) for action in _plan(spec, [last])] == [Launch]
    assert [type(action) for action in _plan(spec, [replace(last, attempt=MAX_ATTEMPTS - 1)])] == [Finish]


def test_a_run_that_is_cancelled_while_the_sweep_looks_on_is_stopping_until_it_is_given_up() -> None:
    run = _run(0, RunState.CANCELLED, ended=100.0)
    assert settle([run], 50.0, 101.0) == ([replace(run, state=RunState.STOPPING)], [])
    given_up = replace(run, acknowledged=True)
    assert settle([run], 50.0, 100.0 + SETTLE_S) == ([given_up], [given_up])


def test_a_run_that_was_cancelled_before_the_sweep_began_to_look_is_left_as_it_is() -> None:
    runs = [_run(0, RunState.CANCELLED, ended=10.0), _run(1, RunState.LOST, ended=99.0)]
    assert settle(runs, 50.0, 100.0) == (runs, [])


def test_a_target_that_is_reached_stops_the_others_and_then_ends_the_sweep() -> None:
    spec = _spec(metric={"name": "loss", "target": 0.5})
    done = _run(0, RunState.FINISHED, summary={"loss": 0.4})
    actions = _plan(spec, [done, _run(1, RunState.RUNNING)])
    assert [(type(action), getattr(action, "run_id", None)) for action in actions] == [(Stop, "r1")]
    stopped = _run(1, RunState.STOPPED, stop_reason="x", summary={"loss": 3.0})
    assert _plan(spec, [done, stopped]) == [Finish("finished", "run 0 reached the target: loss is 0.4")]


def test_a_failed_run_does_not_reach_a_target() -> None:
    spec = _spec(metric={"name": "loss", "target": 0.5}, run_cap=2)
    actions = _plan(spec, [_run(0, RunState.FAILED, summary={"loss": 0.1})])
    assert [type(action) for action in actions] == [Launch]


def test_a_sweep_whose_first_runs_fail_stops_the_others_and_stays_failed() -> None:
    spec = _spec(workers=4, run_cap=20)
    failed = [_run(i, RunState.FAILED, error="no module", ended=float(i)) for i in range(3)]
    running = _run(3, RunState.RUNNING)
    assert [type(action) for action in _plan(spec, [*failed, running])] == [Stop]
    for last in (RunState.STOPPED, RunState.FINISHED, RunState.FAILED):
        actions = _plan(spec, [*failed, _run(3, last, ended=9.0, error="no module")])
        assert actions == [Finish("failed", "the first 3 runs failed; the last with: no module")]


def test_failures_after_a_success_do_not_end_a_sweep() -> None:
    runs = [_run(0, RunState.FINISHED, ended=1.0)] + [_run(i, RunState.FAILED, ended=1.0 + i) for i in range(1, 9)]
    assert all(isinstance(action, Launch) for action in _plan(_spec(run_cap=20), runs))


def test_a_sweep_whose_every_run_failed_has_failed() -> None:
    runs = [_run(i, RunState.FAILED, error="e", ended=float(i)) for i in range(2)]
    assert _plan(_spec(run_cap=2), runs) == [Finish("failed", "all 2 runs failed; the last with: e")]


def test_a_search_that_learns_ends_when_nobody_logs_its_metric() -> None:
    spec = _spec("tpe", metric={"name": "loss"}, run_cap=20)
    runs = [_run(i, RunState.FINISHED, summary={"lss": 1.0}) for i in range(3)]
    (action,) = _plan(spec, runs)
    assert isinstance(action, Finish)
    assert action.outcome == "failed"
    assert "none logged the metric 'loss'; run 0 logged lss" in action.reason


def test_a_random_search_needs_no_metric() -> None:
    runs = [_run(i, RunState.FINISHED) for i in range(4)]
    assert _plan(_spec(run_cap=4), runs) == [Finish("finished", "all 4 runs have ended")]


def test_the_best_run_is_finite_finished_and_the_earliest_of_equals() -> None:
    metric = _spec(metric={"name": "loss"}).metric
    values = [float("nan"), float("-inf"), 2.0, 1.0, 1.0]
    runs = [_run(i, RunState.FINISHED, summary={"loss": value}) for i, value in enumerate(values)]
    runs += [_run(5, RunState.FAILED, summary={"loss": 0.0}), _run(6, RunState.FINISHED, summary={"loss": True})]
    best = best_run(runs, metric)
    assert best is not None
    assert best.index == 3
    assert best_run(runs, None) is None


@pytest.mark.parametrize(
    ("summary", "value"),
    [
        ({"val.loss": 1}, 1.0),
        ({"val": {"loss": 2}}, 2.0),
        ({"val.loss": 1, "val": {"loss": 2}}, 1.0),
        ({"val": 3}, None),
        ({"val": {"loss": "x"}}, None),
        ({"val": {"loss": True}}, None),
        ({}, None),
    ],
)
def test_a_metric_is_found_by_its_name_or_along_its_dots(summary: dict[str, Any], value: float | None) -> None:
    assert metric_value(summary, "val.loss") == value


@pytest.mark.parametrize(
    ("kept", "value"),
    [
        ({"min": 1, "max": 9}, 9.0),
        ({"min": 1, "last": 5}, 5.0),
        ({"best": 7, "last": 5}, 7.0),
        ({"mean": 4}, 4.0),
        ({"min": 1}, None),
        (3, 3.0),
    ],
)
def test_a_metric_that_wandb_sums_up_otherwise_counts_by_its_extreme(kept: object, value: float | None) -> None:
    run = _run(0, RunState.FINISHED, summary={"val": kept})
    assert run.metric(Metric("val", "maximize")) == value


def test_the_latest_attempt_of_an_index_counts() -> None:
    runs = [_run(1, RunState.RUNNING, attempt=1), _run(0, RunState.FINISHED), _run(1, RunState.LOST)]
    assert [(run.index, run.attempt) for run in latest_attempts(runs)] == [(0, 0), (1, 1)]


def test_a_run_that_is_ended_early_keeps_its_worker_until_it_is_over_and_its_result_counts() -> None:
    early = {"type": "hyperband", "min_iter": 2}
    spec = _spec(workers=2, run_cap=4, metric={"name": "loss"}, early_terminate=early)
    good = _run(0, RunState.RUNNING, curve=Curve.of_values([1.0, 0.5]), summary={"loss": 0.5})
    bad = _run(1, RunState.RUNNING, curve=Curve.of_values([1.0, 0.75]), summary={"loss": 0.75})
    assert _plan(spec, [good, bad]) == [Stop("r1", "band 2: 0.75 is worse than 0.5")]
    assert _plan(spec, [good, replace(bad, state=RunState.STOPPING)]) == []
    stopped = replace(bad, state=RunState.STOPPED, stop_reason="band 2", ended=1.0)
    assert [type(action) for action in _plan(spec, [good, stopped])] == [Launch]
    failed_later = replace(good, state=RunState.FAILED, ended=2.0)
    best = best_run([failed_later, stopped], spec.metric)
    assert best is not None
    assert best.run_id == "r1"


def test_a_run_that_is_queued_or_starting_is_not_ended_early() -> None:
    spec = _spec(metric={"name": "loss"}, early_terminate={"type": "nan"})
    for state in (RunState.QUEUED, RunState.STARTING):
        waiting = [_run(i, state, curve=Curve.of_values([float("nan")])) for i in range(2)]
        assert _plan(spec, waiting) == []


def test_a_run_that_is_cancelled_while_its_sweep_looks_on_is_given_up_only_after_a_while() -> None:
    cancelled = _run(0, RunState.CANCELLED, ended=100.0)
    seen, given_up = settle([cancelled], opened=50.0, now=100.0 + SETTLE_S / 2)
    assert [run.state for run in seen] == [RunState.STOPPING]
    assert not given_up
    seen, given_up = settle([cancelled], opened=50.0, now=100.0 + SETTLE_S)
    assert seen == given_up
    assert [run.acknowledged for run in seen] == [True]


def test_a_run_that_was_cancelled_before_its_sweep_was_resumed_starts_again() -> None:
    seen, given_up = settle([_run(0, RunState.CANCELLED, ended=100.0)], opened=150.0, now=151.0)
    assert not given_up
    assert _plan(_spec(run_cap=1), seen) == [Launch(0, {"a": 1, "b": "x"}, 1)]


def test_a_run_whose_process_is_lost_again_and_again_is_left_out_in_the_end() -> None:
    assert [
        a.attempt for a in _plan(_spec(run_cap=1), [_run(0, RunState.LOST, attempt=3)]) if isinstance(a, Launch)
    ] == [4]
    assert isinstance(_plan(_spec(run_cap=1), [_run(0, RunState.LOST, attempt=4)])[0], Finish)


def test_a_paused_sweep_starts_nothing_and_ends_no_run() -> None:
    spec = _spec(run_cap=9)
    for runs in ([], [_run(0, RunState.RUNNING)], [_run(0, RunState.FINISHED), _run(1, RunState.LOST)]):
        assert _plan(spec, runs, "pause") == []


def test_a_stopped_sweep_ends_with_its_last_run_and_says_so() -> None:
    spec = _spec(run_cap=9)
    assert _plan(spec, [_run(0, RunState.FINISHED), _run(1, RunState.RUNNING)], "stop") == []
    over = [_run(0, RunState.FINISHED), _run(1, RunState.CANCELLED)]
    assert _plan(spec, over, "stop") == [Finish("stopped", "stopped by its user after 2 runs")]


def test_a_paused_sweep_still_ends_runs_early_and_knows_its_target() -> None:
    early = {"type": "threshold", "worse_than": 5.0}
    spec = _spec(run_cap=9, metric={"name": "loss", "target": 0.0}, early_terminate=early)
    bad = _run(0, RunState.RUNNING, curve=Curve.of_values([9.0]))
    assert [type(action) for action in _plan(spec, [bad], "pause")] == [Stop]
    good = _run(0, RunState.FINISHED, summary={"loss": -1.0})
    assert [type(action) for action in _plan(spec, [good], "pause")] == [Finish]


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.LOST, RunState.CANCELLED])
def test_a_run_that_its_user_wants_again_is_started_once_with_its_parameters(state: RunState) -> None:
    spec = _spec(run_cap=1)
    broken = _run(0, state, attempt=MAX_ATTEMPTS, acknowledged=True, again=True)
    assert _plan(spec, [broken]) == [Launch(0, {"a": 1, "b": "x"}, MAX_ATTEMPTS + 1)]
    repeated = _run(0, RunState.FAILED, attempt=MAX_ATTEMPTS + 1, error="e")
    assert [type(action) for action in _plan(spec, [broken, repeated])] == [Finish]


def test_a_failed_run_is_tried_again_as_often_as_retries_says() -> None:
    spec = _spec(run_cap=1, retries=2)
    failures = [_run(0, RunState.FAILED, attempt=i, error="e", ended=float(i)) for i in range(3)]
    assert _plan(spec, failures[:1]) == [Launch(0, {"a": 1, "b": "x"}, 1)]
    lost = _run(0, RunState.LOST, attempt=1)
    again = replace(failures[2], run_id="again")
    assert _plan(spec, [failures[0], lost, again]) == [Launch(0, {"a": 1, "b": "x"}, 3)]  # a lost one is no failure
    assert [type(action) for action in _plan(spec, failures)] == [Finish]


def test_a_run_that_will_be_tried_again_has_not_failed_yet() -> None:
    spec = _spec(workers=9, run_cap=9, retries=1, max_failed=0)
    first = [_run(i, RunState.FAILED, ended=float(i)) for i in range(3)]
    actions = _plan(spec, first)
    assert [action.attempt for action in actions if isinstance(action, Launch)] == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    second = replace(first[0], attempt=1, run_id="second", error="e", ended=9.0)
    assert [type(action) for action in _plan(spec, [*first, second])] == [Finish]


def test_max_failed_counts_failures_and_replaces_the_rule_of_the_first_three() -> None:
    spec = _spec(workers=2, run_cap=20, max_failed=3)
    failed = [_run(i, RunState.FAILED, error="e", ended=float(i)) for i in range(4)]
    assert all(isinstance(action, Launch) for action in _plan(spec, failed[:3]))
    told = "4 of 4 runs failed, more than max_failed 3; the last with: e"
    assert _plan(spec, failed) == [Finish("failed", told)]
    running = _run(4, RunState.RUNNING)
    assert _plan(spec, [*failed, running]) == [Stop("r4", told)]
    good = [_run(i, RunState.FINISHED, ended=10.0 + i) for i in range(4, 15)]
    assert _plan(spec, [*failed, *good]) == [Finish("failed", told)]  # what ends later takes nothing back


def test_a_fraction_of_failures_is_judged_from_the_tenth_run_on_or_the_last() -> None:
    spec = _spec(workers=1, run_cap=20, max_failed=0.5)
    failed = [_run(i, RunState.FAILED, error="e", ended=float(i)) for i in range(10)]
    assert [type(action) for action in _plan(spec, failed[:9])] == [Launch]
    assert _plan(spec, failed) == [Finish("failed", "10 of 10 runs failed, more than max_failed 0.5; the last with: e")]
    good = [_run(i, RunState.FINISHED, ended=float(i)) for i in range(5)]
    assert [type(action) for action in _plan(spec, [*good, *failed[5:]])] == [Launch]
    small = _spec(workers=1, run_cap=4, max_failed=0.5)
    assert [action.outcome for action in _plan(small, [*failed[:3], _run(3, RunState.FINISHED, ended=0.5)])
            if isinstance(action, Finish)] == ["failed"]  # fmt: skip


def test_a_sweep_ends_when_its_time_is_over_and_its_runs_count() -> None:
    spec = _spec(run_cap=20, max_time="1h")
    runs = [_run(0, RunState.FINISHED, started=100.0, ended=200.0), _run(1, RunState.RUNNING, started=150.0)]
    assert [type(action) for action in _plan(spec, runs, now=3699.0)] == [Launch]
    reason = "its max_time of 1 h 00 min is over"
    assert _plan(spec, runs, now=3700.0) == [Stop("r1", reason)]
    stopped = replace(runs[1], state=RunState.STOPPED, ended=3701.0)
    assert _plan(spec, [runs[0], stopped], now=3702.0) == [Finish("finished", reason)]


def test_only_a_running_run_is_stopped_when_it_takes_too_long() -> None:
    spec = _spec(workers=3, run_cap=3, max_run_time=60)
    runs = [_run(0, RunState.RUNNING, started=0.0), _run(1, RunState.RUNNING, started=30.0), _run(2, RunState.QUEUED)]
    assert _plan(spec, runs, now=60.0) == [Stop("r0", "its max_run_time of 1 min 00 s is over")]
    assert _plan(spec, [replace(runs[0], state=RunState.STOPPING), *runs[1:]], now=61.0) == []


def test_initial_points_come_first_and_a_grid_does_not_repeat_them() -> None:
    spec = _spec("grid", workers=9, initial=[{"a": 3, "b": "y"}, {"a": 2, "b": "x"}])
    points = [action.parameters for action in _plan(spec, []) if isinstance(action, Launch)]
    assert points[:3] == [{"a": 3, "b": "y"}, {"a": 2, "b": "x"}, {"a": 1, "b": "x"}]
    assert len(points) == len({str(point) for point in points}) == 6


def test_what_an_initial_point_lacks_is_chosen_by_the_method() -> None:
    spec = _spec(workers=2, run_cap=2, initial=[{"b": "y"}])
    first, second = (action.parameters for action in _plan(spec, []) if isinstance(action, Launch))
    plain = [action.parameters for action in _plan(_spec(workers=2, run_cap=2), []) if isinstance(action, Launch)]
    assert (first, second) == ({"a": plain[0]["a"], "b": "y"}, plain[1])


class Listening:
    """A sampler that notes what it is told."""

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        del space, index
        self.seen = {one.index: (one.status, one.value) for one in observations}
        return None


def _told(runs: list[SweepRun], **metric: Any) -> dict[int, tuple[str, float | None]]:
    sampler = Listening()
    plan(_spec(workers=9, run_cap=9, metric={"name": "loss", **metric}), runs, sampler)
    return sampler.seen


def test_what_a_run_without_a_result_counts_as_is_said_by_impute() -> None:
    curve = Curve.of_values([3.0, 1.0, 2.0])
    runs = [
        _run(0, RunState.FINISHED, summary={"loss": 9.0}),
        _run(1, RunState.FAILED, summary={"loss": 2.0}, curve=curve),
        _run(2, RunState.FAILED),
        _run(3, RunState.RUNNING, curve=curve),
    ]
    plain = {0: ("finished", 9.0), 1: ("failed", None), 2: ("failed", None), 3: ("running", None)}
    assert _told(runs) == _told(runs, impute="worst") == plain
    assert _told(runs, impute="latest") == plain | {1: ("finished", 2.0)}
    assert _told(runs, impute="best") == plain | {1: ("finished", 1.0)}
    assert _told(runs, impute="best", goal="maximize") == plain | {1: ("finished", 3.0)}
    assert _told(runs, impute_while_running="best") == plain | {3: ("finished", 1.0)}
    assert _told(runs, impute_while_running="latest") == plain | {3: ("finished", 2.0)}


def test_all_attempts_together_may_cost_so_much() -> None:
    spec = _spec(run_cap=9, workers=1, cost={"metric": "price.dollars", "max": 10})
    cheap = _run(0, RunState.FAILED, summary={"price": {"dollars": 4.0}}, error="e", attempt=0)
    again = replace(cheap, attempt=1, run_id="again", state=RunState.FINISHED, summary={"price": {"dollars": 5.5}})
    odd = _run(1, RunState.FINISHED, summary={"price": {"dollars": float("nan")}})
    assert [type(action) for action in _plan(spec, [cheap, again, odd])] == [Launch]
    running = _run(2, RunState.RUNNING, summary={"price": {"dollars": 0.5}})
    told = "its runs have cost 10 price.dollars, and may cost 10"
    assert _plan(spec, [cheap, again, odd, running]) == [Stop("r2", told)]
    ended = replace(running, state=RunState.STOPPED, ended=1.0)
    assert _plan(spec, [cheap, again, odd, ended]) == [Finish("finished", told)]


def test_a_sweep_that_is_closing_starts_nothing_and_ends_with_its_last_run() -> None:
    closing = Finish("failed", "its scheduler failed")
    spec, sampler = _spec(run_cap=9), make_sampler("random", goal="minimize", seed=0)
    running = [_run(0, RunState.FINISHED), _run(1, RunState.RUNNING)]
    assert plan(spec, running, sampler, closing=closing) == []
    assert plan(spec, running, sampler, closing=closing, wish="pause") == []
    over = [_run(0, RunState.FINISHED), _run(1, RunState.FAILED)]
    assert plan(spec, over, sampler, closing=closing, wish="stop") == [closing]
    assert plan(spec, over, sampler, closing=closing) == [closing]
