"""How the worker type starts a run: Prefect's job configuration of processes, and the order that it becomes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from prefect.utilities.processutils import sanitize_subprocess_env
from prefect.workers.process import ProcessJobConfiguration
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.client.schemas.objects import FlowRun

    from launch_sdk.agent.wire import Order


class LaunchJobConfiguration(ProcessJobConfiguration):
    """Prefect's process job configuration, which also remembers what the deployment runs."""

    _entrypoint: str | None = PrivateAttr(default=None)
    _flow_name: str | None = PrivateAttr(default=None)
    _related: tuple[dict[str, Any], ...] = PrivateAttr(default=())

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: Any = None,
        flow: Any = None,
        work_pool: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        from launch_sdk._prefect import names

        super().prepare_for_flow_run(flow_run, deployment, flow, work_pool, *args, **kwargs)
        self._entrypoint = deployment.entrypoint if deployment is not None else None
        self._flow_name = flow.name if flow is not None else None
        if deployment is not None and names.JOB_TAG in deployment.tags:
            self._flow_name = names.RUN_JOB  # a job's flow has the job's name
        self._related = tuple(_related(flow_run, deployment, flow, work_pool))

    @property
    def has_command(self) -> bool:
        """Whether the user has set how the run is started."""
        return self._command_configured

    def order_for(self, flow_run: FlowRun, cwd: str) -> Order:
        """Make the order of a run."""
        from launch_sdk.agent.starter import parent_environment
        from launch_sdk.agent.wire import Order
        from launch_sdk.runs.processes import AGENT_PROCESS, process_identifier

        env = {
            **parent_environment(),
            **self.env,
            "PREFECT__FLOW_RUN_ID": str(flow_run.id),
            AGENT_PROCESS: process_identifier(os.getpid()),
            "PREFECT__ENABLE_CANCELLATION_AND_CRASHED_HOOKS": "false",
        }
        return Order(
            flow_run_id=str(flow_run.id),
            env=sanitize_subprocess_env(env),
            cwd=cwd,
            entrypoint=self._entrypoint,
            flow_name=self._flow_name,
            quiet=not self.stream_output,
            related=self._related,
        )


def _related(flow_run: FlowRun, deployment: Any, flow: Any, work_pool: Any) -> Iterator[dict[str, Any]]:
    """Describe what events of the run are about, as `Order.related` wants it."""
    for kind, thing in (("flow", flow), ("deployment", deployment), ("work-pool", work_pool)):
        if thing is not None:
            key = thing.name if kind == "work-pool" else thing.id
            tags = list(getattr(thing, "tags", ()))
            yield {"kind": kind, "key": str(key), "id": str(thing.id), "name": thing.name, "tags": tags}
    if flow_run.work_queue_id is not None:
        key = str(flow_run.work_queue_id)
        yield {"kind": "work-queue", "key": key, "id": key, "name": flow_run.work_queue_name, "tags": []}
