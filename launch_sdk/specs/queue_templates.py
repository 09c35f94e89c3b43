"""Templates and macros in what a queue's owner has written: what a submitter chose, and what is known of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from launch_sdk.specs.template_variables import PLACEHOLDER, as_text

if TYPE_CHECKING:
    from launch_sdk.errors import Fault
    from launch_sdk.specs.document import Document, Path_

MACROS = ("run_id", "run_name", "project_name", "queue_name")
MACRO = re.compile(r"\$\{(\w+)\}")


def filled(template: str, values: Mapping[str, Any]) -> str | None:
    if any(values.get(name) is None for name in PLACEHOLDER.findall(template)):
        return None
    return PLACEHOLDER.sub(lambda match: as_text(values[match[1]]), template)


def placeholders(value: Any) -> Iterator[str]:
    """Give the names of the template variables that stand anywhere in a value."""
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for one in cast("Mapping[Any, Any]", value).values():
            yield from placeholders(one)
    elif isinstance(value, list | tuple):
        for one in cast("list[Any]", value):
            yield from placeholders(one)


def filled_arguments(arguments: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: filled_value(value, values) for key, value in arguments.items()}


def filled_value(value: Any, values: Mapping[str, Any]) -> Any:
    """Fill templates at any depth; text that is a template and nothing else becomes the value, with its type."""
    if isinstance(value, str):
        whole = PLACEHOLDER.fullmatch(value.strip())
        return values.get(whole[1]) if whole else filled(value, values)
    if isinstance(value, list | tuple):
        return [filled_value(one, values) for one in cast("list[Any]", value)]
    return value


def expand_macros(template: str, macros: Mapping[str, str]) -> str:
    """Put the values of macros into a text; what is no macro stays as it is, whatever the environment has."""
    return MACRO.sub(lambda match: macros.get(match[1], match[0]), template)


def template_faults(
    document: Document,
    env: Mapping[str, str | None],
    container: Mapping[str, Any],
    variables: Mapping[str, Mapping[str, Any]],
) -> list[Fault]:
    """Say what is wrong with placeholders and macros."""
    faults: list[Fault] = []
    texts: list[tuple[Path_, str]] = [(("resource_args", "env", name), text or "") for name, text in env.items()]
    texts += [(("resource_args", key), text) for key, value in container.items() for text in _texts(value)]
    for at, template in texts:
        undeclared = [one for one in PLACEHOLDER.findall(template) if one not in variables]
        faults += [document.fault(at, f"{{{{{one}}}}} is in no template_variables") for one in undeclared]
        if "{{" in PLACEHOLDER.sub("", template):
            faults.append(document.fault(at, "{{ must open the name of a variable, as in {{threads}}"))
        unknown = [one for one in MACRO.findall(template) if one not in MACROS]
        known = ", ".join(f"${{{one}}}" for one in MACROS)
        told = f"is no macro; there are {known}. The environment of an agent cannot be read here"
        faults += [document.fault(at, f"${{{one}}} {told}") for one in unknown]
    used = {name for _, template in texts for name in PLACEHOLDER.findall(template)}
    faults += [
        document.fault(("template_variables", name), f"stands nowhere in resource_args; write {{{{{name}}}}} there")
        for name in variables
        if name not in used and (texts or not faults)
    ]
    return faults


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        yield from (one for one in cast("list[Any]", value) if isinstance(one, str))
