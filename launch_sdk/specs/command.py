"""From a sweep file's `command` and a suggestion to the words that start a program: W&B's macros.

Rules: a macro stands alone as one element; `${param}`, with dots for a nested one, and `${envvar:NAME}` may also stand
inside one. Booleans, None and nested values are written as W&B writes them, `str(value)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ARGS_FILE = "${args_json_file}"  # what starts the run writes the file and puts its path here
DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
STARTERS = frozenset({"${env}", "/usr/bin/env", "${interpreter}", "python", "python3"})
_PARAMETER = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\}")
_VARIABLE = re.compile(r"\$\{envvar:(?P<name>[A-Z0-9_]+)\}")

_ARGS_MACROS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "${args}": lambda p: [f"--{key}={_text(value)}" for key, value in p.items()],
    "${args_no_equals}": lambda p: [word for key, value in p.items() for word in (f"--{key}", _text(value))],
    "${args_no_hyphens}": lambda p: [f"{key}={_text(value)}" for key, value in p.items()],
    "${args_no_boolean_flags}": lambda p: [word for key, value in p.items() for word in _flag(key, value)],
    "${args_json}": lambda p: [json.dumps(p)],
    "${args_append_hydra}": lambda p: [f"+{key}={_text(value)}" for key, value in p.items()],
    "${args_override_hydra}": lambda p: [f"++{key}={_text(value)}" for key, value in p.items()],
}


def command_faults(command: Sequence[str], *, has_program: bool = False) -> list[str]:
    """List what is wrong with a command before any run.

    Args:
        command: words of the sweep file.
        has_program: whether a job or an image has a program without it; then it may be arguments alone.
    """
    known = {"${env}", "${interpreter}", "${program}", ARGS_FILE, *_ARGS_MACROS}
    if not (has_program and command) and is_arguments(command):
        return ["starts nothing: name a program, as in ['${interpreter}', '${program}', '${args}']"]
    return [
        f"{word!r} is not a macro; known are {', '.join(sorted(known))}"
        for word in command
        if re.fullmatch(r"\$\{args[a-z_]*\}", word) and word not in known
    ]


def render_command(command: Sequence[str] | None, program: str, parameters: Mapping[str, Any]) -> list[str]:
    """Give the words that start one run; `python` stands for the interpreter of its environment.

    Args:
        command: words of the sweep file; None for W&B's default.
        program: what `${program}` stands for.
        parameters: the suggestion, nested.
    """
    words: list[str] = []
    for word in command if command is not None else DEFAULT_COMMAND:
        if word in _ARGS_MACROS:
            words += _ARGS_MACROS[word](parameters)
        elif word == "${program}":
            words.append(program)
        elif word == "${interpreter}":
            words.append("python")
        elif word != "${env}":
            words.append(_PARAMETER.sub(lambda match: _parameter(match, parameters), word))
    return words


def is_arguments(command: Sequence[str]) -> bool:
    """Say whether a command is macros of arguments alone, and names nothing to start."""
    return all(word in {"${env}", ARGS_FILE} or word in _ARGS_MACROS for word in command)


def words_after_program(command: Sequence[str], entry_point: Sequence[str]) -> tuple[str, ...] | None:
    """Give the words of a command after the program that it starts; None if it starts another than `entry_point`."""
    words, own = _without_starters(command), _without_starters(entry_point)
    if is_arguments(words):
        return words
    if words[:1] == ("${program}",):
        return words[1:]
    return words[len(own) :] if own and words[: len(own)] == own else None


def _without_starters(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dropwhile(lambda word: word in STARTERS, words))


def expand_variables(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Replace `${envvar:NAME}`; the bare NAME if it is not set, as W&B does.

    Done where the sweep is submitted, so that no submitter reads an agent's environment.
    """
    return [_VARIABLE.sub(lambda match: environment.get(match["name"], match["name"]), word) for word in command]


def _parameter(match: re.Match[str], parameters: Mapping[str, Any]) -> str:
    value: Any = parameters
    for part in match["name"].split(".") if match["name"] not in parameters else [match["name"]]:
        if not isinstance(value, Mapping) or part not in value:
            return match[0]
        value = cast("Mapping[str, Any]", value)[part]
    return _text(value)


def _flag(key: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}"] if value else []
    return [f"--{key}={_text(value)}"]


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)
