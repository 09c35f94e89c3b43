"""What went wrong between us and a git remote, from git's words to what a person can do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from launch_sdk.errors import (
    BackendUnavailableError,
    ConflictError,
    Fault,
    InvalidSpecError,
    LaunchError,
    NotFoundError,
)
from launch_sdk.specs.git_address import GitAddress

if TYPE_CHECKING:
    from launch_sdk.sources.git_commands import Answer

MAX_SHOWN = 600
_UNKNOWN_HOST = re.compile(r"could not resolve host|name or service not known|no address associated", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"failed to connect|couldn't connect|connection (refused|timed out|reset)|no route to host|network is unreachable"
    r"|operation too slow|unable to connect|connection closed|returned error: 5\d\d",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"authentication failed|could not read (username|password)|permission denied|access denied"
    r"|returned error: 40[13]|terminal prompts disabled|unable to get password",
    re.IGNORECASE,
)
_UNKNOWN_KEY = re.compile(r"host key verification failed|remote host identification has changed", re.IGNORECASE)
_MISSING = re.compile(
    r"repository .*not found|not found\b|does not appear to be a git repository|not a git repository|no such file"
    r"|not valid: is this a git repository|returned error: 404|project .*could not be found",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"transport '([^']*)' not allowed")
_REFUSED_OWNER = re.compile(r"dubious ownership", re.IGNORECASE)


def remote_error(address: GitAddress, answer: Answer) -> LaunchError:
    """Describe a command that did not get what it asked a remote for."""
    said = _words(answer)
    for pattern, describe in _KINDS:
        if pattern.search(said):
            return describe(address, said)
    return InvalidSpecError("The git repository", [Fault("uri", f"{address.url!r} cannot be read: {said}")])


def _unknown_host(address: GitAddress, _: str) -> LaunchError:
    return NotFoundError(f"Host {address.host} of {address.url} is not known here. Mend the address, or the network.")


def _unknown_key(address: GitAddress, _: str) -> LaunchError:
    host = address.host
    return ConflictError(f"ssh does not know the key of {host}. Connect once by hand and check it: ssh {host}")


def _of_another_user(address: GitAddress, said: str) -> LaunchError:
    return ConflictError(f"{address.url} belongs to another user of this machine, so git does not read it: {said}")


def _denied(address: GitAddress, said: str) -> LaunchError:
    return ConflictError(f"You may not read {address.url}. {_how_to_log_in(address)} git said: {said}")


def _missing(address: GitAddress, said: str) -> LaunchError:
    seen = f"There is no git repository at {address.url}, or none that you may see. Mend the address."
    return NotFoundError(f"{seen} git said: {said}")


def _unreachable(address: GitAddress, said: str) -> LaunchError:
    what_to_do = "Try again later, or mend the address."
    return BackendUnavailableError(f"{address.url} cannot be reached. {what_to_do} git said: {said}")


def _forbidden(address: GitAddress, said: str) -> LaunchError:
    message = f"leads to a transport that is not used here, by a setting insteadOf or a redirection: {said}"
    return InvalidSpecError("The git address", [Fault("uri", f"{address.url!r} {message}")])


_KINDS: tuple[tuple[re.Pattern[str], Callable[[GitAddress, str], LaunchError]], ...] = (
    (_UNKNOWN_HOST, _unknown_host),
    (_UNKNOWN_KEY, _unknown_key),
    (_REFUSED_OWNER, _of_another_user),
    (_DENIED, _denied),
    (_MISSING, _missing),
    (_UNREACHABLE, _unreachable),
    (_FORBIDDEN, _forbidden),
)


def _how_to_log_in(address: GitAddress) -> str:
    if address.transport == "ssh":
        return "Add a key that it knows: ssh-add, or IdentityFile in ~/.ssh/config."
    return "Log in with a credential helper of git, or give a token: https://USER:TOKEN@HOST/..., which is not kept."


def _words(answer: Answer) -> str:
    """Give what git said, without passwords of addresses that its settings may hold."""
    lines = [line.removeprefix("fatal: ").removeprefix("remote: ").strip() for line in answer.error.splitlines()]
    text = "; ".join(line for line in lines if line) or f"exit code {answer.code}"
    return re.sub(r"(://)[^/\s@'\"]+@", r"\1***@", text)[:MAX_SHOWN]
