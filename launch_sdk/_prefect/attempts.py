"""The attempts of one run: a flow run that is put back keeps its id, and what became of its earlier processes.

The label `launch.attempts` tells of every attempt that was put back. It is written before the state that lets an agent
take the run again, so a process that is named in it speaks for the run no more: the server goes on naming it as the
run's until the next one has started.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from launch_sdk._prefect import names
from launch_sdk._prefect.labels import write_labels
from launch_sdk.runs.processes import has_processes, is_dead
from launch_sdk.specs.run_policy import MAX_LOSSES, MAX_PREEMPTIONS, Ending, RunPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun, State

MAX_MESSAGE = 400

_WHY = {
    Ending.FAILED: "It failed and starts again, as its retries say",
    Ending.PREEMPTED: f"It was preempted and starts again, which it does {MAX_PREEMPTIONS} times",
    Ending.LOST: f"Its process was lost and it starts again, which it does {MAX_LOSSES} times",
}


@dataclass(frozen=True)
class Attempt:
    """One start of a run that was put back afterwards.

    Attributes:
        ending: how it ended, a value of `Ending`.
        message: what was seen, with the program's last lines.
        exit_code: of its program; None if it has none.
        ended: unix seconds.
        process: the process that it was, as `runs.processes` names it; None if that is not known.
        agent: the agent that had it; None if that is not known.
    """

    ending: str
    message: str
    exit_code: int | None
    ended: float
    process: str | None
    agent: str | None


def attempts_of(flow_run: FlowRun) -> list[Attempt]:
    """Read the attempts of a run that were put back, oldest first."""
    text = _labels(flow_run).get(names.ATTEMPTS)
    return [Attempt(**one) for one in json.loads(text)] if isinstance(text, str) else []


def process_is_gone(flow_run: FlowRun) -> bool:
    """Say whether all processes of a run's present attempt are known to be gone; False if nothing is known."""
    process = flow_run.infrastructure_pid
    if not is_dead(process) or any(one.process == process for one in attempts_of(flow_run)):
        return False
    return not has_processes(str(flow_run.id))


async def put_back(
    client: PrefectClient,
    flow_run: FlowRun,
    ending: Ending,
    message: str,
    *,
    exit_code: int | None = None,
    process: str | None = None,
) -> State[Any] | None:
    """Let a run start again on its queue, under its id, if its policy allows it.

    Args:
        client: of the server.
        flow_run: as just read from the server; nobody else may be settling it.
        ending: how its attempt ended.
        message: what was seen.
        exit_code: of its program.
        process: the process that the attempt was; None takes what the server says.

    Returns:
        Its state now; None if it does not start again, and nothing was changed.
    """
    from prefect.states import Scheduled

    earlier = attempts_of(flow_run)
    delay_s = policy_of(flow_run).delay_s(ending, exit_code, [Ending(one.ending) for one in earlier])
    if delay_s is None:
        return None
    agent = _labels(flow_run).get(names.WORKER)
    process = process or flow_run.infrastructure_pid or None
    now = Attempt(ending.value, message[-MAX_MESSAGE:], exit_code, time.time(), process, str(agent) if agent else None)
    await write_labels(client, flow_run.id, {names.ATTEMPTS: json.dumps([asdict(one) for one in (*earlier, now)])})
    at = datetime.now(UTC) + timedelta(seconds=delay_s)
    state = Scheduled(scheduled_time=at, message=f"{_WHY[ending]}. {message}"[: 10 * MAX_MESSAGE])
    await client.set_flow_run_state(flow_run.id, state, force=True)
    return state


def policy_of(flow_run: FlowRun) -> RunPolicy:
    """Return the policy of a run; the default one if it says none."""
    given = flow_run.parameters.get("policy")
    return RunPolicy.of(cast("Mapping[str, Any]", given) if isinstance(given, dict) else None)


def _labels(flow_run: FlowRun) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", flow_run.labels or {})
