"""The versions of a job: which names they have, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from launch_sdk.errors import ConflictError, NotFoundError
from launch_sdk.specs.job import LATEST, Job, content_digest, version_name, version_number
from launch_sdk.tracking.values import encode, is_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch_sdk.specs.run_spec import RunSpec

_DESCRIBED = 20
_STARTS = ("source", "entry_point", "args", "environment", "project", "metric_sources", "container")


@dataclass(frozen=True)
class JobVersion:
    """One version that a job has or had.

    Attributes:
        number: never given twice.
        spec: its content; None once it is deleted.
        created: when it was made, unix seconds.
        description: what people say of it.
    """

    number: int
    spec: RunSpec | None
    created: float | None = None
    description: str | None = None


@dataclass(frozen=True)
class JobHistory:
    """A job with all its versions.

    Attributes:
        name, queue: as `Job` has them.
        known: every version there was, in any order; at least one of them is not deleted.
        own_aliases: the number of the version that each name given by people stands for.
    """

    name: str
    queue: str
    known: Sequence[JobVersion]
    own_aliases: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def versions(self) -> list[Job]:
        """The versions that there are, newest first."""
        there = [self._job(one, one.spec) for one in sorted(self.known, key=lambda one: -one.number) if one.spec]
        return [replace(one, is_latest=one is there[0]) for one in there]

    @property
    def latest(self) -> Job:
        return self.versions[0]

    @property
    def next_number(self) -> int:
        """The number of the version to come; that of a deleted one is not given again."""
        return max(one.number for one in self.known) + 1

    def find(self, alias: str) -> Job:
        """Return the version that `latest`, `v3` or an alias of somebody's stands for.

        Raises:
            NotFoundError: there is none; the message names those there are.
        """
        versions = self.versions
        number = versions[0].number if alias == LATEST else version_number(alias)
        wanted = self.own_aliases.get(alias) if number is None else number
        for one in versions:
            if one.number == wanted:
                return one
        raise NotFoundError(self._missing(alias, versions))

    def before(self, version: Job) -> Job | None:
        """Return the version that came before this one; None if none is left."""
        return next((one for one in self.versions if one.number < version.number), None)

    def to_json(self) -> dict[str, Any]:
        """Give the newest version, and below it all of them."""
        versions = self.versions
        listed = [
            {"version": one.version, "aliases": list(one.aliases), "digest": one.digest, "created": one.created}
            for one in versions
        ]
        return {**versions[0].to_json(), "count": len(versions), "versions": listed}

    def _job(self, version: JobVersion, spec: RunSpec) -> Job:
        aliases = sorted(alias for alias, number in self.own_aliases.items() if number == version.number)
        made = Job(self.name, self.queue, spec, version.number, version.created, tuple(aliases))
        return replace(made, description=version.description)

    def _missing(self, alias: str, versions: Sequence[Job]) -> str:
        number = version_number(alias)
        was = any(one.number == number for one in self.known)
        there = ", ".join(
            [repr(LATEST), *map(repr, sorted(self.own_aliases)), *(repr(one.version) for one in versions)]
        )
        gone = f"Version {alias!r} of job {self.name!r} is deleted" if was else f"Job {self.name!r} has no {alias!r}"
        return f"{gone}; there are {there}. See what they are: launch job describe {self.name}"


@dataclass(frozen=True)
class SavedJob:
    """What saving a job has done.

    Attributes:
        job: the version that has the content now.
        is_new: whether this made it.
        before: the version that was the newest; None for a new job.
        moved: the aliases that now stand for `job` and did not before, each with the number of the version that it
            stood for; None for a new alias.
    """

    job: Job
    is_new: bool
    before: Job | None = None
    moved: Mapping[str, int | None] = field(default_factory=dict[str, "int | None"])

    def aliases_told(self) -> list[str]:
        """Say of each alias that has changed where it stood before."""
        return [
            f"Alias {alias!r} is now {self.job.version}" + ("." if old is None else f"; it was {version_name(old)}.")
            for alias, old in self.moved.items()
        ]


def refuse_deletion(history: JobHistory, job: Job, alias: str) -> None:
    """Raise ConflictError if deleting what `alias` stands for would not be what was meant."""
    whole = f"delete the whole job: launch job delete {job.name}"
    if alias == LATEST:
        one = f"Name the version: launch job delete {job.reference}"
        raise ConflictError(f"{LATEST!r} is always the newest version there is. {one}; or {whole}")
    if alias not in history.own_aliases and len(history.versions) == 1:
        raise ConflictError(f"{job.version!r} is the only version of job {job.name!r}. To be rid of it, {whole}")


def described(history: JobHistory) -> str:
    """Say in Markdown what a job is and which versions it has, for its page."""
    latest = history.latest
    rows = [
        f"| {one.version} | {', '.join(one.aliases)} | {started(one.spec)} | {_when(one.created)} |"
        for one in history.versions[:_DESCRIBED]
    ]
    more = len(history.versions) - _DESCRIBED
    return "\n".join(
        [
            *([latest.description, ""] if latest.description else []),
            f"Job {latest.name}, version {latest.version}: {started(latest.spec)}",
            "",
            "| version | aliases | entry point | made |",
            "|---|---|---|---|",
            *rows,
            *([f"and {more} before them: launch job describe {latest.name}"] if more > 0 else []),
            "",
            f"A run of an older version: `launch --job {latest.name}:VERSION`",
        ]
    )


def started(spec: RunSpec) -> str:
    """Say what a job starts: its entry point, or the image that starts by itself."""
    return " ".join(spec.entry_point) or spec.source


def _when(created: float | None) -> str:
    return "" if created is None else datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M UTC")


def changes(before: RunSpec, after: RunSpec) -> list[dict[str, Any]]:
    """List what differs between the contents of two versions.

    Returns:
        One mapping for each difference: `what` (`source`, `entry_point`, ..., or the path of an input), `before` and
        `after`: values, JSON Schemas of inputs; None where there was or is nothing.
    """
    old, new = before.to_parameters(), after.to_parameters()
    found = [_change(key, old[key], new[key]) for key in _STARTS if old[key] != new[key]]
    if content_digest(before) == content_digest(after) or old["inputs"] == new["inputs"]:
        return found
    if old["inputs"] is None or new["inputs"] is None:
        return [*found, _change("inputs", old["inputs"], new["inputs"])]
    fields_before, fields_after = _fields(before.inputs), _fields(after.inputs)
    paths = [*fields_before, *(path for path in fields_after if path not in fields_before)]
    found += [
        _change(f"inputs.{path}", fields_before.get(path), fields_after.get(path))
        for path in paths
        if fields_before.get(path) != fields_after.get(path)
    ]
    return found or [_change("inputs", old["inputs"], new["inputs"])]


def _change(what: str, before: object, after: object) -> dict[str, Any]:
    return {"what": what, "before": encode(before), "after": encode(after)}


def _fields(inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Lay the inputs out by path: each field that holds no others, with its schema."""
    found: dict[str, Any] = {}
    if inputs is None:
        return found
    _collect("config", inputs.get("config"), found)
    files: Mapping[str, Any] = inputs.get("files") or {}
    for path, schema in files.items():
        _collect(f"files.{path}", schema, found)
    return found


def _collect(path: str, schema: object, found: dict[str, Any]) -> None:
    if not is_object(schema):
        return
    properties: Any = schema.get("properties")
    if not is_object(properties) or not properties:
        found[path] = dict(schema)
        return
    for name, one in properties.items():
        _collect(f"{path}.{name}", one, found)
