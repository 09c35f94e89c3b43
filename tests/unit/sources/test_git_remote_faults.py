"""What git says of a remote, in the words that it has for it, and what a person is told."""

from __future__ import annotations

import pytest

from launch_sdk.errors import BackendUnavailableError, ConflictError, InvalidSpecError, LaunchError, NotFoundError
from launch_sdk.sources.git_commands import Answer
from launch_sdk.sources.git_remote_faults import remote_error
from launch_sdk.specs.git_address import parse_git_address


@pytest.mark.parametrize(
    ("url", "words", "kind", "told"),
    [
        (
            "https://no-such-host.example/x",
            "fatal: unable to access 'https://no-such-host.example/x/': Could not resolve host: no-such-host.example",
            NotFoundError,
            "Host no-such-host.example of https://no-such-host.example/x is not known here",
        ),
        (
            "git@nohost:x",
            (
                "ssh: Could not resolve hostname nohost: Name or service not known\n"
                "fatal: Could not read from remote repository."
            ),
            NotFoundError,
            "Host nohost of git@nohost:x is not known here",
        ),
        (
            "git@host:x",
            (
                "No ED25519 host key is known for host and you have requested strict checking.\n"
                "Host key verification failed.\nfatal: Could not read from remote repository."
            ),
            ConflictError,
            "Connect once by hand and check it: ssh host",
        ),
        (
            "git@host:x",
            "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            ConflictError,
            "Add a key that it knows: ssh-add",
        ),
        (
            "https://github.com/me/private",
            "fatal: could not read Username for 'https://github.com': terminal prompts disabled",
            ConflictError,
            "Log in with a credential helper of git",
        ),
        (
            "https://host/x",
            "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://host/x/'",
            ConflictError,
            "You may not read https://host/x",
        ),
        (
            "git@host:x",
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            NotFoundError,
            "There is no git repository at git@host:x, or none that you may see",
        ),
        (
            "https://host/x",
            "fatal: unable to access 'https://host/x/': Failed to connect to host port 443: Connection refused",
            BackendUnavailableError,
            "https://host/x cannot be reached",
        ),
        (
            "https://host/x",
            "fatal: transport 'git' not allowed",
            InvalidSpecError,
            "leads to a transport that is not used here",
        ),
        (
            "https://host/x",
            "fatal: unable to access 'https://me:s3cr3t@mirror/x/': SSL certificate problem: self-signed certificate",
            InvalidSpecError,
            "https://***@mirror/x/': SSL certificate problem: self-signed certificate",
        ),
        ("https://host/x", "", InvalidSpecError, "exit code 128"),
    ],
)
def test_every_failure_says_what_happened_and_what_to_do(
    url: str, words: str, kind: type[LaunchError], told: str
) -> None:
    error = remote_error(parse_git_address(url), Answer(128, b"", words))
    assert isinstance(error, kind)
    assert told in str(error)
    assert "s3cr3t" not in str(error)
