"""A git remote: what a branch, a tag or a commit is there, and getting it into a repository of ours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.sources.git_access import network_settings
from launch_sdk.sources.git_remote_faults import remote_error
from launch_sdk.specs.git_address import is_abbreviated, is_commit, version_fault

if TYPE_CHECKING:
    from launch_sdk.sources.git_commands import Answer, Git
    from launch_sdk.specs.git_address import GitAddress

HEAD: Final = "HEAD"
HEADS, TAGS, LANDING = "refs/heads/", "refs/tags/", "refs/landing/fetched"
_FETCH: Final = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
    "--no-write-fetch-head",
)
_EVERYTHING: Final = ("+refs/heads/*:refs/theirs/heads/*", "+refs/tags/*:refs/theirs/tags/*")
_WITHOUT_DEPTH = re.compile(r"dumb http transport|does not support shallow|shallow", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a version is at a remote.

    Attributes:
        name: what to ask the remote for: the name of a ref, or the hash of a commit, whole or its beginning.
        commit: which commit that was when it was looked up; None if that has to be fetched first.
        branch: None if it is no branch.
    """

    name: str
    commit: str | None
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote, reached with git that may.

    Attributes:
        address: where it is.
        git: git for it, in a repository of ours.
    """

    address: GitAddress
    git: Git

    def look_up(self, version: str | None) -> Wanted:
        """Find out what a version is.

        Args:
            version: a branch, a tag or a commit; None for the remote's default branch.

        Raises:
            InvalidSpecError: it can be none, or is both a branch and a tag.
            NotFoundError: there is none, or no repository; the message names the nearest.
            LaunchError: the remote cannot be read.
        """
        if version is None or version == HEAD:
            return self._look_up_head()
        if message := version_fault(version):
            raise InvalidSpecError("The version", [Fault("git_version", message)])
        if is_commit(version):
            return Wanted(version, version)
        found = {name: refs for name in _names_of(version) if (refs := self._refs(name, f"{name}^{{}}"))}
        if len(found) > 1:
            both = " and as ".join(found)
            message = f"{version!r} is there as {both}; say which of them in full"
            raise InvalidSpecError("The version", [Fault("git_version", message)])
        for name, refs in found.items():
            branch = name.removeprefix(HEADS) if name.startswith(HEADS) else None
            return Wanted(name, refs.get(f"{name}^{{}}") or refs.get(name), branch)
        if is_abbreviated(version):
            return Wanted(version, None)
        raise self._unknown(version)

    def fetch(self, wanted: Wanted) -> str:
        """Get the files of a commit, and no more of its history than is needed to find it.

        Returns:
            The hash of the commit.

        Raises:
            NotFoundError: the remote does not have it.
            LaunchError: the remote cannot be read.
        """
        if is_abbreviated(wanted.name):
            return self._fetch_everything(wanted)
        what = f"+{wanted.name}:{LANDING}"
        answer = self._ask(*_FETCH, "--depth=1", "--", self.address.url, what)
        if answer.code and _WITHOUT_DEPTH.search(answer.error):
            answer = self._ask(*_FETCH, "--", self.address.url, what)
        if answer.code and is_commit(wanted.name):
            return self._fetch_everything(wanted)
        if answer.code:
            raise remote_error(self.address, answer)
        return self._commit(LANDING, wanted.name)

    def _look_up_head(self) -> Wanted:
        answer = self._answered("ls-remote", "--symref", "--", self.address.url, HEAD)
        refs, target = _read_refs(answer), re.search(rb"^ref: (\S+)\tHEAD$", answer, re.MULTILINE)
        if HEAD not in refs:
            raise NotFoundError(f"The default branch of {self.address.url} has no commit. {self._there_are()}")
        name = target[1].decode(errors="replace") if target else ""
        return Wanted(HEAD, refs[HEAD], name.removeprefix(HEADS) if name.startswith(HEADS) else None)

    def _fetch_everything(self, wanted: Wanted) -> str:
        """Get all branches and tags, for a commit that the remote does not give by its hash."""
        is_cut = self.git.output("rev-parse", "--is-shallow-repository").strip() == b"true"
        more = ("--unshallow",) if is_cut else ()
        answer = self._ask(*_FETCH, *more, "--", self.address.url, *_EVERYTHING)
        if answer.code:
            raise remote_error(self.address, answer)
        found = self.git.ask("rev-parse", "--quiet", "--verify", "--end-of-options", f"{wanted.name}^{{commit}}")
        if found.code and "ambiguous" in found.error:
            message = f"{wanted.name} is the beginning of several commits; give more of it"
            raise InvalidSpecError("The version", [Fault("git_version", message)])
        if found.code:
            raise self._unknown(wanted.name)
        return found.output.decode().strip()

    def _commit(self, ref: str, name: str) -> str:
        found = self.git.ask("rev-parse", "--quiet", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        if found.code:
            message = f"{name!r} of {self.address.url} names no commit; name a branch, a tag of a commit, or a commit"
            raise InvalidSpecError("The version", [Fault("git_version", message)])
        return found.output.decode().strip()

    def _refs(self, *names: str) -> dict[str, str]:
        found = _read_refs(self._answered("ls-remote", "--", self.address.url, *names))
        return {name: found[name] for name in names if name in found}

    def _unknown(self, version: str) -> NotFoundError:
        kind = "commit" if is_commit(version) or is_abbreviated(version) else "branch or tag"
        push = " If it is a commit of yours, push it, or launch its directory." if kind == "commit" else ""
        return NotFoundError(f"{self.address.url} has no {kind} {version!r}. {self._there_are(version)}{push}")

    def _there_are(self, near: str = "") -> str:
        refs = _read_refs(self._answered("ls-remote", "--heads", "--tags", "--refs", "--", self.address.url))
        names = [name.removeprefix(HEADS).removeprefix(TAGS) for name in refs]
        shown = difflib.get_close_matches(near, names, n=3, cutoff=0.5) or names[:5]
        return (
            f"There are {', '.join(map(repr, shown))}{', ...' if len(names) > len(shown) else ''}."
            if names
            else ("It is empty.")
        )

    def _answered(self, *words: str) -> bytes:
        answer = self._ask(*words)
        if answer.code:
            raise remote_error(self.address, answer)
        return answer.output

    def _ask(self, *words: str) -> Answer:
        return self.git.ask(*network_settings(self.address), *words)


def _names_of(version: str) -> tuple[str, ...]:
    return (version,) if version.startswith("refs/") else (f"{HEADS}{version}", f"{TAGS}{version}")


def _read_refs(output: bytes) -> Mapping[str, str]:
    """Read the lines of ls-remote: a hash, a tab, the name of a ref."""
    lines = [line.partition("\t") for line in output.decode(errors="surrogateescape").splitlines()]
    return {name: commit for commit, tab, name in lines if tab and not commit.startswith("ref: ")}
