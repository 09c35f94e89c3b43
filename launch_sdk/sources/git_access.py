"""git that may reach one remote: by its transport alone, asking nobody, with passwords in no argument and no file.

The person's own settings of git count here (proxies, certificates, credential helpers, `insteadOf`): without them their
repositories could not be read. Of the repository nothing counts but its objects: it is one of ours, and hooks, filters
and file system monitors are off as everywhere (`git_commands`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from launch_sdk.sources.git_commands import Git

if TYPE_CHECKING:
    from launch_sdk.specs.git_address import Credentials, GitAddress

FETCH_TIMEOUT_S: Final = 1_800.0
STALLED_AFTER_S: Final = 60
SSH: Final = "ssh -o BatchMode=yes -o ConnectTimeout=30"
_TRANSPORTS: Final = {"https": "https:ssh", "http": "http:https:ssh", "ssh": "ssh:https", "file": "file"}
# What a person sets in their shell so that git reaches a remote; `git_commands` keeps none of it.
_OF_A_PERSON: Final = (
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_ASKPASS",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
)
_USER, _PASSWORD, _HOST = "LAUNCH_GIT_USER", "LAUNCH_GIT_PASSWORD", "LAUNCH_GIT_HOST"
# It answers for the host that the address names and for no other, whereto a redirection might lead.
_ASKPASS: Final = f"""\
#!/bin/sh
case "$1" in
    "Username for '"*"://${_HOST}': ") printf '%s\\n' "${_USER}" ;;
    "Password for '"*"@${_HOST}': ") printf '%s\\n' "${_PASSWORD}" ;;
    *) exit 1 ;;
esac
"""


@contextmanager
def git_of_remote(address: GitAddress, folder: Path, repository: Path | None = None) -> Generator[Git]:
    """Give git that reaches a remote.

    Args:
        address: of the remote.
        folder: of ours, where a helper without any secret may lie meanwhile.
        repository: one of ours that git works on; None for none.
    """
    variables = {name: os.environ[name] for name in _OF_A_PERSON if name in os.environ}
    variables |= {"GIT_ALLOW_PROTOCOL": _TRANSPORTS[address.transport], "GIT_DIR": str(repository or folder / "none")}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".asking-") as scratch:
        if address.credentials is not None:
            variables |= _answers(address.credentials, address.host, Path(scratch) / "askpass")
        git = Git(folder, variables, FETCH_TIMEOUT_S)
        if not variables.keys() & {"GIT_SSH", "GIT_SSH_COMMAND"} and git.ask("config", "core.sshCommand").code:
            variables["GIT_SSH_COMMAND"] = SSH
        yield git


def network_settings(address: GitAddress) -> tuple[str, ...]:
    """Give the options that stand before a command that goes to a remote."""
    settings = ["http.lowSpeedLimit=1", f"http.lowSpeedTime={STALLED_AFTER_S}", "protocol.version=2"]
    if address.credentials is not None:
        # A helper of the person would keep what the address says; and a question names the host, not the path.
        settings += ["credential.helper=", "credential.useHttpPath=false"]
    return tuple(word for setting in settings for word in ("-c", setting))


def _answers(said: Credentials, host: str, askpass: Path) -> dict[str, str]:
    askpass.write_text(_ASKPASS)
    askpass.chmod(0o700)
    return {"GIT_ASKPASS": str(askpass), _USER: said.user, _PASSWORD: said.password, _HOST: host}
