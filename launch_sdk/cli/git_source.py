"""Code at a version: of a git address, of the repository that a directory is in, of the one that a run came from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from launch_sdk.cli.code_rows import described
from launch_sdk.cli.command import say
from launch_sdk.cli.replay import EarlierRun, is_page
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.runs.store import RunStore
from launch_sdk.sources.git_repository import open_repository
from launch_sdk.sources.origin import Origin
from launch_sdk.specs.git_address import GitAddress, is_git_address, parse_git_address, version_fault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from launch_sdk.sources.git_fetch import FetchedTree
    from launch_sdk.specs.launch_config import LaunchConfig
    from launch_sdk.specs.run_spec import RunSpec


def is_address(uri: str) -> bool:
    """Say whether a URI is meant as the address of a repository, and not as the page of a run."""
    return uri.startswith("-") or (is_git_address(uri) and not is_page(uri))


def spec_of_address(wanted: LaunchConfig, uri: str, *, by_hand: bool) -> RunSpec:
    """Give the spec of a run of a repository, whose code is in the run store of this machine then.

    Args:
        wanted: what to run of it, and which version.
        uri: the address.
        by_hand: a person has typed it on the command line.

    Raises:
        LaunchError: something in it is wrong, or the repository cannot be read.
    """
    address = parse_git_address(uri, by_hand=by_hand)
    spec = wanted.spec_of(address.url)
    return replace(spec, source=fetched(address, wanted.git_version, spec.entry_point).source)


def spec_of_directory(wanted: LaunchConfig, directory: Path) -> RunSpec:
    """Give the spec of a run of a directory as a commit of its repository has it.

    Raises:
        NotFoundError: it is in no repository, or that has no such version.
        InvalidSpecError: something in it is wrong.
    """
    spec = wanted.spec_of(str(directory))
    repository = open_repository(directory)
    if repository is None:
        raise NotFoundError(
            f"{directory} is in no git repository, so it has no version {wanted.git_version!r}. Leave it out."
        )
    address = GitAddress(repository.root.as_uri(), "file", "")
    within = directory.relative_to(repository.root).as_posix()
    found = fetched(address, wanted.git_version, spec.entry_point, within, repository.remote)
    say("What is not committed in the directory is no part of it, for a version is named.")
    return replace(spec, source=found.source)


def at_version(run: EarlierRun, wanted: LaunchConfig) -> EarlierRun:
    """Give an earlier run with the code of another version of its repository, without what it had besides.

    Raises:
        NotFoundError: nobody knows the repository, or it has no such version.
        InvalidSpecError: its address cannot be used.
    """
    before = Origin.from_dict(run.code)
    url = wanted.git_repo or before.remote
    if url is None:
        raise NotFoundError(
            f"The code of run {run.view.run_id} came from no git remote, so it has no version"
            f" {wanted.git_version!r} to fetch. Launch its directory with --git-version, or say git.repo in -c."
        )
    directory = str(run.code.get("directory") or ".")
    spec = run.view.to_repeat
    words = wanted.entry_point or (spec.entry_point if spec is not None else ())
    found = fetched(parse_git_address(url), wanted.git_version, words, directory)
    if before.changed or before.unpushed:
        say(f"What run {run.view.run_id} had besides its commit is not applied, for a version is named.")
    store = RunStore.local()
    return EarlierRun(replace(run.view, code=store.record(found.source)), store)


def fetched(
    address: GitAddress,
    version: str | None,
    entry_point: Sequence[str],
    directory: str = ".",
    known_as: str | None = None,
) -> FetchedTree:
    """Fetch code into the run store of this machine, and check that the program is in it.

    Raises:
        LaunchError: the repository cannot be read, or it does not hold the version or the program.
    """
    if version is not None and (message := version_fault(version)):
        raise InvalidSpecError("The launch", [Fault("git_version", message)])
    store = RunStore.local()
    found = store.put_commit(address, version, directory, known_as)
    check_program(found, entry_point)
    say(f"Code: {described(store.record(found.source))} of {found.origin.remote}")
    for line in found.origin.notices():
        say(line)
    return found


def check_program(found: FetchedTree, entry_point: Sequence[str]) -> None:
    """Raise NotFoundError if the program to start is a script that is not in the code."""
    program = entry_point[0] if entry_point else ""
    if not program.endswith(".py") or program.removeprefix("./") in found.names:
        return
    scripts = sorted(name for name in found.names if name.endswith(".py"))[:8]
    commit = (found.origin.commit or "")[:12]
    raise NotFoundError(
        f"Entry point {program} is not in {found.origin.remote} at {commit}. It holds"
        f" {', '.join(scripts) or 'no .py file'}. Name one with -E, as in -E train.py"
    )
