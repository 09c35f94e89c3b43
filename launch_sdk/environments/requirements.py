"""Requirements as a source states them: read whole, checked, and taken apart into what an installer is told.

What may stand in them is what installs from an index or from the source itself: a path that leads out of the source, a
transport that runs commands or reads local files, and options that change the installer are refused.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from launch_sdk.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

URLS: Final = ("https", "http", "git+https", "git+http", "git+ssh")
INCLUDES: Final = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
EDITABLE: Final = ("-e", "--editable")
INDEXES: Final = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}
FLAGS: Final = ("--pre", "--no-index", "--prefer-binary", "--require-hashes")
CHOICES: Final = ("--no-binary", "--only-binary")
MAX_FILES: Final = 50
METADATA_FILES: Final = ("pyproject.toml", "setup.py", "setup.cfg")
SOURCE: Final = "${LAUNCH_SOURCE}"  # in a line, in place of the run's own copy of the source

_OPTION = re.compile(r"(--?[A-Za-z][\w-]*)(?:\s*=\s*|\s+)?(.*)", re.DOTALL)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass
class Requirements:
    """What was read.

    Attributes:
        lines: what to install, each as an installer takes it; `SOURCE` stands for the run's copy of the source.
        constraints: versions that may not be exceeded, as such lines.
        options: for the installer: indexes and choices.
        folders: packages in the source, relative; their dependencies are installed, their code is used where it lies.
        digests: of each file whose content matters, by its relative path.
        faults: everything that is not allowed or not there.
    """

    lines: list[str] = field(default_factory=list[str])
    constraints: list[str] = field(default_factory=list[str])
    options: list[str] = field(default_factory=list[str])
    folders: list[str] = field(default_factory=list[str])
    digests: dict[str, str] = field(default_factory=dict[str, str])
    faults: list[Fault] = field(default_factory=list[Fault])


def read_file(source: Path, name: str) -> Requirements:
    """Read a requirements file of a source, with all that it includes."""
    reader = _Reader(source.resolve(), name)
    reader.file(name)
    return reader.found


def read_lines(source: Path, name: str, lines: Iterable[str]) -> Requirements:
    """Read requirements that stand in another file of the source, such as `pyproject.toml`.

    Args:
        source: the source.
        name: the file, relative.
        lines: the requirements in it.
    """
    reader = _Reader(source.resolve(), name)
    for line in lines:
        reader.line(line, name, None, is_constraint=False)
    return reader.found


class _Reader:
    def __init__(self, source: Path, name: str) -> None:
        self.source = source
        self.base = (source / name).parent  # where paths begin: people install a file from its own folder
        self.found = Requirements()
        self._read: set[tuple[Path, bool]] = set()

    def file(self, name: str, *, is_constraint: bool = False) -> None:
        path = self.inside(name, self.source, name, None)
        if path is None or (path, is_constraint) in self._read:
            return
        self._read.add((path, is_constraint))
        if len(self._read) > MAX_FILES:
            self.fault(name, None, f"more than {MAX_FILES} files include each other")
            return
        relative = path.relative_to(self.source).as_posix()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.fault(relative, None, f"cannot be read: {error}")
            return
        for number, line in logical_lines(text):
            self.line(line, relative, number, is_constraint=is_constraint)

    def line(self, text: str, file: str, number: int | None, *, is_constraint: bool) -> None:
        if text.startswith("-"):
            self.option(text, file, number, is_constraint=is_constraint)
        elif line := self.requirement(text, file, number):
            (self.found.constraints if is_constraint else self.found.lines).append(line)

    def option(self, text: str, file: str, number: int | None, *, is_constraint: bool) -> None:
        name, value = _option_and_value(text)
        if name in INCLUDES:
            included = (Path(file).parent / value).as_posix()
            if _URL.match(value):
                self.fault(file, number, f"{text}: only a file of the source can be included")
            elif self.inside(included, self.source, file, number) is not None:
                self.file(included, is_constraint=is_constraint or INCLUDES[name] == "-c")
        elif name in EDITABLE:
            # In an environment that runs share nothing is editable: code of the source is used where it lies anyway.
            if line := self.requirement(value, file, number):
                self.found.lines.append(line)
        elif name in INDEXES:
            if value.partition("://")[0] in {"https", "http"}:
                self.found.options += [INDEXES[name], value]
            else:
                self.fault(file, number, f"{text}: only an index with an http or https address can be used")
        elif name in FLAGS and not value:
            self.found.options += [name]
        elif name in CHOICES:
            self.found.options += [name, value]
        else:
            self.fault(file, number, f"the option {name} cannot be used here")

    def requirement(self, text: str, file: str, number: int | None) -> str | None:
        """Check one requirement; None if it is a folder of the source, which is noted, or if it is not allowed."""
        name, at, reference = text.partition("@")
        reference = reference.strip() if at and re.fullmatch(r"[\w.-]+\s*(\[[^\]]*\])?\s*", name) else text
        scheme = _URL.match(reference)
        if scheme and not reference.startswith("file:"):
            if scheme.group()[:-1].lower() in URLS:
                return text
            self.fault(file, number, f"{without_password(text)}: only {', '.join(URLS)} addresses can be installed")
            return None
        if reference is not text or scheme or _is_path(text):
            return self.local(reference.removeprefix("file:").removeprefix("//"), file, number)
        return text

    def local(self, reference: str, file: str, number: int | None) -> str | None:
        """Note a folder of the source; give the line for an archive in it."""
        reference = re.split(r"\s+;|\s+--", reference)[0].strip()
        place, _, extras = reference.partition("[")
        path = self.inside(place, self.base, file, number)
        if path is None:
            return None
        relative = path.relative_to(self.source).as_posix()
        extra = f"[{extras}" if extras else ""
        if path.is_dir():
            self.folder(relative)
            self.found.lines.append(f"{SOURCE}/{relative}{extra}")
            return None
        self.found.digests[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
        return f"{SOURCE}/{relative}{extra}"

    def folder(self, relative: str) -> None:
        """Note a package of the source; what says which packages it needs counts, its code does not."""
        if relative in self.found.folders:
            return
        self.found.folders.append(relative)
        for name in METADATA_FILES:
            path = self.source / relative / name
            if path.is_file():
                self.found.digests[f"{relative}/{name}"] = hashlib.sha256(path.read_bytes()).hexdigest()

    def inside(self, name: str, base: Path, file: str, number: int | None) -> Path | None:
        """Give the real path of something in the source; None, and a fault, if it leads out or is not there."""
        path = (base / name.replace("\0", "\N{REPLACEMENT CHARACTER}")).resolve()
        if not path.is_relative_to(self.source):
            self.fault(file, number, f"{name} leads out of the source")
        elif not path.exists():
            self.fault(file, number, f"{name} is not in the source")
        else:
            return path
        return None

    def fault(self, file: str, number: int | None, message: str) -> None:
        self.found.faults.append(Fault(file, message, number))


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Give the lines of a requirements file by number: continued ones joined, comments and empty ones left out."""
    lines: list[tuple[int, str]] = []
    started, so_far = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        started = started or number
        so_far += raw
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            so_far = so_far[:-1] + " "
            continue
        line = re.sub(r"(^|\s+)#.*$", "", so_far).strip()
        if line:
            lines.append((started, line))
        started, so_far = 0, ""
    last = re.sub(r"(^|\s+)#.*$", "", so_far).strip()
    return [*lines, (started, last)] if last else lines


def without_password(text: str) -> str:
    """Leave out of every URL in a text who logs in there."""
    return re.sub(r"(://)[^/\s@'\"]+@", r"\1***@", text)


def _option_and_value(text: str) -> tuple[str, str]:
    if not text.startswith("--") and len(text) > len("-r"):
        return text[:2], text[2:].lstrip(" =")
    match = _OPTION.fullmatch(text)
    return (match.group(1), match.group(2).strip()) if match else (text, "")


def _is_path(text: str) -> bool:
    place = re.split(r"\s*;|\s+--", text)[0].partition("[")[0].strip()
    return place.startswith((".", "/", "~", "$")) or "/" in place or "\\" in place or place.endswith(_ARCHIVES)
