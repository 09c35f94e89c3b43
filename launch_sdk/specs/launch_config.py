r"""The launch config: what `launch -c FILE` says, in W&B's keys; a command line is another one, laid over it.

```yaml
uri: .                              # or job: digits
project: demo
name: first try
queue: gpu
overrides:
  entry_point: [train.py]           # or text, as on a command line
  args: [--epochs, "3"]             # or {epochs: 3}, which gives --epochs=3
  run_config: {trainer: {lr: 0.1}}
  files: {conf/model.yaml: {depth: 7}}
metric_sources:
  - stdout: 'loss=(?P<loss>\S+)'
```
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.document import Document, Path_, parse_document, read_document, unusable_values
from launch_sdk.specs.metric_source import parse_metric_sources
from launch_sdk.specs.placement import Placement, Priority, parse_priority
from launch_sdk.specs.run_spec import DEFAULT_ENTRY_POINT, RunSpec, environment_fault, named_twice, split_entry_point
from launch_sdk.tracking.input_paths import file_key
from launch_sdk.tracking.protocol import merge

OPTION = "--config"
TEXTS = ("uri", "job", "name", "project", "entity", "queue")
KEYS = (*TEXTS, "environment", "metric_sources", "priority", "template_variables", "overrides")
OVERRIDES = ("run_config", "files", "entry_point", "args")

_IMAGE = "a program runs in the agent's own environment, in no image"
_PROCESS = "every run is a process on its agent's machine"
_GIT = "code comes from a directory or from an earlier run, as it was there; name that as the uri"
_SERVER = "a server has its own queues, for whoever can reach it; say queue alone"
NOT_TAKEN: Mapping[Path_, str] = {
    ("docker",): _IMAGE,
    ("image_uri",): _IMAGE,
    ("builder",): _IMAGE,
    ("registry",): _IMAGE,
    ("python_version",): "the interpreter is the agent's",
    ("resource",): _PROCESS,
    ("resource_args",): _PROCESS,
    ("additional_services",): _PROCESS,
    ("git",): _GIT,
    ("queue_entity",): _SERVER,
    ("project_queue",): _SERVER,
    ("run_id",): "the server gives each run its id; say name to find it again",
    ("sweep_id",): "a sweep starts its own runs: launch-sweep",
    ("author",): "nobody signs in here; say project or name",
    ("overrides", "artifacts"): "there are no artifacts to replace",
    ("overrides", "dockerfile"): _IMAGE,
    ("overrides", "working_dir"): "a program starts at the top of its source; lead to it in the entry_point",
}


def _empty() -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class LaunchConfig:
    """What to launch, as far as somebody has said it: nothing given is None or empty.

    Attributes:
        uri: a directory, relative to the working directory, or the id of an earlier run.
        job: name of a job or of a deployment, in place of `uri`.
        name, project: of the run.
        entity: a team of W&B; noted, as a server is one team.
        queue: where to put it; None runs it here, or on the job's own queue.
        entry_point: the program and its own arguments.
        args: arguments after it.
        config: values laid over the program's run config, nested.
        files: values of its config files, nested, by path.
        environment: what the program runs in.
        metric_sources: where metrics come from if the program does not log them.
        priority: which runs that wait on its queue it is taken before.
        variables: values for the template variables of the queue.
    """

    uri: str | None = None
    job: str | None = None
    name: str | None = None
    project: str | None = None
    entity: str | None = None
    queue: str | None = None
    entry_point: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=_empty)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=_empty)
    environment: str | None = None
    metric_sources: tuple[Mapping[str, Any], ...] = ()
    priority: Priority | None = None
    variables: Mapping[str, Any] = field(default_factory=_empty)

    @property
    def placement(self) -> Placement:
        """How the run is to stand on its queue."""
        return Placement(Priority.MEDIUM if self.priority is None else self.priority, self.variables)

    def over(self, lower: LaunchConfig) -> LaunchConfig:
        """Lay this over another: what it says wins, and values of config and files are merged.

        A `uri` or `job` of this one replaces either of the other.
        """
        own = self if self.uri or self.job else replace(self, uri=lower.uri, job=lower.job)
        return LaunchConfig(
            uri=own.uri,
            job=own.job,
            name=own.name or lower.name,
            project=own.project or lower.project,
            entity=own.entity or lower.entity,
            queue=own.queue or lower.queue,
            entry_point=own.entry_point or lower.entry_point,
            args=own.args or lower.args,
            config=merged(lower.config, own.config),
            files=merged(lower.files, own.files),
            environment=own.environment or lower.environment,
            metric_sources=own.metric_sources or lower.metric_sources,
            priority=lower.priority if own.priority is None else own.priority,
            variables={**lower.variables, **own.variables},
        )

    def spec_of(self, source: str) -> RunSpec:
        """Give the spec of a run of a directory.

        Raises:
            InvalidSpecError: something in it is wrong; every fault at once.
        """
        return RunSpec.from_dict(
            {
                "source": source,
                "entry_point": self.entry_point or DEFAULT_ENTRY_POINT,
                "args": self.args,
                "config": self.config,
                "files": self.files,
                "environment": self.environment,
                "name": self.name,
                "project": self.project,
                "metric_sources": self.metric_sources,
            }
        )

    def spec_over(self, earlier: RunSpec) -> RunSpec:
        """Give the spec that repeats an earlier run with what is said here; the name is always new.

        Raises:
            InvalidSpecError: something in it is wrong; every fault at once.
        """
        said = {
            "entry_point": self.entry_point,
            "args": self.args,
            "environment": self.environment,
            "project": self.project,
            "metric_sources": self.metric_sources,
        }
        values = {"config": merged(earlier.config, self.config), "files": merged(earlier.files, self.files)}
        changed = {key: value for key, value in said.items() if value}
        return RunSpec.from_dict({**earlier.to_dict(), **values, **changed, "name": self.name})

    def refuse(self, keys: Sequence[str], why: str) -> None:
        """Raise InvalidSpecError if any of these attributes is given; one fault for each."""
        faults = [Fault(key, why) for key in keys if getattr(self, key)]
        if faults:
            raise InvalidSpecError("The launch", faults)


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested values into a new dict."""
    result: dict[str, Any] = deepcopy(dict(lower))
    merge(result, upper)
    return result


def program_words(args: Sequence[str]) -> tuple[str, ...]:
    """Give the program `--k=v` for each `k=v`; a word without `=`, or with its own dash, is passed on as it is."""
    return tuple(f"--{word}" if "=" in word and not word.startswith("-") else word for word in args)


def read_launch_config(text: str) -> LaunchConfig:
    """Read what `-c` is given: the name of a YAML or JSON file, or a JSON object itself.

    Raises:
        InvalidSpecError: with every fault at once, each with its line.
    """
    if text.lstrip().startswith("{"):
        return parse_launch_config(parse_document(text, name=OPTION))
    if not text.strip():
        raise InvalidSpecError(OPTION, [Fault("", "is empty; name a file, or write a JSON object")])
    return parse_launch_config(read_document(Path(text).expanduser()))


def parse_launch_config(document: Document) -> LaunchConfig:
    """Read a launch config.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    if not isinstance(document.value, Mapping):
        example = "must be a mapping, as in {uri: ., overrides: {run_config: {lr: 0.1}}}"
        raise InvalidSpecError(document.name, [document.fault((), example)])
    reader = _Reader(document)
    found = reader.read()
    if reader.faults:
        raise InvalidSpecError(document.name, reader.faults)
    return found


class _Reader:
    """Reads one document; what is wrong is in `faults`."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.values = cast("Mapping[str, Any]", document.value)
        self.faults = unusable_values(document)

    def read(self) -> LaunchConfig:
        overrides = self._mapping(("overrides",))
        self._check_keys((), self.values, KEYS)
        self._check_keys(("overrides",), overrides, OVERRIDES)
        if self.values.get("uri") and self.values.get("job"):
            self._fault(("job",), "there is a uri too; name one of them")
        texts = {key: self._text(key) for key in TEXTS}
        return LaunchConfig(
            **texts,
            environment=self._environment(),
            metric_sources=self._metric_sources(),
            priority=self._priority(),
            variables=self._mapping(("template_variables",)),
            entry_point=self._entry_point(overrides.get("entry_point")),
            args=self._args(overrides.get("args")),
            config=self._mapping(("overrides", "run_config")),
            files=self._files(),
        )

    def _fault(self, path: Path_, message: str) -> None:
        self.faults.append(self.document.fault(path, message))

    def _at(self, path: Path_) -> Any:
        value: Any = self.values
        for key in path:
            value = cast("Mapping[Any, Any]", value).get(key) if isinstance(value, Mapping) else None
        return value

    def _check_keys(self, at: Path_, values: Mapping[str, Any], known: Sequence[str]) -> None:
        """Refuse what is not known; a key of W&B that asks for nothing is passed over."""
        for key, value in values.items():
            path = (*at, key)
            if path in NOT_TAKEN and value in (None, {}, [], ""):
                continue
            if path in NOT_TAKEN:
                self._fault(path, f"has no meaning here: {NOT_TAKEN[path]}. Leave it out")
            elif key not in known:
                self._fault(path, f"unknown key; {_nearest(str(key), at, known)}")

    def _text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not (isinstance(value, str) and value.strip()):
            self._fault((key,), f"must be text, not {value!r}")
            return None
        return value

    def _mapping(self, path: Path_) -> dict[str, Any]:
        value = self._at(path)
        if value is not None and not isinstance(value, Mapping):
            self._fault(path, f"must be a mapping, not {value!r}")
            return {}
        return dict(cast("Mapping[str, Any]", value or {}))

    def _files(self) -> dict[str, Mapping[str, Any]]:
        at = ("overrides", "files")
        given = self._mapping(at)
        for path, before in named_twice(path for path in given if isinstance(cast("object", path), str)).items():
            self._fault((*at, path), f"is the same file as {before!r}, which has values too; name it once")
        return {file_key(str(path)): self._mapping((*at, path)) for path in given}

    def _environment(self) -> str | None:
        value = self._text("environment")
        if value is not None and (message := environment_fault(value)):
            self._fault(("environment",), message)
        return value

    def _priority(self) -> Priority | None:
        value = self.values.get("priority")
        try:
            return None if value is None else parse_priority(value)
        except InvalidSpecError as error:
            self._fault(("priority",), error.faults[0].message)
            return None

    def _metric_sources(self) -> tuple[Mapping[str, Any], ...]:
        value = self.values.get("metric_sources")
        if value is None:
            return ()
        _, faults = parse_metric_sources(value)
        for path, message in faults:
            self._fault(("metric_sources", *path), message)
        return () if faults else tuple(value)

    def _entry_point(self, value: object) -> tuple[str, ...]:
        path = ("overrides", "entry_point")
        if not value:
            return ()
        if isinstance(value, str):
            try:
                return split_entry_point(value)
            except InvalidSpecError as error:
                self._fault(path, error.faults[0].message)
                return ()
        words = self._words(path, value, lambda word: isinstance(word, str))
        if words and not words[0]:
            self._fault(path, "must name the program to start, as in ['train.py']")
        return words

    def _args(self, value: object) -> tuple[str, ...]:
        path = ("overrides", "args")
        if not value:
            return ()
        if not isinstance(value, Mapping):
            return program_words(self._words(path, value, _is_plain))
        named = cast("Mapping[str, object]", value)
        wrong = [key for key, one in named.items() if not _is_plain(one)]
        for key in wrong:
            self._fault((*path, key), f"must be text, a number or a truth value, not {named[key]!r}")
        return tuple(f"--{str(key).lstrip('-')}={one}" for key, one in named.items() if key not in wrong)

    def _words(self, path: Path_, value: object, is_word: Callable[[object], bool]) -> tuple[str, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str):
            self._fault(path, f"must be a list of words, not {value!r}")
            return ()
        words = cast("Sequence[object]", value)
        wrong = [index for index, word in enumerate(words) if not is_word(word)]
        for index in wrong:
            self._fault((*path, index), f"must be a word, not {words[index]!r}")
        return () if wrong else tuple(str(word) for word in words)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _nearest(key: str, at: Path_, known: Sequence[str]) -> str:
    if not at and key in OVERRIDES:
        return f"it stands below overrides: {{overrides: {{{key}: ...}}}}"
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
