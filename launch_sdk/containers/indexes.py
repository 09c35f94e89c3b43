"""Where packages of an image come from: the agent's own index settings, with every password apart from them.

What an image is built with stays in its history. So variables hold addresses alone, and who logs in there stands in a
netrc file, which only the stage that installs has, and that stage is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from launch_sdk.environments.installer import installer_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ADDRESSES: Final = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
CHOICES: Final = ("UV_INDEX_STRATEGY", "UV_PRERELEASE", "UV_TORCH_BACKEND", "UV_EXCLUDE_NEWER", "UV_HTTP_TIMEOUT")
_SCHEMES = ("https", "http")


@dataclass(frozen=True)
class Indexes:
    """The settings for one build.

    Attributes:
        variables: for uv; no password is in them.
        netrc: the logins, in the form of that file; empty if there are none.
    """

    variables: Mapping[str, str]
    netrc: str

    def __repr__(self) -> str:
        return f"Indexes({dict(self.variables)})"


def indexes_of(inherited: Mapping[str, str]) -> Indexes:
    """Read the agent's settings: uv's variables, or what pip is configured with. Local indexes stay behind."""
    known = installer_environment(inherited)
    variables = {name: known[name] for name in CHOICES if known.get(name)}
    logins: dict[str, str] = {}
    for name in ADDRESSES:
        plain = [_plain(word, logins) for word in known.get(name, "").split()]
        if kept := [word for word in plain if word]:
            variables[name] = " ".join(kept)
    return Indexes(variables, "".join(logins.values()))


def _plain(word: str, logins: dict[str, str]) -> str | None:
    """Take the login out of an address, which may be named, as in corp=https://...; None if no image reaches it."""
    name, equals, address = word.rpartition("=") if "://" in word.rpartition("=")[2] else ("", "", word)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _SCHEMES or not host:
        return None
    if parts.username is not None:
        logins.setdefault(host, _entry(host, unquote(parts.username), unquote(parts.password or "")))
    place = f"[{host}]" if ":" in host else host
    plain = urlunsplit(parts._replace(netloc=place if port is None else f"{place}:{port}"))
    return f"{name}{equals}{plain}"


def _entry(host: str, login: str, password: str) -> str:
    return f"machine {host} login {_word(login)} password {_word(password)}\n"


def _word(text: str) -> str:
    """Quote a word of a netrc file."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if _is_odd(text) else text


def _is_odd(characters: Iterable[str]) -> bool:
    return not characters or any(one.isspace() or one in '"\\#' for one in characters)
