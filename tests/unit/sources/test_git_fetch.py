"""Code from git addresses: real repositories behind a real server, and hostile ones."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launch_sdk.errors import BackendUnavailableError, ConflictError, InvalidSpecError, LaunchError, NotFoundError
from launch_sdk.sources import git_fetch
from launch_sdk.sources.git_fetch import FetchedTree, fetch_tree
from launch_sdk.specs.git_address import parse_git_address
from tests.git_server import PORT_OF_NOBODY, GitServer, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.sources.conftest import UserRepository

PASSWORD = "s3cr3t-of-somebody"  # noqa: S105  # it opens nothing


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "of-the-person"))
    with serve(tmp_path) as started:
        yield started


def fetch(repository: UserRepository, url: str, version: str | None = None, directory: str = ".") -> FetchedTree:
    address = parse_git_address(url, by_hand=True)
    return fetch_tree(address, version, directory, repository.base / "home" / "git", repository.store)


def files_of(repository: UserRepository, found: FetchedTree) -> dict[str, bytes]:
    laid_out = repository.replay(found.source)
    paths = [path for path in sorted(laid_out.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {path.relative_to(laid_out).as_posix(): path.read_bytes() for path in paths}


def test_the_default_branch_is_fetched_and_its_files_travel_like_any_other_source(
    repository: UserRepository, server: GitServer
) -> None:
    repository.write({"data.bin": bytes(range(256)), "run.sh": b"echo\r\n"})
    (repository.root / "run.sh").chmod(0o755)
    (repository.root / "link").symlink_to("train.py")
    commit = repository.commit()
    found = fetch(repository, f"{server.url}/work")
    assert files_of(repository, found) == {
        "data.bin": bytes(range(256)),
        "run.sh": b"echo\r\n",
        "train.py": b"print(1)\n",
        "pkg/model.py": b"x = 1\n",
    }
    laid_out = repository.replay(found.source)
    assert (laid_out / "run.sh").stat().st_mode & stat.S_IXUSR
    assert (laid_out / "link").readlink() == Path("train.py")
    origin = found.origin
    assert (origin.remote, origin.branch, origin.commit) == (f"{server.url}/work", "main", commit)
    assert (origin.changed, origin.unpushed, origin.file_count) == (False, False, 5)
    assert found.source.partition("#")[2] == repository.git("rev-parse", "HEAD^{tree}")
    assert found.source.partition("#")[2] == repository.pack().source.partition("#")[2]


def test_a_version_is_a_branch_a_tag_or_a_commit_whole_or_not(repository: UserRepository, server: GitServer) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1", "-m", "annotated")
    repository.git("tag", "plain")
    repository.write({"train.py": b"print(2)\n"})
    second = repository.commit()
    repository.git("branch", "feature/x")
    repository.git("reset", "-q", "--hard", first)
    wanted = {
        **dict.fromkeys(("v1", "plain", "refs/tags/v1", first, first[:7], "main", "HEAD"), first),
        **dict.fromkeys(("feature/x", "refs/heads/feature/x", second, second[:7]), second),
    }
    url = f"{server.url}/work/.git"
    assert {version: fetch(repository, url, version).origin.commit for version in wanted} == wanted
    assert fetch(repository, url, "feature/x").origin.branch == "feature/x"
    assert fetch(repository, url, "v1").origin.branch is None
    # Reached by no branch that was asked for: found by asking for everything.
    assert fetch(repository.other("elsewhere"), url, second[:7]).origin.commit == second


def test_what_runs_stays_what_the_branch_was_when_it_was_looked_up(
    repository: UserRepository, server: GitServer
) -> None:
    before = fetch(repository, f"{server.url}/work", "main")
    repository.write({"train.py": b"print(2)\n"})
    repository.commit()
    after = fetch(repository, f"{server.url}/work", "main")
    assert files_of(repository, before)["train.py"] == b"print(1)\n"
    assert files_of(repository, after)["train.py"] == b"print(2)\n"


def test_a_commit_is_fetched_once_and_then_needs_no_server(repository: UserRepository, server: GitServer) -> None:
    commit = repository.git("rev-parse", "HEAD")
    first = fetch(repository, f"{server.url}/work")
    before = server.transfers()
    assert fetch(repository, f"{server.url}/work").source == first.source
    looked_up = server.transfers() - before
    assert looked_up <= 1  # protocol 2 asks for the names of branches so
    server.requests.clear()
    assert fetch(repository, f"{server.url}/work", commit).source.partition("#")[2] == first.source.partition("#")[2]
    assert server.requests == []


def test_only_a_folder_of_it_is_where_programs_start(repository: UserRepository, server: GitServer) -> None:
    found = fetch(repository, f"{server.url}/work", directory="pkg")
    assert (found.names, found.source.endswith(":pkg")) == (frozenset({"model.py"}), True)
    assert set(files_of(repository, found)) == {"train.py", "pkg/model.py"}
    with pytest.raises(NotFoundError, match="has no folder nowhere"):
        fetch(repository, f"{server.url}/work", directory="nowhere")


def test_many_fetch_the_same_commit_at_once(repository: UserRepository, server: GitServer) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = [one.result().source for one in [pool.submit(fetch, repository, f"{server.url}/work") for _ in "1234"]]
    assert len(set(found)) == 1


def test_a_repository_on_this_machine_is_read_where_somebody_typed_its_address(repository: UserRepository) -> None:
    url = repository.root.as_uri()
    assert files_of(repository, fetch(repository, url, "main"))["train.py"] == b"print(1)\n"
    with pytest.raises(InvalidSpecError, match="counts only where you type it"):
        parse_git_address(url)


def test_a_repository_on_this_machine_cannot_have_its_missing_objects_fetched_by_a_command(
    repository: UserRepository,
) -> None:
    marker = repository.base / "was-run"
    blob = repository.git("rev-parse", "HEAD:train.py")
    (repository.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    repository.git("config", "core.repositoryFormatVersion", "1")
    repository.git("config", "extensions.partialClone", "evil")
    repository.git("config", "remote.evil.promisor", "true")
    repository.git("config", "remote.evil.url", (repository.base / "nothing").as_uri())
    repository.git("config", "remote.evil.uploadpack", f"touch {marker}; git-upload-pack")
    with pytest.raises(LaunchError):
        fetch(repository, repository.root.as_uri())
    assert not marker.exists()


# What is not there, or may not be read.


def test_a_version_that_is_not_there_is_said_with_the_nearest(repository: UserRepository, server: GitServer) -> None:
    repository.git("tag", "v1.0")
    url = f"{server.url}/work"
    with pytest.raises(NotFoundError, match=r"has no branch or tag 'v1.1'. There are 'v1.0', ..."):
        fetch(repository, url, "v1.1")
    for commit in ("1" * 40, "1" * 9):
        with pytest.raises(NotFoundError, match=rf"has no commit '{commit}'.*push it, or launch its directory"):
            fetch(repository, url, commit)
    repository.git("branch", "v1.0")
    with pytest.raises(InvalidSpecError, match=r"as refs/heads/v1.0 and as refs/tags/v1.0; say which"):
        fetch(repository, url, "v1.0")
    blob = repository.git("rev-parse", "HEAD:train.py")
    repository.git("tag", "of-a-file", blob)
    with pytest.raises(InvalidSpecError, match="names no commit"):
        fetch(repository, url, "of-a-file")


def test_an_empty_repository_is_said(bare_start: UserRepository, server: GitServer) -> None:
    with pytest.raises(NotFoundError, match=r"has no commit. It is empty"):
        fetch(bare_start, f"{server.url}/work")


def test_what_is_no_repository_or_does_not_answer_is_said(repository: UserRepository, server: GitServer) -> None:
    (repository.base / "nothing").mkdir()
    with pytest.raises(NotFoundError, match="There is no git repository at"):
        fetch(repository, f"{server.url}/nothing")
    with pytest.raises(BackendUnavailableError, match="cannot be reached"):
        fetch(repository, f"http://127.0.0.1:{PORT_OF_NOBODY}/x")
    with pytest.raises(BackendUnavailableError, match="cannot be reached"):
        fetch(repository, f"ssh://me@127.0.0.1:{PORT_OF_NOBODY}/x")
    with pytest.raises(NotFoundError, match="There is no git repository at file:///"):
        fetch(repository, (repository.base / "nothing").as_uri())


def test_a_password_opens_the_repository_and_is_nowhere_else(repository: UserRepository, server: GitServer) -> None:
    server.login, server.watched_for = f"me@home:{PASSWORD}/%", PASSWORD.encode()
    (repository.base / "of-the-person").write_text(
        f"[credential]\n\thelper = store --file={repository.base}/kept\n\tuseHttpPath = true\n"
    )
    found = fetch(repository, server.with_login(f"me%40home:{PASSWORD}%2F%25") + "/work")
    assert server.transfers() > 0
    assert server.seen == []
    assert found.origin.remote == f"{server.url}/work"
    assert not (repository.base / "kept").exists()
    for path in [*repository.base.glob("home/**/*"), *repository.store.rglob("*")]:
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()


def test_a_wrong_password_and_none_are_said_without_asking_anybody(
    repository: UserRepository, server: GitServer
) -> None:
    server.login = f"me:{PASSWORD}"
    for url in (server.url, server.with_login(f"me:{PASSWORD}x"), server.with_login("token")):
        with pytest.raises(ConflictError, match="You may not read") as caught:
            fetch(repository, f"{url}/work")
        assert PASSWORD not in str(caught.value)


def test_another_server_that_a_request_is_sent_on_to_gets_no_password(
    repository: UserRepository, server: GitServer
) -> None:
    with serve(repository.base) as other:
        server.moved_to, other.login = other.url, "you:other"
        with pytest.raises(LaunchError):
            fetch(repository, server.with_login(f"me:{PASSWORD}") + "/work")
        assert other.requests
        assert {given for _, _, given in other.requests} == {None}


# ssh: real upload-pack, through a stand-in for the program ssh that runs it here.

SSH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$0.log"
for last; do :; done
exec sh -c "$last"
"""


@pytest.fixture
def ssh_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    return tmp_path / "bin" / "ssh.log"


def test_ssh_addresses_of_both_kinds_are_fetched_and_ssh_asks_nobody(
    repository: UserRepository, ssh_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (f"git@example.org:{repository.root}", f"ssh://git@example.org:2222{repository.root}"):
        assert files_of(repository, fetch(repository, url))["train.py"] == b"print(1)\n"
    calls = ssh_log.read_text().splitlines()
    assert all("-o BatchMode=yes" in call and "git@example.org" in call for call in calls)
    assert any("-p 2222" in call for call in calls)
    ssh_log.unlink()
    monkeypatch.setenv("GIT_SSH_COMMAND", f"{ssh_log.parent}/ssh -i of-the-person")
    fetch(repository, f"git@example.org:{repository.root}", "main")
    assert "-i of-the-person" in ssh_log.read_text()


# Submodules.


def module(repository: UserRepository, name: str, url: str, path: str = "lib") -> UserRepository:
    """Make a repository and let another name it as a submodule."""
    inner = repository.other(name)
    inner.root.mkdir()
    inner.git("init", "-q", "-b", "main")
    inner.write({"inside.py": b"y = 2\n"})
    commit = inner.commit()
    repository.write({".gitmodules": f'[submodule "{name}"]\n\tpath = {path}\n\turl = {url}\n'.encode()})
    repository.git("add", ".gitmodules")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    repository.git("commit", "-qm", "with a submodule")
    return inner


def test_submodules_are_part_of_the_tree_at_the_commits_that_are_named(
    repository: UserRepository, server: GitServer
) -> None:
    inner = module(repository, "inner", "../inner")
    commit = inner.git("rev-parse", "HEAD")
    module(inner, "innermost", f"{server.url}/innermost", "deep/er")
    found = fetch(repository, f"{server.url}/work")
    assert set(files_of(repository, found)) == {".gitmodules", "train.py", "pkg/model.py", "lib/inside.py"}
    assert found.origin.submodules == {"lib": commit}
    newest = inner.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{newest},lib")
    repository.git("commit", "-qm", "newer")
    found = fetch(repository, f"{server.url}/work")
    assert {"lib/inside.py", "lib/.gitmodules", "lib/deep/er/inside.py"} <= set(files_of(repository, found))
    assert set(found.origin.submodules) == {"lib", "lib/deep/er"}


@pytest.mark.parametrize(
    "url", ["ext::sh -c x", "-oProxyCommand=x", "file:///etc", "/etc", "git://host/x", "../../x?y"]
)
def test_a_submodule_with_an_address_that_is_not_used_is_refused_by_name(
    url: str, repository: UserRepository, server: GitServer
) -> None:
    module(repository, "inner", url)
    with pytest.raises(InvalidSpecError, match="submodule lib"):
        fetch(repository, f"{server.url}/work")


def test_submodules_without_end_are_given_up(
    repository: UserRepository, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_fetch, "MAX_DEPTH", 2)
    for _ in range(4):  # each commit has the one before it as its submodule
        inner = repository.git("rev-parse", "HEAD")
        repository.write({".gitmodules": b'[submodule "own"]\n\tpath = own\n\turl = ../work\n'})
        repository.git("add", ".gitmodules")
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{inner},own")
        repository.git("commit", "-qm", "deeper")
    with pytest.raises(InvalidSpecError, match="too many or too deep"):
        fetch(repository, f"{server.url}/work")
    found = fetch(repository, f"{server.url}/work", repository.git("rev-parse", "HEAD~2"))
    assert {"own/train.py", "own/own/train.py"} <= found.names


# What a repository may hold.


def test_nothing_that_a_repository_or_its_server_names_is_run(repository: UserRepository, server: GitServer) -> None:
    marker = repository.base / "was-run"
    repository.write(
        {
            ".gitattributes": b"* filter=evil diff=evil merge=evil\n",
            ".lfsconfig": b"[lfs]\n\turl = ext::x\n",
            "config": f"[core]\n\tfsmonitor = touch {marker}\n".encode(),
        }
    )
    repository.commit()
    (repository.base / "of-the-person").write_text(
        f'[filter "evil"]\n\tsmudge = touch {marker}\n\tclean = touch {marker}\n'
        f"[core]\n\tfsmonitor = touch {marker}\n\thooksPath = {repository.base}/hooks\n"
    )
    (repository.base / "hooks").mkdir()
    for name in ("reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"):
        hook = repository.base / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    files_of(repository, fetch(repository, f"{server.url}/work"))
    assert not marker.exists()


def test_names_that_must_not_be_written_are_refused_when_it_is_submitted(
    repository: UserRepository, server: GitServer
) -> None:
    blob = repository.git("rev-parse", "HEAD:train.py")
    inner = repository.git(
        "hash-object", "-t", "tree", "-w", "--literally", "--stdin", feed=b"100644 config\0" + bytes.fromhex(blob)
    )
    feed = b"40000 .git\0" + bytes.fromhex(inner) + b"100644 a\0" + bytes.fromhex(blob)
    tree = repository.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", feed=feed)
    commit = repository.git("commit-tree", tree, "-m", "hostile")
    repository.git("update-ref", "refs/heads/hostile", commit)
    with pytest.raises(InvalidSpecError, match=r"'.git/config' is no file that may be written"):
        fetch(repository, f"{server.url}/work", "hostile")


def test_links_out_of_it_and_pointers_to_large_files_are_named(repository: UserRepository, server: GitServer) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    repository.write({".gitattributes": b"*.bin filter=lfs\n", "model.bin": pointer, "text": b"not one\n"})
    for name, target in {"out": "../x", "pkg/up": "../train.py", "absolute": "/etc/passwd"}.items():
        (repository.root / name).symlink_to(target)
    repository.commit()
    found = fetch(repository, f"{server.url}/work")
    assert found.origin.links_out == ("absolute", "out")
    assert list(found.origin.left_out) == ["model.bin"]
    assert "Git LFS pointer" in found.origin.notices()[0]
