"""What agents say of themselves on the server, and what users ask of them: Prefect variables, one of each for an agent.

Prefect's open-source server keeps a name and a heartbeat of each worker, and passes no word to it. So an agent writes
down what it takes and has taken, and reads what is asked of it; that works from any machine that reaches the server.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from httpx import HTTPStatusError

from launch_sdk.queue_views import HeldRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from prefect.client.orchestration import PrefectClient

TAG = "launch-agent"  # by which the list of variables in the Prefect UI tells them from those of users
PREFIX = "launch_agent_"
WANTED_PREFIX = "launch_wanted_"
STOP, CANCEL = "stop", "cancel"  # take nothing new and end when idle; cancel what runs too
_DIGITS = 20
_PAGE = 200
_SHOWN = 12
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class AgentRecord:
    """What an agent says of itself.

    Attributes:
        name: of its workers.
        process: its process, as `process_identifier` names it.
        queues, max_jobs, max_schedulers: what it takes.
        runs: what it has taken, or the first of it: a variable holds 5,000 characters.
        more_runs, more_sweeps: how many it has taken beside these.
        trouble: by queue, why it can start none of its runs now.
        devices, free: how many GPUs and cores it gives to runs, and how many of them nobody has.
    """

    name: str
    process: str
    queues: tuple[str, ...]
    max_jobs: int
    max_schedulers: int
    runs: tuple[HeldRun, ...] = field(default_factory=tuple)
    more_runs: int = 0
    more_sweeps: int = 0
    trouble: Mapping[str, str] = field(default_factory=dict[str, str])
    devices: Mapping[str, int] = field(default_factory=dict[str, int])
    free: Mapping[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def holding(cls, held: Sequence[HeldRun], **about: Any) -> AgentRecord:
        """Make the record of an agent that has taken these runs; long names are cut."""
        kept = tuple(replace(run, name=run.name[:_SHOWN_CHARACTERS]) for run in held[:_SHOWN])
        sweeps = sum(run.is_sweep for run in held[_SHOWN:])
        return cls(**about, runs=kept, more_runs=len(held[_SHOWN:]) - sweeps, more_sweeps=sweeps)

    @property
    def key(self) -> str:
        """What the variables of this agent are called, after the prefix."""
        return hashlib.sha256(f"{self.name}\n{self.process}".encode()).hexdigest()[:_DIGITS]

    @property
    def host(self) -> str:
        return self.process.split(":")[0]

    @property
    def pid(self) -> int:
        return int(self.process.split(":")[1])

    def to_value(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_value(cls, value: object) -> AgentRecord | None:
        """Read a record; None if it is none."""
        try:
            values = dict(cast("dict[str, Any]", value))
            runs = tuple(HeldRun(**run) for run in values.pop("runs"))
            values["queues"] = tuple(values["queues"])
            return cls(**values, runs=runs)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


async def write_variable(client: PrefectClient, name: str, value: Any) -> None:
    """Set a variable, made if need be."""
    from prefect.client.schemas.actions import VariableCreate, VariableUpdate
    from prefect.exceptions import ObjectAlreadyExists

    try:
        await client.create_variable(VariableCreate(name=name, value=value, tags=[TAG]))
    except ObjectAlreadyExists:
        await client.update_variable(VariableUpdate(name=name, value=value))


async def write_record(client: PrefectClient, record: AgentRecord) -> None:
    """Say on the server what an agent is and does."""
    await write_variable(client, PREFIX + record.key, record.to_value())


async def forget_agent(client: PrefectClient, record: AgentRecord) -> None:
    """Take an agent's variables away, and its workers, in which the server would believe for a while."""
    for queue in record.queues:
        route = {"work_pool_name": queue, "name": quote(record.name, safe="")}
        with contextlib.suppress(HTTPStatusError):  # the queue or the worker is gone already
            await client.request("DELETE", "/work_pools/{work_pool_name}/workers/{name}", path_params=route)
    await _forget_variables(client, record)


async def _forget_variables(client: PrefectClient, record: AgentRecord) -> None:
    from prefect.exceptions import ObjectNotFound

    for prefix in (PREFIX, WANTED_PREFIX):
        try:
            await client.delete_variable_by_name(prefix + record.key)
        except ObjectNotFound:
            continue


async def wanted_of(client: PrefectClient, record: AgentRecord) -> str | None:
    """Return what a user asks of an agent: `stop`, `cancel`, or None."""
    variable = await client.read_variable_by_name(WANTED_PREFIX + record.key)
    return None if variable is None else str(variable.value)


async def ask(client: PrefectClient, record: AgentRecord, wanted: str) -> None:
    """Ask something of an agent, which it hears of within seconds."""
    await write_variable(client, WANTED_PREFIX + record.key, wanted)


async def read_records(client: PrefectClient) -> tuple[list[AgentRecord], dict[str, str]]:
    """Return every agent's record, and what is asked of each, by its key."""
    records: list[AgentRecord] = []
    wanted: dict[str, str] = {}
    for name, value in [*(await _all(client, PREFIX)), *(await _all(client, WANTED_PREFIX))]:
        if name.startswith(WANTED_PREFIX):
            wanted[name.removeprefix(WANTED_PREFIX)] = str(value)
        elif record := AgentRecord.from_value(value):
            records.append(record)
    return records, wanted


async def _all(client: PrefectClient, prefix: str) -> list[tuple[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        # In SQL `_` stands for any character, hence the second look.
        body = {"variables": {"name": {"like_": f"{prefix}%"}}, "limit": _PAGE, "offset": len(found)}
        page = (await client.request("POST", "/variables/filter", json=body)).json()
        found += page
        if len(page) < _PAGE:
            return [(one["name"], one["value"]) for one in found if one["name"].startswith(prefix)]
