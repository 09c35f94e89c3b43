"""The Python API: submit runs, jobs and sweeps, look at them, end them. It knows no Prefect: a `Gateway` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from launch_sdk.errors import ConflictError
from launch_sdk.handles import LaunchedRun, LaunchedSweep
from launch_sdk.job_calls import JobCalls
from launch_sdk.job_making import check_sweep
from launch_sdk.queue_calls import Queue
from launch_sdk.runs.packing import pack_program
from launch_sdk.session import Gateway, Session
from launch_sdk.specs.command import expand_variables
from launch_sdk.specs.document import Document
from launch_sdk.specs.image_sweep import as_job
from launch_sdk.specs.job import checked
from launch_sdk.specs.placement import DEFAULT_PLACEMENT, DEFAULT_QUEUE, Placement
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.sweep_change import change_sweep
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.prior import PriorRun, prior_run

if TYPE_CHECKING:
    from launch_sdk.views import RunView, SweepView

__all__ = ["Gateway", "LaunchClient", "LaunchedRun", "LaunchedSweep", "Queue"]


class LaunchClient(JobCalls):
    """Submits to, and reads from, the server that PREFECT_API_URL names, or the embedded one.

    Synchronous: each call returns when the server has answered.

    Args:
        gateway: the server; None connects to it, starting the embedded one if need be.
        tell: is told, line by line, what a person has to know of code that is packed, such as files that look like
            secrets and are left out; None writes it to standard error.

    Raises:
        BackendUnavailableError: the server does not answer.
    """

    def __init__(self, gateway: Gateway | None = None, tell: Callable[[str], object] | None = None) -> None:
        self._session = Session(gateway)
        self._tell = tell or _write_to_stderr

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(
        self, spec: RunSpec, *, queue: str | None = None, placement: Placement = DEFAULT_PLACEMENT
    ) -> LaunchedRun:
        """Put a run on a queue; a local directory is packed first.

        Args:
            spec: what to run.
            queue: where; None for the default queue.
            placement: how urgent it is, and its values for the variables of the queue.

        Raises:
            NotFoundError: the directory or the queue does not exist.
            InvalidSpecError: a value is given that its inputs or its queue do not have; the queue is somebody's own.
        """
        spec = checked(spec)
        queue = queue or DEFAULT_QUEUE
        self._session.do(self._session.gateway.ensure_queue(queue))
        run_id = self._session.do(self._session.gateway.submit_run(self._packed(spec), queue, placement))
        return LaunchedRun(self._session, run_id)

    def launch_job(
        self,
        job: str,
        parameters: Mapping[str, Any],
        *,
        name: str | None = None,
        placement: Placement = DEFAULT_PLACEMENT,
    ) -> LaunchedRun:
        """Start a run of somebody's deployment, `flow/deployment`, on its own queue."""
        submitted = self._session.gateway.submit_job(job, parameters, name, placement)
        return LaunchedRun(self._session, self._session.do(submitted))

    def run(self, run_id: str) -> LaunchedRun:
        """Return an existing run by its id, or by its name if no other has it."""
        view = self._session.do(self._session.gateway.read_run(run_id))
        return LaunchedRun(self._session, view.run_id)

    def submit_sweep(
        self, document: Document, *, queue: str | None = None, prior_runs: Sequence[str] = ()
    ) -> LaunchedSweep:
        """Start a sweep; the folder of its program is packed first, and an image is made a job.

        Args:
            document: the sweep file.
            queue: where it and its runs go; None for the file's own, that of its job, or the default.
            prior_runs: ids of earlier runs whose results its sampler is told; they are not among its own.

        Raises:
            InvalidSpecError: with every fault of the file, and every parameter that its job does not take.
            NotFoundError: its program, its job, its queue or a prior run does not exist.
            ConflictError: a prior run has not ended.
        """
        spec = parse_sweep(document)
        prior = self.read_prior_runs(spec, prior_runs)
        if spec.image is not None:
            first_queue = queue or spec.queue or DEFAULT_QUEUE
            made = self.create_job(spec.image.spec, name=spec.image.job, first_queue=first_queue)
            document = replace(document, value=as_job(document.value, made.reference))
            spec = parse_sweep(document)
        job = self.job(spec.own_job) if spec.own_job else None
        if spec.scheduler.job:
            self.job(spec.scheduler.job)
        if job is not None:
            check_sweep(job, spec, document)
        queue = queue or spec.queue or (job.queue if job is not None else DEFAULT_QUEUE)
        self._session.do(self._session.gateway.ensure_queue(queue))
        source = pack_program(spec, document, self.run_store(), self._tell) if spec.program else None
        sweep_id = self._session.do(self._session.gateway.submit_sweep(document.value, spec, source, queue, prior))
        return LaunchedSweep(self._session, sweep_id)

    def read_prior_runs(self, spec: SweepSpec, run_ids: Sequence[str]) -> list[PriorRun]:
        """Read what a sweep can learn from earlier runs; `prior_notices` says which tell it nothing.

        Raises:
            NotFoundError: one does not exist.
            ConflictError: one has not ended.
        """
        views = [self.run(run_id).refresh() for run_id in dict.fromkeys(run_ids)]
        if active := [view.run_id for view in views if not view.state.is_terminal]:
            raise ConflictError(f"Prior runs must have ended; {', '.join(active)} has not.")
        return [prior_run(spec, view.run_id, view.config, view.summary) for view in views]

    def sweep(self, sweep_id: str) -> LaunchedSweep:
        """Return an existing sweep."""
        handle = LaunchedSweep(self._session, sweep_id)
        handle.refresh()
        return handle

    def resume_sweep(
        self, sweep_id: str, document: Document | None = None, *, queue: str | None = None
    ) -> LaunchedSweep:
        """Continue a sweep that is paused or has ended early.

        Args:
            sweep_id: the sweep.
            document: a file whose scheduler values, queue and limits win; what else it says counts for nothing, see
                `launch_sdk.specs.sweep_change.change_sweep`. A finished sweep goes on if its limits allow that then.
            queue: where it and its new runs go; None for the file's, or where they went.

        Raises:
            ConflictError: it goes on already, or has finished and nothing of it changes.
            InvalidSpecError: the file has faults, or names another program or job.
            NotFoundError: the sweep or the queue does not exist.
        """
        gateway = self._session.gateway
        change = None
        if document is not None:
            before = self._session.do(gateway.read_sweep(sweep_id)).document
            change = change_sweep(before, document, _expand)
            queue = queue or change.queue
        if queue is not None:
            self._session.do(gateway.ensure_queue(queue))
        new = change.document if change is not None and change.is_change else None
        self._session.do(gateway.resume_sweep(sweep_id, new, queue))
        return LaunchedSweep(self._session, sweep_id)

    def ignored_keys(self, sweep_id: str, document: Document) -> tuple[str, ...]:
        """Name the keys of a file that a resume of this sweep would ignore although they say something new.

        Raises:
            InvalidSpecError: the file has faults, or names another program or job.
        """
        view = self._session.do(self._session.gateway.read_sweep(sweep_id))
        return change_sweep(view.document, document, _expand).ignored

    def runs(self, limit: int = 20) -> list[RunView]:
        """Return the latest runs, newest first."""
        return self._session.do(self._session.gateway.list_runs(limit))

    def sweeps(self, limit: int = 20) -> list[SweepView]:
        """Return the latest sweeps, newest first."""
        return self._session.do(self._session.gateway.list_sweeps(limit))


def _expand(command: list[str]) -> list[str]:
    return expand_variables(command, os.environ)


def _write_to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
