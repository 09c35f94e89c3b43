"""RunSpec: the one document that crosses a process border. It is the parameters of the `run-job` flow."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import ContainerSpec, container_faults, image_fault, image_of_source
from launch_sdk.specs.deletions import scattered
from launch_sdk.specs.metric_source import parse_metric_sources
from launch_sdk.specs.resources import resource_faults
from launch_sdk.specs.run_policy import policy_faults
from launch_sdk.tracking.input_paths import file_key
from launch_sdk.tracking.values import encode

DEFAULT_ENTRY_POINT = ("main.py",)
ENVIRONMENTS = ("current", "auto", "lock")
REQUIREMENTS = (".txt", ".in", "pyproject.toml", "uv.lock", ".yml", ".yaml")


def _empty() -> dict[str, Any]:
    return {}


def _counts() -> dict[str, int]:
    return {}


@dataclass(frozen=True)
class RunSpec:
    """What to run: enough to run it again from this document alone.

    Attributes:
        source: the code, in the run store: `git+sha256:<digest>#<tree>[:<directory>]` for a captured git work tree,
            `sha256:<digest>` for a packed directory; the path of a local directory; or `image:NAME[:TAG|@sha256:...]`
            for what has no code but its image's.
        entry_point: the program and its own arguments, relative to the source. A `.py` file is started with the
            interpreter of the environment; anything else as it is. Empty for what the image itself starts.
        args: arguments added after the entry point.
        config: values laid over the program's run config, nested; locked for the program.
        files: values written into config files of the run's copy of the source, nested, by the file's relative path.
        environment: what the program runs in. `current` is the interpreter of the agent. The others are a virtual
            environment, made once for the same packages: `auto` reads requirements.txt, pyproject.toml (with uv.lock)
            or environment.yml at the top of the source, whichever is there first, else `lock`; a file's name reads
            that one; `lock` is the packages of the run that is repeated.
        name: what to call the run; None lets one be made up.
        project: what the run belongs to; None if nothing.
        job: name of the job that it is a run of; None if it is of none.
        inputs: what may be set by `config` and `files`, as the job has it: `{"config": JSON Schema or null, "files":
            {path: JSON Schema}}`; None if anything may.
        metric_sources: where metrics come from if the program does not log them itself; see `specs.metric_source`.
        lock: what the run that is repeated had recorded as its environment, in the form of `environment.json`; None if
            it repeats none.
        policy: when it starts again and how long it may take, as `specs.run_policy.RunPolicy`; empty for its defaults.
        resources: what it asks for of its agent's machine, as `{"gpu": 1, "cpu": 4}`; empty for no place of its own.
        container: which container it wants, as `specs.container.ContainerSpec`; None lets its queue decide, which means
            a process of the agent's machine where the queue is of processes.
    """

    source: str
    entry_point: tuple[str, ...] = DEFAULT_ENTRY_POINT
    args: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=_empty)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=_empty)
    environment: str = "current"
    name: str | None = None
    project: str | None = None
    job: str | None = None
    inputs: Mapping[str, Any] | None = None
    metric_sources: tuple[Mapping[str, Any], ...] = ()
    lock: Mapping[str, Any] | None = None
    policy: Mapping[str, Any] = field(default_factory=_empty)
    resources: Mapping[str, int] = field(default_factory=_counts)
    container: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("config", "files"):  # whoever has JSON's null means nothing
            if getattr(self, name) is None:
                object.__setattr__(self, name, _empty())

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form; `from_dict` reads it."""
        return {
            "source": self.source,
            "entry_point": list(self.entry_point),
            "args": list(self.args),
            "config": dict(self.config),
            "files": dict(self.files),
            "environment": self.environment,
            "name": self.name,
            "project": self.project,
            "job": self.job,
            "inputs": self.inputs,
            "metric_sources": list(self.metric_sources),
            "lock": self.lock,
            "policy": dict(self.policy),
            "resources": dict(self.resources),
            "container": None if self.container is None else dict(self.container),
        }

    def to_parameters(self) -> dict[str, Any]:
        """Give the parameters of the `run-job` flow: the plain form with every value written as JSON."""
        return cast("dict[str, Any]", encode(self.to_dict()))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """Read the plain form.

        Raises:
            InvalidSpecError: with every fault at once.
        """
        faults: list[Fault] = []
        known = {field.name for field in fields(cls)}
        faults += [Fault(key, f"unknown; known are {', '.join(sorted(known))}") for key in values if key not in known]
        source = values.get("source")
        if not isinstance(source, str) or not source:
            faults.append(Fault("source", "must name a directory, or a packed one as sha256:<digest>"))
        image = image_of_source(source) if isinstance(source, str) else None
        default = DEFAULT_ENTRY_POINT if image is None else ()
        entry_point = _words(values.get("entry_point", default), "entry_point", faults)
        container = _container(values.get("container"), image, entry_point, faults)
        if image is not None and not entry_point:
            pass
        elif not entry_point or not entry_point[0]:
            faults.append(Fault("entry_point", "must name the program to start, as in ['train.py']"))
        elif ".." in PurePosixPath(entry_point[0]).parts:
            faults.append(Fault("entry_point", f"{entry_point[0]!r} leads out of the source"))
        args = _words(values.get("args", ()), "args", faults)
        config: Any = values.get("config") or {}
        faults += values_faults(config, {})
        files = _files(values.get("files") or {}, faults)
        inputs: Any = values.get("inputs")
        if inputs is not None and not isinstance(inputs, Mapping):
            faults.append(Fault("inputs", f"must be a mapping, not {type(inputs).__name__}"))
        metric_sources = _metric_sources(values.get("metric_sources") or (), faults)
        environment = values.get("environment") or "current"
        if message := environment_fault(environment):
            faults.append(Fault("environment", message))
        lock: Any = values.get("lock")
        if lock is not None and not isinstance(lock, Mapping):
            faults.append(Fault("lock", f"must be what a run recorded of its environment, not {type(lock).__name__}"))
        for key, check in (("policy", policy_faults), ("resources", resource_faults)):
            faults += [Fault(f"{key}.{one.path}".rstrip("."), one.message) for one in check(values.get(key) or {})]
        faults += [
            Fault(key, "must be text")
            for key in ("name", "project", "job")
            if not isinstance(values.get(key), str | None)
        ]
        nul = [key for key in ("source", "name", "project", "job") if "\0" in str(values.get(key))]
        faults += [Fault(key, "holds a NUL character") for key in nul]
        if faults:
            raise InvalidSpecError("The run", faults)
        return cls(
            source=cast("str", source),
            entry_point=entry_point,
            args=args,
            config=cast("Mapping[str, Any]", config),
            files=files,
            environment=environment,
            name=values.get("name"),
            project=values.get("project"),
            job=values.get("job"),
            inputs=cast("Mapping[str, Any] | None", inputs),
            metric_sources=metric_sources,
            lock=cast("Mapping[str, Any] | None", lock or None),
            policy=cast("Mapping[str, Any]", values.get("policy") or {}),
            resources=cast("Mapping[str, int]", values.get("resources") or {}),
            container=container,
        )


def environment_fault(environment: object) -> str | None:
    """Say what is wrong with the name of an environment; None if nothing is."""
    if environment in ENVIRONMENTS:
        return None
    if not isinstance(environment, str) or not environment.endswith(REQUIREMENTS) or "\0" in environment:
        known = f"known are {', '.join(ENVIRONMENTS)}, and the name of a requirements file, as in requirements.txt"
        return f"{environment!r} is unknown; {known}"
    path = PurePosixPath(environment)
    if path.is_absolute() or ".." in path.parts or environment.startswith("-"):
        return f"{environment!r} leads out of the source; name a file in it, as in requirements.txt"
    return None


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


def _container(
    value: object, image: str | None, entry_point: Sequence[str], faults: list[Fault]
) -> Mapping[str, Any] | None:
    """Read which container is wanted; `image` is the one that is all the code of the run."""
    if image is not None and (told := image_fault(image)):
        faults.append(Fault("source", told))
        return None
    if value is None:
        return None if image is None else {"image": image}
    found = [Fault(f"container.{one.path}".rstrip("."), one.message) for one in container_faults(value)]
    faults += found
    if found:
        return None
    spec = ContainerSpec.from_dict(cast("Mapping[str, Any]", value))
    if image is not None and (spec.base_image or spec.dockerfile or spec.image not in {None, image}):
        faults.append(Fault("container", f"the source is the image {image!r}; name no other, and nothing to build"))
    if entry_point and "command" in spec.args:
        faults.append(Fault("container.args.command", "there is an entry point too, which is what starts; say one"))
    said = spec.to_dict()
    return said if image is None else {"image": image, **said}


def _metric_sources(value: object, faults: list[Fault]) -> tuple[Mapping[str, Any], ...]:
    _, found = parse_metric_sources(value)
    for path, message in found:
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
        faults.append(Fault(f"metric_sources{where}", message))
    return () if found else tuple(cast("Sequence[Mapping[str, Any]]", value))


def values_faults(config: object, files: object) -> list[Fault]:
    """List what is wrong with the form of values for a run: they must be mappings, and each file be named once."""
    faults: list[Fault] = []
    if not isinstance(config, Mapping):
        faults.append(Fault("config", f"must be a mapping, not {type(config).__name__}"))
    _files(files, faults)
    return faults


def named_twice(paths: Iterable[str]) -> dict[str, str]:
    """Say which paths name a file that one before them, which is given too, names already: `./a.yaml` is `a.yaml`."""
    first: dict[str, str] = {}
    firsts = {path: first.setdefault(file_key(path), path) for path in paths}
    return {path: before for path, before in firsts.items() if path != before}


def _files(value: object, faults: list[Fault]) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, Mapping):
        faults.append(Fault("files", f"must be a mapping of paths, not {type(value).__name__}"))
        return {}
    files = cast("Mapping[object, object]", value)
    for path, before in named_twice(path for path in files if isinstance(path, str)).items():
        faults.append(Fault(f"files.{path}", f"is the same file as {before!r}, which has values too; name it once"))
    found: dict[str, Mapping[str, Any]] = {}
    for path, values in files.items():
        if not isinstance(path, str) or not isinstance(values, Mapping):
            faults.append(Fault(f"files.{path}", "must be a mapping of values by the path of their file"))
        else:
            found[path] = scattered(cast("Mapping[str, Any]", values))
    return found


def _words(value: object, key: str, faults: list[Fault]) -> tuple[str, ...]:
    if isinstance(value, str):
        value = split_entry_point(value) if value.strip() else ()
    if isinstance(value, Sequence) and all(isinstance(word, str) for word in cast("Sequence[object]", value)):
        words = cast("Sequence[str]", value)
        faults += [Fault(key, f"word {i} holds a NUL character") for i, word in enumerate(words) if "\0" in word]
        return tuple(words)
    faults.append(Fault(key, "must be a list of words"))
    return ()
