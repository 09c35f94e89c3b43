"""A scheduler that does what the sweep's own method does, and says more while it does it. Copy it and change it.

python wandb_scheduler.py --name CustomWandbScheduler      makes the job job-CustomWandbScheduler
launch-sweep sweep.yaml                                    whose scheduler.job names that job
"""

import logging

import launch_sdk as launch

log = logging.getLogger("wandb_scheduler")


class WandbScheduler(launch.Scheduler):
    """Takes each suggestion from `method` of the sweep file: grid, random, bayes, ..."""

    def _poll(self):
        """Called once in every cycle, before new runs are started."""
        best = min((run.metric for run in self.runs if run.has_result and run.metric is not None), default=None)
        log.info("%d runs, %d of them active, best %s", len(self.runs), self.num_active_runs, best)

    def _get_next_sweep_run(self, worker_id):
        """Choose what the free worker runs next; None for nothing."""
        run = self.suggest()
        if run is not None:
            log.info("worker %d gets %s", worker_id, run.parameters)
        return run


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    WandbScheduler.main()
