"""Finding runs that were lost: their process is known to be gone, or their agent has been silent for long.

Of this machine's processes one knows for certain. Of another machine's only the agent's heartbeats tell, and silence
may be the server's own absence. So they are timed by how long one has watched them not change, on a clock of one's own:
neither a wrong clock nor a server that was away makes an agent look dead.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from launch_sdk._prefect import names
from launch_sdk._prefect.attempts import process_is_gone
from launch_sdk._prefect.recovery import SURE_S, recover_gone, recover_unseen

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, Worker

HEARTBEAT_S = 10.0
LOOK_EVERY_S = 10.0
SILENT_S = 3 * HEARTBEAT_S
PAGE = 200
ACTIVE = ("PENDING", "RUNNING", "CANCELLING")


class Unchanged:
    """How long values have been watched not to change."""

    def __init__(self) -> None:
        self._since: dict[Hashable, tuple[Hashable, float]] = {}

    def note(self, key: Hashable, value: Hashable, now: float) -> float:
        """Take in a value as it is now, and say for how many seconds it has been the same."""
        before = self._since.get(key)
        if before is None or before[0] != value:
            self._since[key] = (value, now)
            return 0.0
        return now - before[1]

    def forget(self) -> None:
        self._since.clear()


class LostRuns:
    """Looks for the lost runs of some queues and settles them.

    Args:
        client: of the server.
        queues: names of the queues.
        own: the name of the agent that looks, which knows itself that it lives.
        holds: says of a run of its own whether it has it still.
        silent_s: after how long an agent that is not heard of counts as dead.
    """

    def __init__(
        self,
        client: PrefectClient,
        queues: Sequence[str],
        own: str,
        holds: Callable[[UUID], bool],
        silent_s: float = SILENT_S,
    ) -> None:
        self.client = client
        self.queues = list(queues)
        self.own = own
        self.holds = holds
        self.silent_s = silent_s
        self.unchanged = Unchanged()

    async def look(self) -> list[str]:
        """Settle what is lost, and say what was done, a line for each run.

        Raises:
            Exception: the server cannot be asked; what was watched until now counts no more.
        """
        try:
            active = await self._active()
            silent_s = await self._silence() if active else {}
        except Exception:
            self.unchanged.forget()
            raise
        settled = [flow_run for flow_run in active if await self._settle(flow_run, silent_s)]
        return [f"Run {flow_run.id} was lost with its process; it is settled." for flow_run in settled]

    async def _settle(self, flow_run: FlowRun, silent_s: dict[str, float]) -> bool:
        since_s = self.unchanged.note(flow_run.id, (flow_run.state_id, flow_run.infrastructure_pid), time.monotonic())
        if since_s >= SURE_S and process_is_gone(flow_run):
            return await recover_gone(self.client, flow_run)
        agent = str((flow_run.labels or {}).get(names.WORKER) or "(it had none)")
        lives = self.holds(flow_run.id) if agent == self.own else silent_s.get(agent, since_s) < self.silent_s
        if lives or since_s < self.silent_s:
            return False
        message = f"Its agent {agent} has it no more, or has not been heard of for {self.silent_s:.0f} s."
        return await recover_unseen(self.client, flow_run, message)

    async def _active(self) -> list[FlowRun]:
        from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter

        wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": list(ACTIVE)}}})
        pools = WorkPoolFilter.model_validate({"name": {"any_": self.queues}})
        found: list[FlowRun] = []
        while True:
            page = await self.client.read_flow_runs(
                flow_run_filter=wanted, work_pool_filter=pools, limit=PAGE, offset=len(found)
            )
            found += page
            if len(page) < PAGE:
                return found

    async def _silence(self) -> dict[str, float]:
        """Say how long each agent of the queues has been silent, as far as one has watched it."""
        now = time.monotonic()
        found: dict[str, float] = {}
        for queue in self.queues:
            for worker in await self._workers(queue):
                silent_s = self.unchanged.note((queue, worker.name), worker.last_heartbeat_time, now)
                found[worker.name] = min(silent_s, found.get(worker.name, silent_s))
        return found

    async def _workers(self, queue: str) -> list[Worker]:
        from prefect.exceptions import ObjectNotFound

        try:
            return await self.client.read_workers_for_work_pool(queue, limit=PAGE, offset=0)
        except ObjectNotFound:  # somebody has deleted the queue; the others need looking after all the same
            return []
