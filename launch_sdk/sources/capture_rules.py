"""What a capture takes and what it leaves out, and why."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import stat_result
from pathlib import Path

MAX_PACK_BYTES = 512 * 1024 * 1024
MAX_FILE_BYTES = 100_000_000
IGNORE_FILE = ".launchignore"
SECRET_NAMES = frozenset(
    {".env", ".netrc", ".pypirc", ".git-credentials", "credentials.json"}
    | {"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"}
)
SECRET_PATTERNS = ("*.pem", "*.key", "*.p12", "*.pfx", "*.keystore", "*.jks", ".env.*", "*.kdbx")
CODE_SUFFIXES = (".py", ".ipynb")
WRITTEN_SINCE = "was written after the run had started"
NO_SECRETS = (".env.example", ".env.sample", ".env.template", ".env.dist")


@dataclass(frozen=True, slots=True)
class CaptureRules:
    """Limits of a capture.

    Attributes:
        max_file_bytes: a larger file is left out.
        max_bytes: more in all is an error.
        take: patterns of names or paths (`*.pem`, `conf/.env`) that are taken whatever the rules say. The lines of
            `.launchignore` that begin with `!` are added to them.
        leave_out: folders that are never taken, such as LAUNCH_HOME.
        since_ns: when the program was that is captured, in nanoseconds since the epoch, if it runs already: untracked
            files that were written since are what it writes itself, unless they are Python, and are left out.
    """

    max_file_bytes: int = MAX_FILE_BYTES
    max_bytes: int = MAX_PACK_BYTES
    take: tuple[str, ...] = ()
    leave_out: tuple[Path, ...] = ()
    since_ns: int | None = None

    def is_plain(self, status: stat_result) -> bool:
        """Say whether it is a file of an ordinary size."""
        return stat.S_ISREG(status.st_mode) and status.st_size <= self.max_file_bytes

    def is_written_since(self, status: stat_result) -> bool:
        """Say whether a file was written after the program had started, as far as the file system tells (4 ms)."""
        return self.since_ns is not None and status.st_ctime_ns >= self.since_ns

    def why_left_out(self, name: str, status: stat_result, *, tracked: bool) -> str:
        """Say why a file is left out; nothing if it is taken."""
        if not tracked and self.is_written_since(status) and not name.endswith(CODE_SUFFIXES):
            return WRITTEN_SINCE
        if stat.S_ISLNK(status.st_mode):
            return ""
        if not stat.S_ISREG(status.st_mode):
            return "is not a file"
        large, secret = status.st_size > self.max_file_bytes, not tracked and looks_secret(name)
        if not (large or secret) or matches(name, self.take):
            return ""
        if secret:
            return f"looks like a secret; take it with !{name} in {IGNORE_FILE}"
        sizes = f"{status.st_size / 1e6:.0f} MB, more than {self.max_file_bytes / 1e6:.0f} MB"
        return f"holds {sizes}; take it with !{name} in {IGNORE_FILE}"


def looks_secret(name: str) -> bool:
    """Say whether a file's name is one that keys and passwords have."""
    last = name.rpartition("/")[2]
    return last in SECRET_NAMES or (matches(last, SECRET_PATTERNS) and last not in NO_SECRETS)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Say whether a path, or its last part, is like one of the patterns."""
    last = name.rpartition("/")[2]
    return any(fnmatchcase(name, pattern) or fnmatchcase(last, pattern) for pattern in patterns)


def taken_by_ignore_file(root: Path) -> tuple[str, ...]:
    """Read the patterns that `.launchignore` takes in again: its lines that begin with `!`."""
    try:
        lines = (root / IGNORE_FILE).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ()
    return tuple(line[1:].strip().removeprefix("/") for line in lines if line.startswith("!"))
