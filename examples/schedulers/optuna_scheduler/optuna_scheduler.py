"""A scheduler that searches with Optuna: any sampler and pruner, by name. Copy it and change it.

    python optuna_scheduler.py --name OptunaScheduler          makes the job job-OptunaScheduler
    launch-sweep sweep.yaml                                    whose scheduler.job names that job

In the sweep file:

    scheduler:
      job: job-OptunaScheduler
      settings:
        sampler: {type: TPESampler, args: {seed: 1}}
        pruner: {type: MedianPruner, args: {n_startup_trials: 3}}
"""

import math

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

import launch_sdk as launch


class OptunaScheduler(launch.Scheduler):
    """One trial for each run. A resumed sweep tells a new study what there was."""

    def __init__(self, sweep):
        super().__init__(sweep)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = dict(distributions(self.config["parameters"]))
        self.trials = {}
        self.study = optuna.create_study(
            direction=self.config["metric"].get("goal", "minimize"),
            sampler=made(optuna.samplers, self.settings.get("sampler"), "TPESampler"),
            pruner=made(optuna.pruners, self.settings.get("pruner"), "MedianPruner"),
        )

    def _load_state(self):
        for run in self.runs:
            self._take_up(run)

    def _take_up(self, run):
        """Begin a trial with the parameters that a run has already."""
        self.study.enqueue_trial({name: at(run.parameters, name) for name in self.space})
        self.trials[run] = self.study.ask(self.space)
        return self.trials[run]

    def _poll(self):
        for run in self.runs:
            trial = self.trials[run]
            if self._frozen(trial).state.is_finished():
                if not run.is_alive:
                    continue
                trial = self._take_up(run)  # it was cut short and has started again
            self._report(trial, run)
            if run.state == "stopped" and run.values:
                self.study.tell(trial, state=TrialState.PRUNED)
            elif run.has_result and run.metric is not None and math.isfinite(run.metric):
                self.study.tell(trial, run.metric)
            elif not run.is_alive:
                self.study.tell(trial, state=TrialState.FAIL)
            elif run.state == "running" and trial.should_prune():
                self._stop_run(run, f"{type(self.study.pruner).__name__}: pruned after {len(run.values)} values")

    def _report(self, trial, run):
        told = len(self._frozen(trial).intermediate_values)
        for step, value in enumerate(self._get_metrics_from_run(run)[told:], told + 1):
            trial.report(value, step)

    def _frozen(self, trial):
        return self.study.trials[trial.number]

    def _get_next_sweep_run(self, worker_id):
        trial = self.study.ask(self.space)
        run = launch.SweepRun(worker_id=worker_id, parameters=nested(trial.params))
        self.trials[run] = trial
        return run


def made(module, setting, default):
    """Make a sampler or a pruner of `{type: NAME, args: {...}}`."""
    setting = setting or {}
    name = setting.get("type", default)
    if name not in module.__all__:
        raise ValueError(f"{name!r} is none of {', '.join(module.__all__)}")
    return getattr(module, name)(**setting.get("args", {}))


def distributions(parameters, prefix=""):
    """Give the distribution of each parameter, a nested one by its dotted name."""
    for name, one in parameters.items():
        if "parameters" in one:
            yield from distributions(one["parameters"], f"{prefix}{name}.")
        elif "value" in one:
            yield prefix + name, CategoricalDistribution([one["value"]])
        elif "values" in one:
            yield prefix + name, CategoricalDistribution(one["values"])
        elif isinstance(one["min"], int) and isinstance(one["max"], int) and one.get("distribution") != "uniform":
            yield prefix + name, IntDistribution(one["min"], one["max"])
        else:
            log = "log" in one.get("distribution", "")
            yield prefix + name, FloatDistribution(one["min"], one["max"], log=log)


def nested(flat):
    """Turn `{"model.depth": 3}` into `{"model": {"depth": 3}}`."""
    whole = {}
    for name, value in flat.items():
        *groups, last = name.split(".")
        place = whole
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return whole


def at(parameters, name):
    for part in name.split("."):
        parameters = parameters[part]
    return parameters


if __name__ == "__main__":
    OptunaScheduler.main()
