"""Which Dockerfile an image is built with: one of the source's own, or ours."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from launch_sdk.errors import Fault, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

BESIDE_PROGRAM: Final = ("Dockerfile.launch", "Dockerfile.wandb")
MAX_BYTES: Final = 1_000_000
_FROM = re.compile(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_IS_FROM = re.compile(r"\s*FROM\s", re.IGNORECASE)
_ESCAPE = re.compile(r"(?:#[^\n]*\n)*?#[ \t]*escape[ \t]*=[ \t]*(\S)", re.IGNORECASE)
_ARG = re.compile(r"\s*ARG\s+(\w+)(?:=(\S+))?\s*$", re.IGNORECASE)
_COPY_FROM = re.compile(r"\s*(?:COPY|ADD)\s+.*?--from=(\S+)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")
_INSTEAD: Final = "put what it leads to in its place"


@dataclass(frozen=True)
class OwnDockerfile:
    """A Dockerfile that the source brings along.

    Attributes:
        name: for people: its path in the source.
        text: what it says.
        context: folder whose files it may copy.
    """

    name: str
    text: str
    context: Path

    @property
    def bases(self) -> list[str]:
        """The images that it begins with or copies from; those that a variable without a default names are not told."""
        return bases_of(self.text)


def find_dockerfile(
    start: Path, entry_point: Sequence[str], named: str | None = None, build_context: str | None = None
) -> OwnDockerfile | None:
    """Find the Dockerfile of a source.

    Args:
        start: the folder of the source that programs start in.
        entry_point: the program, whose folder may hold one.
        named: path of the one that somebody wants, below the context.
        build_context: folder below `start` that it may copy from; None for `start`.

    Returns:
        What is there; None if an image is built in our way.

    Raises:
        InvalidSpecError: a path leads out of the source, or is not there; every fault at once.
    """
    faults: list[Fault] = []
    context = _folder(start, build_context, faults)
    if named is not None:
        own = _read(start, context, named, "dockerfile", faults)
    else:
        beside = PurePosixPath(_program(entry_point)).parent
        there = [(beside / name).as_posix() for name in BESIDE_PROGRAM]
        found = next((name for name in there if (start / name).is_file() or (start / name).is_symlink()), None)
        own = None if found is None else _read(start, start, found, "Dockerfile", faults)
        own = own and replace(own, context=context)
    if faults:
        raise InvalidSpecError("The image", faults)
    return own


def bases_of(text: str) -> list[str]:
    """List the images that a Dockerfile builds on, without its own stages, each once."""
    defaults: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: list[str] = []
    for line in _logical_lines(text):
        if match := _FROM.match(line):
            _note(match[1], defaults, stages, found)
            stages |= {match[2].lower()} if match[2] else set()
        elif match := _COPY_FROM.match(line):
            if not match[1].isdigit():
                _note(match[1], defaults, stages, found)
        elif (match := _ARG.match(line)) and match[2]:
            defaults[match[1]] = match[2].strip("\"'")
    return found


def labelled(text: str, label: str) -> str:
    """Give every stage of a Dockerfile a label, `NAME=VALUE`, right after its FROM."""
    directive = _ESCAPE.match(text)
    escape = directive[1] if directive else "\\"
    lines: list[str] = []
    is_from = is_continued = False
    for line in text.removesuffix("\n").split("\n"):
        lines.append(line)
        word = line.strip()
        if not word or word.startswith("#"):
            continue  # also between the lines of one instruction
        is_from = is_from if is_continued else _IS_FROM.match(line) is not None
        is_continued = word.endswith(escape)
        if is_from and not is_continued:
            lines.append(f"LABEL {label}")
    return "".join(f"{line}\n" for line in lines)


def path_fault(path: str) -> str | None:
    """Say what is wrong with a path below a source; None if nothing is, as far as its text goes."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts:
        return f"{path!r} leads out of the source; name a file in it, as in docker/Dockerfile"
    return f"{path!r} holds a control character" if not path.isprintable() else None


def _note(image: str, defaults: dict[str, str], stages: set[str], found: list[str]) -> None:
    name = _VARIABLE.sub(lambda match: defaults.get(match[1] or match[2], match[3] or ""), image)
    if name and name.lower() not in stages and name not in found:
        found.append(name)


def _program(entry_point: Sequence[str]) -> str:
    """Give the file among the first words of an entry point: `python -u src/train.py` is about src/train.py."""
    words = [word for word in entry_point if not word.startswith("-")]
    file = next((word for word in words if word.endswith((".py", ".ipynb", ".sh"))), words[0] if words else "main.py")
    return file if path_fault(file) is None else "main.py"


def _folder(start: Path, name: str | None, faults: list[Fault]) -> Path:
    if name is None or name == ".":
        return start
    if fault := path_fault(name):
        faults.append(Fault("build_context", fault))
    elif not (start / name).resolve().is_relative_to(start.resolve()):
        faults.append(Fault("build_context", f"{name} is a link out of the source, which is left behind; {_INSTEAD}"))
    elif not (start / name).is_dir():
        faults.append(Fault("build_context", f"{name} is no folder of the source"))
    else:
        return (start / name).resolve()
    return start


def _read(start: Path, folder: Path, name: str, key: str, faults: list[Fault]) -> OwnDockerfile | None:
    if fault := path_fault(name):
        faults.append(Fault(key, fault))
        return None
    path = (folder / name).resolve()
    if not path.is_relative_to(start.resolve()):
        faults.append(Fault(key, f"{name} is a link out of the source, which is left behind; {_INSTEAD}"))
    elif not path.is_file():
        faults.append(Fault(key, _missing(start, name)))
    elif path.stat().st_size > MAX_BYTES:
        faults.append(Fault(key, f"{name} holds {path.stat().st_size} bytes, which is no Dockerfile"))
    else:
        return OwnDockerfile(name, path.read_text(encoding="utf-8", errors="replace"), folder)
    return None


def _missing(start: Path, name: str) -> str:
    if (start / name).is_dir():
        return f"{name} is a folder; name a file, as in {name}/Dockerfile"
    left = "a link that leads out of the source, a secret, and what .launchignore names"
    return f"{name} is not in the source. If it is there, it was left behind: {left}, is not taken along"


def _logical_lines(text: str) -> list[str]:
    joined = re.sub(r"\\[ \t]*\r?\n", "", text)
    return [line for line in joined.splitlines() if not line.lstrip().startswith("#")]
