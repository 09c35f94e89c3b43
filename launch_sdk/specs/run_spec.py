"""RunSpec: the one document that crosses a process border. It is the parameters of the `run-job` flow."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, cast

from launch_sdk.errors import Fault, InvalidSpecError

DEFAULT_ENTRY_POINT = ("main.py",)
ENVIRONMENTS = ("current",)


def _empty() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class RunSpec:
    """What to run: enough to run it again from this document alone.

    Attributes:
        source: the code: `sha256:<digest>` of a packed directory in the run store, or the path of a local directory.
        entry_point: the program and its own arguments, relative to the source. A `.py` file is started with the
            interpreter of the environment; anything else as it is.
        args: arguments added after the entry point.
        config: values laid over the program's run config, nested; locked for the program.
        environment: what the program runs in; `current` is the interpreter of the agent.
        name: what to call the run; None lets one be made up.
        project: what the run belongs to; None if nothing.
    """

    source: str
    entry_point: tuple[str, ...] = DEFAULT_ENTRY_POINT
    args: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=_empty)
    environment: str = "current"
    name: str | None = None
    project: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form: the parameters of the flow, without what is only a default of the run's name."""
        return {
            "source": self.source,
            "entry_point": list(self.entry_point),
            "args": list(self.args),
            "config": dict(self.config),
            "environment": self.environment,
            "name": self.name,
            "project": self.project,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """Read the plain form.

        Raises:
            InvalidSpecError: with every fault at once.
        """
        faults: list[Fault] = []
        known = {"source", "entry_point", "args", "config", "environment", "name", "project"}
        faults += [Fault(key, f"unknown; known are {', '.join(sorted(known))}") for key in values if key not in known]
        source = values.get("source")
        if not isinstance(source, str) or not source:
            faults.append(Fault("source", "must name a directory, or a packed one as sha256:<digest>"))
        entry_point = _words(values.get("entry_point", DEFAULT_ENTRY_POINT), "entry_point", faults)
        if not entry_point or not entry_point[0]:
            faults.append(Fault("entry_point", "must name the program to start, as in ['train.py']"))
        elif ".." in PurePosixPath(entry_point[0]).parts:
            faults.append(Fault("entry_point", f"{entry_point[0]!r} leads out of the source"))
        args = _words(values.get("args", ()), "args", faults)
        config: Any = values.get("config") or {}
        if not isinstance(config, Mapping):
            faults.append(Fault("config", f"must be a mapping, not {type(config).__name__}"))
            config = _empty()
        environment = values.get("environment") or "current"
        if environment not in ENVIRONMENTS:
            faults.append(Fault("environment", f"{environment!r} is unknown; known are {', '.join(ENVIRONMENTS)}"))
        faults += [
            Fault(key, "must be text") for key in ("name", "project") if not isinstance(values.get(key), str | None)
        ]
        nul = [key for key in ("source", "name", "project") if "\0" in str(values.get(key))]
        faults += [Fault(key, "holds a NUL character") for key in nul]
        if faults:
            raise InvalidSpecError("The run", faults)
        return cls(
            source=cast("str", source),
            entry_point=entry_point,
            args=args,
            config=cast("Mapping[str, Any]", config),
            environment=environment,
            name=values.get("name"),
            project=values.get("project"),
        )


def split_entry_point(text: str) -> tuple[str, ...]:
    """Split an entry point written as on a command line.

    Raises:
        InvalidSpecError: it is empty or a quote is not closed.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidSpecError("The entry point", [Fault("entry_point", f"{text!r}: {error}")]) from None
    if not words:
        raise InvalidSpecError("The entry point", [Fault("entry_point", "is empty; name a program, as in train.py")])
    return words


def _words(value: object, key: str, faults: list[Fault]) -> tuple[str, ...]:
    if isinstance(value, str):
        value = split_entry_point(value) if value.strip() else ()
    if isinstance(value, Sequence) and all(isinstance(word, str) for word in cast("Sequence[object]", value)):
        words = cast("Sequence[str]", value)
        faults += [Fault(key, f"word {i} holds a NUL character") for i, word in enumerate(words) if "\0" in word]
        return tuple(words)
    faults.append(Fault(key, "must be a list of words"))
    return ()
