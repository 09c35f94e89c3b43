"""What an agent is told: by its file, its environment and its command line, each laid over the one before.

```yaml
queues: [gpu, cpu]
max_jobs: 4            # -1: no limit
max_schedulers: 2
verbosity: 1
name: machine-room
log_file: agent.log    # -: standard output
preload: [numpy]       # for queues that name none themselves
```
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.document import Document, read_document, unusable_values
from launch_sdk.specs.placement import DEFAULT_QUEUE
from launch_sdk.specs.preload import KEY as PRELOAD
from launch_sdk.specs.preload import read_preload

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_QUEUES = (DEFAULT_QUEUE,)
FILE_NAME = "launch-config.yaml"
UNLIMITED = -1
MAX_VERBOSITY = 2
KEYS = ("queues", "queue", "entity", "max_jobs", "max_schedulers", "verbosity", "name", "log_file", PRELOAD)
ENVIRONMENT: Mapping[str, tuple[str, ...]] = {  # by key, the variables that give it; the first one wins
    "queues": ("LAUNCH_AGENT_QUEUES",),
    "max_jobs": ("LAUNCH_AGENT_MAX_JOBS", "WANDB_LAUNCH_MAX_JOBS"),
    "max_schedulers": ("LAUNCH_AGENT_MAX_SCHEDULERS",),
    "name": ("LAUNCH_AGENT_NAME",),
}
_IMAGE = "the queue says this of its runs: builder and push, in the resource_args of launch queue create -c FILE"
NOT_TAKEN: Mapping[str, str] = {
    "builder": _IMAGE,
    "registry": _IMAGE,
    "environment": "an agent signs in to no cloud",
    "secure_mode": "whoever can reach the server may run any program here; run the agent as a user who may do little",
    "stopped_run_timeout": "a program has 10 s between SIGTERM and SIGKILL",
}
ASKS_FOR_NOTHING: Mapping[str, tuple[object, ...]] = {
    "builder": ({"type": "noop"},),
    "secure_mode": (False,),
    "stopped_run_timeout": (10,),
}


@dataclass(frozen=True)
class AgentConfig:
    """What an agent is told, as far as somebody has said it: what nobody said is None.

    Attributes:
        queues: that it polls.
        entity: a team of W&B; noted, as a server is one team.
        max_jobs: how many runs it takes at once over all queues, -1 for no limit; 1 if nobody says.
        max_schedulers: how many sweeps it leads at once, likewise, 0 for none; no limit if nobody says.
        verbosity: 0; 1 for a line on its state every 20 s; 2 for what Prefect logs too.
        name: what the Prefect UI calls it.
        log_file: where it writes what it says: a path, or `-` for standard output; standard error if nobody says.
        preload: modules that it imports beforehand for programs of queues that name none, see `specs.preload`.
    """

    queues: tuple[str, ...] | None = None
    entity: str | None = None
    max_jobs: int | None = None
    max_schedulers: int | None = None
    verbosity: int | None = None
    name: str | None = None
    log_file: str | None = None
    preload: tuple[str, ...] | None = None

    def over(self, lower: AgentConfig) -> AgentConfig:
        """Lay this over another: what it says wins, and its queues replace the other's."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        below = {field.name: getattr(lower, field.name) for field in fields(lower)}
        return AgentConfig(**{key: below[key] if value is None else value for key, value in said.items()})


DEFAULTS = AgentConfig(DEFAULT_QUEUES, None, 1, UNLIMITED, 0)


def read_agent_config(path: Path) -> AgentConfig:
    """Read an agent's file.

    Raises:
        InvalidSpecError: with every fault at once, each with its line.
    """
    return parse_agent_config(read_document(path))


def parse_agent_config(document: Document) -> AgentConfig:
    """Read what stands in an agent's file.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    subject = f"Agent config {document.name}"
    if document.value is None:
        return AgentConfig()
    if not isinstance(cast("object", document.value), Mapping):
        raise InvalidSpecError(subject, [document.fault((), "must be a mapping, as in {queues: [gpu], max_jobs: 2}")])
    values = cast("Mapping[str, Any]", document.value)
    faults = unusable_values(document)
    for key, value in cast("Mapping[str, object]", values).items():
        if key in NOT_TAKEN:
            if value not in (None, {}, "", *ASKS_FOR_NOTHING.get(key, ())):
                faults.append(document.fault((key,), f"(value: {value!r}): has no meaning here: {NOT_TAKEN[key]}"))
        elif key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            instead = f"did you mean {near[0]}?" if near else f"known are {', '.join(KEYS)}"
            faults.append(document.fault((str(key),), f"(value: {value!r}): unknown key; {instead}"))
    found: dict[str, Any] = {
        "queues": _queues(values.get("queues"), values.get("queue"), document, faults),
        **{key: _number(key, values.get(key), document, faults) for key in ("max_jobs", "max_schedulers", "verbosity")},
        **{key: _text(key, values.get(key), document, faults) for key in ("entity", "name", "log_file")},
        PRELOAD: read_preload(values.get(PRELOAD), document, faults),
    }
    if faults:
        raise InvalidSpecError(subject, faults)
    return AgentConfig(**found)


def config_of_environment(environment: Mapping[str, str]) -> AgentConfig:
    """Read what the environment says.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for key, variables in ENVIRONMENT.items():
        variable = next((one for one in variables if environment.get(one, "").strip()), None)
        if variable is None:
            continue
        text = environment[variable].strip()
        if key == "queues":
            found[key] = split_queues([text])
        elif key == "name":
            found[key] = text
        else:
            found[key] = int(text) if text.lstrip("+-").isdecimal() else None
            if message := limit_fault(key, found[key]):
                faults.append(Fault(variable, f"(value: {text!r}): {message}"))
    if faults:
        raise InvalidSpecError("The agent's environment", faults)
    return AgentConfig(**found)


def split_queues(words: Sequence[str]) -> tuple[str, ...]:
    """Read `a,b c` as names of queues, each once."""
    names = [name.strip() for word in words for name in word.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def limit_fault(key: str, value: object) -> str | None:
    """Say what is wrong with a number of the config; None if nothing is."""
    if not isinstance(value, int) or isinstance(value, bool):
        return "must be a whole number"
    if key == "verbosity":
        return None if 0 <= value <= MAX_VERBOSITY else f"must be 0 to {MAX_VERBOSITY}"
    least = 0 if key == "max_schedulers" else 1
    return None if value >= least or value == UNLIMITED else f"must be at least {least}, or -1 for no limit"


def _queues(queues: object, queue: object, document: Document, faults: list[Fault]) -> tuple[str, ...] | None:
    """Read `queues` and W&B's single `queue`, which is added to them."""
    names: list[str] = []
    if queues is not None and not isinstance(queues, list | str):
        faults.append(document.fault(("queues",), f"(value: {queues!r}): must be a list of names, as in [gpu, cpu]"))
    elif isinstance(queues, str):
        names += split_queues([queues])
    for index, name in enumerate(cast("list[object]", queues) if isinstance(queues, list) else []):
        if isinstance(name, str) and name.strip():
            names.append(name.strip())
        else:
            faults.append(document.fault(("queues", index), f"(value: {name!r}): must be the name of a queue"))
    if queue is not None and not (isinstance(queue, str) and queue.strip()):
        faults.append(document.fault(("queue",), f"(value: {queue!r}): must be the name of a queue"))
    elif isinstance(queue, str):
        names.append(queue.strip())
    if queues is not None and not names and not faults:
        faults.append(document.fault(("queues",), f"(value: {queues!r}): names no queue"))
    return tuple(dict.fromkeys(names)) or None


def _number(key: str, value: object, document: Document, faults: list[Fault]) -> int | None:
    if value is None:
        return None
    if message := limit_fault(key, value):
        faults.append(document.fault((key,), f"(value: {value!r}): {message}"))
        return None
    return cast("int", value)


def _text(key: str, value: object, document: Document, faults: list[Fault]) -> str | None:
    if value is not None and not (isinstance(value, str) and value.strip()):
        faults.append(document.fault((key,), f"(value: {value!r}): must be text"))
        return None
    return value
