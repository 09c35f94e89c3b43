"""Names that the product uses on a Prefect server. Values are promises: stored runs carry them."""

from __future__ import annotations

from collections.abc import Iterable

from launch_sdk.specs.placement import Priority

QUEUE_TYPE = "launch"  # type of the work pools that are queues, and of the agents' workers
JOBS = "default"  # work queue of a pool that holds runs
SCHEDULERS = "schedulers"  # work queue of a pool that holds the parents of sweeps, counted apart
PRIORITIES = {  # work queue of a pool for each priority, in the order in which the server empties them
    Priority.CRITICAL: "critical",
    Priority.HIGH: "high",
    Priority.MEDIUM: JOBS,
    Priority.LOW: "low",
}
POOL_CONFIG = "x-launch-queue"  # of the variables schema of a pool: what the owner of the queue decided

RUN_JOB = "run-job"
RUN_SWEEP = "run-sweep"
ENTRYPOINTS = {RUN_JOB: "flows/run_job.py:run_job", RUN_SWEEP: "flows/run_sweep.py:run_sweep"}
PRELOADED = {entry: entry.replace(".py:", ":").replace("/", ".") for entry in ENTRYPOINTS.values()}
WORK_QUEUES = {RUN_JOB: JOBS, RUN_SWEEP: SCHEDULERS}

# Labels of flow runs. Values are text, numbers or booleans.
SUMMARY = "launch.summary"  # JSON text of the last logged values, as tracking.values writes it
SWEEP = "launch.sweep"
INDEX = "launch.index"
ATTEMPT = "launch.attempt"
PARAMETERS = "launch.parameters"  # JSON text of the sweep's suggestion
ACKNOWLEDGED = "launch.acknowledged"  # the sweep saw this run end cut short and does not start it again
STOP_REASON = "launch.stop_reason"  # its sweep, or a user, asked it to end; what it has counts as its result
FOLLOWED = "launch.followed"  # the metric whose values a sweep wants one by one, to end runs early
HISTORY = "launch.history"  # text of the curve of that metric, as sweeps.curve writes it
METRIC = "launch.metric"  # the name under which a sweep looks for a number that a flow returns
SOURCE = "launch.source"  # the packed source of a sweep that was given a directory
CONFIG = "launch.config"  # JSON text of the run's recorded config, written at its end
INPUTS = "launch.inputs"  # JSON text of what the run declared as its inputs, written at its end
PROVENANCE = "launch.provenance"  # JSON text: which layers gave each value of the config, written at the run's end
CODE = "launch.code"  # JSON text: which code the run had, and where that comes from, written at the run's end
LOCK = "launch.lock"  # JSON text of what the run ran with, written at its end; not of the runs of a sweep
EDITS = "launch.edits"  # JSON text of what people changed in config and summary later, as a record of the protocol
GIVEN = "launch.given"  # what was given to the run was given on purpose: no form filled in the defaults
JOB = "launch.job"  # of a flow: the job's name; a flow run inherits it
VERSION = "launch.version"  # of a run of a job: the version that it is a run of, as v3
ATTEMPTS = "launch.attempts"  # JSON list of the attempts of a run that was put back, as _prefect.attempts writes it
SCHEDULER_HOST = "launch.scheduler.host"
SCHEDULER_PID = "launch.scheduler.pid"
SCHEDULER_STARTED = "launch.scheduler.started"

CONTROL = "launch.control"  # of a sweep: what its user wants of it, "pause" or "stop"; empty for nothing
REREAD = "launch.reread"  # of a sweep: changes when something about its ended runs has changed
PRIOR = "launch.prior"  # of a sweep: text of the runs from before it that its sampler is told
SCHEDULER_STATE = "launch.scheduler.state"  # of a sweep: JSON text that its custom scheduler wants kept
AGAIN = "launch.again"  # of a run that has ended: its user wants it started again

NOTICES = "launch.notices"  # JSON list of what the user of a sweep should know while it runs


def sweep_tag(sweep_id: str) -> str:
    """Return the tag that the runs of a sweep and the sweep itself carry."""
    return f"sweep:{sweep_id}"


def sweep_of(tags: Iterable[str]) -> str | None:
    """Return the sweep whose tag is among these; None if there is none."""
    prefix = sweep_tag("")
    return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), None)


def moved_tag(sweep_id: str) -> str:
    """Return the tag of a parent whose sweep another parent drives now, on another queue."""
    return f"moved-sweep:{sweep_id}"


JOB_TAG = "launch-job"  # carried by the deployments that are jobs, their flows and their runs
STOPPED = "Stopped"  # name of the Completed state of a sweep that its user has stopped
PARENT_TAG = "launch-sweep"  # carried by the parent flow runs of sweeps
WORKER = "prefect.worker.name"  # label that Prefect's workers give a flow run: who has it
POOL = "prefect.work-pool.name"  # and from which pool; it stays when that is deleted
RECOVERY_LOCK = "launch_recovery"  # variable of the server: held while somebody settles a run that was lost
AGENT_LOGGER = "prefect.flow_runs.worker"  # under which Prefect's workers speak of a flow run
