r"""The launch config: what `launch -c FILE` says, in W&B's keys; a command line is another one, laid over it.

```yaml
uri: .                              # or a git address, or a run; or job: digits
project: demo
name: first try
queue: gpu
git: {version: v1.2}                # branch, tag or commit, of a git address or in place of what a run had
overrides:
  entry_point: [train.py]           # or text, as on a command line
  args: [--epochs, "3"]             # or {epochs: 3}, which gives --epochs=3
  run_config: {trainer: {lr: 0.1}}
  files: {conf/model.yaml: {depth: 7}}
metric_sources:
  - stdout: 'loss=(?P<loss>\S+)'
policy: {retries: 2, run_timeout_s: 3600}
resource_args: {gpu: 1, cpu: 4}     # or, of a container: {container: {memory: 2g}}
docker: {docker_image: python:3.12, user_id: 1000}
```
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import CONTAINER_NAMES, PROCESS_NAMES, RESOURCE_NAMES, container_faults
from launch_sdk.specs.container_arguments import argument_faults
from launch_sdk.specs.document import Document, Path_, parse_document, read_document, unusable_values
from launch_sdk.specs.git_address import parse_git_address, version_fault
from launch_sdk.specs.launch_config import CONTAINER, PROCESS, LaunchConfig, program_words
from launch_sdk.specs.metric_source import parse_metric_sources
from launch_sdk.specs.placement import Priority, parse_priority
from launch_sdk.specs.resources import KINDS, resource_faults
from launch_sdk.specs.run_policy import policy_faults
from launch_sdk.specs.run_spec import environment_fault, named_twice, split_entry_point
from launch_sdk.tracking.input_paths import file_key

OPTION = "--config"
TEXTS = ("uri", "job", "name", "project", "entity", "queue")
KEYS = (
    *(*TEXTS, "environment", "metric_sources", "overrides", "git", "resource"),
    *("policy", "resource_args", "priority", "template_variables"),
    *("docker", "image_uri", "base_image"),
)
OVERRIDES = ("run_config", "files", "entry_point", "args", "dockerfile", "build_context")
DOCKER = ("docker_image", "user_id")
GIT = ("repo", "version", "git_version")

_PROCESS = "a run is a process on its agent's machine, or one container there"
_QUEUE = "the queue says it, for all of its runs: launch queue update NAME -c FILE"
_SERVER = "a server has its own queues, for whoever can reach it; say queue alone"
NOT_TAKEN: Mapping[Path_, str] = {
    ("builder",): _QUEUE,
    ("registry",): _QUEUE,
    ("python_version",): "the interpreter is the agent's, or the image's",
    ("additional_services",): _PROCESS,
    ("queue_entity",): _SERVER,
    ("project_queue",): _SERVER,
    ("run_id",): "the server gives each run its id; say name to find it again",
    ("sweep_id",): "a sweep starts its own runs: launch-sweep",
    ("author",): "nobody signs in here; say project or name",
    ("overrides", "artifacts"): "there are no artifacts to replace",
    ("overrides", "working_dir"): "a program starts at the top of its source; lead to it in the entry_point",
}


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
        args, resources = self._resource_args()
        git_version, git_repo = self._git()
        return LaunchConfig(
            **texts,
            git_version=git_version,
            git_repo=git_repo,
            environment=self._environment(),
            metric_sources=self._metric_sources(),
            priority=self._priority(),
            variables=self._mapping(("template_variables",)),
            entry_point=self._entry_point(overrides.get("entry_point")),
            args=self._args(overrides.get("args")),
            config=self._mapping(("overrides", "run_config")),
            files=self._files(),
            policy=self._checked("policy", policy_faults),
            resources=resources,
            resource=self._resource(),
            container=self._container(overrides, args),
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

    def _resource(self) -> str | None:
        value = self.values.get("resource")
        if value in (None, ""):
            return None
        if value not in RESOURCE_NAMES:
            self._fault(("resource",), f"must be {PROCESS} or {CONTAINER}, not {value!r}: {_PROCESS}")
        return PROCESS if value in PROCESS_NAMES else CONTAINER

    def _resource_args(self) -> tuple[dict[str, Any], dict[str, int]]:
        """Read the arguments of a container, and the counts that a run asks for of a machine: `gpu` and `cpu`."""
        at: Path_ = ("resource_args",)
        given = self._mapping(at)
        for key in RESOURCE_NAMES:
            if isinstance(given.get(key), Mapping) and len(given) == 1:
                at = (*at, key)
                given = self._mapping(at)
        counts, args = split_resource_args(given, of_container=at[-1] in CONTAINER_NAMES)
        for fault in (*resource_faults(counts), *argument_faults(args)):
            self._fault((*at, fault.path) if fault.path else at, fault.message)
        return args, counts

    def _container(self, overrides: Mapping[str, Any], args: Mapping[str, Any]) -> dict[str, Any] | None:
        """Gather what the file says of a container; None if it says nothing."""
        docker = self._mapping(("docker",))
        self._check_keys(("docker",), docker, DOCKER)
        if docker.get("docker_image") and self.values.get("image_uri"):
            self._fault(("image_uri",), "there is docker.docker_image too, which means the same; say one of them")
        said: Mapping[str, tuple[Path_, Any]] = {
            "image": (("docker", "docker_image"), docker.get("docker_image")),
            "base_image": (("base_image",), self.values.get("base_image")),
            "dockerfile": (("overrides", "dockerfile"), overrides.get("dockerfile")),
            "build_context": (("overrides", "build_context"), overrides.get("build_context")),
            "user_id": (("docker", "user_id"), docker.get("user_id")),
        }
        if said["image"][1] is None:
            said = {**said, "image": (("image_uri",), self.values.get("image_uri"))}
        values = {key: value for key, (_, value) in said.items() if value not in (None, "")}
        for fault in container_faults(values):
            self._fault(said[fault.path][0], fault.message)
        found = {**values, **({"args": dict(args)} if args else {})}
        return found or None

    def _git(self) -> tuple[str | None, str | None]:
        """Read which version of which repository; W&B has two names for the version."""
        said = self._mapping(("git",))
        self._check_keys(("git",), said, GIT)
        texts = {key: value for key in GIT if (value := said.get(key)) is not None}
        for key in [key for key, value in texts.items() if not isinstance(value, str) or not value]:
            self._fault(("git", key), f"must be text, not {texts.pop(key)!r}")
        version, repo = texts.get("version") or texts.get("git_version"), texts.get("repo")
        if version is not None and (message := version_fault(version)):
            self._fault(("git",), message)
        if repo is not None:
            try:
                parse_git_address(repo)
            except InvalidSpecError as error:
                self._fault(("git", "repo"), error.faults[0].message)
        return version, repo

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

    def _checked(self, key: str, check: Callable[[object], list[Fault]]) -> dict[str, Any]:
        value = self.values.get(key)
        if value is None:
            return {}
        faults = check(value)
        for fault in faults:
            self._fault((key, fault.path) if fault.path else (key,), fault.message)
        return {} if faults else dict(value)

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


def split_resource_args(
    given: Mapping[str, Any], *, of_container: bool = False
) -> tuple[dict[str, int], dict[str, Any]]:
    """Part counts of a machine's devices, `gpu` and a whole `cpu`, from the arguments of a container."""
    if of_container:
        return {}, dict(given)
    counts = {key: value for key, value in given.items() if key in KINDS}
    return counts, {key: value for key, value in given.items() if key not in KINDS}


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _nearest(key: str, at: Path_, known: Sequence[str]) -> str:
    if not at and key in OVERRIDES:
        return f"it stands below overrides: {{overrides: {{{key}: ...}}}}"
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
