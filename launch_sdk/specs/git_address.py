"""Addresses of git repositories, as people type them: taken apart and checked before git sees any of it.

https, ssh and `user@host:path` are used; http on this machine alone, unless `LAUNCH_GIT_ALLOW_HTTP=1`; `file://` only
where a person has typed it. A password in an address is kept apart: it is in no text that is shown, stored or given to
a process as an argument.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from launch_sdk.errors import Fault, InvalidSpecError
from launch_sdk.tracking.metadata import without_credentials

ALLOW_HTTP: Final = "LAUNCH_GIT_ALLOW_HTTP"
KNOWN: Final = "https://HOST/PATH, ssh://HOST/PATH and USER@HOST:PATH"
MAX_LENGTH: Final = 2_000
_SCP_WITH_PASSWORD = re.compile(r"[^@/:\s]*:[^@\s]*@[^/:@\s]+:.*", re.DOTALL)
_SCP = re.compile(r"(?P<user>[^@/:\s]+)@(?P<host>\[[0-9a-fA-F:.]+\]|[^/:@\s]+):(?P<path>.*)", re.DOTALL)
_WITH_A_KEY = "holds a password, which ssh takes from nobody. Use a key: ssh-add, or IdentityFile in ~/.ssh/config"
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_PAGE = re.compile(r"(/[^/]+/[^/]+?)(?:/-)?/(?:tree|blob|src|commit|commits|raw)/(.+)")
_HAS_PAGES = ("github.com", "gitlab.com", "bitbucket.org")
_UNUSABLE_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATED = re.compile(r"[0-9a-f]{4,63}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in at a host; never shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GitAddress:
    """Where a git repository is.

    Attributes:
        url: as git takes it, without a password.
        transport: `https`, `http`, `ssh` or `file`.
        host: with its port, as the URL has it; empty for `file`.
        credentials: what the address said of who logs in; None if it said nothing.
    """

    url: str
    transport: str
    host: str
    credentials: Credentials | None = None

    @property
    def repository(self) -> str:
        """The repository's own name: the last part of its path, without `.git`."""
        return self.url.rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")


def is_git_address(text: str) -> bool:
    """Say whether a text is meant as the address of a repository, a good one or not."""
    forms = (_HELPER.match(text), _SCP.fullmatch(text), _SCP_WITH_PASSWORD.fullmatch(text))
    return "://" in text or any(forms)


def parse_git_address(text: str, *, by_hand: bool = False, field_name: str = "uri") -> GitAddress:
    """Read the address of a repository.

    Args:
        text: the address.
        by_hand: a person has typed it, so that it may be `file://`.
        field_name: what to call it in a fault.

    Raises:
        InvalidSpecError: it cannot be used; the message holds no password.
    """
    shown = text.rpartition("@")[2] if _SCP_WITH_PASSWORD.fullmatch(text) else without_credentials(text)
    message = _fault_of_text(text)
    if message is None:
        found = _of_scp(text) if "://" not in text else _of_url(text, by_hand=by_hand)
        if isinstance(found, GitAddress):
            return found
        message = found
    raise InvalidSpecError("The git address", [Fault(field_name, f"{shown!r} {message}")])


def version_fault(version: str) -> str | None:
    """Say why a text cannot be a branch, a tag or a commit; None if it can."""
    if version.startswith("-"):
        return f"{version!r} begins with a dash, as no branch, tag or commit does"
    unusable = _UNUSABLE_IN_REF.search(version) or version.startswith("/") or version.endswith(("/", "."))
    if not version or unusable or version == "@":
        return f"{version!r} is no name of a branch or tag, and no commit"
    return None


def is_commit(version: str) -> bool:
    """Say whether a text is the whole hash of a commit."""
    return _COMMIT.fullmatch(version) is not None


def is_abbreviated(version: str) -> bool:
    """Say whether a text may be the beginning of a commit's hash."""
    return _ABBREVIATED.fullmatch(version) is not None and not is_commit(version)


def _fault_of_text(text: str) -> str | None:
    if text.startswith("-"):
        return f"begins with a dash, so it is an option and no address; used are {KNOWN}"
    if helper := _HELPER.match(text):
        return f"names {helper.group()[:-2] or 'no'} as its transport, which could run any command; used are {KNOWN}"
    if re.search(r"[\x00-\x20\x7f]", text) or len(text) > MAX_LENGTH:
        return "holds a space or a control character, or is too long"
    return None


def _of_scp(text: str) -> GitAddress | str:
    match = _SCP.fullmatch(text)
    if match is None and _SCP_WITH_PASSWORD.fullmatch(text):
        return _WITH_A_KEY
    if match is None:
        return f"is no address of a repository; used are {KNOWN}"
    user, host, path = match.group("user", "host", "path")
    if fault := _host_fault(host.strip("[]")) or _user_fault(user):
        return fault
    if not path.strip("/") or path.startswith("-"):
        return "names no repository after the host"
    return GitAddress(text, "ssh", host)


def _of_url(text: str, *, by_hand: bool) -> GitAddress | str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if parts.query or parts.fragment or "?" in text or "#" in text:
        return "holds more than an address after ? or #; say a branch, tag or commit with --git-version"
    if parts.scheme == "file":
        return _of_file(parts, by_hand=by_hand)
    if parts.scheme not in {"https", "http", "ssh"}:
        return f"uses {parts.scheme}, which is no transport here; used are {KNOWN}"
    if fault := _host_fault(parts.hostname or "") or _path_fault(parts):
        return fault
    return _of_ssh(parts) if parts.scheme == "ssh" else _of_http(parts)


def _of_file(parts: SplitResult, *, by_hand: bool) -> GitAddress | str:
    if not by_hand:
        return "is a repository on this machine; such an address counts only where you type it: launch file:///PATH"
    if parts.netloc or not parts.path.startswith("/"):
        return "must be file:/// and the whole path of a repository on this machine"
    return GitAddress(f"file://{parts.path}", "file", "")


def _of_ssh(parts: SplitResult) -> GitAddress | str:
    if parts.password is not None:
        return _WITH_A_KEY
    if parts.username is not None and (fault := _user_fault(unquote(parts.username))):
        return fault
    return GitAddress(parts.geturl(), "ssh", parts.netloc.rpartition("@")[2])


def _of_http(parts: SplitResult) -> GitAddress | str:
    if parts.scheme == "http" and not _is_loopback(parts.hostname or "") and os.environ.get(ALLOW_HTTP) != "1":
        return f"is not encrypted: anybody between could change the code. Use https, or set {ALLOW_HTTP}=1"
    host = parts.netloc.rpartition("@")[2]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if re.search(r"[\x00-\x1f\x7f]", user + password):
        return "holds a control character in its user or password"
    said = Credentials(user, password) if user or password else None
    return GitAddress(f"{parts.scheme}://{host}{parts.path}", parts.scheme, host, said)


def _host_fault(host: str) -> str | None:
    if not host:
        return "names no host"
    return None if _HOST.fullmatch(host) or _is_address(host) else "names a host that cannot be one"


def _user_fault(user: str) -> str | None:
    return None if _USER.fullmatch(user) else "names a user that cannot be one"


def _path_fault(parts: SplitResult) -> str | None:
    if not parts.path.strip("/"):
        return "names no repository after the host"
    host = (parts.hostname or "").lower()
    if host in {"wandb.ai", "www.wandb.ai"}:
        return "is a page of W&B, whose runs are not here; launch the repository of its code with --git-version"
    if host in _HAS_PAGES and (page := _PAGE.fullmatch(parts.path)):
        version = page.group(2).partition("/")[0]
        return f"is a page of a repository; launch {parts.scheme}://{host}{page.group(1)} --git-version {version}"
    return None


def _is_loopback(host: str) -> bool:
    return host.lower() == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
