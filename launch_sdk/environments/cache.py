"""Environments that have been made, by digest: each is made once, kept while it is used, and thrown away by age.

`LAUNCH_HOME/environments/<digest>` is one, and `<digest>.lock` beside it says who has it: whoever makes or deletes it
holds an exclusive lock, whoever runs in it a shared one. The kernel gives a lock back when its holder dies. The time of
the lock file is that of the last use.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from launch_sdk.environments.installer import install
from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.tracking.values import is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from launch_sdk.environments.plan import Plan

LIMIT: Final = "LAUNCH_ENVIRONMENTS_GB"
DEFAULT_LIMIT_GB: Final = 20.0
RECORD: Final = "launch-environment.json"
MAX_NAMED: Final = 8
_POLL_S = 0.05
_BUILDING, _GOING = ".building-", ".going-"


@dataclass
class Held:
    """An environment that nobody deletes until `close`.

    Attributes:
        path: its folder.
        built_s: how long it took to make, in seconds; None if it was there.
    """

    path: Path
    built_s: float | None
    _descriptor: int

    @property
    def interpreter(self) -> Path:
        return self.path / "bin" / "python"

    def close(self) -> None:
        """Give it back."""
        os.close(self._descriptor)


@dataclass(frozen=True)
class MadeEnvironment:
    """An environment that is there.

    Attributes:
        digest: its name.
        path: its folder.
        made_of: the file of the source that says what is in it, or the earlier run.
        python: the version of its interpreter, or what was asked for.
        requirements: what was asked for; empty if its record does not say.
        size_bytes: what it takes, packages that it shares with the installer's cache counted in.
        created: when it was made, unix seconds; None if its record does not say.
        last_used: when a run last started in it, or ended making it, unix seconds.
        in_use: whether a run has it now.
    """

    digest: str
    path: Path
    made_of: str
    python: str
    requirements: tuple[str, ...]
    size_bytes: int
    created: float | None
    last_used: float
    in_use: bool


@dataclass(frozen=True)
class EnvironmentCache:
    """The environments of one machine.

    Attributes:
        folder: where they are.
        limit_gb: what they may take together; the least recently used ones go first, never one that is in use.
    """

    folder: Path
    limit_gb: float = DEFAULT_LIMIT_GB

    @classmethod
    def below(cls, home: Path) -> EnvironmentCache:
        """Give the cache of a LAUNCH_HOME, with the limit that LAUNCH_ENVIRONMENTS_GB says."""
        limit_gb = DEFAULT_LIMIT_GB
        with contextlib.suppress(ValueError):
            limit_gb = float(os.environ.get(LIMIT) or DEFAULT_LIMIT_GB)
        return cls(home / "environments", limit_gb)

    def has(self, plan: Plan) -> bool:
        """Say whether the environment of a plan is there."""
        return _is_whole(self.folder / plan.digest)

    async def hold(self, plan: Plan, source: Path, on_lines: Callable[[list[str]], None]) -> Held:
        """Give the environment of a plan, made if it is not there; one of several that want it makes it.

        Args:
            plan: what it is to hold.
            source: the run's copy of the source, for packages in it.
            on_lines: told what takes time.

        Raises:
            LaunchError: it cannot be made.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self.folder / plan.digest
        descriptor = os.open(self._lock(plan.digest), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        built_s, has_told = None, False
        try:
            while True:
                is_there = _is_whole(target)
                if not _try_lock(descriptor, fcntl.LOCK_SH if is_there else fcntl.LOCK_EX):
                    if not has_told and not is_there:
                        on_lines([f"launch: another run is making the environment of {plan.origin}; waiting for it"])
                    has_told = True
                    await asyncio.sleep(_POLL_S)
                elif is_there and _is_whole(target):
                    os.utime(descriptor)
                    return Held(target, built_s, descriptor)
                elif not is_there and not _is_whole(target):
                    on_lines([f"launch: making the environment of {plan.origin} for Python {plan.python_label}"])
                    began = time.monotonic()
                    await self._build(plan, source, target)
                    built_s = time.monotonic() - began
                    # Others wait for the lock: it becomes a shared one in the next round, which looks again.
        except BaseException:
            os.close(descriptor)
            raise

    def made(self) -> list[MadeEnvironment]:
        """Return the environments that are there, the last used ones first."""
        if not self.folder.is_dir():
            return []
        return sorted(map(self._look_at, self._environments()), key=lambda one: (-one.last_used, one.digest))

    def find(self, digest: str) -> MadeEnvironment:
        """Return the environment whose digest begins so.

        Raises:
            NotFoundError: there is none.
            ConflictError: there are several.
        """
        found = [one for one in self.made() if digest and one.digest.startswith(digest)]
        if len(found) > 1:
            raise ConflictError(f"{len(found)} environments begin with {digest!r}: {_named(found)}. Give more of it.")
        if not found:
            raise NotFoundError(f"No environment begins with {digest!r}; there are {_named(self.made()) or 'none'}.")
        return found[0]

    def delete(self, digest: str) -> MadeEnvironment:
        """Delete the environment whose digest begins so; the next run that wants it makes it again.

        Raises:
            NotFoundError: there is none.
            ConflictError: there are several, or a run is in it.
        """
        found = self.find(digest)
        with self._exclusive(found.digest) as is_mine:
            if not is_mine:
                raise ConflictError(f"A run is in environment {found.digest}. Wait until it has ended, or cancel it.")
            self._delete(found.path)
        return found

    def _look_at(self, path: Path) -> MadeEnvironment:
        record = _record_of(path)
        with self._exclusive(path.name) as is_mine:
            in_use = not is_mine
        size, created = record.get("bytes"), record.get("created")
        return MadeEnvironment(
            digest=path.name,
            path=path,
            made_of=str(record.get("from", "")),
            python=str(record.get("python", "")),
            requirements=tuple(map(str, record.get("stated") or ())),
            size_bytes=size if isinstance(size, int) else 0,
            created=created if isinstance(created, int | float) else None,
            last_used=self._last_use(path.name),
            in_use=in_use,
        )

    def prune(self) -> list[str]:
        """Delete the least recently used environments until all together keep within the limit.

        Returns:
            The digests of those that are gone.
        """
        if not self.folder.is_dir():
            return []
        self._clear_away()
        sizes = {path.name: _recorded_size(path) for path in self._environments()}
        total, gone = sum(sizes.values()), list[str]()
        for digest in sorted(sizes, key=self._last_use):
            if total <= self.limit_gb * 1e9:
                break
            with self._exclusive(digest) as is_mine:
                if is_mine:
                    self._delete(self.folder / digest)
                    total -= sizes[digest]
                    gone.append(digest)
        return gone

    async def _build(self, plan: Plan, source: Path, target: Path) -> None:
        """Make it beside its place and move it there, so that it is there whole or not at all."""
        await asyncio.to_thread(self._delete_building, plan.digest)
        scratch = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{_BUILDING}{plan.digest}-"))
        try:
            asked = scratch / "asked"
            asked.mkdir()
            await install(plan, source, scratch / "made", asked)
            await asyncio.to_thread(_finish, scratch / "made", plan)
            await asyncio.to_thread(self._delete, target)  # one whose interpreter is gone
            (scratch / "made").rename(target)
            await asyncio.to_thread(self.prune)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True))

    def _environments(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith(".")]

    def _lock(self, digest: str) -> Path:
        return self.folder / f"{digest}.lock"

    def _last_use(self, digest: str) -> float:
        try:
            return self._lock(digest).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    @contextlib.contextmanager
    def _exclusive(self, digest: str) -> Generator[bool]:
        descriptor = os.open(self._lock(digest), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _try_lock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    def _delete(self, path: Path) -> None:
        """Delete a folder; it is gone from its place before the first file goes."""
        going = Path(tempfile.mkdtemp(dir=self.folder, prefix=_GOING))
        with contextlib.suppress(FileNotFoundError):
            path.rename(going / "environment")
        shutil.rmtree(going, ignore_errors=True)

    def _delete_building(self, digest: str) -> None:
        """Delete what a builder that died has left; whoever calls holds the exclusive lock."""
        for path in self.folder.glob(f"{_BUILDING}{digest}-*"):
            shutil.rmtree(path, ignore_errors=True)

    def _clear_away(self) -> None:
        for path in self.folder.glob(f"{_GOING}*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(f"{_BUILDING}*"):
            digest = path.name.removeprefix(_BUILDING).rpartition("-")[0]
            with self._exclusive(digest) as is_mine:
                if is_mine:
                    self._delete_building(digest)


def _try_lock(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_whole(path: Path) -> bool:
    """Say whether an environment is there and its interpreter still is."""
    return (path / RECORD).is_file() and os.access(path / "bin" / "python", os.X_OK)


def _finish(path: Path, plan: Plan) -> None:
    record: dict[str, Any] = {
        "from": plan.origin,
        "python": plan.python_label,
        "requirements": len(plan.requirements.lines),
        "stated": plan.shown_requirements,
        "created": time.time(),
        "bytes": _size(path),
    }
    (path / RECORD).write_text(json.dumps(record))


def _size(path: Path) -> int:
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path) for name in names)


def _recorded_size(path: Path) -> int:
    size = _record_of(path).get("bytes")
    return size if isinstance(size, int) else 0


def _record_of(path: Path) -> dict[str, Any]:
    """Read what was noted when it was made; nothing if that cannot be read."""
    try:
        record: Any = json.loads((path / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if is_object(record) else {}


def _named(found: Sequence[MadeEnvironment]) -> str:
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(one.digest[:12] for one in found[:MAX_NAMED]) + more
