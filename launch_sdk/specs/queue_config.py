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
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.specs.document import Document, parse_document, read_document, unusable_values
from launch_sdk.specs.preload import KEY as PRELOAD
from launch_sdk.specs.preload import read_preload
from launch_sdk.specs.template_variables import (
    PLACEHOLDER,
    WrongTypeError,
    as_text,
    read_variables,
    typed,
    value_faults,
)

if TYPE_CHECKING:
    from launch_sdk.specs.document import Path_

SHARED, PRIVATE = "shared", "private"
MACROS = ("run_id", "run_name", "project_name", "queue_name")
MACRO = re.compile(r"\$\{(\w+)\}")
EXPANDED = "LAUNCH_QUEUE_MACROS"  # names of the run's variables that hold macros; its flow expands and removes it
NEEDED = "LAUNCH_QUEUE_NEEDS"  # names of the variables that the agent must have; likewise
PROCESS_NAMES = ("process", "local-process", "local")
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
        preload: modules that agents import beforehand for its programs, which they fork then; None for programs that
            start in interpreters of their own.
    """

    description: str | None = None
    owner: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    preload: tuple[str, ...] | None = None

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
            PRELOAD: None if self.preload is None else list(self.preload),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QueueConfig:
        preload = values.get(PRELOAD)
        others = {key: values.get(key) or default for key, default in _DEFAULTS.items()}
        return cls(**others, preload=None if preload is None else tuple(preload))

    def to_json(self) -> dict[str, Any]:
        """Give what a file of the queue would say."""
        return {
            "description": self.description,
            "access": self.access,
            "owner": self.owner,
            "resource": PROCESS_NAMES[0],
            "resource_args": {"env": dict(self.env)} if self.env else {},
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
        if faults:
            raise InvalidSpecError(f"The launch on queue {queue!r}", faults)
        return self._rendered(values)

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

    def _rendered(self, values: Mapping[str, Any]) -> dict[str, str]:
        env = {name: _filled(template, values) for name, template in self.env.items() if template is not None}
        rendered = {name: text for name, text in env.items() if text is not None}
        marks = {
            EXPANDED: [name for name in rendered if MACRO.search(self.env[name] or "")],
            NEEDED: [name for name, template in self.env.items() if template is None],
        }
        return rendered | {mark: ",".join(names) for mark, names in marks.items() if names}


_DEFAULTS: Mapping[str, Any] = {"description": None, "owner": None, "env": {}, "variables": {}}


def _filled(template: str, values: Mapping[str, Any]) -> str | None:
    if any(values.get(name) is None for name in PLACEHOLDER.findall(template)):
        return None
    return PLACEHOLDER.sub(lambda match: as_text(values[match[1]]), template)


def expand_macros(template: str, macros: Mapping[str, str]) -> str:
    """Put the values of macros into a text; what is no macro stays as it is, whatever the environment has."""
    return MACRO.sub(lambda match: macros.get(match[1], match[0]), template)


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
    is_object = text.lstrip().startswith("{")
    document = parse_document(text, name="--config") if is_object else read_document(Path(text).expanduser())
    return parse_queue_config(document, owner)


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
    if resource is not None and resource not in PROCESS_NAMES:
        faults.append(document.fault(("resource",), resource_fault(resource)))
    variables = read_variables(document, ("template_variables",), faults)
    env = _environment(document, values.get("resource_args"), faults)
    faults += _template_faults(document, env, variables)
    preload = read_preload(values.get(PRELOAD), document, faults)
    if faults:
        raise InvalidSpecError(document.name, faults)
    return QueueConfig(description, owner if access == PRIVATE else None, env, variables, preload)


def resource_fault(resource: object) -> str:
    return f"{resource!r} is not supported; every run is a process on its agent's machine: {PROCESS_NAMES[0]}"


def _unknown(document: Document, at: Path_, values: Mapping[str, Any], known: tuple[str, ...]) -> list[Fault]:
    told = f"has no meaning here; what has is {', '.join(known)}"
    return [document.fault((*at, key), told) for key in values if key not in known]


def _environment(document: Document, given: object, faults: list[Fault]) -> dict[str, str | None]:
    at: Path_ = ("resource_args",)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        faults.append(document.fault(at, f"must be a mapping, as in {{env: {{NAME: value}}}}, not {given!r}"))
        return {}
    arguments = cast("Mapping[str, Any]", given)
    for key in PROCESS_NAMES:  # W&B's form: {local-process: {env: ...}}
        if isinstance(inner := arguments.get(key), Mapping) and len(arguments) == 1:
            arguments, at = cast("Mapping[str, Any]", inner), (*at, key)
    faults += _unknown(document, at, arguments, RESOURCE_KEYS)
    env: Any = arguments.get("env") or {}
    if isinstance(env, list):  # names alone
        env = {str(name): None for name in cast("list[object]", env)}
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


def _template_faults(
    document: Document, env: Mapping[str, str | None], variables: Mapping[str, Mapping[str, Any]]
) -> list[Fault]:
    """Say what is wrong with placeholders and macros."""
    faults: list[Fault] = []
    used: set[str] = set()
    for name, template in env.items():
        at: Path_ = ("resource_args", "env", name)
        names = PLACEHOLDER.findall(template or "")
        used.update(names)
        undeclared = [one for one in names if one not in variables]
        faults += [document.fault(at, f"{{{{{one}}}}} is in no template_variables") for one in undeclared]
        if "{{" in PLACEHOLDER.sub("", template or ""):
            faults.append(document.fault(at, "{{ must open the name of a variable, as in {{threads}}"))
        unknown = [one for one in MACRO.findall(template or "") if one not in MACROS]
        known = ", ".join(f"${{{one}}}" for one in MACROS)
        told = f"is no macro; there are {known}. The environment of an agent cannot be read here"
        faults += [document.fault(at, f"${{{one}}} {told}") for one in unknown]
    unused = [name for name in variables if name not in used]
    faults += [
        document.fault(("template_variables", name), f"stands nowhere in resource_args; write {{{{{name}}}}} there")
        for name in unused
        if env or not faults
    ]
    return faults
