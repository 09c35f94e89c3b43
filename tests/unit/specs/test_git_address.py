"""Addresses of repositories: what is used, what is refused, and that no password is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.git_address import (
    ALLOW_HTTP,
    Credentials,
    GitAddress,
    is_git_address,
    parse_git_address,
    version_fault,
)

PASSWORD = "s3cr3t"  # noqa: S105  # it opens nothing


def refused(text: str, *, by_hand: bool = False) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        parse_git_address(text, by_hand=by_hand)
    assert PASSWORD not in str(caught.value)
    return caught.value.faults[0].message


@pytest.mark.parametrize(
    ("text", "transport", "host", "name"),
    [
        ("https://github.com/user/repo", "https", "github.com", "repo"),
        ("https://gitlab.example.org:8443/a/b/c.git/", "https", "gitlab.example.org:8443", "c"),
        ("http://localhost:3000/x.git", "http", "localhost:3000", "x"),
        ("http://[::1]:3000/x", "http", "[::1]:3000", "x"),
        ("http://127.1.2.3/x", "http", "127.1.2.3", "x"),
        ("ssh://git@host:2222/~me/x.git", "ssh", "host:2222", "x"),
        ("git@github.com:user/repo.git", "ssh", "github.com", "repo"),
        ("me@host:repo", "ssh", "host", "repo"),
        ("https://github.com/me/tree", "https", "github.com", "tree"),
    ],
)
def test_the_usual_forms_are_read_as_they_are(text: str, transport: str, host: str, name: str) -> None:
    found = parse_git_address(text)
    assert (found.url, found.transport, found.host, found.repository) == (text, transport, host, name)
    assert is_git_address(text)


def test_who_logs_in_is_kept_apart_from_the_address_and_never_shown() -> None:
    found = parse_git_address(f"https://me%40home:{PASSWORD}%2F@host/x")
    assert found == GitAddress("https://host/x", "https", "host", Credentials("me@home", f"{PASSWORD}/"))
    assert PASSWORD not in repr(found)
    assert parse_git_address(f"https://{PASSWORD}@host/x").credentials == Credentials(PASSWORD, "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("-uhttps://host/x", "begins with a dash"),
        ("--upload-pack=touch x", "begins with a dash"),
        ("ext::sh -c 'touch x'", "names ext as its transport"),
        ("ext::sh", "names ext as its transport, which could run any command"),
        ("file::/etc", "names file as its transport"),
        ("::x", "names no as its transport"),
        ("git://host/x", "uses git, which is no transport here"),
        ("ftp://host/x", "uses ftp"),
        ("git+https://host/x", "uses git+https"),
        ("file:///srv/x", "counts only where you type it"),
        ("http://example.org/x", f"Use https, or set {ALLOW_HTTP}=1"),
        ("https://", "names no host"),
        ("https://host", "names no repository"),
        ("https:///x", "names no host"),
        ("https://-oProxyCommand=x/y", "names a host that cannot be one"),
        ("ssh://-oProxyCommand=x/y", "names a host that cannot be one"),
        ("ssh://-x@host/y", "names a user that cannot be one"),
        ("-x@host:y", "begins with a dash"),
        ("me@-host:y", "names a host that cannot be one"),
        ("me@host:-y", "names no repository"),
        ("me@host:", "names no repository"),
        (f"ssh://me:{PASSWORD}@host/x", "holds a password, which ssh takes from nobody"),
        (f"me:{PASSWORD}@host:x", "holds a password, which ssh takes from nobody"),
        (f"me:{PASSWORD}/@host:x", "holds a password, which ssh takes from nobody"),
        (f"https://me:{PASSWORD}@host/x?token={PASSWORD}", "holds more than an address"),
        ("https://host/x#main", "say a branch, tag or commit with --git-version"),
        ("https://host:port/x", "is no address"),
        ("https://host/a\nb", "holds a space or a control character"),
        ("https://me:%0apassword@host/x", "holds a control character"),
        (f"https://me:{PASSWORD}@ho st/x", "holds a space"),
        ("https://github.com/me/x/tree/v1/sub", "launch https://github.com/me/x --git-version v1"),
        ("https://gitlab.com/me/x/-/blob/main/a.py", "launch https://gitlab.com/me/x --git-version main"),
        ("https://wandb.ai/me/p/runs/abc", "is a page of W&B"),
    ],
)
def test_everything_else_is_refused_with_what_to_do(text: str, told: str) -> None:
    assert told in refused(text)


def test_a_repository_on_this_machine_counts_where_it_was_typed() -> None:
    assert parse_git_address("file:///srv/x", by_hand=True) == GitAddress("file:///srv/x", "file", "")
    assert "must be file:///" in refused("file://host/x", by_hand=True)


def test_unencrypted_http_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW_HTTP, "1")
    assert parse_git_address("http://example.org/x").transport == "http"


@pytest.mark.parametrize("text", ["digits", "./dir", "a/b", "run-2026", "C:/x", "name:alias", "a@b"])
def test_what_names_a_run_or_a_directory_is_no_address(text: str) -> None:
    assert not is_git_address(text)


@pytest.mark.parametrize("version", ["main", "feature/x", "v1.0-rc.1", "refs/tags/v1", "a" * 40, "ünïcode", "1"])
def test_branches_tags_and_commits_are_versions(version: str) -> None:
    assert version_fault(version) is None


@pytest.mark.parametrize(
    "version",
    ["", "-x", "--upload-pack=x", "a..b", "a b", "a:b", "a*", "@{-1}", "@", "a^", "a~1", "/a", "a/", "a.lock"],
)
def test_options_and_patterns_are_no_versions(version: str) -> None:
    assert version_fault(version) is not None


@given(st.text(), st.booleans())
def test_any_text_is_an_address_or_a_fault_and_never_an_option(text: str, by_hand: bool) -> None:
    try:
        found = parse_git_address(text, by_hand=by_hand)
    except InvalidSpecError:
        return
    assert not found.url.startswith("-")
    assert found.transport in {"https", "http", "ssh", "file"}
