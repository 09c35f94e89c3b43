r"""What the owner of a queue decides for all of its runs: `launch queue create NAME -c FILE`.

```yaml
description: the machine with two GPUs
access: shared                       # or private: only its owner may submit
resource_args:
  env:
    OMP_NUM_THREADS: "{{threads}}"   # chosen by the submitter, within the schema below
    SCRATCH: /scratch/${run_id}      # a macro, see MACROS
    DATA_DIR: null                   # the agent must have it
template_variables:
  threads: {type: integer, default: 4, minimum: 1, maximum: 16}
preload: [numpy, torch]              # see `specs.preload`
```
"""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.container import CONTAINER_NAMES, PROCESS_NAMES, RESOURCE_NAMES
from launch_sdk.specs.document import Document, parse_document, read_document, unusable_values
from launch_sdk.specs.preload import KEY as PRELOAD
from launch_sdk.specs.preload import read_preload
from launch_sdk.specs.queue_containers import QueueContainers, queue_container_faults
from launch_sdk.specs.queue_templates import (
    MACRO,
    filled,
    filled_arguments,
    filled_value,
    placeholders,
    template_faults,
)
from launch_sdk.specs.template_variables import (
    WrongTypeError,
    as_text,
    read_variables,
    typed,
    value_faults,
)

if TYPE_CHECKING:
    from launch_sdk.specs.document import Path_

SHARED, PRIVATE = "shared", "private"
EXPANDED = "LAUNCH_QUEUE_MACROS"  # names of the run's variables that hold macros; its flow expands and removes it
NEEDED = "LAUNCH_QUEUE_NEEDS"  # names of the variables that the agent must have; likewise
CHOSEN = "LAUNCH_QUEUE_CHOSEN"  # what the submitter chose of what the queue's containers leave open; likewise
RESOURCE_KEYS = ("env",)
KEYS = ("description", "access", "resource", "resource_args", "template_variables", PRELOAD)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = ("PREFECT_", "LAUNCH_")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MAX_NAME = 64  # W&B's


@dataclass(frozen=True)
class QueueConfig:
    """What the owner of a queue decides.

    Attributes:
        description: for people.
        owner: the only one who may submit; None for a queue that everybody shares.
        env: variables of every run's program, by name: a template, or None for one that the agent must have.
        variables: what submitters may choose, each with its JSON Schema.
        container: what it says of the containers of its runs, with templates, as `specs.queue_containers` has it; None
            for a queue whose runs are processes.
        preload: modules that agents import beforehand for its programs, which they fork then; None for programs that
            start in interpreters of their own.
    """

    description: str | None = None
    owner: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    container: Mapping[str, Any] | None = None
    preload: tuple[str, ...] | None = None

    @property
    def resource(self) -> str:
        return PROCESS_NAMES[0] if self.container is None else CONTAINER_NAMES[0]

    @property
    def access(self) -> str:
        return SHARED if self.owner is None else PRIVATE

    def to_dict(self) -> dict[str, Any]:
        """Give the plain form; `from_dict` reads it."""
        return {
            "description": self.description,
            "owner": self.owner,
            "env": dict(self.env),
            "variables": {name: dict(schema) for name, schema in self.variables.items()},
            "container": None if self.container is None else dict(self.container),
            PRELOAD: None if self.preload is None else list(self.preload),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QueueConfig:
        preload = values.get(PRELOAD)
        others = {key: values.get(key) or default for key, default in _DEFAULTS.items()}
        container = values.get("container")  # an empty mapping is not None
        return cls(**others, container=container, preload=None if preload is None else tuple(preload))

    def to_json(self) -> dict[str, Any]:
        """Give what a file of the queue would say."""
        return {
            "description": self.description,
            "access": self.access,
            "owner": self.owner,
            "resource": self.resource,
            "resource_args": {**({"env": dict(self.env)} if self.env else {}), **(self.container or {})},
            "template_variables": {name: dict(schema) for name, schema in self.variables.items()},
            **({} if self.preload is None else {PRELOAD: list(self.preload)}),
        }

    def environment(self, queue: str, chosen: Mapping[str, Any]) -> dict[str, str]:
        """Give the variables of a run whose submitter has chosen these values; macros are left to its flow.

        Raises:
            InvalidSpecError: a value is unknown, missing, of another type or out of its bounds; every fault at once.
        """
        faults: list[Fault] = []
        values = self._values(queue, chosen, faults)
        if not faults and self.container is not None:
            faults += _filled_faults(self.container, values)
        if faults:
            raise InvalidSpecError(f"The launch on queue {queue!r}", faults)
        return self._rendered(values) | self._chosen(values)

    def containers(self, chosen: Mapping[str, Any]) -> QueueContainers | None:
        """Give what the queue says of the container of a run whose submitter has chosen these values; None for none.

        Raises:
            InvalidSpecError: a value that was chosen makes no sense where it stands; every fault at once.
        """
        if self.container is None:
            return None
        values = {name: chosen.get(name, schema.get("default")) for name, schema in self.variables.items()}
        return QueueContainers.from_arguments(filled_arguments(self.container, values))

    def require_values(self, queue: str, chosen: Mapping[str, Any]) -> None:
        """Raise InvalidSpecError, with every fault, unless these values may be chosen; those not named are open."""
        faults: list[Fault] = []
        for name, value in chosen.items():
            if value is not None:
                faults += [Fault(name, message) for message in value_faults(value, self.variables[name])]
        if faults:
            raise InvalidSpecError(f"The launch on queue {queue!r}", faults)

    def default_environment(self) -> dict[str, str]:
        """Give the variables of a run whose submitter chose nothing, as in the Prefect UI: as far as they have values.

        One whose template asks for a value that has no default is left out.
        """
        return self._rendered({name: schema.get("default") for name, schema in self.variables.items()})

    def require_access(self, queue: str, submitter: str) -> None:
        """Raise InvalidSpecError unless this person may submit."""
        if self.owner not in {None, submitter}:
            told = f"is private to {self.owner!r}, and you are {submitter!r}; choose another queue, or ask its owner"
            raise InvalidSpecError("The launch", [Fault("queue", f"{queue!r} {told}")])

    def _values(self, queue: str, chosen: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
        known = f"it has {', '.join(self.variables)}" if self.variables else "it has no template variables"
        faults += [
            Fault("template_variables", f"Queue {queue!r} does not support overriding {name}; {known}")
            for name in chosen
            if name not in self.variables
        ]
        values: dict[str, Any] = {}
        for name, schema in self.variables.items():
            if name not in chosen:
                values[name] = schema.get("default")
                if values[name] is None:
                    faults.append(Fault(name, f"has no default; choose it: --set-var {name}=VALUE"))
                continue
            try:
                values[name] = typed(chosen[name], schema["type"])
            except WrongTypeError:
                faults.append(Fault(name, f"Value for {name} must be of type {schema['type']}, not {chosen[name]!r}"))
                continue
            faults += [Fault(name, message) for message in value_faults(values[name], schema)]
        return values

    def _chosen(self, values: Mapping[str, Any]) -> dict[str, str]:
        used = set(placeholders(self.container or {}))
        found = {name: value for name, value in values.items() if name in used}
        return {CHOSEN: json.dumps(found)} if found else {}

    def _rendered(self, values: Mapping[str, Any]) -> dict[str, str]:
        env = {name: filled(template, values) for name, template in self.env.items() if template is not None}
        rendered = {name: text for name, text in env.items() if text is not None}
        marks = {
            EXPANDED: [name for name in rendered if MACRO.search(self.env[name] or "")],
            NEEDED: [name for name, template in self.env.items() if template is None],
        }
        return rendered | {mark: ",".join(names) for mark, names in marks.items() if names}


_DEFAULTS: Mapping[str, Any] = {"description": None, "owner": None, "env": {}, "variables": {}}


def _filled_faults(arguments: Mapping[str, Any], values: Mapping[str, Any]) -> list[Fault]:
    found = queue_container_faults(filled_arguments(arguments, values))
    return [Fault(f"resource_args.{fault.path}", fault.message) for fault in found]


def submitter() -> str:
    """Name the person that this process works for: the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return "unknown"


def check_queue_name(name: str) -> None:
    """Raise InvalidSpecError, with every fault, unless a queue may be called so."""
    faults: list[Fault] = []
    if not _NAME.fullmatch(name):
        faults.append(Fault("name", f"{name!r} is no name: letters, digits, . _ - and a letter or digit first"))
    if len(name) > MAX_NAME:
        faults.append(Fault("name", f"{len(name)} characters; {MAX_NAME} are the most"))
    if name.lower().startswith("prefect"):
        faults.append(Fault("name", f"{name!r} begins with 'prefect', which the server keeps for itself"))
    if faults:
        raise InvalidSpecError("The queue", faults)


def read_queue_config(text: str, owner: str) -> QueueConfig:
    """Read what `-c` is given: the name of a YAML or JSON file, or a JSON object itself.

    Raises:
        InvalidSpecError: with every fault at once, each with its line.
    """
    return parse_queue_config(queue_document(text), owner)


def queue_document(text: str) -> Document:
    """Read what `-c` is given as a document."""
    is_object = text.lstrip().startswith("{")
    return parse_document(text, name="--config") if is_object else read_document(Path(text).expanduser())


def parse_queue_config(document: Document, owner: str) -> QueueConfig:
    """Read a queue's file.

    Args:
        document: the file.
        owner: who is to be the owner, if it says that the queue is private.

    Raises:
        InvalidSpecError: with every fault at once.
    """
    if not isinstance(cast("object", document.value), Mapping):
        told = "must be a mapping, as in {resource_args: {env: {OMP_NUM_THREADS: 4}}}"
        raise InvalidSpecError(document.name, [document.fault((), told)])
    values = cast("Mapping[str, Any]", document.value)
    faults = unusable_values(document)
    faults += _unknown(document, (), values, KEYS)
    description, access, resource = (values.get(key) for key in ("description", "access", "resource"))
    if not isinstance(description, str | None):
        faults.append(document.fault(("description",), f"must be text, not {description!r}"))
    if access not in {None, SHARED, PRIVATE}:
        faults.append(document.fault(("access",), f"must be {SHARED} or {PRIVATE}, not {access!r}"))
    if resource is not None and resource not in RESOURCE_NAMES:
        faults.append(document.fault(("resource",), resource_fault(resource)))
    variables = read_variables(document, ("template_variables",), faults)
    at, arguments = _arguments(document, values.get("resource_args"), faults)
    env = _environment(document, at, arguments, faults)
    container = _container(document, at, resource, arguments, variables, faults)
    faults += template_faults(document, env, container or {}, variables)
    preload = read_preload(values.get(PRELOAD), document, faults)
    if faults:
        raise InvalidSpecError(document.name, faults)
    return QueueConfig(description, owner if access == PRIVATE else None, env, variables, container, preload)


def resource_fault(resource: object) -> str:
    kinds = f"{PROCESS_NAMES[0]} (on its agent's machine) and {CONTAINER_NAMES[0]} (of an engine there)"
    return f"{resource!r} is not supported; a run is one of {kinds}"


def _unknown(document: Document, at: Path_, values: Mapping[str, Any], known: tuple[str, ...]) -> list[Fault]:
    told = f"has no meaning here; what has is {', '.join(known)}"
    return [document.fault((*at, key), told) for key in values if key not in known]


def _arguments(document: Document, given: object, faults: list[Fault]) -> tuple[Path_, Mapping[str, Any]]:
    """Find the resource arguments: bare, or in W&B's form, as in `{local-container: {memory: 2g}}`."""
    at: Path_ = ("resource_args",)
    if given is None:
        return at, {}
    if not isinstance(given, Mapping):
        faults.append(document.fault(at, f"must be a mapping, as in {{env: {{NAME: value}}}}, not {given!r}"))
        return at, {}
    arguments = cast("Mapping[str, Any]", given)
    for key in RESOURCE_NAMES:
        if isinstance(inner := arguments.get(key), Mapping) and len(arguments) == 1:
            return (*at, key), cast("Mapping[str, Any]", inner)
    return at, arguments


def _container(  # noqa: PLR0917  # what a file says, and where
    document: Document,
    at: Path_,
    resource: object,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Mapping[str, Any]],
    faults: list[Fault],
) -> dict[str, Any] | None:
    """Give what a queue of containers says of them, checked as it is with the defaults of its variables."""
    if resource not in CONTAINER_NAMES:
        faults += _unknown(document, at, arguments, RESOURCE_KEYS)
        return None
    said = {str(key): value for key, value in arguments.items() if key not in RESOURCE_KEYS}
    defaults = {name: schema.get("default") for name, schema in variables.items()}
    known = {
        key: filled_value(value, defaults)
        for key, value in said.items()
        if all(defaults.get(name) is not None for name in placeholders(value))
    }
    faults += [
        document.fault((*at, *fault.path.split(".", 1)), fault.message) for fault in queue_container_faults(known)
    ]
    return said


def _environment(
    document: Document, at: Path_, arguments: Mapping[str, Any], faults: list[Fault]
) -> dict[str, str | None]:
    env: Any = arguments.get("env") or {}
    if isinstance(env, list):  # of names, and of NAME=VALUE as `docker run -e` has it
        pairs = [str(word).partition("=") for word in cast("list[object]", env)]
        env = {name: value if equals else None for name, equals, value in pairs}
    if not isinstance(env, Mapping):
        faults.append(document.fault((*at, "env"), f"must be a mapping of values, or a list of names, not {env!r}"))
        return {}
    return _variables(document, (*at, "env"), cast("Mapping[Any, Any]", env), faults)


def _variables(document: Document, at: Path_, env: Mapping[Any, Any], faults: list[Fault]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, value in env.items():
        where: Path_ = (*at, str(name))
        if not _VARIABLE.fullmatch(str(name)):
            faults.append(document.fault(where, f"{name!r} is no name of a variable: letters, digits and _"))
        elif str(name).startswith(_RESERVED):
            faults.append(
                document.fault(where, f"names that begin with {' or '.join(_RESERVED)} are the product's own")
            )
        elif not isinstance(value, str | int | float | None):
            faults.append(document.fault(where, f"must be text, a number, or nothing for the agent's, not {value!r}"))
        else:
            found[str(name)] = None if value is None else as_text(value)
    return found
