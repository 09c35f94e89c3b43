"""A YAML or JSON document with the line of each of its values, so that a fault can say where it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any, cast

import yaml

from launch_sdk.errors import Fault, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

Path_ = tuple[str | int, ...]
MAX_DOCUMENT_BYTES = 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 64
MAX_INTEGER_BITS = 1023  # what a float can still hold


class _Loader(yaml.SafeLoader):
    """`SafeLoader` that also reads `1e-4` as a number, as YAML 1.2 and every reader of the file expect.

    A value that cannot be what its form says, such as the date 2020-99-99, is an error with its line.
    """

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        text = super().construct_scalar(node)
        if text.isascii():
            return text
        # JSON writes what is beyond 16 bits as two escapes, which PyYAML reads as two characters.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return cast("Any", super().construct_object(node, deep))  # pyright: ignore[reportUnknownMemberType]  # untyped
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problem = f"{error}; put the value in quotes if it is text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


_Loader.yaml_implicit_resolvers = {k: list(v) for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]  # PyYAML is untyped here
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def dotted(path: Path_) -> str:
    """Write a path as people do: `parameters.lr.values[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@dataclass(frozen=True)
class Document:
    """What a file says, and on which line it says it.

    Attributes:
        value: the plain value (dict, list, str, int, float, bool, None).
        name: what to call it in messages: the file's name, or "the given document".
        lines: line (from 1) of each value, by its path.
        directory: the folder that relative paths in the document are relative to.
    """

    value: Any
    name: str = "the given document"
    lines: Mapping[Path_, int] = field(default_factory=dict[Path_, int])
    directory: Path = field(default_factory=Path.cwd)

    def fault(self, path: Path_, message: str) -> Fault:
        """Make a fault at `path`; its line is that of the nearest value that exists."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return Fault(dotted(path), message, self.lines[path[:end]])
        return Fault(dotted(path), message)


def read_document(path: Path) -> Document:
    """Read a YAML or JSON file.

    Raises:
        InvalidSpecError: the file is missing, no regular file, too large, not UTF-8 or not YAML, or repeats a key.
    """
    try:
        status = path.stat()
        if not (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):  # a pipe would wait for its writer
            message = "is no regular file; write the document to a file and name that"
            raise InvalidSpecError(str(path), [Fault("", message)])
        if status.st_size > MAX_DOCUMENT_BYTES:
            raise InvalidSpecError(str(path), [Fault("", f"the file is larger than {MAX_DOCUMENT_BYTES} bytes")])
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSpecError(str(path), [Fault("", f"the file is not UTF-8 text: {error}")]) from None
    except OSError as error:
        raise InvalidSpecError(str(path), [Fault("", f"the file cannot be read: {error.strerror or error}")]) from None
    return parse_document(text, name=str(path), directory=path.resolve().parent)


def parse_document(text: str, *, name: str = "the given document", directory: Path | None = None) -> Document:
    """Parse YAML (and so JSON) text.

    Raises:
        InvalidSpecError: the text is not YAML, or repeats a key.
    """
    try:
        loader = _Loader(_without_tabs(text))
        try:
            node = loader.get_single_node()
            faults, lines = _survey(node)
            if faults:
                raise InvalidSpecError(name, faults)
            value = cast("Any", loader.construct_document(node) if node is not None else None)  # pyright: ignore[reportUnknownMemberType]
        finally:
            loader.dispose()  # pyright: ignore[reportUnknownMemberType]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InvalidSpecError(name, [Fault("", f"not valid YAML: {error.problem}", line)]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, InvalidSpecError):
            raise
        raise InvalidSpecError(name, [Fault("", f"not valid YAML: {error}")]) from None
    return Document(value, name, lines, directory or Path.cwd())


def _without_tabs(text: str) -> str:
    """Give JSON that is indented with tabs, which YAML does not take, with spaces; all other text as it is."""
    if "\t" not in text or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")  # in JSON no text holds a tab as it is


def unusable_values(document: Document) -> list[Fault]:
    """List the values that no program can be given, wherever they are in the document.

    They are integers beyond the range of a float, text with a NUL or with half a surrogate pair, and whatever stands
    deeper than `MAX_DEPTH` or after the first `MAX_NODES` values.
    """
    faults: list[Fault] = []
    waiting: list[tuple[Path_, Any]] = [((), document.value)]
    seen = 0
    while waiting:
        path, value = waiting.pop()
        seen += 1
        if seen > MAX_NODES or len(path) > MAX_DEPTH:
            limit = f"has more than {MAX_NODES} values, or some nested more than {MAX_DEPTH} deep"
            return [document.fault((), f"{limit}, or inside itself")]
        problem = _problem(value)
        if problem:
            faults.append(document.fault(path, problem))
        elif isinstance(value, dict):
            fields = cast("dict[Any, Any]", value)
            faults += [document.fault(path, f"a key {problem}") for key in fields if (problem := _problem(key))]
            waiting.extend(((*path, key), item) for key, item in fields.items() if not _problem(key))
        elif isinstance(value, list | tuple):
            waiting.extend(((*path, index), item) for index, item in enumerate(cast("list[Any]", value)))
    return faults


def _problem(value: object) -> str:
    """Say why a single value cannot be given to a program; nothing if it can."""
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return f"is an integer of {value.bit_length()} bits; {MAX_INTEGER_BITS} are the most"
    if isinstance(value, str):
        if "\0" in value:
            return "holds a NUL character"
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return "holds half a surrogate pair, which is no character"
    return ""


def _survey(root: yaml.Node | None) -> tuple[list[Fault], dict[Path_, int]]:
    """Note the line of every value; find repeated keys and aliases that would explode."""
    faults: list[Fault] = []
    lines: dict[Path_, int] = {}
    waiting: list[tuple[Path_, yaml.Node]] = [((), root)] if root is not None else []
    seen = 0
    while waiting:
        path, node = waiting.pop()
        seen += 1
        if seen > MAX_NODES:
            return [Fault("", f"the document has more than {MAX_NODES} values")], lines
        if len(path) > MAX_DEPTH:
            line = node.start_mark.line + 1
            return [Fault("", f"the document is nested more than {MAX_DEPTH} deep, or inside itself", line)], lines
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            items = cast("list[yaml.Node]", node.value)
            waiting.extend(((*path, index), item) for index, item in enumerate(items))
        elif isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
                name = str(key.value)
                line = key.start_mark.line + 1
                if name in first and name != "<<":
                    faults.append(Fault(dotted((*path, name)), f"given twice, first on line {first[name]}", line))
                first.setdefault(name, line)
                waiting.append(((*path, name), value))
                lines[(*path, name)] = line
    return faults, lines
