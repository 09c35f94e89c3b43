"""Start git so that nothing in a repository can make it do more than answer.

A repository's own settings can name commands (hooks, file system monitors, filters, transports), and the environment
can point git at another repository. Here every command is an argument vector without such variables, with those
settings turned off. GitPython is not used for it: importing it takes 130 ms, about as long as a whole capture may take,
and it cannot take a variable out of the environment of its commands.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launch_sdk.errors import ConflictError, Fault, InvalidSpecError, NotFoundError

GIT_TIMEOUT_S = 300.0
SAFE_SETTINGS = (
    *("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"),
    *("-c", "core.commitGraph=false", "-c", "core.pager=cat"),
)
_KEPT_VARIABLES = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT")
_KEPT_PREFIXES = ("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")
_NO_USER_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "0"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a git command said.

    Attributes:
        code: its exit code.
        output: its standard output.
        error: its standard error, as text.
    """

    code: int
    output: bytes
    error: str


@dataclass(frozen=True, slots=True)
class Git:
    """git, started in one folder with one set of variables.

    Attributes:
        folder: its working directory.
        variables: added to the environment, such as `GIT_DIR`.
        timeout_s: how long a command may take.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = GIT_TIMEOUT_S

    def ask(self, *words: str, feed: bytes | None = None) -> Answer:
        """Run a command to its end, whatever it ends with.

        Raises:
            NotFoundError: there is no git.
            ConflictError: git did not end in time.
        """
        return self._end(self.start(*words, fed=feed is not None), words, feed)

    def ask_all(self, *commands: Sequence[str]) -> list[Answer]:
        """Run commands at the same time."""
        started = [self.start(*words) for words in commands]
        return [self._end(process, words, None) for process, words in zip(started, commands, strict=True)]

    def output(self, *words: str, feed: bytes | None = None) -> bytes:
        """Run a command that has to succeed.

        Raises:
            InvalidSpecError: it failed; the message holds git's own words.
        """
        answer = self.ask(*words, feed=feed)
        if answer.code:
            raise failure(self.folder, words, answer)
        return answer.output

    def write(self, *words: str, feed: bytes, into: Path) -> None:
        """Run a command that has to succeed, with its output in a file."""
        with into.open("wb") as file:
            process = self.start(*words, fed=True, output=file.fileno())
            answer = self._end(process, words, feed)
        if answer.code:
            raise failure(self.folder, words, answer)

    def start(self, *words: str, fed: bool = False, output: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start a command; the caller sees to its end.

        Raises:
            NotFoundError: there is no git.
        """
        try:
            return subprocess.Popen(
                ["git", *SAFE_SETTINGS, *words],
                cwd=self.folder,
                env=_environment() | dict(self.variables),
                stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            if self.folder.is_dir():
                raise NotFoundError("git is not installed. Install it, for example with: apt-get install git") from None
            raise NotFoundError(f"Directory {self.folder} does not exist (any more).") from None

    def _end(self, process: subprocess.Popen[bytes], words: Sequence[str], feed: bytes | None) -> Answer:
        try:
            output, error = process.communicate(feed, timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise ConflictError(
                f"git {words[0]} in {self.folder} did not end within {self.timeout_s:g} s. Look at what holds it up."
            ) from None
        return Answer(process.returncode, output or b"", error.decode(errors="backslashreplace").strip())


def failure(folder: Path, words: Sequence[str], answer: Answer) -> InvalidSpecError:
    """Describe a command that failed."""
    said = answer.error or f"exit code {answer.code}"
    return InvalidSpecError(f"Repository {folder}", [Fault("", f"git {words[0]} failed: {said}")])


def private_git(repository: Path, **variables: str) -> Git:
    """Give the git of a repository of ours, which reads no settings but that repository's."""
    return Git(repository, {"GIT_DIR": str(repository), **_NO_USER_SETTINGS, **variables})


def make_repository(path: Path, object_format: str) -> None:
    """Make an empty bare repository in which no file is ever converted and any name that Linux has is allowed.

    Args:
        path: a folder that exists.
        object_format: `sha1` or `sha256`.
    """
    for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    (path / "info/attributes").write_text("* -text -eol -filter -ident -working-tree-encoding\n")
    (path / "config").write_text(_SETTINGS + (_SHA256 if object_format == "sha256" else ""))
    (path / "HEAD").write_text("ref: refs/heads/none\n")


_SETTINGS = """\
[core]
\trepositoryformatversion = 1
\tbare = true
\tfilemode = true
\tsymlinks = true
\tautocrlf = false
\tprotectNTFS = false
\tprotectHFS = false
\tfsync = none
\tcompression = 1
\tlooseCompression = 1
[pack]
\tcompression = 1
\tthreads = 1
[gc]
\tauto = 0
"""
_SHA256 = "[extensions]\n\tobjectFormat = sha256\n"


def quoted(name: bytes) -> bytes:
    """Quote a path as git reads it from a line of standard input."""
    if name.isalnum() or not (set(name) & _QUOTED):
        return name
    return b'"' + b"".join(b"\\%03o" % byte if byte in _QUOTED else bytes([byte]) for byte in name) + b'"'


_QUOTED = {*range(32), 127, ord('"'), ord("\\")}


def alternates(folders: Sequence[str]) -> str:
    """Give object folders as `GIT_ALTERNATE_OBJECT_DIRECTORIES` wants them: separated by colons, each quoted."""
    return ":".join(_always_quoted(os.fsencode(folder)) for folder in folders)


def _always_quoted(path: bytes) -> str:
    name = quoted(path)
    return os.fsdecode(name if name.startswith(b'"') else b'"' + name + b'"')


def _environment() -> dict[str, str]:
    """Give this process's environment without what would point git elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)
    }
    return kept | {
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",  # a clone that lacks objects must not fetch them: a remote can be a command
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ATTR_NOSYSTEM": "1",
    }
